import math

from hypothesis import given
from hypothesis import strategies as st

from glowplug.engines.base import CanaryAnswer
from glowplug.engines.canary import LOGPROB_TOLERANCE, compare

LOGPROBS = st.floats(max_value=0, min_value=-50)
TOKENS = st.text(max_size=4)


@given(st.lists(st.tuples(TOKENS, LOGPROBS)))
def test_an_answer_is_the_same_as_itself(pairs):
    answer = CanaryAnswer(tuple(token for token, _ in pairs), tuple(number for _, number in pairs))
    assert compare(answer, answer) is None


@given(st.lists(st.tuples(TOKENS, LOGPROBS), min_size=1), st.data())
def test_one_changed_token_is_named(pairs, data):
    tokens = [token for token, _ in pairs]
    position = data.draw(st.integers(0, len(tokens) - 1))
    changed = [*tokens]
    changed[position] += "x"
    reason = compare(CanaryAnswer(tuple(tokens)), CanaryAnswer(tuple(changed)))
    assert reason == f"token {position + 1} of the canary is {changed[position]!r} instead of {tokens[position]!r}"


@given(LOGPROBS, st.floats(-1, 1))
def test_logprobs_may_move_by_the_tolerance_and_no_further(logprob, shift):
    before, after = CanaryAnswer(("a",), (logprob,)), CanaryAnswer(("a",), (logprob + shift,))
    moved = abs(logprob + shift - logprob)
    assert (compare(before, after) is None) == (moved <= LOGPROB_TOLERANCE)


def test_the_moved_logprob_is_named_with_both_values():
    reason = compare(CanaryAnswer(("a", "b"), (-1.0, -2.0)), CanaryAnswer(("a", "b"), (-1.0, -2.5)))
    assert reason == "the log-probability of token 2 of the canary is -2.5000 instead of -2.0000"


def test_nan_is_never_the_same():
    assert compare(CanaryAnswer(("a",), (-1.0,)), CanaryAnswer(("a",), (math.nan,))) is not None
    assert compare(CanaryAnswer(vector=(1.0,)), CanaryAnswer(vector=(math.nan,))) is not None


def test_equal_infinities_are_the_same():
    impossible = CanaryAnswer(("a",), (-math.inf,))
    assert compare(impossible, impossible) is None
    assert compare(impossible, CanaryAnswer(("a",), (-9.0,))) is not None


def test_a_missing_token_is_a_difference():
    assert compare(CanaryAnswer(("a", "b")), CanaryAnswer(("a",))) == "the canary gave 1 tokens instead of 2"


def test_logprobs_that_only_one_answer_has_are_a_difference():
    with_logprobs, without = CanaryAnswer(("a",), (-1.0,)), CanaryAnswer(("a",))
    assert compare(with_logprobs, without) is not None
    assert compare(without, with_logprobs) is not None
    assert compare(without, without) is None


def test_embeddings_may_differ_by_rounding_only():
    recorded = CanaryAnswer(vector=(0.6, 0.8))
    assert compare(recorded, CanaryAnswer(vector=(0.601, 0.799))) is None
    assert "moved by" in (compare(recorded, CanaryAnswer(vector=(0.65, 0.76))) or "")
    assert compare(recorded, CanaryAnswer(vector=(0.6,))) == "the canary gave 1 numbers instead of 2"
    assert compare(recorded, CanaryAnswer(vector=(0.8, 0.6))) is not None
