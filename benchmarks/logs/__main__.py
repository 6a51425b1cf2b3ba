"""`make bench-logs`: how fast logs are read, as a table on the screen and under benchmarks/results/."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.conditions import conditions, sentence
from benchmarks.load.processes import percentile
from benchmarks.logs.inputs import INPUTS, Input

RESULTS = Path("benchmarks/results")
SMALL = 20_000_000


@click.command()
@click.option("--size", default=200_000_000, show_default=True, help="Bytes of each log.")
@click.option("--rounds", default=5, show_default=True, help="How often each log is read.")
def main(size: int, rounds: int) -> None:
    """Read made-up logs, each in a process of its own on one core, from the page cache."""
    load_before = os.getloadavg()
    results = [_measure(kind, size, rounds) for kind in INPUTS]
    where = conditions(load_before, "google-re2")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "logs.json").write_text(json.dumps({"logs": results, "conditions": where}, indent=2) + "\n")
    table = _table(results) + f"\n{sentence(where)} {rounds} rounds.\n"
    (RESULTS / "logs.md").write_text(table)
    print(table)


def _measure(kind: Input, size: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="glowplug-logs-") as folder:
        path = Path(folder) / "some.log"
        kind.write(path, min(SMALL, size))
        small = _read(path)
        kind.write(path, size)
        written = path.stat().st_size
        reads = [_read(path) for _ in range(rounds)]
    assert {read["outcome"] for read in reads} == {kind.outcome}, (kind.name, reads)
    speeds = [written / 1e6 / read["seconds"] for read in reads]
    return {
        "name": kind.name,
        "wanted": kind.wanted,
        "megabytes": round(written / 1e6, 1),
        "starts": reads[0]["starts"],
        "megabytes_per_second": {
            "median": round(percentile(speeds, 0.5), 1),
            "min": round(min(speeds), 1),
            "max": round(max(speeds), 1),
        },
        "peak_mib_of_20_mb": round(small["peak_mib"], 1),
        "peak_mib": round(max(read["peak_mib"] for read in reads), 1),
    }


def _read(path: Path) -> dict[str, Any]:
    """What reading took, in a process on one core."""
    command = ["taskset", "-c", "0", sys.executable, "-m", "benchmarks.logs.child", str(path)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| log | size | starts kept | MB/s, median (min to max) | wanted | peak memory, of 20 MB |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        speed = result["megabytes_per_second"]
        wanted = f"≥ {result['wanted']}" if result["wanted"] else ""
        lines.append(
            f"| {result['name']} | {result['megabytes']:,.0f} MB | {result['starts']:,} | {speed['median']:,.0f} "
            f"({speed['min']:,.0f} to {speed['max']:,.0f}) | {wanted} | {result['peak_mib']:.0f} MiB, "
            f"{result['peak_mib_of_20_mb']:.0f} MiB |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
