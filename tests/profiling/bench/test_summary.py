"""What is said of repeats: failures and outliers kept, paths compared, tiers told apart."""

import pytest

from glowplug.profiling.bench.statistics import Interval
from glowplug.profiling.bench.summary import results_json
from glowplug.profiling.bench.tier_table import tier_table
from glowplug.scheduler.values import Tier
from tests.profiling.bench.results import bad, good, results, series

BASE = [10.0, 10.2, 9.8, 10.1, 9.9]


def by_name(found):
    return {scenario.name: scenario for scenario in found.scenarios}


def test_failures_and_outliers_are_kept_and_counted():
    found = results([*series("m/cold", [*BASE, 90.0]), bad("m/cold", 7, "no memory")])
    (scenario,) = found.scenarios
    assert scenario.metrics["cold_start"].values == (*BASE, 90.0)
    assert scenario.metrics["cold_start"].outliers == (5,)
    assert scenario.metrics["cold_start"].median == pytest.approx(10.05)
    assert [repeat.id for repeat in scenario.odd] == ["0006-x"]
    document = results_json(found)["scenarios"][0]
    assert (document["attempts"], document["failures"]) == (7, [{"id": "0007-x", "reason": "no memory"}])
    assert document["metrics"]["cold_start"]["n"] == 6


def test_the_paths_of_a_model_are_compared_with_its_coldest_one():
    found = by_name(
        results(
            [
                *series("m/parked", [0.1] * 5),
                *series("m/cold", BASE),
                *series("m/cached", [5.0] * 5),
                *series("n/cached", [2.0] * 5),
                *series("n/parked", [1.0] * 5),
            ]
        )
    )
    assert found["m/cold"].speed_up is None
    assert (found["m/cached"].speed_up.base, found["m/cached"].speed_up.value) == ("cold", 0.5)
    assert found["m/parked"].speed_up.value == pytest.approx(0.01)
    assert (found["n/cached"].speed_up, found["n/parked"].speed_up.base) == (None, "cached")
    assert found["n/parked"].speed_up.interval == Interval(0.5, 0.5)


def test_a_path_that_only_failed_is_no_base():
    found = by_name(results([bad("m/cold", 1), *series("m/cached", BASE), *series("m/parked", [1.0] * 5)]))
    assert found["m/parked"].speed_up.base == "cached"
    assert (found["m/cold"].metrics, found["m/cold"].speed_up, found["m/cold"].typical) == ({}, None, None)


def test_the_typical_repeat_is_the_one_at_the_median():
    (scenario,) = results(series("m/cold", [9.0, 50.0, 10.0, 1.0, 11.0])).scenarios
    assert scenario.typical.first.ttft == 10.0


def test_the_start_that_filled_the_caches_counts_nowhere():
    fill = good("m/cold", 1, 99.0)
    fill = type(fill)(**{name: getattr(fill, name) for name in fill.__slots__} | {"kind": "fill"})
    found = results([fill, *series("m/cold", BASE)])
    assert found.scenarios[0].metrics["cold_start"].n == 5
    assert [repeat.took for repeat in found.fills] == [30.0]


def test_versions_come_from_the_cold_starts():
    assert results(series("m/cold", BASE)).scenarios[0].versions == ["1.2"]


def rows(*repeats):
    return {row.tier: row for row in tier_table(results([one for many in repeats for one in many]))}


def test_tiers_stand_with_what_they_took_at_best_and_after_a_pause():
    found = rows(
        series("m/cold", BASE), series("m/cached", [5.0, 4.0, 6.0]), series("m/cached-cold-disk", [7.0, 8.0, 9.0]),
        series("m/parked", [0.3, 0.2, 0.4]),
    )  # fmt: skip
    assert list(found) == [Tier.RUNNING, Tier.PARKED, Tier.CACHED, Tier.COLD]
    assert (found[Tier.CACHED].best, found[Tier.CACHED].after_idle) == (4.0, 8.0)
    assert (found[Tier.PARKED].best, found[Tier.PARKED].after_idle) == (0.2, 0.3)
    assert "rested 2 s" in found[Tier.PARKED].idle_note
    assert (found[Tier.COLD].best, found[Tier.COLD].after_idle) == (9.8, 10.0)
    assert (found[Tier.RUNNING].best, found[Tier.RUNNING].after_idle) == (0.1, None)


def test_a_pause_that_was_not_measured_is_no_number():
    found = rows(series("m/cached", BASE))
    assert (found[Tier.CACHED].after_idle, found[Tier.CACHED].idle_note) == (
        None,
        "not measured; the path is cached-cold-disk",
    )


@pytest.mark.parametrize(
    ("first", "begins"),
    [([0.1] * 5, "yes (first request 1.00"), ([0.9] * 5, "no (first request 9.00"), ([0.1, 0.9], "cannot be told")],
)
def test_whether_a_tier_keeps_the_warm_up_is_judged_by_its_first_request(first, begins):
    parked = [good("m/parked", number, 2.0, ttft=0.1, first=value) for number, value in enumerate(first, 1)]
    assert rows(parked)[Tier.PARKED].warm.startswith(begins)


def test_a_new_process_has_kept_nothing_however_quick_it_is():
    assert rows(series("m/cached", BASE, first=0.1))[Tier.CACHED].warm.startswith("no: a new process")
