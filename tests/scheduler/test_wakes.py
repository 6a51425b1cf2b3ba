"""Requests wake models, failures fall down the ladder, crashes are met with patience."""

import pytest

from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.events import Outcome, ReplicaChecked, TransitionEnded
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.values import UNLIMITED, Attempt, Resources, Tier
from tests.scheduler.world import GIB, C, P, R, World, spec


def test_a_request_for_a_cold_model_wakes_it_and_is_granted_with_the_tier_it_woke_from():
    world = World(spec())
    request = world.ask()
    assert [wake.source for wake in world.wakes] == [C]
    assert request not in world.grants
    world.now += 2.5
    world.finish()
    grant = world.grants[request]
    assert (grant.replica_id, grant.address, grant.woke_from, grant.waited) == ("m-0", "http://m-0", C, 2.5)


def test_a_thousand_requests_at_a_cold_model_cause_one_wake_and_are_all_granted():
    world = World(spec())
    requests = [world.ask() for _ in range(1000)]
    assert len(world.wakes) == 1
    world.finish()
    assert all(world.grants[request].woke_from is C for request in requests)


def test_a_request_for_a_running_model_is_granted_at_once():
    world = World(spec())
    world.run_up()
    request = world.ask()
    assert world.grants[request].woke_from is R
    assert world.grants[request].waited == 0
    assert len(world.wakes) == 1


def test_a_client_that_leaves_before_the_wake_begins_causes_none():
    world = World(spec(), patience=Patience(backoff=5))
    first = world.ask()
    world.fail()
    world.fail()  # the second attempt was immediate, the third waits for the backoff
    assert not world.pending
    world.end(first, Outcome.LEFT)
    world.pass_time(60)
    assert len(world.wakes) == 2


def test_a_wake_from_parked_that_fails_is_tried_from_the_base_tier_for_the_same_request():
    world = World(spec())
    world.run_up()
    world.pass_time(30)
    world.finish()
    assert world.replica().tier is P
    request = world.ask()
    assert world.pending["m-0"].source is P
    world.fail(reason="canary differs")
    assert world.pending["m-0"].source is C
    world.finish()
    assert world.grants[request].woke_from is C


def test_a_model_that_cannot_start_is_tried_three_times_then_the_request_is_told_what_was_tried():
    world = World(spec(), patience=Patience(max_failures=3, backoff=1, quarantine=30))
    request = world.ask()
    for _ in range(2):
        world.fail(reason="exited with code 3")
    world.pass_time(1)
    world.fail(reason="exited with code 3")
    reject = world.rejects[request]
    assert reject.kind is RejectKind.WAKE_FAILED
    assert reject.tried == (Attempt(C, "exited with code 3"),) * 3
    assert reject.retry_after == 30


def test_a_quarantined_model_answers_at_once_and_is_tried_again_later_with_growing_pauses():
    world = World(spec(), patience=Patience(max_failures=1, quarantine=30))
    world.ask()
    world.fail()
    early = world.ask()
    assert world.rejects[early].kind is RejectKind.QUARANTINED
    assert world.rejects[early].retry_after == 30
    world.pass_time(31)
    later = world.ask()
    world.fail()
    assert world.rejects[later].retry_after == 60
    world.pass_time(61)
    last = world.ask()
    world.finish()
    assert last in world.grants


def test_quarantine_pauses_do_not_grow_beyond_the_maximum():
    patience = Patience(max_failures=3, quarantine=30, quarantine_max=600)
    assert [patience.quarantine_after(n) for n in (1, 2, 3, 4, 5, 9, 10_000)] == [0, 0, 30, 60, 120, 600, 600]
    assert [patience.wait_before_retry(n) for n in (1, 2, 3, 4)] == [0, 1, 2, 4]


def test_an_engine_that_crashes_while_serving_is_restarted_for_those_who_come_next():
    world = World(spec())
    world.run_up()
    running = world.ask()
    world.exit()
    assert world.replica().tier is C
    world.end(running, Outcome.LOST)
    again = world.ask()
    world.finish()
    assert again in world.grants


def test_crashes_after_good_answers_do_not_add_up_to_a_quarantine():
    world = World(spec(), patience=Patience(max_failures=2))
    for _ in range(10):
        world.run_up()
        world.exit()
    world.run_up()
    assert not world.rejects


def test_crashes_without_a_single_answer_do_add_up():
    world = World(spec(), patience=Patience(max_failures=2))
    for _ in range(2):
        request = world.ask()
        world.finish()
        world.exit()
        world.end(request, Outcome.LOST)
    assert world.rejects[world.ask()].kind is RejectKind.QUARANTINED


def test_an_engine_that_dies_while_parked_is_started_again_without_blame():
    world = World(spec(), patience=Patience(max_failures=1))
    world.run_up()
    world.pass_time(30)
    world.finish()
    world.exit(reason="was killed by signal 9")
    assert world.replica().tier is C
    request = world.ask()
    world.finish()
    assert world.grants[request].woke_from is C


def test_a_replica_that_lost_a_request_gets_no_more_until_it_was_checked():
    world = World(spec())
    world.run_up()
    lost = world.ask()
    world.end(lost, Outcome.LOST)
    assert world.checks == ["m-0"]
    world.now += 1
    waiting = world.ask()
    assert waiting not in world.grants
    world.send(ReplicaChecked("m-0"))
    assert world.grants[waiting].woke_from is R


