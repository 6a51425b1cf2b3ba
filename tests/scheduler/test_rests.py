"""Idle replicas rest tier by tier; operators and shutdowns rest them too."""

from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.events import DrainAsked, ModelsChanged, Outcome, RestartAsked, RestAsked
from glowplug.scheduler.values import FOREVER, Resources
from tests.scheduler.world import GIB, C, P, R, World, spec


def test_an_idle_replica_rests_tier_by_tier_after_its_keep_alive():
    world = World(spec(keep_alive={R: 30, P: 600}))
    world.run_up()
    world.pass_time(29.9)
    assert not world.pending
    world.pass_time(0.1)
    assert world.pending["m-0"].target is P
    world.finish()
    world.pass_time(599.9)
    assert not world.pending
    world.pass_time(0.1)
    assert (world.pending["m-0"].source, world.pending["m-0"].target) == (P, C)
    world.finish()
    world.pass_time(1e6)
    assert not world.pending


def test_keep_alive_counts_from_the_last_request():
    world = World(spec(keep_alive={R: 30}))
    world.run_up()
    world.pass_time(20)
    long = world.ask()
    world.pass_time(100)
    assert not world.rests
    world.end(long)
    world.pass_time(29)
    assert not world.rests
    world.pass_time(1)
    assert world.rests


def test_keep_alive_of_zero_rests_at_once_and_forever_never():
    world = World(spec("now", keep_alive={R: 0}), spec("never", keep_alive={R: FOREVER}))
    world.run_up("now")
    assert "now-0" in world.pending
    world.run_up("never")
    world.pass_time(1e7)
    assert "never-0" not in world.pending


def test_a_request_during_a_rest_waits_for_it_and_then_wakes_the_replica():
    world = World(spec())
    world.run_up()
    world.pass_time(30)
    request = world.ask()
    assert world.replica().state == "resting:parked"
    world.finish()
    assert world.pending["m-0"].source is P
    world.finish()
    assert world.grants[request].woke_from is P


def test_replicas_above_the_floor_rest_and_the_floor_stays():
    world = World(spec(min_replicas=1, max_replicas=2, target_concurrency=1))
    world.finish("m-0")
    first, second = world.ask(), world.ask()
    world.finish("m-1")
    world.end(first)
    world.end(second)
    world.pass_time(30)
    assert len(world.pending) == 1
    world.finish(next(iter(world.pending)))
    world.pass_time(10_000)
    assert [r.tier for r in world.model().replicas].count(R) == 1


def test_an_operator_rests_an_idle_model_one_step_or_to_a_named_tier():
    world = World(spec())
    world.run_up()
    world.send(RestAsked("m"))
    assert world.pending["m-0"].target is P
    world.finish()
    world.send(RestAsked("m", C))
    assert world.pending["m-0"].target is C


def test_an_operator_is_refused_while_the_model_is_busy_waking_pinned_or_unknown():
    world = World(spec(), spec("pinned", pin=True), spec("waking"))
    world.finish("pinned-0")
    world.run_up()
    request = world.ask()
    world.send(RestAsked("m"))
    world.end(request)
    world.send(RestAsked("pinned"))
    world.ask("waking")
    world.send(RestAsked("waking"))
    world.send(RestAsked("nobody"))
    world.send(RestAsked("m", R))
    assert [
        any(word in message for word in words)
        for message, words in zip(
            world.refused,
            [["busy with 1"], ["kept running"], ["on its way"], ["not configured"], ["cannot rest in running"]],
            strict=True,
        )
    ] == [True] * 5
    assert not world.rests


def test_restart_ends_the_processes_and_forgets_quarantines():
    world = World(spec())
    world.ask()
    for _ in range(3):
        world.fail()
        world.pass_time(1)
    assert world.rejects[world.ask()].kind is RejectKind.QUARANTINED
    world.send(RestartAsked("m"))
    request = world.ask()
    world.finish()
    assert request in world.grants
    world.end(request)
    world.send(RestartAsked("m"))
    assert world.pending["m-0"].target is C


