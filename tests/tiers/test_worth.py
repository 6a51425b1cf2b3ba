from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glowplug.tiers.worth import (
    CLEARLY,
    LEAST_SAVED,
    NO_LONGER,
    RECHECK,
    Evidence,
    ImageAt,
    ImageSize,
    Speeds,
    Start,
    worth_making,
    worth_using,
)

RESIDENT, PAGE_CACHE, DISK = ImageAt
VLLM = ImageSize(raw=1_957_000_000, stored=600_000_000)
HERE = Speeds(disk=0.94e9, unpack=1.5e9)

seconds = st.floats(0.01, 1000)
states = st.sampled_from(ImageAt)
decisions = st.sampled_from([None, False, True])


def starts(*taken: float, weights_cached: bool = True) -> Sequence[Start]:
    return [Start(each, weights_cached) for each in taken]


def using(evidence: Evidence, at: ImageAt = RESIDENT, before: bool | None = None) -> bool:
    return worth_using(evidence, at, True, before).worth


def test_a_slow_start_is_worth_a_snapshot_before_any_restore_was_measured() -> None:
    evidence = Evidence(starts(131), image=VLLM, speeds=HERE)
    verdict = worth_using(evidence, DISK, True)
    assert verdict.worth
    assert verdict.restore == pytest.approx(0.1 + 1.957 / 2 + 1.957 / 1.5)
    assert verdict.reason == ("a restore from the disk would take about 2.4 s and a start 131 s (measured once)")


def test_a_large_image_of_an_engine_that_starts_quickly_is_declined_with_both_times() -> None:
    evidence = Evidence(starts(1.0, 1.0, 1.1), {RESIDENT: [0.9, 0.9, 1.0]}, VLLM, HERE)
    verdict = worth_using(evidence, RESIDENT, True)
    assert not verdict.worth
    assert verdict.reason == (
        "declined: a restore of the resident image takes 0.90 s and a start 1.0 s (median of 3), "
        "which is not clearly faster"
    )


def test_each_place_of_the_image_is_judged_by_itself() -> None:
    evidence = Evidence(starts(2.0), {RESIDENT: [0.9] * 3, DISK: [4.0] * 3}, VLLM, HERE)
    assert [using(evidence, at) for at in ImageAt] == [True, False, False]


def test_an_image_is_made_if_it_would_be_used_in_any_state_it_can_be_in() -> None:
    evidence = Evidence(starts(2.0), image=VLLM, speeds=HERE)
    assert worth_making(evidence, ImageAt, True).worth
    verdict = worth_making(evidence, [PAGE_CACHE, DISK], True)
    assert not verdict.worth
    assert "from the page cache would take about 2.4 s and a start 2.0 s" in verdict.reason
    with pytest.raises(ValueError, match="always somewhere"):
        worth_making(evidence, [], True)


def test_a_disk_that_is_slower_than_unpacking_decides_what_a_restore_from_it_takes() -> None:
    slow = Speeds(disk=0.1e9, unpack=1.5e9)
    evidence = Evidence(starts(10), image=VLLM, speeds=slow)
    assert worth_using(evidence, DISK, True).restore == pytest.approx(0.1 + 1.957 / 2 + 6.0)


def test_starts_count_in_their_own_state_of_the_page_cache() -> None:
    evidence = Evidence([*starts(1.0, 1.0), *starts(20.0, 20.0, weights_cached=False)], {DISK: [3.0] * 3}, VLLM, HERE)
    assert not worth_using(evidence, DISK, weights_cached=True).worth
    assert worth_using(evidence, DISK, weights_cached=False).worth


def test_without_anything_to_compare_it_is_tried() -> None:
    assert "no start was measured" in worth_using(Evidence(), DISK, True).reason
    verdict = worth_using(Evidence(starts(3)), DISK, True)
    assert verdict.worth
    assert verdict.reason == "nothing tells yet what a restore takes; a start takes 3.0 s"


def test_nobody_can_tell_a_tenth_of_a_second() -> None:
    assert not using(Evidence(starts(0.25), {RESIDENT: [0.1] * 3}))
    assert using(Evidence(starts(0.94), {RESIDENT: [0.21] * 3}))


