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
    a log of serving, with millions of lines, a matter of seconds.

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
        self._carry = b""
        self.line = 1

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the log."""
        data = self._carry + chunk if self._carry else chunk
        cut = data.rfind(b"\n") + 1
        if cut:
            self._block(data[:cut])
        rest = data[cut:]
        if len(rest) > _LONGEST:
            part = rest.rfind(b"\r") + 1 or rest.rfind(b"]") + 1 or len(rest)
            self._line(rest[:part])
            rest = rest[part:]
        self._carry = rest

    def finish(self) -> None:
        """Take what was left over: a last line without a line end."""
        if self._carry:
            self._line(self._carry)
            self._carry = b""

    def _block(self, block: bytes) -> None:
        position = 0
        while position < len(block):
            mode = self._collector.mode
            if mode is not Mode.ALL:
                hit = (self._marks if mode is Mode.MARKS else self._beginnings).search(block, position)
                if hit < 0:
                    self.line += block.count(b"\n", position)
                    return
                begin = block.rfind(b"\n", position, hit) + 1 or position
                self.line += block.count(b"\n", position, begin)
                position = begin
            end = block.find(b"\n", position)
            self._line(block[position:end])
            self.line += 1
            position = end + 1

    def _line(self, line: bytes) -> None:
        if not line:
            return
        for head in self._records.read(line.rstrip(b"\r")):
            if self._restamp is not None:
                self._restamp(head)
            self._collector.accept(head, self.line)
