"""Whole runs: real servers and engines, killed in the middle, gone on with, compared."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections import Counter

import pytest

from glowplug.checkpoint import processes
from tests.engines.model_file import SMOLLM2, needs_model
from tests.profiling.bench.benches import PATIENCE, fake

pytestmark = pytest.mark.slow


def read_until(process: "subprocess.Popen[str]", word: str) -> str:
    """Standard error up to the line with `word`."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if word in line:
            return seen
    raise AssertionError(f"never said {word!r}:\n{seen}")


def wait_for_end(pids: list[int]) -> None:
    """Wait until processes that are not our children are gone."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([descriptor], [], [], PATIENCE)[0], f"process {pid} is still there"
        os.close(descriptor)


def test_a_run_measures_every_path_and_leaves_a_report(bench):
    bench.write({"one": fake(), "two": fake()}, paths=["cold", "cached", "cached-cold-disk", "parked"], repeats=2)
    code, out, err = bench.run()
    assert code == 0, err
    names = [f"{model}/{path}" for model in ("one", "two") for path in ("cold", "cached", "cached-cold-disk", "parked")]
    assert Counter(line["scenario"] for line in bench.measured) == dict.fromkeys(names, 2)
    first, second = ([line["scenario"] for line in bench.measured if line["round"] == number] for number in (1, 2))
    assert sorted(first) == sorted(second) == sorted(names)
    assert first != second
    assert [line["scenario"] for line in bench.lines if line["kind"] == "fill"] != []
    for line in bench.measured:
        assert line["failure"] is None
        woken_from = "parked" if line["scenario"].endswith("/parked") else "cached"
        assert line["first"]["woke_from"] == line["cold_start"]["woke_from"] == woken_from
        assert line["second"]["woke_from"] == "running"
        assert (line["first"]["tokens"], line["second"]["tokens"]) == (4, 4)
        assert line["first"]["ttft"] >= line["cold_start"]["total"] > 0
        assert line["conditions"]["load"] and line["conditions"]["memory_available"] > 0
        log = (bench.out / "logs" / f"{line['id']}.engine.log").read_text()
        assert "fake engine: listening on" in log
        assert "Glowplug serves" in (bench.out / "logs" / f"{line['id']}.server.log").read_text()
    assert [scenario["name"] for scenario in bench.results["scenarios"]] == names
    assert all(f"{model}/parked" in (bench.out / "report.html").read_text() for model in ("one", "two"))
    assert "one    parked" in out and "report.html" in out
    assert err.count("cold start") == len(bench.lines)
    assert not (bench.out / "work").exists()


def test_cold_starts_get_empty_caches_and_cached_ones_those_of_the_start_before(bench):
    """The server writes into the cache directory that it was given, and tells what it found there."""
    code = (
        "import os, sys, pathlib\n"
        "cache = pathlib.Path(os.environ['VLLM_CACHE_ROOT']) / 'kernel'\n"
        "print('cache', 'hit' if cache.exists() else 'miss', flush=True)\n"
        "cache.write_text('x')\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'glowplug.engines.fake_server',"
        ' \'{"port": \' + sys.argv[1] + \', "name": "m"}\'])\n'
    )
    model = {"engine": "command", "options": {"run": [sys.executable, "-c", code, "{port}"]}}
    bench.write({"m": model}, paths=["cold", "cached", "parked"], repeats=2)
    status, _, err = bench.run()
    assert status == 0, err
    found = {
        line["id"]: (bench.out / "logs" / f"{line['id']}.engine.log").read_text().splitlines()[0]
        for line in bench.lines
    }
    for line in bench.lines:
        empty = line["kind"] == "fill" or line["scenario"] == "m/cold"
        assert found[line["id"]] == ("cache miss" if empty else "cache hit"), line["id"]


def test_a_bench_that_is_killed_loses_no_finished_repeat_and_leaves_no_engine(bench):
    bench.write({"m": fake(phases=[{"phase": "weights_load", "seconds": 1}])}, paths=["cold", "cached"], repeats=2)
    process = bench.begin()
    read_until(process, "[2/4]")
    before = bench.lines
    while not (running := bench.engines()):  # the third repeat has its engine
        assert process.poll() is None, "it ended before it was killed"
    children = processes.descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_end([*running, *children])
    assert bench.engines() == []
    assert bench.lines[: len(before)] == before
    killed_at = bench.lines
    code, _, err = bench.run()
    assert code == 0, err
    assert bench.lines[: len(killed_at)] == killed_at
    assert Counter(line["scenario"] for line in bench.measured) == {"m/cold": 2, "m/cached": 2}
    assert len({line["id"] for line in bench.lines}) == len(bench.lines)
    code, out, err = bench.run()
    assert (code, err) == (0, "")
    assert len(bench.measured) == 4 and "m      cold" in out


def test_ctrl_c_keeps_what_is_done_and_ends_the_engine(bench):
    bench.write({"m": fake(phases=[{"phase": "weights_load", "seconds": 1}])}, paths=["cached"], repeats=3)
    process = bench.begin()
    read_until(process, "[1/3]")  # the start that fills the caches
    read_until(process, "[1/3]")
    while not (running := bench.engines()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "the same command goes on from here" in err and "Traceback" not in err
    wait_for_end(running)
    assert len(bench.measured) in (1, 2)  # the second one may have ended before the signal came
    assert bench.results["scenarios"][0]["attempts"] == len(bench.measured)
    assert (bench.out / "report.html").exists()


def test_other_definitions_are_refused_in_the_same_directory(bench):
    bench.write({"m": fake()}, paths=["cached"], repeats=1)
    assert bench.run()[0] == 0
    bench.write({"m": fake(children=1)}, paths=["cached"], repeats=2)
    code, _, err = bench.run()
    assert code == 1
    assert "another scenario m/cached.config.options.children (null, now 1)" in err
    assert len(bench.measured) == 1


def test_failures_are_kept_with_their_reason_and_the_others_go_on(bench):
    broken = fake(phases=[{"phase": "model_load", "seconds": 0}], crash_at="start:model_load")
    bench.write({"broken": broken, "whole": fake()}, paths=["cold", "cached"], repeats=1)
    code, _, err = bench.run()
    assert code == 1
    reasons = {line["scenario"]: line["failure"] for line in bench.measured}
    assert reasons["whole/cold"] is None and reasons["whole/cached"] is None
    assert "exited with code 1" in reasons["broken/cold"]
    assert reasons["broken/cached"].startswith("the start that fills the caches failed: ")
    (start,) = [line["cold_start"] for line in bench.measured if line["scenario"] == "broken/cold"]
    assert start["outcome"] == "failed"
    assert "failed" in err and "broken/cold" in (bench.out / "report.html").read_text()


def test_a_wake_that_takes_a_detour_is_a_failure(bench):
    bench.write({"m": fake(answers_change_at="wake")}, paths=["parked"], repeats=1)
    code, _, _ = bench.run()
    assert code == 1
    (line,) = bench.measured
    assert line["failure"].startswith("the wake from parked did not work, so the model came from cached: ")
    assert "does not answer as it did before its rest" in line["failure"]


def test_the_gate_lets_an_equal_run_pass_and_stops_a_slower_one(bench, tmp_path):
    bench.write({"m": fake()}, paths=["cached", "parked"], repeats=3)
    assert bench.run()[0] == 0
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps(bench.results))
    code, out, _ = bench.run("--gate", str(baseline))
    assert code == 0 and "Nothing has become slower." in out
    faster = bench.results
    for scenario in faster["scenarios"]:
        for summary in scenario["metrics"].values():
            summary["values"] = [value / 50 for value in summary["values"]]
    baseline.write_text(json.dumps(faster))
    code, out, _ = bench.run("--gate", str(baseline), "--threshold", "20%")
    assert code == 1
    assert out.count("regressed") >= 2 and "worse than the baseline by more than 20%" in out
    code, out, err = bench.run("--gate", str(baseline), "--format", "json")
    assert code == 1 and "regressed" in err
    assert json.loads(out) == bench.results


@pytest.mark.llamacpp
@needs_model
def test_a_real_engine_is_measured_with_its_weights_on_disk_in_memory_and_in_a_frozen_process(bench, tmp_path):
    weights = tmp_path / "smollm2.gguf"  # nobody else reads this one
    shutil.copy(SMOLLM2, weights)
    with weights.open("rb") as file:
        os.fsync(file.fileno())
    model = {"engine": "llama.cpp", "model": str(weights), "args": {"ctx-size": 1024}}
    bench.write({"smollm2": model}, paths=["cold", "cached", "parked"], repeats=2, request={"tokens": 16})
    code, _, err = bench.run()
    assert code == 0, err
    assert Counter(line["scenario"] for line in bench.measured) == dict.fromkeys(
        ["smollm2/cold", "smollm2/cached", "smollm2/parked"], 2
    )
    for line in bench.measured:
        assert line["failure"] is None
        assert (line["second"]["tokens"], line["second"]["counted_by"]) == (16, "usage")
        wanted = {"smollm2/cold": 0.0, "smollm2/cached": 1.0}.get(line["scenario"])
        share = line["conditions"]["weights_cached"]
        assert wanted is None or share is None or share == wanted
