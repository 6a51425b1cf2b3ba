"""The ledger: nothing wakes without room, idle replicas make room, busy ones never do."""

from glowplug.scheduler.events import MemoryMeasured, Outcome, RestartAsked
from glowplug.scheduler.policies.base import Eviction
from glowplug.scheduler.policies.fixed import FixedPolicy
from glowplug.scheduler.values import Resources
from tests.scheduler.world import GIB, C, P, R, World, spec


def test_a_wake_without_room_evicts_an_idle_replica_and_waits_for_it():
    world = World(spec("a"), spec("b"), ram=GIB)
    world.run_up("a")
    request = world.ask("b")
    assert "b-0" not in world.pending
    assert world.pending["a-0"].target is C  # parking keeps the RAM, so it would not help
    world.finish("a-0")
    world.finish("b-0")
    assert request in world.grants


def test_parking_is_enough_where_only_gpu_memory_is_short():
    gpu = {R: Resources(ram=GIB, gpu=GIB), P: Resources(ram=GIB)}
    world = World(spec("a", declared=gpu), spec("b", declared=gpu), ram=8 * GIB)
    world.scheduler._fleet.ledger.capacity = Resources(ram=8 * GIB, gpu=GIB)
    world.run_up("a")
    world.ask("b")
    assert world.pending["a-0"].target is P


def test_a_busy_replica_is_never_evicted_and_the_other_model_wakes_once_it_is_idle():
    world = World(spec("a"), spec("b"), ram=GIB)
    world.run_up("a")
    busy = world.ask("a")
    waiting = world.ask("b")
    world.pass_time(100)
    assert not world.pending
    world.end(busy)
    world.finish("a-0")
    world.finish("b-0")
    assert waiting in world.grants


def test_a_replica_that_woke_just_now_is_safe_for_its_minimum_active_time():
    world = World(spec("a", min_active=10.0), spec("b"), ram=GIB)
    world.run_up("a")
    world.ask("b")
    world.pass_time(9.9)
    assert not world.pending
    world.pass_time(0.1)
    assert "a-0" in world.pending


def test_a_pinned_replica_is_never_evicted():
    world = World(spec("a", pin=True), spec("b"), ram=GIB)
    world.finish("a-0")
    request = world.ask("b", timeout=60)
    world.pass_time(60)
    assert not world.rests
    assert request in world.rejects


def test_the_replica_that_is_cheapest_to_bring_back_makes_room():
    world = World(spec("slow"), spec("quick"), spec("new"), ram=2 * GIB)
    for name, seconds in (("slow", 100.0), ("quick", 2.0)):
        request = world.ask(name)
        world.finish(f"{name}-0", seconds=seconds)
        world.end(request)
    world.ask("new")
    assert list(world.pending) == ["quick-0"]


def test_memory_being_freed_for_one_model_is_not_taken_by_another():
    world = World(spec("a"), spec("big", declared={R: Resources(ram=2 * GIB)}), spec("late"), ram=2 * GIB)
    world.run_up("a")
    first = world.ask("big")
    second = world.ask("late")
    world.finish("a-0")
    assert "big-0" in world.pending
    assert "late-0" not in world.pending
    world.finish("big-0")
    world.end(first)
    world.finish("big-0")
    world.finish("late-0")
    assert second in world.grants


def test_when_the_model_that_others_were_evicted_for_is_no_longer_wanted_the_next_one_gets_the_room():
    world = World(spec("a"), spec("big", declared={R: Resources(ram=2 * GIB)}), spec("late"), ram=2 * GIB)
    world.run_up("a")
    gone = world.ask("big")
    world.ask("late")
    world.end(gone, Outcome.LEFT)
    assert "late-0" in world.pending


def test_what_was_measured_replaces_what_was_declared():
    world = World(spec("a", declared={R: Resources(ram=4 * GIB)}), ram=8 * GIB)
    request = world.ask("a")
    world.finish("a-0", measured=Resources(ram=GIB))
    assert world.scheduler.held == Resources(ram=GIB)
    world.end(request)
    world.send(MemoryMeasured("a-0", R, Resources(ram=2 * GIB)))
    assert world.scheduler.held == Resources(ram=2 * GIB)


def test_an_old_measurement_of_another_tier_is_ignored():
    world = World(spec("a"))
    world.run_up("a")
    world.send(MemoryMeasured("a-0", P, Resources(ram=7 * GIB)))
    assert world.scheduler.held == Resources(ram=GIB)


def test_when_measuring_shows_too_much_idle_replicas_make_room_at_once():
    world = World(spec("a"), spec("b"), ram=2 * GIB)
    world.run_up("a")
    busy = world.ask("b")
    world.finish("b-0")
    world.send(MemoryMeasured("b-0", R, Resources(ram=2 * GIB)))
    assert "a-0" in world.pending
    assert "b-0" not in world.pending
    world.end(busy)


def test_two_large_models_take_turns_and_both_are_served():
    world = World(spec("a", min_active=5.0), spec("b", min_active=5.0), ram=GIB)
    served = 0
    for _ in range(10):
        for name in ("a", "b"):
            request = world.ask(name)
            while request not in world.grants:
                for replica in list(world.pending):
                    world.finish(replica)
                world.pass_time(1)
            world.end(request)
            served += 1
    assert served == 20
    assert not world.rejects


def test_eviction_drops_what_it_turns_out_not_to_need():
    small = Eviction("small", C, Resources(ram=1), wake_seconds=1, idle_since=0)
    large = Eviction("large", C, Resources(ram=10), wake_seconds=5, idle_since=0)
    chosen = FixedPolicy().evict([large, small], Resources(ram=8))
    assert [e.replica_id for e in chosen] == ["large"]


def test_eviction_prefers_the_longest_idle_among_equals_and_gives_up_if_all_is_not_enough():
    old = Eviction("old", C, Resources(ram=1), wake_seconds=1, idle_since=0)
    new = Eviction("new", C, Resources(ram=1), wake_seconds=1, idle_since=9)
    assert [e.replica_id for e in FixedPolicy().evict([new, old], Resources(ram=1))] == ["old"]
    assert FixedPolicy().evict([new, old], Resources(ram=3)) == ()


def test_a_model_that_was_measured_too_large_says_so_and_a_restart_forgets_the_measurement():
    world = World(spec("a"), ram=2 * GIB)
    request = world.ask("a")
    world.finish("a-0", measured=Resources(ram=3 * GIB))
    world.end(request)
    for replica in list(world.pending):
        world.finish(replica)
    message = world.rejects[world.ask("a")].message
    assert "3.00 GiB RAM (measured)" in message
    assert "glowplug restart a" in message
    world.send(RestartAsked("a"))
    request = world.ask("a")
    world.finish("a-0")
    assert request in world.grants
