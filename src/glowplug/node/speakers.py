"""Which processes of an engine began to speak when, and so how long each of them imported before.

An engine of several processes starts a Python interpreter for each, one after the other, and each imports the whole
engine before its first line: the largest part of many starts, and no log has a line for it. The kernel knows when each
process was started. Its import is over when it has given itself a title, as those of vLLM and SGLang do, or when it has
said something: vLLM writes the pid before what it says (since 0.8).
"""

import re
from collections.abc import Iterable, Mapping

from glowplug.coldstart.values import Span
from glowplug.node.tree_sampler import Lifetime

_SPEAKER = re.compile(rb"\(([A-Za-z_][\w-]*)(?: rank=\d+)? pid=(\d+)\)")
_LONGEST = 200
"""Bytes kept of a piece of output, in case the next one goes on within the words that are looked for."""

_LEAST = 0.1
"""Seconds. What is shorter is no import of an engine, and is less than two looks at the processes are apart."""


class Speakers:
    """Remembers the first words of every process that says who it is."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[str, float]] = {}
        self._rest = b""

    def feed(self, chunk: bytes, at: float) -> None:
        """Take a piece of output that arrived at `at`, by `time.monotonic`."""
        if b"pid=" in (text := self._rest + chunk):
            for match in _SPEAKER.finditer(text):
                self._first.setdefault(int(match[2]), (match[1].decode(), at))
        # Not over a line's end, so that one word is never seen twice.
        self._rest = text[-_LONGEST:].rpartition(b"\n")[2]

    def imports(self, lifetimes: Iterable[Lifetime], main: int, origin: float) -> list[Span]:
        """When each process imported, as spans that count from `origin`; without the engine's main process `main`.

        A process that was only forked imports nothing, which shows in its command line: it is that of its parent.
        """
        by_pid: Mapping[int, Lifetime] = {life.pid: life for life in lifetimes}
        spans: list[Span] = []
        for life in by_pid.values():
            name, at = self._imported(life)
            if life.pid == main or at - life.started < _LEAST or not _is_new_program(life, by_pid):
                continue
            start, end = life.started - origin, at - origin
            spans.append(Span("python_import", end - start, start, end, label=name))
        return sorted(spans, key=lambda span: span.start or 0.0)

    def _imported(self, life: Lifetime) -> tuple[str, float]:
        """Who a process is, and when it had imported; its start if nobody knows."""
        name, spoke = self._first.get(life.pid, ("", None))
        if life.titled is not None and (spoke is None or life.titled < spoke):
            return name or life.title, life.titled
        return name, life.started if spoke is None else spoke


def _is_new_program(life: Lifetime, by_pid: Mapping[int, Lifetime]) -> bool:
    parent = by_pid.get(life.parent)
    return parent is not None and parent.command != life.command
