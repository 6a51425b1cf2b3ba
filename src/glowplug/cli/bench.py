"""`glowplug bench`: measure how long models take from each tier to their first token."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from glowplug.cli.options import format_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from glowplug.profiling.bench.bench_file import BenchFile
    from glowplug.profiling.bench.journal import Journal
    from glowplug.profiling.bench.run import Selection
    from glowplug.profiling.bench.scenario import Scenario


def _split(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _threshold(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    try:
        share = float(value.removesuffix("%")) / 100 if value.endswith("%") else float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share < 100:
        raise click.BadParameter(f"{value!r} is not a share such as 10% or 0.1")
    return 1 + share


@click.command(short_help="Measure cold starts: engines by models by start paths.")
@click.argument("config", type=click.Path(path_type=Path), default=Path("glowplug.yaml"))
@click.option("--paths", metavar="PATH,...", callback=_split, help="Start paths, instead of those in the file.")
@click.option("--repeats", type=click.IntRange(1, 1000), help="Repeats of every path, instead of those in the file.")
@click.option("--only", metavar="NAME,...", callback=_split, help="Only these models of the file.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Result directory; by default bench-NAME beside you, after the file's name.",
)
@click.option(
    "--gate",
    type=click.Path(path_type=Path),
    metavar="BASELINE",
    help="Compare with the results.json of an earlier run; exit code 1 if something has become slower.",
)
@click.option(
    "--threshold",
    default="10%",
    show_default=True,
    callback=_threshold,
    help="With --gate: how much slower is still good enough.",
)
@format_option
def bench(
    config: Path,
    paths: "Sequence[str] | None",
    repeats: int | None,
    only: "Sequence[str] | None",
    out: Path | None,
    gate: Path | None,
    threshold: float,
    form: str,
) -> None:
    """Measure how long the models of CONFIG take to their first token, from every tier.

    CONFIG is a glowplug.yaml, or one with a section `bench` more, which says what to measure. Each repeat starts a
    glowplug serve of its own, asks it as a client does, and ends it. Repeats of all scenarios alternate in a random
    order; nothing else should run on the machine.

    \b
    Start paths (as many as you like, with commas):
      cold               the engine's own caches are empty, the weights are not in memory
      cached             the caches are those of an earlier start, the weights in the page cache
      cached-cold-disk   the same, but the weights have to be read from the disk
      snapshot           the process is restored from its image, which is in memory
      snapshot-page-cache, snapshot-cold-disk
                         the same, but the image is in the page cache, or has to be read from the disk
      parked             the process stands still in memory; likewise every other tier there is
      ...+warmup         any of these, with the model's warm-up requests before it serves

    \b
    Examples:
      glowplug bench                                     everything in glowplug.yaml: cold, cached and parked, 5 times
      glowplug bench --paths cached,parked --repeats 10 --only qwen
      glowplug bench bench.yaml --out today --gate baseline/results.json

    The directory gets report.html, results.json, every repeat as a line in repeats.jsonl, and the logs. Ctrl-C and even
    kill -9 lose only the repeat that runs; the same command goes on where it stopped.
    """
    from glowplug.config.errors import ConfigError
    from glowplug.profiling.bench.bench_file import load_bench
    from glowplug.profiling.bench.gate import GateError, load_results
    from glowplug.profiling.bench.journal import Journal, JournalError
    from glowplug.profiling.bench.paths import UnknownPath
    from glowplug.profiling.bench.run import CannotBench, select
    from glowplug.profiling.bench.scenario import UnknownModel, scenarios

    try:
        baseline = None if gate is None else load_results(gate)
        file = load_bench(config)
        selection = select(scenarios(file, paths=paths, repeats=repeats, only=only or ()))
        journal = Journal(out or Path(f"bench-{config.stem}"))
    except (UnknownPath, UnknownModel) as error:
        raise click.UsageError(str(error)) from None
    except (ConfigError, CannotBench, JournalError, GateError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    try:
        finished = _measure(file, selection, journal)
        good = _report(selection, journal, baseline, threshold, form)
    except (JournalError, OSError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    finally:
        journal.close()
    raise SystemExit(0 if finished and good else 1)


def _measure(file: "BenchFile", selection: "Selection", journal: "Journal") -> bool:
    """Do what is missing; whether everything is done (and not stopped by Ctrl-C)."""
    import asyncio

    from rich.console import Console

    from glowplug.profiling.bench.conditions import conditions
    from glowplug.profiling.bench.progress import ProgressLines
    from glowplug.profiling.bench.run import run

    journal.agree(_definitions(selection.scenarios), conditions(), file.bench.seed)
    console = Console(stderr=True, highlight=False)
    try:
        with ProgressLines(console) as lines:
            asyncio.run(run(file, selection.scenarios, journal, lines))
    except KeyboardInterrupt:
        console.print("Stopped. What is finished is kept; the same command goes on from here.", style="yellow")
        return False
    return True


def _report(
    selection: "Selection", journal: "Journal", baseline: "Mapping[str, object] | None", threshold: float, form: str
) -> bool:
    """Write the report and print the tables.

    True unless a start path never worked, or something has become slower than the baseline.
    """
    import json

    from rich.console import Console

    from glowplug.profiling.bench.gate import compare
    from glowplug.profiling.bench.journal import write_whole
    from glowplug.profiling.bench.report import report
    from glowplug.profiling.bench.summary import results_json, summarise_all
    from glowplug.profiling.bench.table import WIDTH, print_gate, print_results

    results = summarise_all(journal.about, journal.repeats, selection.closed)
    document = results_json(results)
    write_whole(journal.directory / "results.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_whole(journal.directory / "report.html", report(results))
    console = Console(highlight=False, width=WIDTH)
    if form == "json":
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        print_results(results, console)
        console.print(f"The report is {journal.directory / 'report.html'}", soft_wrap=True)
    if baseline is None:
        return not results.hopeless
    gate = compare(document, baseline, threshold)
    print_gate(gate, threshold, Console(highlight=False, width=WIDTH, stderr=form == "json"))
    return not (results.hopeless or gate.regressions)


def _definitions(scenarios: "Sequence[Scenario]") -> "Mapping[str, object]":
    return {scenario.name: scenario.definition() for scenario in scenarios}
