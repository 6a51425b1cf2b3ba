"""The tables of `glowplug doctor`."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from glowplug.cli.tables import WIDTH
from glowplug.node.doctor.report import Finding, ModelVerdict, Report, State, Verdict

_STYLES = {State.OK: "green", State.LIMITED: "yellow", State.MISSING: "red", State.NONE: "dim"}
_ARROW = "→ "


def print_report(report: Report) -> None:
    """Tiers first, because that is the question; then the models of a configuration; then what was tried.

    A remedy stands below what it cures. On a terminal long texts are wrapped within their column; elsewhere a row is a
    line, so that it can be searched.
    """
    terminal = sys.stdout.isatty()
    console = Console(highlight=False) if terminal else Console(highlight=False, width=WIDTH)
    between = "\n" if terminal else " "
    console.print(_table("TIER", "HERE", "", [_tier(verdict, between) for verdict in report.verdicts]))
    if report.models:
        console.print()
        console.print(_table("MODEL", "ENGINE", "CLOSED TIERS", [_model(model, between) for model in report.models]))
    console.print()
    console.print(_table("CHECK", "STATE", "FOUND", [_finding(finding, between) for finding in report.findings]))


def _table(first: str, second: str, third: str, rows: Sequence[tuple[Text, Text, Text]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    table.add_column(second, no_wrap=True)
    table.add_column(third, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _tier(verdict: Verdict, between: str) -> tuple[Text, Text, Text]:
    state = Text("open", "green") if verdict.open else Text("closed", "yellow")
    return Text(verdict.tier.value), state, _explained(verdict.reason or verdict.note or "", verdict.remedy, between)


def _model(model: ModelVerdict, between: str) -> tuple[Text, Text, Text]:
    lines = [Text(f"cannot start: {model.error}", "red")] if model.error else []
    lines += [Text(f"{tier.value}: {reason}") for tier, reason in model.closed_tiers.items()]
    return (
        Text(model.model),
        Text(model.engine),
        Text(";" * (between != "\n") + between).join(lines or [Text("none", "dim")]),
    )


def _finding(finding: Finding, between: str) -> tuple[Text, Text, Text]:
    return (
        Text(finding.check),
        Text(finding.state.value, _STYLES[finding.state]),
        _explained(finding.summary, finding.remedy, between),
    )


def _explained(what: str, remedy: str | None, between: str) -> Text:
    return Text(what + between) + Text(f"{_ARROW}{remedy}", "cyan") if remedy else Text(what)
