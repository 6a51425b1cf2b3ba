from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.checkpoint import pagemap
from glowplug.checkpoint.compact import SHORTEST, Compaction, compact
from glowplug.checkpoint.criu_images import PAGE, ImageError, Vma
from glowplug.checkpoint.pagemap import Entry
from glowplug.checkpoint.protobuf_wire import numeric_field
from tests.checkpoint import image_files
from tests.checkpoint.image_files import PRESENT, PRIVATE_ANONYMOUS, PRIVATE_FILE, write_memory, write_pstree

BASE = 0x7F0000000000
ZERO = bytes(PAGE)


def page(number: int) -> bytes:
    """A page that is like no other; where it is not zero lies at its very end."""
    return bytes(PAGE - 8) + (number + 1).to_bytes(8, "big")


def area(first: int, pages: int, sort: tuple[int, int] = PRIVATE_ANONYMOUS) -> Vma:
    return Vma(BASE + first * PAGE, BASE + (first + pages) * PAGE, *sort)


def entry(first: int, pages: int) -> Entry:
    return Entry(BASE + first * PAGE, pages, True, PRESENT)


def write(images: Path, areas: Sequence[Vma], entries: Sequence[Entry], zeros: set[int]) -> dict[int, bytes]:
    """Images of the process 7; the pages that they hold, by number."""
    memory: dict[int, bytes] = {}
    for one in entries:
        first = (one.start - BASE) // PAGE
        memory |= {number: ZERO if number in zeros else page(number) for number in range(first, first + one.pages)}
    write_pstree(images, [(7, 0)])
    write_memory(images, 7, areas, entries, b"".join(memory.values()))
    return memory


