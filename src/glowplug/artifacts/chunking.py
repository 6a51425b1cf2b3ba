"""Where a file is cut into chunks."""

import errno
import os
from collections.abc import Iterator

CHUNK = 2 << 20
"""Bytes; chunks begin at multiples of it."""

MIN_HOLE = 256 << 10
"""Bytes. Shorter holes are stored as the zeros they read as: a chunk costs a file of its own."""


def pieces(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of what of an open file of `size` bytes is to be stored, in order. Raises OSError.

    Holes (lseek(2), SEEK_DATA) are left out where they are long or at the edge of a chunk.
    """
    start = end = 0
    for data_start, data_end in _data(descriptor, size):
        for cell in range(data_start - data_start % CHUNK, data_end, CHUNK):
            begin, stop = max(cell, data_start), min(cell + CHUNK, data_end)
            if start < end and cell <= start and begin - end < MIN_HOLE:
                end = stop
                continue
            if start < end:
                yield start, end - start
            start, end = begin, stop
    if start < end:
        yield start, end - start


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data from there on
                return
            raise
        if start >= size:
            return
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        yield start, end
