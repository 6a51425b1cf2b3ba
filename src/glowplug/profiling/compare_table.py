"""Comparisons of cold starts as a table for people."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glowplug.profiling.compare import TOTAL, Change, Comparison, Sample
from glowplug.profiling.wording import clean, seconds

_WIDTH = 100_000  # characters; a row too long for the terminal is better wrapped by it than cut off
_NONE = "-"


def print_comparison(baseline: str, other: str, comparisons: Sequence[Comparison], notes: Sequence[str]) -> None:
    """One table for each scenario on standard output."""
    console = Console(highlight=False, width=_WIDTH)
    for comparison in comparisons:
        if comparison.scenario:
            console.print(Text(clean(comparison.scenario), style="bold"))
        console.print(_described("baseline", baseline, comparison.before))
        console.print(_described("compared", other, comparison.after))
        console.print(_table(comparison))
    for note in notes:
        console.print(Text(f"note: {clean(note)}", style="dim"))


def _described(role: str, file: str, count: int) -> Text:
    starts = "start" if count == 1 else "starts, medians shown"
    return Text.assemble((f"{role}  ", "dim"), (clean(file), "bold"), (f"  {count} {starts}", "dim"))


def _table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("PHASE", no_wrap=True)
    for column in ("BASELINE", "COMPARED", "CHANGE", "RATIO"):
        table.add_column(column, justify="right", no_wrap=True)
    scale = max((change.before.median or 0.0) + (change.after.median or 0.0) for change in _changes(comparison))
    for change in _changes(comparison):
        table.add_row(*_cells(change, scale), style="bold" if change.phase == TOTAL else "")
    return table


def _changes(comparison: Comparison) -> Iterator[Change]:
    yield comparison.total
    yield from comparison.phases


def _cells(change: Change, scale: float) -> tuple[str | Text, ...]:
    moved = Text(_NONE)
    if change.seconds is not None:
        sign = "+" if change.seconds > 0 else ""
        style = "red" if change.seconds > 0 else "green" if change.seconds < 0 else ""
        moved = Text(sign + seconds(change.seconds, scale), style=style)
    return clean(change.phase), _time(change.before, scale), _time(change.after, scale), moved, _ratio(change)


def _time(sample: Sample, scale: float) -> str:
    return _NONE if sample.median is None else seconds(sample.median, scale)


def _ratio(change: Change) -> str:
    if change.ratio is not None:
        return "gone" if change.after.median is None else f"{change.ratio:.2f}x"
    return "new" if change.before.median is None and change.after.median is not None else _NONE
