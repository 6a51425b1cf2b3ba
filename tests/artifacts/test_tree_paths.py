"""No path and no chain of links leaves the folder of an artifact."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.artifacts.tree_paths import fault_of_path, fault_of_target


@pytest.mark.parametrize("path", ["a", "a/b", "..a", "a..", "...", "a b/ü", "a" * 255])
def test_plain_paths(path: str) -> None:
    assert fault_of_path(path) is None


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/../b", "./a", "a\0b", "a" * 256, "a/" * 2100 + "a"]
)
def test_other_paths(path: str) -> None:
    assert fault_of_path(path) is not None


@pytest.mark.parametrize(
    ("path", "target"), [("l", "a"), ("d/l", "../a"), ("a/b/l", "../../c"), ("l", "./a/b"), ("d/l", "..")]
)
def test_targets_inside(path: str, target: str) -> None:
    assert fault_of_target(path, target) is None


@pytest.mark.parametrize(
    ("path", "target"), [("l", ".."), ("d/l", "../../a"), ("l", "/a"), ("l", ""), ("l", "a/../b"), ("l", "a\0b")]
)
def test_targets_outside_or_unclear(path: str, target: str) -> None:
    assert fault_of_target(path, target) is not None


steps = st.sampled_from(["..", ".", "d", "e", "one", "two"])
targets = st.lists(steps, min_size=1, max_size=6).map("/".join)


@settings(max_examples=100)
@given(links=st.dictionaries(st.sampled_from(["one", "d/one", "d/two", "d/e/two", "two"]), targets, min_size=1))
def test_links_that_are_let_through_resolve_inside_whatever_they_pass(links: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        (root / "d/e").mkdir(parents=True)
        accepted = {path: target for path, target in links.items() if fault_of_target(path, target) is None}
        for path, target in accepted.items():
            (root / path).symlink_to(target)
        for path in accepted:
            assert (Path(os.path.realpath(root / path))).is_relative_to(root)