def test_a_restarted_pinned_model_comes_back_by_itself():
    world = World(spec(pin=True))
    world.finish()
    world.send(RestartAsked("m"))
    world.finish()
    assert world.replica().state == "waking:cached"


def test_a_drain_lets_running_requests_finish_refuses_the_rest_and_says_when_all_is_gone():
    world = World(spec(), spec("cold"), spec("parked"))
    world.run_up("parked")
    world.pass_time(30)
    world.finish("parked-0")
    world.run_up()
    running, queued = world.ask(), world.ask("cold")
    world.send(DrainAsked())
    assert world.rejects[queued].kind is RejectKind.SHUTTING_DOWN
    assert world.rejects[world.ask()].kind is RejectKind.SHUTTING_DOWN
    assert world.pending["parked-0"].target is C
    assert "m-0" not in world.pending
    world.finish("cold-0")  # its wake was under way, and came through all the same
    world.finish("cold-0")
    world.finish("parked-0")
    world.end(running)
    assert not world.drained
    world.finish("m-0")
    assert world.drained == 1


def test_a_drain_calls_off_wakes_that_nobody_waits_for_any_more_once():
    world = World(spec(), spec("other"))
    world.ask()
    world.send(DrainAsked())
    world.pass_time(1)
    world.send(DrainAsked())
    assert world.aborted == ["m-0"]
    world.fail(reason="called off")
    assert world.drained == 1


def test_a_drain_of_an_idle_server_is_done_at_once():
    world = World(spec())
    world.send(DrainAsked())
    assert world.drained == 1


def test_a_model_removed_from_the_configuration_finishes_what_runs_and_disappears():
    world = World(spec(), spec("other"))
    world.run_up()
    running = world.ask()
    world.send(ModelsChanged([spec("other")]))
    assert world.rejects[world.ask()].kind is RejectKind.UNKNOWN_MODEL
    assert not world.pending
    world.end(running)
    world.finish()
    assert [model.name for model in world.scheduler.models] == ["other"]
    assert world.scheduler.held == Resources()


def test_a_relaunch_waits_for_running_requests_and_new_ones_get_the_new_engine():
    world = World(spec())
    world.run_up()
    running = world.ask()
    world.send(ModelsChanged([spec()], relaunch=frozenset({"m"})))
    waiting = world.ask()
    assert waiting not in world.grants
    world.end(running)
    assert world.pending["m-0"].target is C
    world.finish()
    world.finish()
    assert world.grants[waiting].woke_from is C


def test_fewer_replicas_end_the_surplus_once_idle():
    world = World(spec(max_replicas=2, target_concurrency=1))
    requests = [world.ask(), world.ask()]
    world.finish("m-0")
    world.finish("m-1")
    world.send(ModelsChanged([spec(max_replicas=1, target_concurrency=1)]))
    for request in requests:
        world.end(request)
    world.finish("m-1")
    assert [r.id for r in world.model().replicas] == ["m-0"]


def test_new_limits_apply_without_touching_the_engine():
    world = World(spec())
    world.run_up()
    world.send(ModelsChanged([spec(keep_alive={R: 5})]))
    world.pass_time(5)
    assert world.pending["m-0"].target is P
    assert world.model().spec.declared[R].ram == GIB


def test_a_client_that_leaves_while_running_gives_its_share_back():
    world = World(spec())
    world.run_up()
    request = world.ask()
    world.end(request, Outcome.LEFT)
    world.pass_time(30)
    assert world.rests


def test_a_model_that_was_removed_and_comes_back_while_busy_gets_a_new_engine():
    world = World(spec())
    world.run_up()
    running = world.ask()
    world.send(ModelsChanged([]))
    world.send(ModelsChanged([spec()]))
    waiting = world.ask()
    assert waiting not in world.grants
    world.end(running)
    world.finish()
    world.finish()
    assert world.grants[waiting].woke_from is C
