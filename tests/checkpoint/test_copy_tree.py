"""Copying what private directories hold: all of it, with its holes, and nothing that has no contents."""

import os
import socket
import stat
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.checkpoint.sandbox_init import copy_tree

PAGE = 4096
_names = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
_modes = st.integers(0, 0o7777)
# Pieces of a file: so many pages of data, then so many of nothing.
_files = st.tuples(st.just("file"), _modes, st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 5)), max_size=4))
_links = st.tuples(st.just("link"), st.just(0), st.sampled_from(["nowhere", "/dev/null", "..", "a/b"]))
_trees = st.recursive(
    st.one_of(_files, _links),
    lambda inner: st.tuples(st.just("directory"), _modes, st.dictionaries(_names, inner, max_size=4)),
    max_leaves=12,
)


def _make(path: Path, node) -> None:
    kind, mode, content = node
    if kind == "link":
        path.symlink_to(content)
        return
    if kind == "directory":
        path.mkdir()
        for name, inner in content.items():
            _make(path / name, inner)
    else:
        with path.open("wb") as file:
            for data, hole in content:
                file.write(data)
                file.seek(hole * PAGE, os.SEEK_CUR)
            file.truncate()
    path.chmod(mode)


def _described(root: Path) -> dict[str, tuple]:
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        common = (stat.S_IFMT(status.st_mode), status.st_uid, status.st_gid)
        if path.is_symlink():
            found[str(path.relative_to(root))] = (*common, os.readlink(path))
        else:
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(root))] = (*common, stat.S_IMODE(status.st_mode), content)
    return found


@settings(max_examples=60)
@given(content=st.dictionaries(_names, _trees, max_size=4))
def test_a_copy_is_what_was_there(content, tmp_path_factory):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name, node in content.items():
        _make(source / name, node)
    copy_tree(str(source), str(target))
    assert _described(target) == _described(source)


def test_holes_stay_holes(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for name, start in (("within", 0), ("before", 50_000_000)):
        with (source / name).open("wb") as file:
            file.truncate(100_000_000)
            file.seek(start)
            file.write(b"a")
    with (source / "nothing").open("wb") as file:
        file.truncate(100_000_000)
    copy_tree(str(source), str(target))
    for name in ("within", "before", "nothing"):
        copied = (target / name).stat()
        assert copied.st_size == 100_000_000
        assert copied.st_blocks == (source / name).stat().st_blocks < 1000
    with (target / "before").open("rb") as file:
        file.seek(49_999_999)
        assert file.read(3) == b"\0a\0"


def test_sockets_and_fifos_are_left_out_and_deep_trees_are_copied(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    deep = source.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "socket"))
        copy_tree(str(source), str(target))
    assert [entry.name for entry in target.iterdir()] == ["d"]
    assert target.joinpath(*["d"] * 300, "file").read_text() == "deep"


def test_owners_are_copied_even_those_of_links(tmp_path):
    if os.geteuid() != 0:
        return
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "link").symlink_to("nowhere")
    (source / "file").touch()
    for name in ("link", "file"):
        os.lchown(source / name, 12345, 54321)
    (source / "file").chmod(0o4755)  # which a change of owner takes away
    copy_tree(str(source), str(target))
    assert _described(target) == _described(source)
