"""The gate: what stops a pipeline, and what only gets a note."""

import json
from io import StringIO

import pytest
from rich.console import Console

from glowplug.profiling.bench.gate import GateError, compare, load_results
from glowplug.profiling.bench.summary import results_json
from glowplug.profiling.bench.table import print_gate
from tests.profiling.bench.results import bad, results, series

BASE = [1.0, 1.02, 0.98, 1.01, 0.99]


def document(*repeats, **changes):
    """A results.json as it is read back from a file."""
    return json.loads(json.dumps(results_json(results([one for many in repeats for one in many], **changes))))


def verdicts(now, before, threshold=1.1):
    return {(one.scenario, one.metric): one.verdict for one in compare(now, before, threshold).comparisons}


def test_equal_runs_are_within_the_threshold():
    same = document(series("m/cold", BASE))
    assert set(verdicts(same, same).values()) == {"within"}
    assert compare(same, same, 1.1).regressions == []


def test_a_start_that_became_clearly_slower_is_a_regression():
    slower = document(series("m/cold", [value * 1.5 for value in BASE]))
    report = compare(slower, document(series("m/cold", BASE)), 1.1)
    (one,) = report.regressions
    assert (one.scenario, one.metric, one.before, one.now) == ("m/cold", "cold start", 1.0, 1.5)
    assert one.slowdown == pytest.approx(1.5)
    assert one.interval is not None and 1.1 < one.interval.low <= 1.5 <= one.interval.high


def test_a_slower_median_does_not_count_while_the_interval_reaches_the_threshold():
    """The median is 1.3 times that of the baseline, but two of five repeats are as fast as ever."""
    unsure = document(series("m/cold", [1.0, 1.0, 1.3, 1.4, 1.5]))
    report = compare(unsure, document(series("m/cold", BASE)), 1.1)
    assert report.regressions == []
    assert report.comparisons[0].slowdown == pytest.approx(1.3)


def test_the_threshold_decides():
    now, before = document(series("m/cold", [value * 1.5 for value in BASE])), document(series("m/cold", BASE))
    assert len(compare(now, before, 1.4).regressions) == 1
    assert compare(now, before, 1.6).regressions == []


def test_fewer_tokens_per_second_are_worse_and_more_are_better():
    before = document(series("m/cold", BASE, speed=20.0))
    slow, fast = (document(series("m/cold", BASE, speed=speed)) for speed in (10.0, 40.0))
    assert verdicts(slow, before)["m/cold", "tokens/s"] == "regressed"
    assert verdicts(fast, before)["m/cold", "tokens/s"] == "improved"


@pytest.mark.parametrize("n", [1, 2])
def test_with_two_repeats_nothing_is_judged(n):
    now = document(series("m/cold", [9.0] * n))
    assert verdicts(now, document(series("m/cold", BASE)))["m/cold", "cold start"] == "undecided"


def test_three_repeats_are_enough_to_see_that_everything_takes_nine_times_as_long():
    now = document(series("m/cold", [9.0] * 3))
    assert verdicts(now, document(series("m/cold", BASE)))["m/cold", "cold start"] == "regressed"


def test_a_model_that_does_not_start_any_more_is_a_regression():
    broken = document([bad("m/cold", number) for number in range(1, 4)])
    (one,) = compare(broken, document(series("m/cold", BASE)), 1.1).regressions
    assert (one.verdict, one.before, one.now) == ("no longer starts", 1.0, None)


def test_scenarios_that_are_missing_or_new_are_named_and_stop_nothing():
    now, before = document(series("m/cached", BASE)), document(series("m/cold", BASE))
    report = compare(now, before, 1.1)
    assert report.comparisons == [] and report.regressions == []
    assert report.notes == [
        "m/cold is in the baseline but was not measured now.",
        "m/cached is not in the baseline.",
    ]


def test_a_scenario_that_means_something_else_now_is_not_compared():
    now = document(series("m/cold", [9.0] * 5), idle=7.0)
    report = compare(now, document(series("m/cold", BASE)), 1.1)
    assert report.comparisons == []
    assert report.notes == ["m/cold is not compared: its idle is 7.0 and was 2.0 in the baseline."]


def test_another_machine_is_pointed_out():
    now = document(series("m/cold", BASE))
    now["machine"] = {**now["machine"], "cores": 64}
    report = compare(now, document(series("m/cold", BASE)), 1.1)
    assert report.notes == ["The baseline was taken under other conditions: machine.cores is 64 and was 2."]


def test_the_table_names_the_worst_first():
    now = document(series("a/cold", BASE), series("b/cold", [value * 2 for value in BASE]))
    out = StringIO()
    report = compare(now, document(series("a/cold", BASE), series("b/cold", BASE)), 1.1)
    print_gate(report, 1.1, Console(file=out, width=200))
    lines = out.getvalue().splitlines()
    assert lines[1].split()[:3] == ["b/cold", "cold", "start"]
    assert "2.00 ×" in lines[1] and lines[1].endswith("regressed")
    assert lines[-1] == "1 metric is worse than the baseline by more than 10%."


def test_a_table_without_anything_to_judge_says_so():
    out = StringIO()
    print_gate(compare(document(), document(), 1.1), 1.1, Console(file=out, width=200))
    assert out.getvalue() == "Nothing could be judged.\n"


def test_a_baseline_is_a_file_or_its_directory(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(document()))
    assert load_results(tmp_path) == load_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot be read"), ("{", "is no JSON"), ("[]", "of this version"), ('{"format": 0}', "of this version")],
)
def test_a_baseline_that_is_none(tmp_path, content, complaint):
    file = tmp_path / "baseline.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(GateError, match=complaint):
        load_results(file)
