"""Resident images give way before anything that runs; the node is asked once and not in a loop."""

from glowplug.scheduler.effects import ReleaseImages
from glowplug.scheduler.events import MemoryMeasured, Outcome, RequestArrived
from glowplug.scheduler.images import PATIENCE
from glowplug.scheduler.values import Resources
from tests.scheduler.world import GIB, C, R, S, World, snapshotted, spec


def test_images_are_one_account_of_the_ledger():
    world = World(spec())
    world.images(2 * GIB)
    world.run_up()
    assert world.scheduler.images == Resources(ram=2 * GIB)
    assert world.scheduler.held == Resources(ram=3 * GIB)
    world.images(0)
    assert world.scheduler.held == Resources(ram=GIB)


def test_a_wake_that_lacks_room_has_images_released_and_nothing_evicted():
    world = World(spec("a"), spec("b"), ram=3 * GIB)
    world.run_up("a")
    world.images(3 * GIB // 2)
    request = world.ask("b")
    assert world.released == [Resources(ram=GIB // 2)]
    assert not world.pending
    world.images(GIB)
    world.finish("b-0")
    assert request in world.grants
    assert not world.rests


def test_what_images_cannot_free_is_evicted_at_the_same_time():
    world = World(spec("a"), spec("b", declared={R: Resources(ram=3 * GIB)}), ram=3 * GIB)
    world.run_up("a")
    world.images(GIB)
    effects = world.send(RequestArrived(99, "b"))
    assert [type(effect).__name__ for effect in effects if not hasattr(effect, "before")] == ["ReleaseImages", "Rest"]
    assert effects[0] == ReleaseImages(Resources(ram=GIB))
    world.finish("a-0")
    assert "b-0" not in world.pending
    world.images(0)
    assert "b-0" in world.pending


def test_images_are_kept_where_their_release_would_not_be_enough():
    world = World(spec("a"), spec("b", declared={R: Resources(ram=3 * GIB)}), ram=3 * GIB)
    world.run_up("a")
    busy = world.ask("a")
    world.images(GIB)
    world.ask("b")
    assert not world.released
    world.end(busy)
    assert world.released == [Resources(ram=GIB)]


def test_images_in_use_are_asked_for_once_and_then_replicas_are_evicted():
    world = World(spec("a"), spec("b"), ram=2 * GIB)
    world.run_up("a")
    world.images(GIB)
    world.ask("b")
    assert not world.rests
    world.images(GIB)
    assert [rest.replica_id for rest in world.rests] == ["a-0"]
    world.images(GIB)
    world.pass_time(100)
    assert len(world.released) == 1


def test_a_node_that_does_not_answer_is_not_waited_for_long():
    world = World(spec("a"), spec("b"), ram=2 * GIB)
    world.run_up("a")
    world.images(GIB)
    world.ask("b")
    world.pass_time(PATIENCE - 0.01)
    assert not world.rests
    world.pass_time(0.01)
    assert [rest.replica_id for rest in world.rests] == ["a-0"]
    assert len(world.released) == 1


def test_a_look_at_the_model_in_between_does_not_make_it_wait_longer():
    world = World(spec("a"), spec("b"), ram=2 * GIB)
    world.run_up("a")
    world.images(GIB)
    world.ask("b", timeout=PATIENCE / 2)
    world.ask("b")
    world.pass_time(PATIENCE)
    assert [rest.replica_id for rest in world.rests] == ["a-0"]


def test_nor_does_one_in_between_when_more_is_held_than_there_is():
    world = World(spec("a", tiers=(R, C), keep_alive={R: PATIENCE / 2}), spec("b"), ram=2 * GIB)
    world.run_up("a")
    world.run_up("b")
    world.images(2 * GIB)
    assert world.released == [Resources(ram=2 * GIB)]
    world.pass_time(PATIENCE)
    assert [rest.replica_id for rest in world.rests] == ["a-0", "b-0"]


def test_room_that_images_make_is_kept_for_whom_it_is_made():
    world = World(spec("b", declared={R: Resources(ram=2 * GIB)}), spec("c"), ram=3 * GIB)
    world.images(3 * GIB // 2)
    world.ask("b")
    world.ask("c")  # would fit now
    world.lose_snapshot("c")  # whatever makes it look at all who wait
    assert not world.pending
    world.images(GIB)
    assert list(world.pending) == ["b-0"]


def test_what_was_in_use_may_be_asked_for_again_when_a_restore_has_ended_or_there_is_more():
    world = World(snapshotted(), spec("b"), ram=2 * GIB)
    world.snapshot()
    first = world.ask()
    world.images(GIB)
    world.ask("b")
    world.images(GIB)
    assert len(world.released) == 1
    world.finish("m-0")
    assert len(world.released) == 2
    world.images(0)
    assert "b-0" in world.pending
    world.end(first)


def test_a_second_model_waits_for_the_answer_to_the_first_and_is_asked_for_then():
    world = World(spec("a"), spec("b"), spec("c"), ram=3 * GIB)
    world.run_up("a")
    world.images(2 * GIB)
    world.ask("b")
    world.ask("c")
    assert world.released == [Resources(ram=GIB)]
    world.images(GIB)
    assert "b-0" in world.pending
    assert world.released == [Resources(ram=GIB)] * 2
    world.images(0)
    assert "c-0" in world.pending
    assert not world.rests


def test_room_that_images_gave_for_a_client_who_left_goes_to_the_next_one():
    world = World(spec("b", declared={R: Resources(ram=2 * GIB)}), spec("c"), ram=2 * GIB)
    world.images(GIB)
    gone = world.ask("b")
    world.ask("c")
    world.end(gone, Outcome.LEFT)
    world.images(0)
    assert list(world.pending) == ["c-0"]


def test_a_replica_that_grew_has_images_released_before_others_are_evicted():
    world = World(spec("a"), spec("b"), ram=3 * GIB)
    world.run_up("a")
    world.run_up("b")
    world.images(GIB)
    world.send(MemoryMeasured("b-0", R, Resources(ram=2 * GIB)))
    assert world.released == [Resources(ram=GIB)]
    assert not world.rests
    world.images(0)
    assert not world.rests


def test_images_that_grew_beyond_what_is_there_are_released_and_no_more_than_once():
    world = World(spec("a"), ram=2 * GIB)
    world.run_up("a")
    world.images(3 * GIB)
    assert world.released == [Resources(ram=2 * GIB)]
    world.images(2 * GIB)
    assert [rest.replica_id for rest in world.rests] == ["a-0"]
    assert len(world.released) == 1


def test_images_never_make_a_model_too_large():
    world = World(spec("a", declared={R: Resources(ram=2 * GIB)}), ram=2 * GIB)
    world.images(2 * GIB)
    request = world.ask("a")
    assert not world.rejects
    world.images(0)
    world.finish("a-0")
    assert request in world.grants


def test_snapshots_beyond_the_disk_do_not_keep_memory_from_being_freed():
    world = World(spec("a"), spec("b"), ram=GIB)  # the node of these tests has no disk at all
    world.snapshot("a", disk=10 * GIB)
    world.run_up("a")
    request = world.ask("b")
    world.finish("a-0")
    world.finish("b-0")
    assert request in world.grants
    world.send(MemoryMeasured("b-0", R, Resources(ram=2 * GIB)))
    world.end(request)
    assert "b-0" in world.pending


def test_a_wake_from_the_snapshot_needs_room_for_what_runs_beside_its_image():
    world = World(snapshotted(), spec("a"), ram=2 * GIB)
    world.snapshot()
    world.images(GIB)
    world.run_up("a")
    assert world.released == []
    world.ask()
    assert world.released == [Resources(ram=GIB)]
    world.images(0)
    assert world.pending["m-0"].source is S
