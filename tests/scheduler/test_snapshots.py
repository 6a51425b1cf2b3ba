"""A snapshot is there, is used, fails and goes; replicas without a process rest in it exactly while it can be used."""

import pytest

from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.events import ModelsChanged, Outcome, RestartAsked, RestAsked
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.values import Attempt, Resources, Tier
from tests.scheduler.world import GIB, C, P, R, S, World, snapshotted, spec


def tiers(world: World, name: str = "m") -> list[Tier]:
    return [replica.tier for replica in world.model(name).replicas]


def restore(world: World) -> int:
    """A request that is answered out of the snapshot; returns it, still running."""
    request = world.ask()
    assert world.pending["m-0"].source is S
    world.finish()
    return request


def test_until_there_is_a_snapshot_the_tier_does_not_exist():
    world = World(snapshotted())
    assert tiers(world) == [C]
    world.run_up()
    world.pass_time(30)
    assert world.pending["m-0"].target is C


def test_replicas_without_a_process_are_in_the_snapshot_as_soon_as_it_is_published():
    world = World(snapshotted(max_replicas=3))
    world.run_up()
    world.snapshot()
    assert tiers(world) == [R, S, S]
    assert [(c.replica_id, c.before, c.after) for c in world.changes[-2:]] == [
        ("m-1", "cached", "snapshot"),
        ("m-2", "cached", "snapshot"),
    ]


def test_after_its_keep_alive_a_replica_rests_to_the_snapshot_and_wakes_from_it():
    world = World(snapshotted())
    world.run_up()
    world.snapshot()
    world.pass_time(30)
    assert world.pending["m-0"].target is S
    world.finish()
    world.pass_time(1e6)
    assert not world.pending
    assert world.scheduler.held == Resources(disk=GIB)
    request = restore(world)
    assert world.grants[request].woke_from is S


def test_a_parked_replica_rests_to_the_snapshot_next():
    world = World(spec(tiers=(R, P, S, C), keep_alive={R: 30, P: 60}))
    world.snapshot()
    world.run_up()
    world.pass_time(30)
    world.finish()
    world.pass_time(60)
    assert (world.pending["m-0"].source, world.pending["m-0"].target) == (P, S)


def test_a_snapshot_of_an_earlier_server_is_used_for_a_model_that_is_configured_later():
    world = World(snapshotted("other"))
    world.snapshot("m")
    world.send(ModelsChanged([snapshotted("other"), snapshotted("m")]))
    assert tiers(world) == [S]
    assert not world.wakes


def test_the_disk_of_a_snapshot_is_charged_once_however_many_replicas_rest_in_it():
    world = World(snapshotted(max_replicas=4))
    world.snapshot(disk=3 * GIB)
    assert world.scheduler.held == Resources(disk=3 * GIB)
    assert [world.scheduler.charged(r.id) for r in world.model().replicas] == [Resources()] * 4
    world.snapshot(disk=2 * GIB)
    assert world.scheduler.held == Resources(disk=2 * GIB)
    world.end(restore(world))
    world.send(RestAsked("m", S))
    world.finish(measured=Resources(disk=2 * GIB))
    assert world.scheduler.held == Resources(disk=2 * GIB)
    world.lose_snapshot()
    assert world.scheduler.held == Resources()


def test_several_replicas_wake_from_one_snapshot_at_once():
    world = World(snapshotted(max_replicas=3, max_concurrency=1))
    world.snapshot()
    requests = [world.ask() for _ in range(3)]
    world.finish("m-0")
    assert [wake.source for wake in world.wakes] == [S, S, S]
    world.finish("m-1")
    world.finish("m-2")
    assert {world.grants[request].replica_id for request in requests} == {"m-0", "m-1", "m-2"}


