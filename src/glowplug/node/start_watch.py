"""Looks on while an engine starts: reads what it prints as it comes, and what its processes use."""

import logging
import time
from collections.abc import Sequence

from glowplug.coldstart.gaps import fill
from glowplug.coldstart.grafting import graft
from glowplug.coldstart.reading import Reader
from glowplug.coldstart.values import ColdStart, Span
from glowplug.engines.logs import GRAMMARS
from glowplug.node.activity import Stacks, explain_gaps
from glowplug.node.speakers import Speakers
from glowplug.node.tree_sampler import TreeSampler

log = logging.getLogger(__name__)

_LEAST_GAP = 0.005
"""Part of a start from which on unexplained time in one piece is shown as a gap."""


class StartWatch:
    """One start of one engine. Times are those of `time.monotonic`; what comes out counts from `origin`.

    `sampler` is one that looks at the engine's processes already; `watch` begins to look with another.
    """

    def __init__(self, origin: float, sampler: TreeSampler | None = None) -> None:
        self._origin = origin
        self._reader = Reader(GRAMMARS, origin=origin)
        self._speakers = Speakers()
        self._sampler = sampler
        self._broken = False

    @property
    def phase(self) -> str | None:
        """The phase that the engine is in, as far as its output tells."""
        return None if self._broken else self._reader.phase()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of output, which have arrived just now.

        Never raises: a start must not fail because its log could not be understood.
        """
        if self._broken:
            return
        at = time.monotonic()
        try:
            self._speakers.feed(chunk, at)
            self._reader.feed_chunk(chunk, at)
        except Exception:
            self._broken = True
            log.exception("The output of an engine could not be read; its phases are missing from the record")

    def watch(self, root: int) -> None:
        """Look at a process and everything below it from now on, until `stop`. A tree looked at before has ended."""
        self.stop()
        self._sampler = TreeSampler(root)
        self._sampler.start()

    def stop(self) -> None:
        """Look no more."""
        if self._sampler is not None:
            self._sampler.stop()

    def told(self) -> ColdStart | None:
        """What the engine's output told about its start; None if it told nothing."""
        starts = () if self._broken else self._reader.starts()
        return starts[-1] if starts else None

    def spans(
        self,
        own: Sequence[Span],
        end: float,
        *,
        running: float | None = None,
        more: Sequence[Span] = (),
        stacks: Stacks = lambda _start, _end: (),
    ) -> tuple[Span, ...]:
        """The whole start up to `end` as spans: `own` with what the engine told inside, and gaps for the rest.

        `own`, `more` and the result count from `origin`. `running` is when the engine's program began to run; `more`
        are spans that someone else knows; `stacks` tells what was running in a gap.
        """
        told = self.told()
        spans = graft(graft(own, told.spans if told is not None else ()), more)
        spans = graft(spans, self._imports(running))
        total = end - self._origin
        silences = () if self._broken else self._reader.silences()
        spans = fill(spans, 0.0, total, silences, least=_LEAST_GAP * total)
        return spans if self._sampler is None else explain_gaps(spans, self._sampler, self._origin, stacks)

    def _imports(self, running: float | None) -> list[Span]:
        """What the engine's processes imported before they said something or named themselves."""
        if self._sampler is None or (main := self._sampler.main) is None:
            return []
        spans = self._speakers.imports(self._sampler.lifetimes, main.pid, self._origin)
        told = self.told()
        known = told is not None and told.seconds_of("python_import") is not None
        first = None if self._broken else self._reader.began()
        if main.is_python and not known and running is not None and first is not None:
            start = running - self._origin
            spans.append(Span("python_import", first - start, start, first))
        return spans
