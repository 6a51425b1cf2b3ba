"""Logs that were exported newest line first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO

from glowplug.coldstart.heads import read_head
from glowplug.coldstart.records import plain_text
from glowplug.coldstart.values import ColdStart, Span

_BLOCK = 1 << 20
_LONGEST = 1 << 20
"""Bytes of a line that are kept. No engine writes longer ones; a file of garbage may be one line."""
_MOST_LINES = 2000
_MOST_OF_A_LINE = 16 * 1024


def is_newest_first(beginning: bytes) -> bool:
    """Whether the times in the first part of a log go down rather than up."""
    inner: list[float] = []
    outer: list[float] = []
    for line in beginning.split(b"\n")[:_MOST_LINES]:
        head = read_head(plain_text(line[:_MOST_OF_A_LINE]))
        if head.inner is not None:
            inner.append(head.inner.seconds)
        if head.outer is not None:
            outer.append(head.outer.seconds)
    # Both, since a collector may give many lines one time.
    steps = [later - earlier for times in (inner, outer) for earlier, later in pairwise(times)]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def reversed_lines(stream: BinaryIO, begin: int = 0) -> Iterator[bytes]:
    """The lines of a seekable stream from byte `begin` on, last one first, in blocks that end in a line end."""
    position = end = stream.seek(0, 2)
    tail: list[bytes] = []
    while position > begin:
        size = min(_BLOCK, position - begin)
        position -= size
        stream.seek(position)
        data = stream.read(size)
        if position + size == end:
            data = data.removesuffix(b"\n")
        first, *lines = data.split(b"\n")
        if lines:
            lines[-1] += _line(tail)
            yield b"\n".join([*reversed(lines), b""])
            tail = []
        tail.append(first)
        while sum(map(len, tail)) - len(tail[0]) > _LONGEST:
            del tail[0]
    if end > begin:
        yield _line(tail) + b"\n"


def _line(pieces: Sequence[bytes]) -> bytes:
    return b"".join(reversed(pieces))


def renumbered(start: ColdStart, count: int) -> ColdStart:
    """A start read from `count` lines in reverse, with the line numbers of the file."""

    def span(old: Span) -> Span:
        return replace(
            old,
            lines=tuple(sorted(count + 1 - line for line in old.lines)),
            children=tuple(span(child) for child in old.children),
        )

    lines = tuple(sorted(count + 1 - line for line in start.lines))
    return replace(start, lines=lines, spans=tuple(span(old) for old in start.spans))
