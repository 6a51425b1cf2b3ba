"""Freezing with the kernel's cgroup freezers."""

import os
import signal

import pytest

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.freeze_error import FreezeError
from glowplug.checkpoint.freezer import freezer_for
from glowplug.checkpoint.freezer_cgroup import CgroupV1Freezer, CgroupV2Freezer
from tests.checkpoint.trees import FAMILY, STORM, THREADS, VFORK, new_group, running

pytestmark = [pytest.mark.root, pytest.mark.parametrize("controller", ["", "freezer"])]

PATIENCE = 10.0


def _freezer(tree, group):
    freezer = freezer_for(tree.members, group)
    assert isinstance(freezer, CgroupV2Freezer | CgroupV1Freezer)
    return freezer


@pytest.mark.parametrize("script", [FAMILY, THREADS, VFORK])
def test_a_tree_is_frozen_and_thawed(controller, script):
    with new_group(controller) as group, running(script, group) as tree:
        freezer = _freezer(tree, group)
        assert not freezer.frozen()
        freezer.freeze(PATIENCE)
        assert freezer.frozen()
        freezer.thaw(PATIENCE)
        assert not freezer.frozen()


def test_children_born_while_freezing_are_frozen_too(controller):
    with new_group(controller) as group, running(STORM, group) as tree:
        freezer = _freezer(tree, group)
        for _ in range(20):
            freezer.freeze(PATIENCE)
            assert tree.silent(0.02)
            freezer.thaw(PATIENCE)
            assert not tree.silent(PATIENCE)


def test_a_process_that_left_the_group_is_named_and_the_rest_runs_again(controller):
    with new_group(controller) as group, running(FAMILY, group) as tree:
        runaway = tree.members()[-1]
        (group.parent / "cgroup.procs").write_text(str(runaway))
        freezer = _freezer(tree, group)
        with pytest.raises(FreezeError, match=str(runaway)) as error:
            freezer.freeze(PATIENCE)
        assert error.value.runs
        assert not freezer.frozen()


def test_a_group_that_vanished_is_reported(controller, tmp_path):
    freezer = (CgroupV1Freezer if controller else CgroupV2Freezer)(tmp_path / "gone", list)
    assert not freezer.frozen()
    with pytest.raises(FreezeError, match="No such file"):
        freezer.freeze(PATIENCE)


def test_a_frozen_process_that_is_killed_ends_at_the_latest_when_it_thaws(controller):
    with new_group(controller) as group, running(FAMILY, group) as tree:
        freezer = _freezer(tree, group)
        freezer.freeze(PATIENCE)
        os.kill(tree.process.pid, signal.SIGKILL)
        if controller:
            assert processes.alive(tree.process.pid)  # version 1 holds even this signal back
            freezer.thaw(PATIENCE)
        assert tree.process.wait() == -signal.SIGKILL
        cgroups.kill(group)


def test_a_tree_that_does_not_freeze_in_time_runs_again(controller):
    """No time at all is too little for a tree that never stands still by itself."""
    with new_group(controller) as group, running(STORM, group) as tree:
        freezer = _freezer(tree, group)
        failures = 0
        for _ in range(200):
            try:
                freezer.freeze(0.0)
                freezer.thaw(PATIENCE)
            except FreezeError:
                failures += 1
                assert not freezer.frozen()
                assert not tree.silent(PATIENCE)
                break
        if not failures:
            pytest.skip("this kernel freezes before one can look")