def test_a_suspect_replica_that_proves_dead_is_replaced():
    world = World(spec())
    world.run_up()
    world.end(world.ask(), Outcome.LOST)
    waiting = world.ask()
    world.exit(reason="stopped answering")
    world.finish()
    assert world.grants[waiting].woke_from is C


def test_a_report_about_an_old_transition_changes_nothing():
    world = World(spec())
    world.run_up()
    before = world.replica().state
    world.send(TransitionEnded("m-0", 1, C, "late"))
    world.send(TransitionEnded("nobody", 1, C, "late"))
    assert world.replica().state == before


def test_an_exit_during_a_transition_is_left_to_the_transition():
    world = World(spec())
    request = world.ask()
    world.exit()
    assert world.replica().state == "waking:cached"
    world.finish()
    assert request in world.grants


def test_a_pinned_model_is_woken_without_requests_and_again_after_a_crash():
    world = World(spec(pin=True))
    assert len(world.wakes) == 1
    world.finish()
    world.pass_time(10_000)
    assert world.replica().tier is R
    world.exit()
    assert len(world.wakes) == 2


def test_a_pinned_model_that_cannot_start_is_retried_when_its_quarantine_ends():
    world = World(spec(pin=True), patience=Patience(max_failures=1, quarantine=30))
    world.fail()
    assert not world.pending
    world.pass_time(30)
    assert len(world.wakes) == 2


def test_more_load_than_the_target_wakes_more_replicas_one_by_one_up_to_the_maximum():
    world = World(spec(max_replicas=3, target_concurrency=2))
    first = [world.ask() for _ in range(10)]
    assert len(world.wakes) == 1  # cold: one wake, however many wait
    world.finish("m-0")
    assert {wake.replica_id for wake in world.wakes} == {"m-0", "m-1", "m-2"}
    world.finish("m-1")
    world.finish("m-2")
    for request in first:
        world.end(request)
    spread = [world.grants[world.ask()].replica_id for _ in range(4)]
    assert len(set(spread)) == 2  # fills one replica up to its target before the next, so that the third falls idle


def test_hard_concurrency_limit_keeps_the_rest_queued():
    world = World(spec(max_concurrency=2))
    requests = [world.ask() for _ in range(5)]
    world.finish()
    assert [request in world.grants for request in requests] == [True, True, False, False, False]
    world.end(requests[0])
    assert requests[2] in world.grants
    assert world.grants[requests[2]].woke_from is C


@pytest.mark.parametrize("landed", [C, R])
def test_a_rest_that_fails_counts_against_its_tier_until_that_tier_is_left_out(landed: Tier):
    world = World(spec(), patience=Patience(max_failures=2, quarantine=1000))
    for _ in range(2):
        if world.replica().tier is not R:
            world.run_up()
        world.pass_time(30)
        assert world.pending["m-0"].target is P  # type: ignore[union-attr]
        world.fail(landed=landed, reason="not frozen")
    if world.replica().tier is not R:
        world.run_up()
    world.pass_time(30)
    assert world.pending["m-0"].target is C  # type: ignore[union-attr]


def test_a_model_larger_than_the_node_is_refused_with_both_sizes():
    world = World(spec(declared={R: Resources(ram=9 * GIB)}), ram=8 * GIB)
    reject = world.rejects[world.ask()]
    assert reject.kind is RejectKind.TOO_LARGE
    assert "9.00 GiB" in reject.message
    assert "8.00 GiB" in reject.message


def test_gpu_memory_that_is_not_limited_is_no_reason_to_refuse_and_not_shown():
    world = World(spec(declared={R: Resources(ram=9 * GIB, gpu=80 * GIB)}), ram=8 * GIB)
    world.scheduler._fleet.ledger.capacity = Resources(ram=8 * GIB, gpu=UNLIMITED)
    message = world.rejects[world.ask()].message
    assert "9.00 GiB RAM and 80.00 GiB GPU memory but this node offers 8.00 GiB RAM;" in message


def test_requests_that_wait_behind_a_hard_limit_below_the_target_wake_further_replicas():
    world = World(spec(max_replicas=2, max_concurrency=1, target_concurrency=8))
    world.ask()
    world.finish()
    second = world.ask()
    world.finish("m-1")
    assert world.grants[second].replica_id == "m-1"


def test_while_a_replica_is_suspect_another_one_wakes_for_those_who_wait():
    world = World(spec(max_replicas=2))
    world.run_up()
    world.end(world.ask(), Outcome.LOST)
    waiting = world.ask()
    world.finish("m-1")
    assert world.grants[waiting].replica_id == "m-1"


def test_an_engine_that_ends_just_as_it_is_rested_is_not_blamed_on_the_tier():
    world = World(spec(), patience=Patience(max_failures=1))
    world.run_up()
    world.pass_time(30)
    world.exit()
    world.fail(reason="The engine exited with code 1.")
    assert not world.model().quarantines
    assert world.replica().tier is C


def test_a_freeze_that_fails_after_such_an_end_is_blamed_again():
    world = World(spec(), patience=Patience(max_failures=1))
    world.run_up()
    world.pass_time(30)
    world.exit()
    world.fail()
    world.run_up()
    world.pass_time(30)
    world.fail(reason="not frozen")
    assert P in world.model().quarantines
