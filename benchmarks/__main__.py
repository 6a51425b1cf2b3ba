"""`make bench`: everything in one run, as a table on the screen and as JSON under benchmarks/results/."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import click

from benchmarks.conditions import conditions, sentence
from benchmarks.gateway import measure_gateway
from benchmarks.start import measure_starts
from benchmarks.wake import measure_crowd, measure_wakes

RESULTS = Path("benchmarks/results")


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds of each load.")
@click.option("--seconds", default=4.0, show_default=True, help="Length of one load.")
@click.option(
    "--held", default=10_000, show_default=True, help="Idle streams to hold, if the limit of open files allows it."
)
@click.option("--wakes", default=40, show_default=True, help="Pairs of running and parked first tokens.")
def main(rounds: int, seconds: float, held: int, wakes: int) -> None:
    """Measure the gateway and the wakes on this machine."""
    load_before = os.getloadavg()
    result: dict[str, Any] = {
        "gateway": measure_gateway(rounds, seconds, held),
        "wake": asyncio.run(measure_wakes(wakes)),
        "crowd": asyncio.run(measure_crowd(1000)),
        "start": measure_starts(5),
    }
    result["conditions"] = conditions(load_before, "uvicorn", "uvloop", "aiohttp", "httptools", "xllamacpp")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serve.json").write_text(json.dumps(result, indent=2) + "\n")
    table = _table(result)
    (RESULTS / "serve.md").write_text(table)
    print(table)


def _table(result: dict[str, Any]) -> str:
    requests, streams = result["gateway"]["requests"], result["gateway"]["streams"]
    running, waiting = result["gateway"]["open_streams"], result["gateway"]["waiting_streams"]
    wake, crowd, start = result["wake"], result["crowd"], result["start"]
    rows = [
        ("small requests per second, 32 connections", _of(requests["per_second_at_32_connections"]), "≥ 4,000"),
        ("CPU time per request", _of(requests["cpu_ms_per_request"], " ms"), ""),
        ("p50 added at one connection", _of(requests["p50_ms_added"], " ms"), "≤ 0.5 ms"),
        (f"SSE chunk p50, {streams['streams']} streams", _of(streams["chunk_p50_ms_gateway"], " ms"), "≤ 0.5 ms"),
        ("memory per stream under way", f"{running['kib_per_stream']} KiB", "≤ 25 KB"),
        (f"idle streams under way held, of {running['streams']:,}", f"{_kept(running):,}", "all"),
        ("memory per stream that waits for a wake", f"{waiting['kib_per_stream']} KiB", "≤ 25 KB"),
        (f"streams waiting for a wake held, of {waiting['streams']:,}", f"{_kept(waiting):,}", "all"),
        ("time to first token, running", f"{wake['ttft_running_ms']['median']} ms", ""),
        ("time to first token, parked", f"{wake['ttft_parked_ms']['median']} ms", ""),
        (f"first token later after parked, n = {wake['n']}", _tail(wake["later_ms"]), "≤ 60 ms"),
        ("first token from cached", f"{wake['first_token_from_cold_ms']} ms", ""),
        (f"answered of {crowd['requests']:,} at a cold model", _answered(crowd), "all after 1 wake"),
        (f"`make serve` again, until it serves, n = {start['n']}", f"{start['seconds']['median']} s", "< 3 s"),
    ]  # fmt: skip
    lines = ["| what | median (min to max) | wanted |", "|---|---|---|"]
    lines += [f"| {what} | {value} | {wanted} |" for what, value, wanted in rows]
    where = f"{sentence(result['conditions'])} {requests['rounds']} rounds."
    return "\n".join([*lines, "", where, ""])


def _tail(summary: dict[str, float]) -> str:
    return f"{summary['median']} ms (p90 {summary['p90']})"


def _answered(crowd: dict[str, Any]) -> str:
    return f"{crowd['answered']:,} after {crowd['wakes']} wake"


def _kept(held: dict[str, Any]) -> int:
    return held["opened"] - held["dropped"]


def _of(spread: dict[str, float], unit: str = "") -> str:
    return f"{spread['median']:,g}{unit} ({spread['min']:,g} to {spread['max']:,g})"


if __name__ == "__main__":
    main()
