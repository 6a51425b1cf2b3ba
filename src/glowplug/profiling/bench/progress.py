"""Tells on a terminal, or line by line elsewhere, how far a run is."""

import math
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from glowplug.profiling.bench.repeat import Repeat
from glowplug.profiling.bench.schedule import Turn
from glowplug.profiling.bench.table import image_text
from glowplug.profiling.wording import clean


class ProgressLines:
    """One line for every finished repeat; on a terminal also what runs now, and since when."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._live = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._live.add_task("", total=None, left="")
        self._place = ""

    def __enter__(self) -> "ProgressLines":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begins(self, what: str, turn: Turn, done: int, total: int, left: float | None) -> None:
        """See `run.Watcher`."""
        self._place = f"[{done + 1:>{len(str(total))}}/{total}]"
        self._live.reset(
            self._task,
            description=f"{self._place} {clean(what)}",
            total=total,
            completed=done,
            left="" if left is None else f"about {math.ceil(left / 60)} min left",
        )

    def ended(self, repeat: Repeat) -> None:
        """See `run.Watcher`."""
        name = f"{repeat.scenario} (fills its caches)" if repeat.kind == "fill" else repeat.scenario
        line = Text.assemble((f"{self._place} ", "dim"), (f"{clean(name)}  ", "bold"))
        if repeat.failure is not None:
            line.append(f"failed: {clean(repeat.failure)}", style="red")
        else:
            line.append(_numbers(repeat))
        if trouble := repeat.conditions.get("settled", {}).get("trouble"):
            line.append(f"  ({trouble})", style="yellow")
        self._console.print(line, soft_wrap=True)


def _numbers(repeat: Repeat) -> str:
    parts = (("cold start {:.2f} s", "cold_start"), ("TTFT {:.3f} s", "ttft"), ("{:.1f} tokens/s", "tokens_per_second"))
    told = [form.format(value) for form, metric in parts if (value := repeat.value(metric)) is not None]
    return " · ".join([*told, *([] if repeat.image is None else [image_text(repeat.image)])])
