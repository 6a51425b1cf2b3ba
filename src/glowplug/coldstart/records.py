"""Records: what one line of the file holds, which may be several lines of the engine, or a million states of a bar."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from glowplug.coldstart.finder import Finder
from glowplug.coldstart.heads import Head, glued_at, read_head

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_LONG = 16 * 1024
"""Bytes from which on a line is not read whole. The longest lines that are (a server's arguments) have 16 KB."""
_BEFORE = 400
_AFTER = 16 * 1024
"""Bytes read around a text that was found in a long line: the head before it and what it says after it."""
_BAR_SIGNS = ("it/s", "s/it", "%|", "% Completed")


class RecordReader:
    """Takes lines of a file apart.

    Args:
        texts: plain texts of the lines that matter, bars excepted.
        bars: plain texts of progress bars.
    """

    def __init__(self, texts: Sequence[str], bars: Sequence[str]) -> None:
        self._texts = Finder(texts)
        self._bar_texts = tuple(bars)
        self._bars = Finder(bars)

    def read(self, line: bytes) -> Iterator[Head]:
        """The records in one line, which has no line end. Undecodable bytes become replacement characters."""
        if len(line) > _LONG:
            yield from self._read_long(line)
            return
        yield from _split(_decode(line))

    def _read_long(self, line: bytes) -> Iterator[Head]:
        """Only what matters in a line that is too long to read: the lines in it that were looked for, and of every
        progress bar the last state."""
        outer = read_head(_decode(line[:_BEFORE]))
        last = -1
        for position in self._texts.positions(line):
            if position < last:
                continue
            begin, last = _window(line, position)
            window = _decode(line[begin:last])
            for head in _split(window):
                if self._texts.search(head.message.encode()) >= 0:
                    yield _within(head, outer)
        for position in self._last_bars(line):
            yield _within(Head(_decode(line[position : position + _BEFORE])), outer)

    def _last_bars(self, line: bytes) -> list[int]:
        found: list[int] = []
        finder, remaining = self._bars, list(self._bar_texts)
        while (hit := finder.first_text(line)) is not None:
            found.append(line.rfind(hit[1]))
            remaining.remove(hit[1].decode())
            finder = Finder(remaining)
        return sorted(found)


def _window(line: bytes, position: int) -> tuple[int, int]:
    begin = max(line.rfind(b"\r", 0, position) + 1, position - _BEFORE)
    end = line.find(b"\r", position)
    return begin, min(end if end >= 0 else len(line), position + _AFTER)


def _split(text: str) -> Iterator[Head]:
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    head = read_head(text)
    message = head.message
    if head.escaped or "\\r" in message:
        message = message.replace("\\n", "\n").replace("\\r", "\r")
    if "\r" not in message and "\n" not in message and not _may_be_glued(message):
        head.message = message
        yield head
        return
    first = True
    for piece in re.split(r"[\r\n]+", message):
        cuts = glued_at(piece) if _may_be_glued(piece) else []
        for begin, end in zip([0, *cuts], [*cuts, len(piece)], strict=True):
            part = piece[begin:end]
            if not part.strip():
                continue
            if first and begin == 0:
                yield replace(head, message=part) if head.inner is not None else _within(read_head(part), head)
            else:
                yield _within(read_head(part), head)
            first = False


def _may_be_glued(text: str) -> bool:
    return any(sign in text for sign in _BAR_SIGNS) or text.count("INFO ") > 1


def _within(head: Head, outer: Head) -> Head:
    """`head` of a part of a line whose beginning has the head `outer`."""
    head.outer = outer.outer or head.outer
    head.source = outer.source or head.source
    if not head.process:
        head.process, head.pid = outer.process, outer.pid
    return head


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace").replace("\x00", "")