def test_what_was_declined_for_its_restores_is_tried_again_after_a_while() -> None:
    def after(count: int) -> Evidence:
        return Evidence(starts(1.0), {RESIDENT: [5.0] * 3}, starts_since_restore=count)

    assert not using(after(RECHECK - 1), before=False)
    verdict = worth_using(after(RECHECK), RESIDENT, True, before=False)
    assert verdict.worth
    assert verdict.reason.startswith(f"tried again after {RECHECK} starts")


def test_what_was_declined_by_an_estimate_is_not_tried_again() -> None:
    evidence = Evidence(starts(0.5), image=VLLM, speeds=HERE, starts_since_restore=RECHECK)
    assert not using(evidence, before=False)


@given(start=seconds, at=states)
def test_between_both_limits_a_decision_stays(start: float, at: ImageAt) -> None:
    between = start * (CLEARLY + NO_LONGER) / 2
    assume(start - between >= LEAST_SAVED)
    evidence = Evidence(starts(start), {at: [between] * 3})
    assert using(evidence, at, before=True)
    assert not using(evidence, at, before=False)
    assert not using(evidence, at, before=None)


@given(
    start=seconds,
    restores=st.lists(seconds, max_size=12),
    slower=st.floats(1, 100),
    at=states,
    asked=states,
    before=decisions,
    estimated=st.booleans(),
)
def test_slower_restores_never_make_it_worth_more(
    start: float,
    restores: list[float],
    slower: float,
    at: ImageAt,
    asked: ImageAt,
    before: bool | None,
    estimated: bool,
) -> None:
    image, speeds = (VLLM, HERE) if estimated else (None, None)
    fast = Evidence(starts(start), {at: restores}, image, speeds)
    slow = Evidence(starts(start), {at: [each * slower for each in restores]}, image, speeds)
    assert using(fast, asked, before) >= using(slow, asked, before)


@given(
    start=seconds,
    image=st.tuples(st.integers(0, 10**11), st.integers(0, 10**11)),
    more=st.integers(0, 10**11),
    at=states,
    before=decisions,
)
def test_a_larger_image_is_never_worth_more(
    start: float, image: tuple[int, int], more: int, at: ImageAt, before: bool | None
) -> None:
    raw, stored = image
    small = Evidence(starts(start), image=ImageSize(raw, stored), speeds=HERE)
    large = Evidence(starts(start), image=ImageSize(raw + more, stored + more), speeds=HERE)
    assert using(small, at, before) >= using(large, at, before)


@given(start=seconds, quicker=st.floats(0.01, 1), restore=seconds, at=states, before=decisions)
def test_quicker_starts_never_make_it_worth_more(
    start: float, quicker: float, restore: float, at: ImageAt, before: bool | None
) -> None:
    slow, quick = (Evidence(starts(each), {at: [restore] * 3}) for each in (start, start * quicker))
    assert using(slow, at, before) >= using(quick, at, before)


@given(
    start=seconds,
    restores=st.lists(seconds, min_size=3, max_size=12),
    odd=st.floats(0.0001, 10_000),
    at=states,
    before=decisions,
)
def test_one_odd_restore_decides_nothing_when_all_others_agree(
    start: float, restores: list[float], odd: float, at: ImageAt, before: bool | None
) -> None:
    alone = {using(Evidence(starts(start), {at: [each] * 3}), at, before) for each in restores}
    assume(len(alone) == 1)
    assert {using(Evidence(starts(start), {at: [*restores, odd]}), at, before)} == alone


@given(start=seconds, restore=seconds, odd=st.floats(0.0001, 10_000), at=states, before=decisions)
def test_the_first_restore_decides_nothing_against_the_estimate(
    start: float, restore: float, odd: float, at: ImageAt, before: bool | None
) -> None:
    untried = Evidence(starts(start), image=VLLM, speeds=HERE)
    tried_once = Evidence(starts(start), {at: [odd]}, VLLM, HERE)
    assert using(untried, at, before) == using(tried_once, at, before)


@given(
    taken=st.lists(seconds, min_size=3, max_size=12),
    odd=st.floats(0.0001, 10_000),
    restore=seconds,
    before=decisions,
)
def test_one_odd_start_decides_nothing_when_all_others_agree(
    taken: list[float], odd: float, restore: float, before: bool | None
) -> None:
    restores = {RESIDENT: [restore] * 3}
    alone = {using(Evidence(starts(each), restores), before=before) for each in taken}
    assume(len(alone) == 1)
    assert {using(Evidence(starts(*taken, odd), restores), before=before)} == alone
