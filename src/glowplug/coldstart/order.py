"""Logs that were exported newest line first."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO

from glowplug.coldstart.heads import read_head
from glowplug.coldstart.values import ColdStart, Span

_BLOCK = 1 << 20
_MOST_LINES = 2000


def is_newest_first(beginning: bytes) -> bool:
    """Whether the times in the first part of a log go down rather than up."""
    times: list[float] = []
    for line in beginning.split(b"\n")[:_MOST_LINES]:
        head = read_head(line[:400].decode("utf-8", "replace"))
        stamp = head.outer or head.inner
        if stamp is not None:
            times.append(stamp.seconds)
    steps = [later - earlier for earlier, later in pairwise(times)]
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def reversed_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a seekable stream, last one first, in blocks that end in a line end."""
    position = stream.seek(0, 2)
    tail = b""
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        stream.seek(position)
        data = stream.read(size) + tail
        lines = data.split(b"\n")
        tail = lines.pop(0)
        if lines and not lines[-1]:
            lines.pop()
        if lines:
            yield b"\n".join(reversed(lines)) + b"\n"
    if tail:
        yield tail + b"\n"


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
