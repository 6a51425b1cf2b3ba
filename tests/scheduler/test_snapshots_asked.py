"""What operators, configurations, other models and settings want of a model that has a snapshot."""

import pytest

from glowplug.scheduler.events import DrainAsked, ModelsChanged, Outcome, RestartAsked, RestAsked
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.values import FOREVER, Resources, Tier
from tests.scheduler.test_snapshots import restore, tiers
from tests.scheduler.world import GIB, C, P, R, S, World, snapshotted, spec


def test_an_operator_rests_to_the_snapshot_if_there_is_one():
    world = World(spec(tiers=(R, P, S, C)), spec("none"))
    world.run_up()
    world.send(RestAsked("m", S))
    assert world.refused == ["model 'm' has no snapshot yet; one is made at its next start"]
    world.snapshot()
    world.send(RestAsked("m", S))
    assert world.pending["m-0"].target is S
    world.run_up("none")
    world.send(RestAsked("none", S))
    assert world.refused[1:] == ["model 'none' cannot rest in snapshot; it can in: parked, cached"]


def test_an_operator_is_told_why_a_snapshot_is_not_used():
    world = World(snapshotted(), patience=Patience(max_failures=1))
    world.snapshot()
    request = world.ask()
    world.fail(reason="page fault")
    world.finish()
    world.end(request)
    world.send(RestAsked("m", S))
    assert world.refused == ["the snapshot of model 'm' failed repeatedly and is not used for now: page fault"]


def test_one_step_colder_leaves_the_snapshot_alone_while_another_replica_has_a_process():
    world = World(snapshotted(max_replicas=2))
    world.snapshot()
    world.end(restore(world))
    world.send(RestAsked("m"))
    assert [(rest.replica_id, rest.target) for rest in world.rests] == [("m-0", S)]
    world.finish()
    world.send(RestAsked("m"))
    assert [(rest.replica_id, rest.target) for rest in world.rests[1:]] == [("m-0", C), ("m-1", C)]


def test_a_model_rested_to_its_base_by_an_operator_stays_there():
    world = World(snapshotted(max_replicas=2))
    world.snapshot()
    world.end(restore(world))
    world.send(RestAsked("m", C))
    world.finish("m-0")
    world.finish("m-1")
    assert tiers(world) == [C, C]
    request = world.ask()
    world.finish()
    assert world.grants[request].woke_from is C


def test_a_restart_ends_the_processes_and_the_snapshot_stays():
    world = World(snapshotted(), patience=Patience(max_failures=1))
    world.snapshot()
    world.end(restore(world))
    world.send(RestartAsked("m"))
    assert world.pending["m-0"].target is C
    world.finish()
    assert tiers(world) == [S]
    assert world.scheduler.snapshot("m") == Resources(disk=GIB)


def test_a_drain_ends_processes_and_has_nothing_to_do_with_snapshots():
    world = World(snapshotted(max_replicas=2))
    world.snapshot()
    world.end(restore(world))
    world.send(DrainAsked())
    assert [(rest.replica_id, rest.target) for rest in world.rests] == [("m-0", C)]
    world.finish()
    assert world.drained == 1
    assert world.scheduler.held == Resources(disk=GIB)


def test_a_model_that_is_removed_leaves_its_snapshot_to_the_node_and_finds_it_again():
    world = World(snapshotted(), snapshotted("other"))
    world.snapshot()
    world.send(ModelsChanged([snapshotted("other")]))
    assert [model.name for model in world.scheduler.models] == ["other"]
    assert world.scheduler.held == Resources(disk=GIB)
    world.send(ModelsChanged([snapshotted("other"), snapshotted()]))
    assert tiers(world) == [S]


def test_tiers_without_snapshot_bring_its_replicas_back_to_the_base_tier_and_tiers_with_it_back_into_it():
    world = World(snapshotted(max_replicas=2))
    world.snapshot()
    world.send(ModelsChanged([spec(tiers=(R, P, Tier.COLD), max_replicas=2)]))
    assert tiers(world) == [Tier.COLD, Tier.COLD]
    world.send(ModelsChanged([snapshotted(max_replicas=1)]))
    assert tiers(world) == [S]


def test_a_pinned_model_is_restored_at_once_and_never_rested():
    world = World(snapshotted("other"))
    world.snapshot()
    world.send(ModelsChanged([snapshotted("other"), snapshotted(pin=True, keep_alive={R: 0, S: 0})]))
    assert world.pending["m-0"].source is S
    world.finish()
    world.pass_time(1e6)
    assert not world.rests


def test_making_room_prefers_the_snapshot_to_the_base_tier():
    world = World(snapshotted("a"), snapshotted("b"), ram=GIB)
    request = world.ask("a")
    world.finish("a-0", seconds=60)
    world.end(request)
    world.snapshot("a")
    world.ask("b")
    assert world.pending["a-0"].target is S


@pytest.mark.parametrize("pin", [True, False])
@pytest.mark.parametrize("crash", [True, False])
def test_nothing_that_fails_for_an_hour_is_tried_all_the_time(pin, crash):
    world = World(snapshotted(pin=pin, max_replicas=2))
    world.snapshot()
    for _ in range(3600):
        request = world.ask(timeout=60)
        for replica_id in list(world.pending):
            if crash:
                world.finish(replica_id)
                world.exit(replica_id)
            else:
                world.fail(replica_id)
        world.end(request, Outcome.LOST)
        world.pass_time(1)
    # Per rung: three at once, then after 30, 60, 120, ... 600 s; a crash of what was woken costs another one.
    assert 10 < len(world.wakes) < 100
    assert {wake.source for wake in world.wakes} == {S, C}


def test_keep_alive_of_nothing_gives_the_snapshot_up_once():
    world = World(snapshotted(keep_alive={R: FOREVER, S: 0}))
    world.snapshot()
    world.finish()
    world.pass_time(1e6)
    assert len(world.rests) == 1
    world.lose_snapshot()
    assert tiers(world) == [C]