def test_a_restore_that_fails_is_followed_by_a_start_for_the_same_request():
    world = World(snapshotted(max_replicas=3))
    world.snapshot()
    request = world.ask()
    world.fail(reason="page fault")
    assert [wake.source for wake in world.wakes] == [S, C]
    assert tiers(world) == [C, C, C]  # the clones are not tried for it either
    world.finish()
    assert world.grants[request].woke_from is C
    assert tiers(world) == [R, S, S]


def test_both_rungs_are_told_when_both_fail():
    world = World(snapshotted(), patience=Patience(max_failures=1))
    world.snapshot()
    request = world.ask()
    world.fail(reason="page fault")
    world.fail(reason="exited with code 3")
    assert world.rejects[request].kind is RejectKind.WAKE_FAILED
    assert world.rejects[request].tried == (Attempt(S, "page fault"), Attempt(C, "exited with code 3"))


def test_pauses_between_starts_are_not_used_for_the_restore_that_failed_already():
    world = World(snapshotted(), patience=Patience(max_failures=3, backoff=5))
    world.snapshot()
    world.ask()
    for _ in range(3):
        world.fail()
    assert [wake.source for wake in world.wakes] == [S, C, C]
    world.pass_time(5)
    assert [wake.source for wake in world.wakes] == [S, C, C, C]


def test_after_a_start_the_snapshot_is_used_again_until_it_has_failed_too_often():
    world = World(snapshotted(), patience=Patience(max_failures=2, quarantine=100))
    world.snapshot()
    for _ in range(2):
        request = world.ask()
        assert world.pending["m-0"].source is S
        world.fail(reason="page fault")
        world.finish()
        world.end(request)
        world.pass_time(30)
        world.finish()
    assert tiers(world) == [C]
    assert world.rests[-1].target is C
    world.pass_time(69)
    assert tiers(world) == [C]
    world.pass_time(1)
    assert tiers(world) == [S]


def test_a_pinned_model_that_cannot_be_started_is_restored_again():
    world = World(snapshotted(pin=True), patience=Patience(max_failures=1, quarantine=30))
    world.finish()
    world.snapshot()
    world.send(RestartAsked("m"))
    world.finish()
    assert world.pending["m-0"].source is S
    world.model().quarantines.clear()
    world.scheduler._fleet.patience = Patience(max_failures=2, quarantine=30)
    world.fail()
    world.fail()
    world.fail()
    assert [wake.source for wake in world.wakes[1:]] == [S, C, C, S]


def test_a_restart_forgets_that_a_restore_failed():
    world = World(snapshotted(pin=True), patience=Patience(backoff=60))
    world.finish()
    world.snapshot()
    world.send(RestartAsked("m"))
    world.finish()
    for _ in range(3):
        world.fail()
    assert not world.pending  # the next start has to wait a minute
    world.send(RestartAsked("m"))
    assert world.pending["m-0"].source is S


def test_when_the_client_has_left_the_next_one_is_served_from_the_snapshot_again():
    world = World(snapshotted(), patience=Patience(backoff=60))
    world.snapshot()
    request = world.ask()
    world.fail()
    world.fail()
    world.fail()
    world.end(request, Outcome.LEFT)
    assert tiers(world) == [S]
    restore(world)


def test_a_broken_engine_with_a_good_snapshot_is_served_from_the_snapshot():
    world = World(snapshotted(), patience=Patience(max_failures=1, quarantine=1000))
    first = world.ask()
    world.snapshot()  # while the start is under way
    world.fail(reason="out of memory")
    assert first not in world.rejects
    assert world.pending["m-0"].source is S
    world.finish()
    assert world.grants[first].woke_from is S


def test_what_came_out_of_a_snapshot_and_crashed_unused_counts_against_the_snapshot():
    world = World(snapshotted(), patience=Patience(max_failures=2))
    world.snapshot()
    for _ in range(2):
        request = restore(world)
        world.exit(reason="was killed by signal 11")
        world.end(request, Outcome.LOST)
    assert world.model().quarantines[S].reason == "was killed by signal 11"
    assert tiers(world) == [C]
    assert not world.model().failures
    request = world.ask()
    world.finish()
    assert world.grants[request].woke_from is C


