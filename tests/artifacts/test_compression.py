"""How chunks are kept: measured once, remembered, and changed by force."""

import os
from pathlib import Path

import pytest

from glowplug.artifacts import compression
from glowplug.artifacts.chunk_codec import Scratch, digest_of
from glowplug.artifacts.compression import choose, force, level_of
from glowplug.artifacts.host_speed import Packing, disk_bandwidth, packing_of
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.trees import described

pytestmark = pytest.mark.slow

PLAIN = Packing(None, 1.0, 0.4e-9)
FAST = Packing(-1, 0.5, 0.9e-9)
SMALL = Packing(3, 0.3, 1.3e-9)
ALL = (PLAIN, FAST, SMALL)


@pytest.mark.parametrize(
    ("disk", "threads", "best"),
    [
        (0.1e9, 2, SMALL),  # the disk decides
        (0.9e9, 1, FAST),  # the CPU does: 0.9 against 1.3 ns a byte
        (1.5e9, 2, FAST),  # packed is hardly slower than plain, and takes half
        (20e9, 1, PLAIN),  # 0.4 ns a byte against 0.9
        (2e9, 16, SMALL),
        (0, 2, SMALL),  # unknown, so slow
    ],
)
def test_the_choice_follows_what_a_reader_waits_for(disk: float, threads: int, best: Packing) -> None:
    assert choose(disk, threads, ALL) == best


def test_it_is_measured_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path / "store")
    level = level_of(layout)
    assert level in (None, *compression.LEVELS)
    monkeypatch.setattr(compression, "packing_of", None)  # to measure again would fail
    assert level_of(Layout(tmp_path / "store")) == level


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"level": "3", "because": ""}', b'{"level": 99, "because": ""}'])
def test_a_damaged_choice_is_measured_again(tmp_path: Path, damage: bytes) -> None:
    layout = Layout(tmp_path / "store")
    (tmp_path / "store/compression.json").write_bytes(damage)
    (tmp_path / "store/compression.json").chmod(0o600)
    level_of(layout)
    assert (tmp_path / "store/compression.json").read_bytes() != damage


@pytest.mark.parametrize("level", [None, 1, 19])
def test_it_can_be_forced_and_old_chunks_stay_readable(tmp_path: Path, tree: Path, level: int | None) -> None:
    store_path = tmp_path / "store"
    force(store_path, 1)
    store = ArtifactStore(store_path)
    before = store.add("snapshot", "m", tree, {}, {})
    force(store_path, level)
    (tree / "more").write_bytes(b"something new " * 100_000)
    after = store.add("snapshot", "m", tree, {}, {})
    grown = after.stored_bytes - before.stored_bytes
    assert grown == 1_400_000 if level is None else grown < 10_000
    with store.reading(after.id) as reader:
        reader.materialise(tmp_path / "out")
    assert described(tmp_path / "out") == described(tree)


def test_what_does_not_pack_is_kept_as_it_is() -> None:
    scratch = Scratch(3)
    scratch.raw[:100_000] = noise = os.urandom(100_000)
    assert bytes(scratch.packed(100_000)) == noise


def test_a_frame_of_other_bytes_of_too_few_or_of_none_is_not_the_chunk() -> None:
    scratch = Scratch(1)
    for given in (b"a" * 5000, b"a" * 4999, b"a" * 4999 + b"b"):
        scratch.raw[: len(given)] = given
        frame = bytes(scratch.packed(len(given)))
        scratch.stored[: len(frame)] = frame
        contents = scratch.unpacked(len(frame), 5000, digest_of(b"a" * 5000))
        assert (contents is not None) == (given == b"a" * 5000)
    assert scratch.unpacked(3, 5000, digest_of(b"a" * 5000)) is None


def test_measures_are_of_a_believable_size(tmp_path: Path) -> None:
    plain, packed = packing_of(None), packing_of(1)
    assert plain.ratio == 1
    assert 0.1 < packed.ratio < 0.9
    assert 0 < plain.seconds < packed.seconds
    folder = os.open(tmp_path, os.O_RDONLY)
    assert 1e6 < disk_bandwidth(folder) < 1e12
    os.close(folder)
    assert os.listdir(tmp_path) == []
