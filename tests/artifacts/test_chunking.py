"""Where files are cut: everything that is data is in one piece, and long holes are in none."""

import os
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.artifacts.chunking import CHUNK, MIN_HOLE, pieces

PAGE = 4096
spots = st.integers(0, 5 * CHUNK // PAGE).map(lambda page: page * PAGE)


@settings(max_examples=200)
@given(writes=st.lists(st.tuples(spots, st.integers(1, 3 * PAGE)), max_size=8), tail=st.integers(0, CHUNK))
def test_pieces_cover_the_data_and_not_the_long_holes(writes: list[tuple[int, int]], tail: int) -> None:
    with tempfile.TemporaryFile() as file:
        size = max((offset + length for offset, length in writes), default=0) + tail
        file.truncate(size)
        for offset, length in writes:
            os.pwrite(file.fileno(), b"x" * length, offset)
        found = list(pieces(file.fileno(), size))
    for offset, length in writes:  # a write may lie in several pieces, side by side
        left = set(range(offset // PAGE, (offset + length + PAGE - 1) // PAGE))
        for start, piece in found:
            left -= set(range(start // PAGE, (start + piece + PAGE - 1) // PAGE))
        assert not left
    end = 0
    for start, piece in found:
        assert end <= start < start + piece <= size
        assert start // CHUNK == (start + piece - 1) // CHUNK
        assert start % PAGE == 0
        end = start + piece
    holes = sum(piece for _, piece in found) - sum(length for _, length in writes)
    assert holes <= len(writes) * (MIN_HOLE + 2 * PAGE)


def test_a_full_file_is_cut_at_multiples_of_the_chunk() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * (2 * CHUNK + 5))
        file.flush()
        assert list(pieces(file.fileno(), 2 * CHUNK + 5)) == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 5)]


def test_a_hole_only_has_no_pieces() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(10 * CHUNK)
        assert list(pieces(file.fileno(), 10 * CHUNK)) == []