def test_a_restored_engine_that_answered_clears_the_snapshots_name():
    world = World(snapshotted(), patience=Patience(max_failures=2))
    world.snapshot()
    for _ in range(5):
        request = restore(world)
        world.exit()
        world.end(request, Outcome.LOST)
        world.end(restore(world), Outcome.SERVED)
        assert S not in world.model().quarantines
        world.exit()
    assert tiers(world) == [S]


def test_a_snapshot_that_is_gone_leaves_its_replicas_in_the_base_tier_with_the_reason():
    world = World(snapshotted(max_replicas=2), patience=Patience(max_failures=1))
    world.snapshot()
    world.lose_snapshot(reason="engine version: 0.32.0 then, 0.33.1 now")
    assert tiers(world) == [C, C]
    assert world.changes[-1].reason == "engine version: 0.32.0 then, 0.33.1 now"
    request = world.ask()
    world.finish()
    assert world.grants[request].woke_from is C


def test_a_snapshot_that_goes_takes_its_quarantine_along():
    world = World(snapshotted(), patience=Patience(max_failures=1, quarantine=1e6))
    world.snapshot()
    request = world.ask()
    world.fail()
    world.lose_snapshot()
    world.finish()
    world.end(request)
    world.snapshot()
    world.pass_time(30)
    assert world.pending["m-0"].target is S


@pytest.mark.parametrize("first", ["gone", "landed"])
def test_a_snapshot_that_goes_while_it_is_restored_or_rested_to_leaves_nobody_in_it(first):
    world = World(snapshotted())
    world.run_up()
    world.snapshot()
    world.pass_time(30)
    if first == "gone":
        world.lose_snapshot()
        world.finish()
    else:
        world.finish()
        world.lose_snapshot()
    assert tiers(world) == [C]
    world.snapshot()
    request = world.ask()
    world.lose_snapshot()
    world.fail(reason="no such snapshot")
    world.finish()
    assert world.grants[request].woke_from is C


def test_a_snapshot_is_left_by_all_replicas_together_when_its_keep_alive_ends():
    world = World(snapshotted(max_replicas=2, keep_alive={R: 30, S: 100}))
    world.snapshot()
    world.pass_time(50)
    world.end(restore(world))
    world.pass_time(30)
    assert "m-1" not in world.pending
    world.finish()
    world.pass_time(99)
    assert not world.pending
    world.pass_time(1)
    assert [(rest.replica_id, rest.source, rest.target) for rest in world.pending.values()] == [
        ("m-0", S, C),
        ("m-1", S, C),
    ]
    world.finish("m-0")
    world.finish("m-1")
    assert tiers(world) == [C, C]  # whether or not the node has deleted it yet
    world.pass_time(1e6)
    assert not world.pending


def test_a_snapshot_that_was_kept_although_nobody_wanted_it_is_used_again_after_the_next_start():
    world = World(snapshotted(keep_alive={R: 30, S: 100}))
    world.snapshot()
    world.pass_time(100)
    world.finish()
    world.run_up()
    assert world.wakes[-1].source is C
    world.pass_time(30)
    assert world.pending["m-0"].target is S
    world.finish()
    assert tiers(world) == [S]


def test_a_snapshot_is_not_given_up_while_somebody_waits_for_room_to_restore_it():
    world = World(snapshotted(keep_alive={R: 30, S: 100}), spec("busy"), ram=GIB)
    world.snapshot()
    world.run_up("busy")
    running = world.ask("busy")
    request = world.ask("m")
    world.pass_time(200)
    assert not world.pending
    world.end(running)
    world.finish("busy-0")
    assert world.pending["m-0"].source is S
    world.finish()
    assert request in world.grants
