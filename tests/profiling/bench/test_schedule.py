"""The order of repeats, and what is left of it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from glowplug.profiling.bench.schedule import missing, schedule

counts = st.dictionaries(st.text("abcde/", min_size=1, max_size=4), st.integers(1, 5), min_size=1, max_size=6)
SIX = dict.fromkeys(["a/cold", "a/cached", "a/parked", "b/cold", "b/cached", "b/parked"], 5)


@given(counts, st.integers(0, 3))
def test_every_scenario_runs_once_in_each_round_until_its_repeats_are_done(repeats, seed):
    turns = schedule(repeats, seed)
    assert Counter(turn.scenario for turn in turns) == repeats
    for number in range(1, max(repeats.values()) + 1):
        names = [turn.scenario for turn in turns if turn.round == number]
        assert sorted(names) == sorted(name for name, count in repeats.items() if count >= number)
    assert [turn.round for turn in turns] == sorted(turn.round for turn in turns)


@given(counts, st.integers(0, 3))
def test_positions_count_from_one_in_each_round(repeats, seed):
    for number in range(1, max(repeats.values()) + 1):
        positions = [turn.position for turn in schedule(repeats, seed) if turn.round == number]
        assert positions == list(range(1, len(positions) + 1))


def test_the_order_changes_from_round_to_round_and_with_the_seed_and_is_otherwise_the_same():
    rounds = {tuple(turn.scenario for turn in schedule(SIX, 1) if turn.round == number) for number in range(1, 6)}
    assert len(rounds) > 1
    assert schedule(SIX, 1) == schedule(dict(reversed(SIX.items())), 1)
    assert schedule(SIX, 1) != schedule(SIX, 2)


@given(counts, st.data())
def test_what_is_left_after_a_stop_is_the_rest_in_the_same_order(repeats, data):
    turns = schedule(repeats, 1)
    done = data.draw(st.integers(0, len(turns)))
    assert missing(turns, Counter(turn.scenario for turn in turns[:done])) == turns[done:]


def test_more_repeats_go_on_behind_those_that_are_done():
    left = missing(schedule({"a": 3, "b": 3}, 1), {"a": 2, "b": 2})
    assert [turn.round for turn in left] == [3, 3]


def test_results_of_other_scenarios_do_not_count():
    turns = schedule({"a": 1}, 1)
    assert missing(turns, {"b": 4}) == turns
