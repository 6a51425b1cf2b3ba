"""What a live profile tells while it runs."""

from dataclasses import dataclass

from glowplug.node.tree_sampler import TreeSampler


@dataclass(frozen=True, slots=True)
class Progress:
    """A start that is going on, at one moment.

    Attributes:
        seconds: since the launch.
        phase: what the engine does now, as far as is known.
        cores: processor cores kept busy since the last time this was told.
        read: bytes per second read from disks since then.
        memory: bytes held now.
        processes: number of them.
    """

    seconds: float
    phase: str | None
    cores: float
    read: float
    memory: int
    processes: int


class ProgressMeter:
    """Turns samples of a process tree into rates."""

    def __init__(self, sampler: TreeSampler, launched: float) -> None:
        self._sampler = sampler
        self._launched = launched
        self._last = launched

    def read(self, phase: str | None, now: float) -> Progress:
        """The progress at `now`, by `time.monotonic`; rates are since the last call."""
        cpu, read, _ = self._sampler.between(self._last, now)
        latest = self._sampler.latest
        passed = max(now - self._last, 1e-3)
        self._last = now
        return Progress(
            seconds=now - self._launched,
            phase=phase,
            cores=cpu / passed,
            read=read / passed,
            memory=0 if latest is None else latest.memory,
            processes=len(self._sampler.living),
        )
