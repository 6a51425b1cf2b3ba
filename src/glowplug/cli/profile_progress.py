"""What `glowplug profile -- COMMAND` shows while the engine starts: a line that is renewed, or one now and then."""

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status

from glowplug.cli.tables import size

if TYPE_CHECKING:
    from glowplug.profiling.progress import Progress

_PLAIN_INTERVAL = 10.0
"""Seconds between two lines where there is no terminal and the phase stays the same."""


class ProgressLine:
    """On standard error, so that what is printed in the end can be piped. Use it as a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._phase: str | None = ""
        self._told = -_PLAIN_INTERVAL

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, progress: "Progress") -> None:
        """Show where the start is now."""
        text = describe(progress)
        if self._console.is_terminal:
            self._renew(text)
        elif progress.phase != self._phase or progress.seconds - self._told >= _PLAIN_INTERVAL:
            self._phase, self._told = progress.phase, progress.seconds
            self._console.print(text, soft_wrap=True, markup=False)

    def _renew(self, text: str) -> None:
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        self._status.update(text)

    def close(self) -> None:
        """Take the line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def describe(progress: "Progress") -> str:
    """`  12.4 s  weights_load      1.02 cores  240 MiB/s read  1.2 GiB  3 processes`."""
    count = "1 process" if progress.processes == 1 else f"{progress.processes} processes"
    parts = [
        f"{progress.seconds:6.1f} s",
        f"{progress.phase or 'starting':<16}",
        f"{progress.cores:.2f} cores",
        f"{size(progress.read)}/s read" if progress.read >= 1 else "no disk reads",
        f"{size(progress.memory)} held",
        count,
    ]
    return "  ".join(parts)
