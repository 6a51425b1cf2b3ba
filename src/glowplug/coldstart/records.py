"""Records: what one line of the file holds, which may be several lines of the engine, or a million states of a bar."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from glowplug.coldstart.finder import Finder, TextSet
from glowplug.coldstart.heads import Head, glued_at, read_head
from glowplug.coldstart.terminal import without_control

_BREAKS = re.compile(r"[\r\n]+")
_BAR_SIGN = re.compile(r"it/s|s/it|%\||% Completed")
_LONG = 16 * 1024
"""Bytes from which on a line is not read whole. The longest lines that are (a server's arguments) have 16 KB."""
_BEFORE = 400
_AFTER = 16 * 1024
"""Bytes read around a text that was found in a long line: the head before it and what it says after it."""


class RecordReader:
    """Takes lines of a file apart.

    Args:
        texts: plain texts of the lines that matter, bars excepted.
        bars: plain texts of progress bars.
    """

    def __init__(self, texts: Sequence[str], bars: Sequence[str]) -> None:
        self._texts = tuple(dict.fromkeys(texts))
        self._bars = tuple(dict.fromkeys(bars))
        self._text_set = TextSet(self._texts)

    def read(self, line: bytes) -> Iterable[Head]:
        """The records in one line, which has no line end."""
        return self._read_long(line) if len(line) > _LONG else _split(plain_text(line))

    def _read_long(self, line: bytes) -> Iterable[Head]:
        """Only what matters in a line that is too long to read: the lines in it that were looked for, and of every
        progress bar the last state."""
        outer = read_head(plain_text(line[:_BEFORE]))
        bars = self._last_states(line)
        # What a bar says every time that it is drawn, such as "Loading", is not looked for at every place.
        common = {text for last, before in bars for text in self._texts_at(line, last) & self._texts_at(line, before)}
        finder = Finder([text for text in self._texts if text not in common])
        reached = -1
        for position in finder.positions(line):
            if position < reached:
                continue
            begin, reached = _window(line, position)
            for head in _split(plain_text(line[begin:reached])):
                if finder.search(head.message.encode("utf-8", "replace")) >= 0:
                    yield _within(head, outer)
        for last, _ in bars:
            yield _within(Head(plain_text(line[last : _state(line, last)[1]])), outer)

    def _last_states(self, line: bytes) -> list[tuple[int, int]]:
        """Where the text of every progress bar comes for the last time, and before that; in their order."""
        found: list[tuple[int, int]] = []
        remaining = list(self._bars)
        while (hit := Finder(remaining).first_text(line)) is not None:
            last = line.rfind(hit[1])
            found.append((last, line.rfind(hit[1], 0, last)))
            remaining.remove(hit[1].decode())
        return sorted(found)

    def _texts_at(self, line: bytes, position: int) -> set[str]:
        """The texts in the state of a bar that has its own text at `position`, which is -1 if there is none."""
        state = plain_text(line[slice(*_state(line, position))]) if position >= 0 else ""
        return {self._texts[place] for place in self._text_set.found_in(state)}


def _state(line: bytes, position: int) -> tuple[int, int]:
    """From where to where the state of a bar goes that has its text at `position`; tqdm ends each with a bracket."""
    earliest, latest = max(position - _BEFORE, 0), position + _BEFORE
    begin = max(line.rfind(end, earliest, position) for end in (b"\r", b"]")) + 1
    ends = [end for sign in (b"\r", b"]") if (end := line.find(sign, position, latest) + 1)]
    return begin or earliest, min(ends, default=latest)


def _window(line: bytes, position: int) -> tuple[int, int]:
    begin = max(line.rfind(b"\r", max(position - _BEFORE, 0), position) + 1, position - _BEFORE, 0)
    end = line.find(b"\r", position, position + _AFTER)
    return begin, end if end >= 0 else position + _AFTER


def _split(text: str) -> Sequence[Head]:
    head = read_head(text)
    message = head.message
    if head.escaped or "\\r" in message:
        message = message.replace("\\n", "\n").replace("\\r", "\r")
    pieces = _pieces(message)
    if len(pieces) == 1:
        head.message = pieces[0]
        return (head,)
    return [
        replace(head, message=piece) if place == 0 and head.inner is not None else _within(read_head(piece), head)
        for place, piece in enumerate(pieces)
        if piece.strip()
    ]


def _pieces(message: str) -> list[str]:
    """The lines that a message is made of."""
    pieces = _BREAKS.split(message) if "\r" in message or "\n" in message else [message]
    found: list[str] = []
    for piece in pieces:
        if _BAR_SIGN.search(piece) is None and piece.find("INFO ", 1) < 0:
            found.append(piece)
            continue
        cuts = glued_at(piece)
        found += (piece[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(piece)], strict=True))
    return found


def _within(head: Head, outer: Head) -> Head:
    """`head` of a part of a line whose beginning has the head `outer`."""
    head.outer = outer.outer or head.outer
    head.source = outer.source or head.source
    if not head.process:
        head.process, head.pid = outer.process, outer.pid
    return head


def plain_text(line: bytes) -> str:
    """A line without colours, NUL bytes and byte order mark. Undecodable bytes become replacement characters."""
    return without_control(line.decode("utf-8", "replace").replace("\x00", "").removeprefix("\ufeff"))
