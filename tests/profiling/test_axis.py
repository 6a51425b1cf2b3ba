"""Marks on a time axis."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.profiling.axis import axis


def labels(low: float, high: float) -> list[str]:
    return [label for _, label in axis(low, high, 0, 100).ticks()]


def test_marks_are_round_and_labelled_in_a_fitting_unit():
    assert labels(0, 184.2) == ["0 s", "50 s", "100 s", "150 s"]
    assert labels(0, 60) == ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]
    assert labels(0, 3) == ["0.0 s", "0.5 s", "1.0 s", "1.5 s", "2.0 s", "2.5 s", "3.0 s"]
    assert labels(0, 0.01) == ["0 ms", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms"]


def test_an_axis_may_begin_before_zero():
    assert labels(-3, 5)[0] == "-3 s"


def test_moments_map_to_coordinates():
    one = axis(0, 10, 100, 200)
    assert (one.at(0), one.at(5), one.at(10)) == (100, 150, 200)


def test_a_start_without_any_length_has_an_axis():
    assert labels(0, 0)[-1] == "1.0 ms"


@given(st.floats(-1e3, 0), st.floats(0, 1e6))
def test_marks_lie_on_the_axis_and_are_neither_too_many_nor_too_few(low, high):
    one = axis(low, high, 0, 100)
    ticks = one.ticks()
    assert 2 <= len(ticks) <= 9
    assert len({label for _, label in ticks}) == len(ticks)
    assert all(-1e-6 <= one.at(moment) <= 100 + 1e-6 for moment, _ in ticks)
    steps = [after - before for (before, _), (after, _) in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)
