"""The last lines that a replica's engines printed, with live followers. Bounded in lines, bytes and patience."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice

MAX_LINES = 5000
MAX_BYTES = 1024 * 1024
MAX_LINE_BYTES = 8 * 1024
FOLLOWER_LINES = 1000
"""Lines that wait for a slow follower before it starts to lose some."""


class LogRing:
    """Takes bytes as they come out of a pipe, keeps the last lines as text.

    A carriage return starts the line anew, as on a terminal, so a progress bar is one line with its last state. A line
    over `max_line_bytes` is cut; bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(
        self, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._max_line_bytes = max_line_bytes
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._unfinished = b""
        self._cut = False
        self._written = 0
        self._followers: set[_Follower] = set()
        self._listeners: list[Callable[[bytes], None]] = []
        self._closed = False

    @property
    def written(self) -> int:
        """Number of lines finished so far, those that were dropped since included."""
        return self._written

    def feed(self, data: bytes) -> None:
        """Take the next bytes of output."""
        *finished, rest = data.split(b"\n")
        for part in finished:
            self._extend(part)
            self._finish_line()
        self._extend(rest)
        for listener in self._listeners:
            listener(data)

    def listen(self, listener: Callable[[bytes], None]) -> None:
        """Call `listener` with all bytes of output as they come, until `unlisten`. It must not raise."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[bytes], None]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    def flush(self) -> None:
        """The writer is gone: a line without an end is complete now."""
        if self._unfinished:
            self._finish_line()

    def lines(self, since: int = 0) -> Sequence[str]:
        """The lines still kept, oldest first, the unfinished one last; without those before line number `since`."""
        dropped = self._written - len(self._lines)
        kept = list(islice(self._lines, max(0, since - dropped), None))
        return [*kept, self._text(self._unfinished)] if self._unfinished.strip() else kept

    async def follow(self) -> AsyncIterator[str]:
        """The finished lines still kept, then every line to come until the ring is closed.

        A follower that falls behind loses lines and is told how many; the engine never waits for it.
        """
        follower = _Follower(self._lines)
        if self._closed:
            follower.close()
        self._followers.add(follower)
        try:
            while (line := await follower.next()) is not None:
                yield line
        finally:
            self._followers.discard(follower)

    def close(self) -> None:
        """Nothing more will come: followers end after what they have not read yet."""
        self.flush()
        self._closed = True
        for follower in self._followers:
            follower.close()

    def _extend(self, part: bytes) -> None:
        text = self._unfinished + part
        # A carriage return at the very end may belong to a CRLF; it counts once something follows it.
        start = text.rfind(b"\r", 0, len(text.rstrip(b"\r"))) + 1
        if start:
            text, self._cut = text[start:], False
        if len(text) > self._max_line_bytes:
            text, self._cut = text[: self._max_line_bytes], True
        self._unfinished = text

    def _finish_line(self) -> None:
        line = self._text(self._unfinished)
        self._unfinished, self._cut = b"", False
        self._written += 1
        self._lines.append(line)
        self._bytes += len(line)
        while len(self._lines) > self._max_lines or self._bytes > self._max_bytes:
            self._bytes -= len(self._lines.popleft())
        for follower in self._followers:
            follower.put(line)

    def _text(self, line: bytes) -> str:
        text = line.rstrip(b"\r").decode(errors="replace")
        return f"{text} [line cut]" if self._cut else text


class _Follower:
    """The lines that one reader has not seen yet."""

    def __init__(self, history: Sequence[str] | deque[str]) -> None:
        self._waiting = deque(history)
        self._limit = max(FOLLOWER_LINES, len(self._waiting))
        self._lost = 0
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, line: str) -> None:
        self._waiting.append(line)
        if len(self._waiting) > self._limit:
            self._waiting.popleft()
            self._lost += 1
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def next(self) -> str | None:
        while True:
            if self._lost:
                lost, self._lost = self._lost, 0
                return f"[{lost} lines left out: they came faster than they were read]"
            if self._waiting:
                return self._waiting.popleft()
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
