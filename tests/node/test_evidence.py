"""The choice between restores and starts, from what a node has measured."""

import pytest

from glowplug.node.evidence import Evidences
from glowplug.node.store import Cost
from glowplug.scheduler.values import Tier
from glowplug.tiers.worth import RECHECK, ImageAt

GIB = 2**30


def measured(*, start=10.0, resident=(), disk=()):
    evidences = Evidences()
    evidences.started("m", start, None)
    for at, restores in ((ImageAt.RESIDENT, resident), (ImageAt.DISK, disk)):
        for seconds in restores:
            evidences.restored("m", at, seconds)
    return evidences


def worth(evidences, *, raw=GIB, budget=8 * GIB):
    return evidences.worth("m", raw, raw // 2, budget)


def test_what_was_never_measured_is_tried():
    assert worth(Evidences()).worth
    assert worth(measured()).worth


def test_a_quick_restore_is_kept_and_a_slow_one_given_up_for_its_seconds():
    assert worth(measured(resident=[1.0] * 3)).worth
    slow = worth(measured(resident=[9.0] * 3))
    assert not slow.worth
    assert slow.reason == (
        "declined: a restore of the resident image takes 9.0 s and a start 10.0 s (measured once), "
        "which is not clearly faster"
    )


@pytest.mark.parametrize("times", [1, 2])
def test_one_or_two_slow_restores_decide_nothing(times):
    verdict = worth(measured(resident=[90.0] * times))
    assert verdict.worth
    assert verdict.reason.startswith("measured too few times yet: declined: a restore of the resident image takes")


def test_an_image_that_is_slow_in_memory_is_not_hoped_to_be_faster_from_the_disk():
    assert not worth(measured(resident=[9.0] * 3)).worth


def test_an_image_that_is_slow_from_the_disk_may_be_quick_in_memory():
    assert worth(measured(disk=[9.0] * 3)).worth
    assert worth(measured(disk=[9.0] * 3, resident=[1.0] * 3)).worth
    assert not worth(measured(disk=[9.0] * 3, resident=[9.0] * 3)).worth


def test_what_it_took_in_memory_does_not_count_once_there_is_no_memory_for_it():
    evidences = measured(resident=[1.0] * 3)
    assert worth(evidences, budget=0).worth  # from the disk it was never measured
    evidences = measured(resident=[1.0] * 3, disk=[9.0] * 3)
    assert not worth(evidences, budget=0).worth


def test_a_declined_image_is_tried_again_after_many_starts():
    evidences = measured(resident=[9.0] * 3)
    assert not worth(evidences).worth
    for _ in range(RECHECK):
        evidences.started("m", 10.0, None)
    again = worth(evidences)
    assert again.worth
    assert again.reason.startswith(f"tried again after {RECHECK} starts")


def test_starts_of_earlier_servers_count_and_other_transitions_do_not():
    costs = [Cost("m", Tier.CACHED, 0.3, 0), Cost("m", Tier.PARKED, 0.001, 0), Cost("m", Tier.SNAPSHOT, 99.0, 0)]
    evidences = Evidences(costs)
    for _ in range(3):
        evidences.restored("m", ImageAt.RESIDENT, 0.3)
    verdict = worth(evidences)
    assert not verdict.worth
    assert verdict.start == 0.3
