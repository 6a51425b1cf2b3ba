"""Compaction with the real CRIU: what is restored compares its own memory with what it put there."""

from pathlib import Path

import pytest

from glowplug.checkpoint.compact import compact
from glowplug.checkpoint.criu_images import PAGE, processes, timings
from tests.checkpoint.dumps import restored, running, usable_criu
from tests.checkpoint.memory_program import FILE_PAGES

pytestmark = [pytest.mark.criu, pytest.mark.root]

_PROGRAM = Path(__file__).with_name("memory_program.py")
_EQUAL = "parent equal, child equal"


def test_processes_restored_from_compacted_images_find_all_their_memory_unchanged(tmp_path: Path) -> None:
    criu = usable_criu()
    file, images, work = tmp_path / "file", tmp_path / "images", tmp_path / "work"
    file.write_bytes(b"\xff" * FILE_PAGES * PAGE)
    images.mkdir()
    work.mkdir()
    with running(_PROGRAM, str(file)) as program:
        assert program.say() == _EQUAL
        program.dump(criu, images)
        pipe = program.pipe
    size = sum(pages.stat().st_size for pages in images.glob("pages-*.img"))

    done = compact(images)

    assert len(processes(images)) == 2
    assert done.before == size
    assert done.after == sum(pages.stat().st_size for pages in images.glob("pages-*.img"))
    # Runs of 8, 9, 15, 16, 17, 40 and 64 pages in three areas of the parent; the child has at least 90 of its own.
    assert done.zero_pages >= 3 * (8 + 9 + 15 + 16 + 17 + 40 + 64) + 90
    for _ in range(2):
        with restored(criu, images, work, pipe) as again:
            assert again.say() == _EQUAL
    assert {"frozen", "memwrite"} <= timings(images).keys()
    assert {"forking", "restoring"} <= timings(work).keys()