def held(images: Path) -> dict[int, bytes]:
    """The pages in the images of process 7, by number."""
    content = (images / "pages-1007.img").read_bytes()
    found: dict[int, bytes] = {}
    for one in pagemap.read(images / "pagemap-7.img").entries:
        for number in range(one.pages):
            offset = len(found) * PAGE
            found[(one.start - BASE) // PAGE + number] = content[offset : offset + PAGE]
    assert len(content) == len(found) * PAGE
    return found


def test_long_runs_of_zero_pages_are_left_out_and_short_ones_stay(tmp_path: Path) -> None:
    short, long = set(range(10, 10 + SHORTEST - 1)), set(range(30, 30 + SHORTEST))
    memory = write(tmp_path, [area(0, 64)], [entry(0, 64)], short | long)

    assert compact(tmp_path) == Compaction(64 * PAGE, (64 - SHORTEST) * PAGE, SHORTEST)

    assert held(tmp_path) == {number: memory[number] for number in range(64) if number not in long}
    entries = pagemap.read(tmp_path / "pagemap-7.img").entries
    assert [(one.start, one.pages, one.other) for one in entries] == [
        (BASE, 30, PRESENT),
        (BASE + 38 * PAGE, 26, PRESENT),
    ]


@pytest.mark.parametrize("sort", [PRIVATE_FILE, image_files.SHARED_ANONYMOUS, image_files.VDSO, image_files.HUGE_PAGES])
def test_zero_pages_of_other_memory_stay(tmp_path: Path, sort: tuple[int, int]) -> None:
    memory = write(tmp_path, [area(0, 32, sort), area(32, 32)], [entry(0, 64)], set(range(64)))

    assert compact(tmp_path).zero_pages == 32

    assert held(tmp_path) == {number: memory[number] for number in range(32)}


def test_memory_that_is_all_zero_leaves_an_empty_file(tmp_path: Path) -> None:
    write(tmp_path, [area(0, 3000)], [entry(0, 3000)], set(range(3000)))

    assert compact(tmp_path) == Compaction(3000 * PAGE, 0, 3000)

    assert held(tmp_path) == {}


def test_large_blocks_move_unharmed(tmp_path: Path) -> None:
    """More than one block is moved, over less than a block and over more than one."""
    zeros = set(range(700, 710)) | set(range(1500, 2200))
    memory = write(tmp_path, [area(0, 3000)], [entry(0, 3000)], zeros)

    assert compact(tmp_path).zero_pages == 710

    assert held(tmp_path) == {number: memory[number] for number in range(3000) if number not in zeros}


@given(data=st.data())
def test_what_is_missing_was_zero_and_anonymous_and_in_a_long_run(data: st.DataObject) -> None:
    lengths = st.lists(st.integers(1, 40), min_size=1, max_size=8)
    sorts = st.sampled_from([PRIVATE_ANONYMOUS, PRIVATE_ANONYMOUS, PRIVATE_FILE])
    position, areas, anonymous = 0, list[Vma](), list[set[int]]()
    for length in data.draw(lengths, "areas"):
        sort = data.draw(sorts)
        areas.append(area(position, length, sort))
        anonymous.append(set(range(position, position + length)) if sort == PRIVATE_ANONYMOUS else set())
        position += length
    entries, first, present = list[Entry](), 0, True
    for length in data.draw(lengths, "entries"):
        length = min(length, position - first)
        if present and length > 0:
            entries.append(entry(first, length))
        first, present = first + length, data.draw(st.booleans())
    zeros: set[int] = set()
    for start, length in data.draw(st.lists(st.tuples(st.integers(0, position), st.integers(1, 30)), max_size=8)):
        zeros |= set(range(start, start + length))

    with TemporaryDirectory() as directory:
        memory = write(Path(directory), areas, entries, zeros)
        compact(Path(directory))
        left = held(Path(directory))

    expected = dict(memory)
    for one in entries:
        of_entry = set(range((one.start - BASE) // PAGE, (one.end - BASE) // PAGE))
        for of_area in anonymous:
            for run in _runs(of_entry & of_area & zeros):
                if len(run) >= SHORTEST:
                    for number in run:
                        del expected[number]
    assert left == expected


def _runs(numbers: set[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def test_every_process_is_compacted_and_a_zombie_is_passed_over(tmp_path: Path) -> None:
    write_pstree(tmp_path, [(7, 0), (8, 7), (9, 7)])
    for pid in (7, 9):
        write_memory(tmp_path, pid, [area(0, 20)], [entry(0, 20)], bytes(20 * PAGE))

    assert compact(tmp_path) == Compaction(40 * PAGE, 0, 40)


def test_pages_that_are_not_in_the_pages_file_are_not_counted_there(tmp_path: Path) -> None:
    """Of a dump upon an earlier one: those pages lie in the parent's images."""
    parent = Entry(BASE, 16, False, numeric_field(3, 1) + numeric_field(4, 1))
    write_pstree(tmp_path, [(7, 0)])
    content = bytes(10 * PAGE) + page(1)
    write_memory(tmp_path, 7, [area(0, 64)], [parent, entry(20, 11)], content)

    assert compact(tmp_path).zero_pages == 10

    assert pagemap.read(tmp_path / "pagemap-7.img").entries == [parent, entry(30, 1)]
    assert (tmp_path / "pages-1007.img").read_bytes() == page(1)


def test_a_pages_file_that_is_cut_off_is_refused_and_not_touched(tmp_path: Path) -> None:
    write(tmp_path, [area(0, 64)], [entry(0, 64)], set(range(64)))
    pages = tmp_path / "pages-1007.img"
    pages.write_bytes(pages.read_bytes()[:-1])

    with pytest.raises(ImageError, match=r"pages-1007.img has not the size that pagemap-7.img tells"):
        compact(tmp_path)

    assert pages.stat().st_size == 64 * PAGE - 1


@pytest.mark.parametrize("missing", ["pstree.img", "pagemap-7.img", "pages-1007.img"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write(tmp_path, [area(0, 64)], [entry(0, 64)], set())
    (tmp_path / missing).unlink()

    with pytest.raises(ImageError, match=missing):
        compact(tmp_path)


def test_a_link_in_place_of_the_pages_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, [area(0, 64)], [entry(0, 64)], set(range(64)))
    pages, elsewhere = tmp_path / "pages-1007.img", tmp_path / "elsewhere"
    pages.rename(elsewhere)
    pages.symlink_to(elsewhere)

    with pytest.raises(ImageError, match="pages-1007"):
        compact(tmp_path)

    assert elsewhere.stat().st_size == 64 * PAGE
