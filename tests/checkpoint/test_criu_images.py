import struct
from pathlib import Path

import pytest

from glowplug.checkpoint import criu_images, pagemap
from glowplug.checkpoint.criu_images import PAGE, ImageError, ImageProcess, Vma, write_messages
from glowplug.checkpoint.pagemap import Entry, Pagemap
from glowplug.checkpoint.protobuf_wire import numeric_field
from tests.checkpoint.image_files import (
    INVENTORY,
    MM,
    PRESENT,
    PSTREE,
    STATS,
    message_field,
    write_memory,
    write_pstree,
)

BASE = 0x7F0000000000


def test_processes_come_with_parents_and_threads(tmp_path: Path) -> None:
    root = b"".join(map(numeric_field, (1, 2, 3, 4, 5, 5), (901, 0, 901, 901, 901, 905)))
    child = b"".join(map(numeric_field, (1, 2, 3, 4, 5), (902, 901, 901, 901, 902)))
    write_messages(tmp_path / "pstree.img", PSTREE, [root, child])

    assert criu_images.processes(tmp_path) == [ImageProcess(901, 0, [901, 905]), ImageProcess(902, 901, [902])]


def test_memory_areas_come_with_flags_and_status(tmp_path: Path) -> None:
    areas = [Vma(BASE, BASE + PAGE, 0x22, 513), Vma(BASE + 4 * PAGE, BASE + 9 * PAGE, 0x02, 65)]
    write_memory(tmp_path, 3, areas, [], b"")

    assert criu_images.vmas(tmp_path, 3) == areas


def test_the_version_of_the_format_is_read(tmp_path: Path) -> None:
    write_messages(tmp_path / "inventory.img", INVENTORY, [numeric_field(1, 2) + numeric_field(2, 1)])

    assert criu_images.format_version(tmp_path) == 2


def test_timings_are_seconds(tmp_path: Path) -> None:
    dump = b"".join(map(numeric_field, (1, 2, 3, 4, 5), (3000, 1_250_000, 500_000, 400_000, 9)))
    restore = b"".join(map(numeric_field, (1, 2, 3, 4), (7, 8, 20_000, 900_000)))
    (tmp_path / "stats-dump").write_bytes(_service_image(message_field(1, dump)))
    assert criu_images.timings(tmp_path) == {"freezing": 0.003, "frozen": 1.25, "memdump": 0.5, "memwrite": 0.4}

    (tmp_path / "stats-dump").unlink()
    (tmp_path / "stats-restore").write_bytes(_service_image(message_field(2, restore)))
    assert criu_images.timings(tmp_path) == {"forking": 0.02, "restoring": 0.9}


def test_a_directory_without_statistics_has_no_timings(tmp_path: Path) -> None:
    assert criu_images.timings(tmp_path) == {}


def _service_image(message: bytes) -> bytes:
    return struct.pack("<III", 0x55105940, STATS, len(message)) + message


def test_a_pagemap_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "pagemap-1.img"
    unknown = numeric_field(12, 5)
    written = Pagemap(
        numeric_field(1, 4) + unknown,
        4,
        [Entry(BASE, 3, True, PRESENT + unknown), Entry(BASE + 3 * PAGE, 1 << 33, False, numeric_field(4, 2))],
    )

    pagemap.write(file, written)

    assert pagemap.read(file) == written
    assert written.present == 3
    assert file.stat().st_mode & 0o777 == 0o600


def test_pagemaps_from_before_the_wide_page_count_are_read(tmp_path: Path) -> None:
    file = tmp_path / "pagemap-1.img"
    old = [numeric_field(1, BASE) + numeric_field(2, 5), numeric_field(1, BASE + 8 * PAGE) + numeric_field(2, 1)]
    write_messages(file, pagemap.KIND, [numeric_field(1, 1), old[0], old[1] + numeric_field(3, 1)])

    assert [(entry.pages, entry.present) for entry in pagemap.read(file).entries] == [(5, True), (1, False)]


@pytest.mark.parametrize(
    "entries",
    [
        [Entry(BASE + 1, 1, True, PRESENT)],
        [Entry(BASE, 0, True, PRESENT)],
        [Entry(BASE, 2, True, PRESENT), Entry(BASE + PAGE, 1, True, PRESENT)],
        [Entry(1 << 63, 1, True, PRESENT)],
        [Entry(BASE, 1 << 50, True, PRESENT)],
    ],
    ids=["within a page", "no pages", "overlap", "no address", "too many"],
)
def test_impossible_pages_are_refused(tmp_path: Path, entries: list[Entry]) -> None:
    file = tmp_path / "pagemap-1.img"
    pagemap.write(file, Pagemap(numeric_field(1, 1), 1, entries))

    with pytest.raises(ImageError, match="impossible pages"):
        pagemap.read(file)


def test_every_cut_of_a_file_is_noticed_or_ends_between_messages(tmp_path: Path) -> None:
    write_pstree(tmp_path, [(1, 0), (2, 1)])
    file = tmp_path / "pstree.img"
    content = file.read_bytes()
    one = 8 + 4 + int.from_bytes(content[8:12], "little")
    for length in range(len(content)):
        file.write_bytes(content[:length])
        if length == one:  # nothing in the format tells the number of messages
            assert len(criu_images.processes(tmp_path)) == 1
        else:
            with pytest.raises(ImageError, match=r"pstree\.img"):
                criu_images.processes(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_messages(tmp_path / "pstree.img", MM, [b""])

    with pytest.raises(ImageError, match="not the CRIU image"):
        criu_images.processes(tmp_path)


def test_bytes_that_are_no_message_are_refused(tmp_path: Path) -> None:
    write_messages(tmp_path / "pstree.img", PSTREE, [b"\xff" * 20])

    with pytest.raises(ImageError, match=r"cannot be read: a number is longer than 64 bits"):
        criu_images.processes(tmp_path)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    write_messages(tmp_path / "pstree.img", PSTREE, [numeric_field(2, 1)])

    with pytest.raises(ImageError, match="field 1 is missing"):
        criu_images.processes(tmp_path)
