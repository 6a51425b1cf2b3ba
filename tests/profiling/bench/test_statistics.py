"""Order statistics, bootstrap intervals and outliers, against the standard library and against theory."""

import math
import statistics as standard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.profiling.bench.statistics import (
    Interval,
    median,
    median_interval,
    outliers,
    quantile,
    ratio_interval,
    reachable_coverage,
    reservation,
    summarise,
)

seconds = st.floats(min_value=1e-3, max_value=1e4)
samples = st.lists(seconds, min_size=1, max_size=12)
several = st.lists(seconds, min_size=2, max_size=8)
FEW = 300  # resamples: enough for what holds for every number of them


@given(samples)
def test_the_median_is_that_of_the_standard_library(values):
    assert median(values) == pytest.approx(standard.median(values))
    assert quantile(values, 0.5) == pytest.approx(standard.median(values))


@given(st.lists(seconds, min_size=2, max_size=12))
def test_deciles_are_those_of_the_standard_library(values):
    expected = standard.quantiles(values, n=10, method="inclusive")
    assert [quantile(values, part / 10) for part in range(1, 10)] == pytest.approx(expected)


@given(samples, st.floats(0, 1), st.floats(0, 1))
def test_a_quantile_lies_in_the_range_and_grows_with_its_part(values, one, other):
    low, high = sorted((one, other))
    below, above = quantile(values, low), quantile(values, high)
    assert min(values) <= below <= max(values)
    assert below <= above or below == pytest.approx(above)


@pytest.mark.parametrize("function", [median, lambda values: quantile(values, 0.1)])
def test_no_values_have_no_quantile(function):
    with pytest.raises(ValueError, match="no values"):
        function([])


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        # A resampled median is at most the k-th of n values if at least half of the draws are: a binomial tail with
        # p = k/n. For n = 5 it is 0.058 at k = 1 and above 2.5 %, for n = 7 it is 0.010, and 0.108 at k = 2.
        (3, 1, 3),
        (5, 1, 5),
        (7, 2, 6),
        (9, 2, 8),
    ],
)
def test_the_interval_of_a_median_is_the_one_that_theory_gives(n, low, high):
    values = [float(value) for value in range(n, 0, -1)]
    assert median_interval(values, seed=7) == Interval(float(low), float(high))


def test_theory_is_computed_here_as_above():
    def tail(n: int, k: int) -> float:
        return sum(math.comb(n, i) * (k / n) ** i * (1 - k / n) ** (n - i) for i in range(n // 2 + 1, n + 1))

    for n, low in ((3, 1), (5, 1), (7, 2), (9, 2)):
        assert (tail(n, low) > 0.025) and (low == 1 or tail(n, low - 1) < 0.025)


@given(several, st.integers(0, 5))
def test_an_interval_lies_in_the_range_around_the_median_and_is_the_same_again(values, seed):
    found = median_interval(values, seed=seed, resamples=FEW)
    assert found is not None
    assert min(values) <= found.low <= found.high <= max(values)
    assert found == median_interval(values, seed=seed, resamples=FEW)


def test_equal_values_leave_no_doubt_and_a_single_one_no_statement():
    assert median_interval([2.0] * 5, seed=1, resamples=FEW) == Interval(2.0, 2.0)
    assert median_interval([2.0], seed=1) is None
    assert ratio_interval([2.0], [1.0, 1.0], seed=1) is None
    assert ratio_interval([2.0, 2.0], [1.0], seed=1) is None


@given(several, several, st.sampled_from([2.0, 4.0, 0.5]))
def test_a_ratio_scales_with_its_numerator(values, base, factor):
    one = ratio_interval(values, base, seed=3, resamples=FEW)
    other = ratio_interval([factor * value for value in values], base, seed=3, resamples=FEW)
    assert one is not None and other is not None
    assert (other.low, other.high) == pytest.approx((factor * one.low, factor * one.high))


@given(several, several)
def test_a_ratio_lies_between_its_extremes(values, base):
    found = ratio_interval(values, base, seed=1, resamples=FEW)
    assert found is not None
    slack = 1 + 1e-9
    assert min(values) / max(base) / slack <= found.low <= found.high <= max(values) / min(base) * slack


def test_the_two_samples_of_a_ratio_are_drawn_independently():
    """Were they drawn together, the ratio of a sample to itself would always be 1."""
    values = [1.0, 2.0, 3.0, 4.0]
    found = ratio_interval(values, values, seed=1, resamples=FEW)
    assert found is not None and found.low < 0.9 and found.high > 1.1


def test_a_ratio_to_nothing_is_refused():
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([1.0, 2.0], [0.0, 1.0], seed=1)


def test_one_value_far_off_is_an_outlier_and_stays_in_the_numbers():
    summary = summarise([1.0, 1.1, 0.9, 1.05, 9.0], seed=1)
    assert summary.outliers == (4,)
    assert (summary.n, summary.greatest, summary.median) == (5, 9.0, 1.05)


def test_the_limit_of_an_outlier_is_a_score_of_three_and_a_half():
    """Median 0, MAD 1: the score of x is 0.6745 x, so the limit is at 5.189."""
    others = [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert outliers([*others, 0.0, 5.18]) == ()
    assert outliers([*others, 0.0, 5.20]) == (6,)
    assert outliers([*others, 0.0, -5.20]) == (6,)


def test_of_four_values_and_of_mostly_equal_ones_none_is_an_outlier():
    assert outliers([1.0, 1.1, 0.9, 100.0]) == ()
    assert outliers([1.0, 1.0, 1.0, 1.0, 100.0]) == ()


@given(st.lists(st.integers(1, 100).map(float), min_size=5, max_size=9), st.sampled_from([0.25, 8.0]))
def test_the_unit_does_not_matter_for_outliers(values, factor):
    assert outliers([factor * value for value in values]) == outliers(values)


@pytest.mark.parametrize(("n", "coverage"), [(1, 0.0), (3, 0.75), (5, 0.9375), (6, 0.96875)])
def test_what_n_values_can_cover(n, coverage):
    assert reachable_coverage(n) == coverage


def test_a_reader_is_warned_until_six_repeats():
    assert "no finished repeat" in (reservation(0) or "")
    assert "single repeat" in (reservation(1) or "")
    assert "With 3 repeats" in (reservation(3) or "") and "75 %" in (reservation(3) or "")
    assert "6 repeats or more" in (reservation(5) or "")
    assert reservation(6) is None
