"""The results as tables for a terminal. The report is the page for reading; this is the answer at a glance."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glowplug.profiling.bench.gate import Comparison, GateReport
from glowplug.profiling.bench.statistics import Interval, Summary, reservation
from glowplug.profiling.bench.summary import Ratio, Results, ScenarioResult
from glowplug.profiling.wording import clean

WIDTH = 100_000
"""Characters. A row that is too long for the terminal is better wrapped by it than cut off."""

_NOTHING = "-"
_VERDICTS: Mapping[str, str] = {"regressed": "bold red", "no longer starts": "bold red", "improved": "green"}


def print_results(results: Results, console: Console) -> None:
    """One row for each scenario, then what has to be known to read it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("MODEL", "PATH"):
        table.add_column(column, no_wrap=True)
    for column in ("N", "COLD START", "95 %", "OF", "FASTER", "TTFT", "TOKENS/S", "FAILED", "OUTLIERS"):
        table.add_column(column, justify="right", no_wrap=True)
    for scenario in results.scenarios:
        table.add_row(*_row(scenario))
    console.print(table)
    for note in notes(results):
        console.print(Text(note, style="dim"), soft_wrap=True)


def print_gate(report: GateReport, threshold: float, console: Console) -> None:
    """What was compared with the baseline, the worst first, and what could not be."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("SCENARIO", "METRIC"):
        table.add_column(column, no_wrap=True)
    for column in ("BASELINE", "NOW", "SLOWER BY", "95 %"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("VERDICT", no_wrap=True)
    for one in sorted(report.comparisons, key=_severity):
        table.add_row(*_comparison_row(one))
    if report.comparisons:
        console.print(table)
    for note in report.notes:
        console.print(Text(clean(note), style="yellow"), soft_wrap=True)
    count = len(report.regressions)
    if count:
        what = "metric is" if count == 1 else "metrics are"
        console.print(Text(f"{count} {what} worse than the baseline by more than {threshold - 1:.0%}.", style="red"))
    elif any(one.verdict != "undecided" for one in report.comparisons):
        console.print(Text("Nothing has become slower.", style="green"))
    else:
        console.print(Text("Nothing could be judged.", style="yellow"))


def notes(results: Results) -> Sequence[str]:
    """In whole sentences what the numbers do not say by themselves."""
    fewest = min((s.metrics["cold_start"].n for s in results.scenarios if "cold_start" in s.metrics), default=0)
    caution = reservation(fewest)
    failures = [f"{one.scenario}: {one.failure}" for s in results.scenarios for one in s.failures]
    closed = [f"{name} cannot be measured here: {reason}." for name, reason in results.closed.items()]
    images = [f"The snapshot of {model}: {image_text(image)}." for model, image in results.images.items()]
    return [
        *([caution] if caution else []),
        *closed,
        *images,
        *(f"A repeat failed: {clean(failure)}" for failure in dict.fromkeys(failures)),
    ]


def number(value: float, unit: str) -> str:
    """A value with three significant digits or so, in the unit that suits it."""
    if unit != "s":
        return f"{value:.1f}"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def interval_text(interval: Interval | None, unit: str) -> str:
    """`1.02 s to 1.31 s`; empty if there is none."""
    return "" if interval is None else f"{number(interval.low, unit)} to {number(interval.high, unit)}"


def ratio_text(ratio: Ratio | None) -> str:
    """`0.12 × cold`."""
    return _NOTHING if ratio is None else f"{ratio.value:.3g} × {ratio.base}"


def image_text(image: Mapping[str, Any]) -> str:
    """What a snapshot takes: `image 1.93 GB, 0.74 GB stored; the engine stood still for 2.10 s`."""
    raw, stored = (_bytes(image[key]) for key in ("raw_bytes", "stored_bytes"))
    still = "" if image["pause"] is None else f"; the engine stood still for {image['pause']:.2f} s"
    return f"image {raw}, {stored} stored{still}"


def _bytes(number: int) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.3g} MB"


def faster(ratio: Ratio | None) -> str:
    """`152 ×`: how many times as fast as the path that it is compared with."""
    return _NOTHING if ratio is None else f"{1 / ratio.value:.3g} ×"


def _row(scenario: ScenarioResult) -> Sequence[str]:
    start = scenario.metrics.get("cold_start")
    return (
        clean(scenario.model),
        scenario.path,
        str(start.n if start else 0),
        _median(start, "s"),
        interval_text(start.interval if start else None, "s") or _NOTHING,
        ratio_text(scenario.speed_up),
        faster(scenario.speed_up),
        _median(scenario.metrics.get("ttft"), "s"),
        _median(scenario.metrics.get("tokens_per_second"), "tokens/s"),
        str(len(scenario.failures) or _NOTHING),
        str(len(start.outliers) if start and start.outliers else _NOTHING),
    )


def _median(summary: Summary | None, unit: str) -> str:
    return _NOTHING if summary is None else number(summary.median, unit)


def _severity(one: Comparison) -> tuple[int, float]:
    order = ("no longer starts", "regressed", "undecided", "within", "improved")
    return order.index(one.verdict), -(one.slowdown or 0.0)


def _comparison_row(one: Comparison) -> Sequence[str | Text]:
    return (
        clean(one.scenario),
        one.metric,
        _NOTHING if one.before is None else number(one.before, one.unit),
        _NOTHING if one.now is None else number(one.now, one.unit),
        _NOTHING if one.slowdown is None else f"{one.slowdown:.2f} ×",
        _NOTHING if one.interval is None else f"{one.interval.low:.2f} to {one.interval.high:.2f} ×",
        Text(one.verdict, style=_VERDICTS.get(one.verdict, "")),
    )
