"""The queue: bounded, in order, fair across keys, with deadlines."""

import math

from hypothesis import given
from hypothesis import strategies as st

from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.events import ModelsChanged
from glowplug.scheduler.queue import FairQueue, Waiting
from tests.scheduler.world import R, World, spec


def test_one_key_is_served_in_order_of_arrival():
    queue = FairQueue()
    for number in range(5):
        queue.push(Waiting(number, "", 0, math.inf))
    assert [queue.pop().request_id for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_key_that_floods_the_queue_leaves_every_second_place_to_the_other():
    queue = FairQueue()
    for number in range(10):
        queue.push(Waiting(number, "flood", 0, math.inf))
    for number in range(100, 103):
        queue.push(Waiting(number, "quiet", 0, math.inf))
    assert [queue.pop().request_id for _ in range(7)] == [0, 100, 1, 101, 2, 102, 3]


def test_deadlines_come_out_once_and_only_if_still_queued():
    queue = FairQueue()
    queue.push(Waiting(1, "", 0, 5))
    queue.push(Waiting(2, "", 0, 3))
    queue.push(Waiting(3, "", 0, 4))
    queue.remove(2)
    assert queue.next_deadline() == 4
    assert [w.request_id for w in queue.expired(10)] == [3, 1]
    assert queue.expired(10) == []
    assert queue.next_deadline() == math.inf


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["push", "pop", "remove"]), st.integers(0, 30))))
def test_whatever_happens_every_request_is_in_the_queue_exactly_once_until_it_is_taken_out(steps):
    queue, inside, number = FairQueue(), {}, 0
    for key, action, which in steps:
        if action == "push":
            queue.push(Waiting(number, key, 0, math.inf))
            inside[number] = key
            number += 1
        elif action == "pop" and inside:
            inside.pop(queue.pop().request_id)
        elif action == "remove":
            assert queue.remove(which) == (inside.pop(which, None) is not None)
        assert sorted(w.request_id for w in queue) == sorted(inside)
        assert all(queue.held_by(k) == list(inside.values()).count(k) for k in "abc")


def test_the_request_that_does_not_fit_is_told_how_long_a_wake_takes():
    world = World(spec(max_queue=2))
    world.scheduler._fleet.costs.record("m", world.replica().tier, 40.0)
    world.ask(), world.ask()
    world.now += 10
    reject = world.rejects[world.ask()]
    assert reject.kind is RejectKind.QUEUE_FULL
    assert reject.retry_after == 30.0


def test_one_key_may_fill_only_its_share_and_others_still_get_in():
    world = World(spec(max_queue=4, key_share=0.5))
    flood = [world.ask(key="flood") for _ in range(4)]
    assert [request in world.rejects for request in flood] == [False, False, True, True]
    assert "share" in world.rejects[flood[2]].message
    assert world.ask(key="quiet") not in world.rejects


def test_a_key_with_a_share_of_its_own_is_held_to_that():
    world = World(spec(max_queue=4, key_share=0.5), key_shares={"small": 0.25})
    assert [world.ask(key="small") in world.rejects for _ in range(2)] == [False, True]
    assert [world.ask(key="other") in world.rejects for _ in range(3)] == [False, False, True]


def test_shares_of_keys_can_change_while_the_server_runs():
    world = World(spec(max_queue=4), key_shares={"small": 0.25})
    world.send(ModelsChanged([spec(max_queue=4)], key_shares={"small": 0.5}))
    assert [world.ask(key="small") in world.rejects for _ in range(3)] == [False, False, True]


def test_a_request_whose_deadline_passes_in_the_queue_is_told_so_and_the_others_stay():
    world = World(spec())
    short, long = world.ask(timeout=5), world.ask(timeout=50)
    world.pass_time(5)
    assert world.rejects[short].kind is RejectKind.DEADLINE
    assert "waking:cached" in world.rejects[short].message
    world.finish()
    assert long in world.grants


def test_a_deadline_in_the_past_is_refused_unless_the_model_runs():
    world = World(spec())
    assert world.rejects[world.ask(timeout=-1)].kind is RejectKind.DEADLINE
    assert not world.wakes
    world.run_up()
    assert world.ask(timeout=-1) in world.grants


def test_an_unknown_model_is_refused_with_the_names_of_the_known():
    world = World(spec("b"), spec("a"))
    reject = world.rejects[world.ask("c")]
    assert reject.kind is RejectKind.UNKNOWN_MODEL
    assert "a, b" in reject.message


def test_keys_take_turns_when_a_busy_replica_has_room_again():
    world = World(spec(max_concurrency=1))
    world.run_up()
    running = world.ask(key="x")
    first, second = world.ask(key="x"), world.ask(key="x")
    other = world.ask(key="y")
    order = []
    for _ in range(3):
        world.end(running)
        running = next(r for r in (first, second, other) if r in world.grants and r not in order)
        order.append(running)
    assert order == [first, other, second]
    assert world.replica().tier is R
