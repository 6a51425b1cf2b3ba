"""Freezing by SIGSTOP: needs no privilege."""

import os
import signal

import pytest

from glowplug.checkpoint import processes
from glowplug.checkpoint.freeze_error import FreezeError
from glowplug.checkpoint.freezer import freezer_closed, freezer_for
from glowplug.checkpoint.freezer_signal import SignalFreezer
from tests.checkpoint.trees import FAMILY, STARTING, STORM, THREADS, VFORK, running

PATIENCE = 10.0


def _states(tree):
    return {state for pid in tree.members() for state in processes.thread_states(pid)}


def test_a_tree_without_a_cgroup_is_frozen_by_signals():
    assert isinstance(freezer_for(list, None), SignalFreezer)
    assert freezer_closed() is None


@pytest.mark.parametrize("script", [FAMILY, THREADS])
def test_every_thread_of_every_process_stops_and_runs_again(script):
    with running(script) as tree:
        before = tree.members()
        freezer = freezer_for(tree.members, None)
        assert not freezer.frozen()
        freezer.freeze(PATIENCE)
        assert _states(tree) == {"T"}
        assert freezer.frozen()
        freezer.thaw(PATIENCE)
        assert "T" not in _states(tree)
        assert not freezer.frozen()
        assert tree.members() == before


def test_children_born_while_freezing_are_frozen_too():
    with running(STORM) as tree:
        freezer = freezer_for(tree.members, None)
        for _ in range(20):
            freezer.freeze(PATIENCE)
            assert _states(tree) <= {"T", "Z"}
            assert tree.silent(0.02)
            freezer.thaw(PATIENCE)
            assert not tree.silent(PATIENCE)


def test_a_process_stopped_before_it_executes_its_program_does_not_keep_its_parent_from_stopping():
    with running(STARTING) as tree:
        freezer_for(tree.members, None).freeze(PATIENCE)
        assert _states(tree) == {"T"}
        assert len(tree.members()) == 2


def test_freezing_twice_and_thawing_twice_changes_nothing():
    with running(FAMILY) as tree:
        freezer = freezer_for(tree.members, None)
        freezer.freeze(PATIENCE)
        freezer.freeze(PATIENCE)
        assert freezer.frozen()
        freezer.thaw(PATIENCE)
        freezer.thaw(PATIENCE)
        assert not freezer.frozen()


def test_what_cannot_be_stopped_is_reported_and_the_rest_runs_again():
    with running(f"sleep 1000 & {VFORK}") as tree:
        freezer = freezer_for(tree.members, None)
        with pytest.raises(FreezeError, match=str(tree.process.pid)) as error:
            freezer.freeze(0.05)
        assert error.value.runs
        assert "T" not in _states(tree)


def test_a_process_that_somebody_else_wakes_is_not_taken_for_frozen():
    with running(FAMILY) as tree:
        freezer = freezer_for(tree.members, None)
        freezer.freeze(PATIENCE)
        os.kill(tree.members()[-1], signal.SIGCONT)
        assert not freezer.frozen()


def test_a_tree_that_has_ended_is_not_frozen():
    with running(FAMILY) as tree:
        freezer = freezer_for(tree.members, None)
        tree.end()
        assert not freezer.frozen()
        freezer.thaw(PATIENCE)


def test_a_killed_process_ends_although_it_is_frozen():
    with running("echo ready; exec sleep 1000") as tree:
        freezer_for(tree.members, None).freeze(PATIENCE)
        os.kill(tree.process.pid, signal.SIGKILL)
        assert tree.process.wait() == -signal.SIGKILL
