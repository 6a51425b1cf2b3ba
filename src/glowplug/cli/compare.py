"""`glowplug compare`: which phases of cold starts moved."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glowplug.cli.options import format_option

if TYPE_CHECKING:
    from glowplug.profiling.compare import Comparison, Threshold

_LIMIT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|ms|s)")


def _threshold(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> "Threshold | None":
    from glowplug.profiling.compare import Threshold

    limits: dict[str, float] = {}
    for value in values:
        match = _LIMIT.fullmatch(value.strip())
        if match is None:
            raise click.BadParameter(f"{value!r}: write a share such as 10% or a time such as 2s or 500ms")
        kind = "share" if match[2] == "%" else "seconds"
        if kind in limits:
            raise click.BadParameter("give at most one share and one time")
        limits[kind] = float(match[1]) / {"%": 100, "ms": 1000, "s": 1}[match[2]]
    return Threshold(**limits) if limits else None


@click.command(short_help="Show which phases of cold starts moved.")
@click.argument("baseline", type=click.Path(exists=True, path_type=Path))
@click.argument("others", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--threshold",
    multiple=True,
    metavar="LIMIT",
    callback=_threshold,
    help="Exit with 1 if something became slower by more than this: 10% or 2s; given both, by more than both.",
)
@click.option("--phase", metavar="PHASE", help="What --threshold looks at, instead of the total.")
@format_option
def compare(
    baseline: Path, others: tuple[Path, ...], threshold: "Threshold | None", phase: str | None, form: str
) -> None:
    """Compare the cold starts in files with those in BASELINE: which phases moved, and by how much.

    Each file is a log, JSON that `glowplug profile` wrote, or the result directory of `glowplug bench`. All starts of a
    file that became ready count as samples, and medians are compared.

    \b
      glowplug compare before.log after.log
      glowplug compare --threshold 10% --threshold 2s baseline.json now.json
    """
    from glowplug.coldstart.values import PHASES
    from glowplug.profiling.compare import TOTAL, to_json, unmatched
    from glowplug.profiling.compare import compare as compared
    from glowplug.profiling.compare_table import print_comparison
    from glowplug.profiling.recorded import RecordedError, read

    if phase is not None and phase not in (TOTAL, *PHASES):
        raise click.BadParameter(f"{phase!r} is none of {', '.join((TOTAL, *PHASES))}", param_hint="--phase")
    if phase is not None and threshold is None:
        raise click.UsageError("--phase says what --threshold looks at; give both")
    try:
        before = read(baseline)
        afters = {other: read(other) for other in others}
    except RecordedError as error:
        raise click.ClickException(str(error)) from None

    slower: list[str] = []
    documents: list[object] = []
    for number, (other, after) in enumerate(afters.items()):
        comparisons, notes = compared(before, after), list(unmatched(before, after))
        if not comparisons:
            raise click.ClickException(
                f"{other}: there is nothing to compare; {'; '.join(notes) or 'no start is ready'}"
            )
        if threshold is not None:
            slower.extend(_slower(other, comparisons, threshold, phase or TOTAL))
        if form == "json":
            documents.append(
                {"file": str(other), "comparisons": [to_json(each) for each in comparisons], "notes": notes}
            )
        else:
            if number:
                click.echo()
            print_comparison(str(baseline), str(other), comparisons, notes)
    if form == "json":
        click.echo(json.dumps({"baseline": str(baseline), "others": documents, "slower": slower}, indent=2))
    for sentence in slower:
        click.echo(sentence, err=True)
    if slower:
        raise SystemExit(1)


def _slower(file: Path, comparisons: Sequence["Comparison"], threshold: "Threshold", phase: str) -> list[str]:
    """Sentences about what exceeds the threshold, or cannot be told to keep it."""
    from glowplug.profiling.compare import TOTAL

    sentences: list[str] = []
    for comparison in comparisons:
        where = f"{file}, {comparison.scenario}" if comparison.scenario else str(file)
        change = comparison.change(phase)
        if change is None:
            continue  # neither side has the phase
        if change.seconds is None:
            sentences.append(f"{where}: the log does not tell the {TOTAL}; name a phase with --phase")
        elif threshold.exceeded(change):
            ratio = f", {change.ratio:.2f} times the baseline" if change.ratio is not None else ""
            sentences.append(f"{where}: {phase} is slower by {change.seconds:.2f} s{ratio}")
    return sentences
