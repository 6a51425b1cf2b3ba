"""Reads bytes as they come and hands on the records that matter."""

from collections.abc import Callable, Sequence

from glowplug.coldstart.collector import Collector, Mode
from glowplug.coldstart.failures import TEXTS
from glowplug.coldstart.finder import Finder
from glowplug.coldstart.grammar import Grammar, Level
from glowplug.coldstart.heads import Head
from glowplug.coldstart.records import RecordReader

_LONGEST = 1 << 20
"""Bytes without a line end from which on a line is taken in parts, so that memory stays flat."""


class Scanner:
    """Cuts chunks of bytes into lines and gives the collector what it wants to see of them.

    Lines that cannot matter are passed over without being cut out, decoded or looked at one by one; this is what makes
    a log of serving, with millions of lines, a matter of seconds. How the log is divided into chunks makes no
    difference.

    `restamp` may give a record another time than the one it carries.
    """

    def __init__(
        self, grammars: Sequence[Grammar], collector: Collector, restamp: Callable[[Head], None] | None = None
    ) -> None:
        self._collector = collector
        self._restamp = restamp
        lines = [line for grammar in grammars for line in grammar.lines]
        ready = {ready.mark for grammar in grammars for ready in grammar.ready}
        self._marks = Finder([*(line.text for line in lines), *TEXTS])
        self._beginnings = Finder([line.text for line in lines if line.level is not Level.WORK or line.mark in ready])
        self._records = RecordReader(
            [*(line.text for line in lines if not line.bar), *TEXTS], [line.text for line in lines if line.bar]
        )
        self._waiting: list[bytes] = []
        self._size = 0
        self._line = 1

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the log."""
        self._waiting.append(chunk)
        self._size += len(chunk)
        if b"\n" not in chunk and self._size <= _LONGEST:
            return
        data = b"".join(self._waiting)
        position = 0
        while end := _whole(data, position):
            self._block(data[position:end])
            position = end
        self._waiting = [data[position:]]
        self._size = len(data) - position

    def finish(self) -> int:
        """Take what was left over, a last line without a line end, and give the number of lines."""
        rest = b"".join(self._waiting)
        self._block(rest)
        self._waiting, self._size = [], 0
        return self._line if rest else self._line - 1

    def _block(self, block: bytes) -> None:
        """Take whole lines, or a part of one that is too long."""
        position = 0
        while position < len(block):
            begin = position
            mode = self._collector.mode
            if mode is not Mode.ALL:
                hit = (self._marks if mode is Mode.MARKS else self._beginnings).search(block, position)
                if hit < 0:
                    self._line += block.count(b"\n", position)
                    return
                begin = block.rfind(b"\n", position, hit) + 1 or position
                self._line += block.count(b"\n", position, begin)
            end = block.find(b"\n", begin)
            if end < 0:
                self._read(block[begin:])
                return
            self._read(block[begin:end])
            self._line += 1
            position = end + 1

    def _read(self, line: bytes) -> None:
        if not line:
            return
        for head in self._records.read(line.rstrip(b"\r")):
            if self._restamp is not None:
                self._restamp(head)
            self._collector.accept(head, self._line)


def _whole(data: bytes, position: int) -> int:
    """Where the lines end that are whole, of those that begin at `position`, or a part of the first one if that is too
    long; 0 if more bytes are needed to tell."""
    limit = position + _LONGEST
    if end := data.rfind(b"\n", position, limit) + 1:
        return end
    if len(data) <= limit:
        return 0
    # Progress bars are best cut where a state of theirs ends.
    return data.rfind(b"\r", position, limit) + 1 or data.rfind(b"]", position, limit) + 1 or limit
