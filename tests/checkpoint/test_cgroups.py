"""Finding the cgroup hierarchies and making groups in them."""

import pytest

from glowplug.checkpoint import cgroups, processes
from tests.checkpoint.trees import FAMILY, new_group, running

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def _proc(tmp_path, mountinfo, own):
    (tmp_path / "mountinfo").write_text(mountinfo)
    (tmp_path / "cgroup").write_text(own)
    return {found.controller: found for found in cgroups.hierarchies(tmp_path)}


def test_a_hybrid_host_has_version_2_first_and_every_version_1_controller(tmp_path):
    found = _proc(tmp_path, HYBRID, "6:freezer:/a\n4:memory:/b/c\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/user\n")
    assert list(found) == ["", "cpu", "cpuacct", "freezer", "memory"]
    assert str(found[""].own) == "/sys/fs/cgroup/unified/user"
    assert str(found["memory"].own) == "/sys/fs/cgroup/memory/b/c"
    assert (found[""].version, found["freezer"].version) == (2, 1)


def test_a_container_sees_only_its_own_part_of_the_hierarchy(tmp_path):
    mount = "41 31 0:38 /docker/123 /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n"
    assert str(_proc(tmp_path, mount, "0::/docker/123/app\n")[""].own) == "/sys/fs/cgroup/app"
    assert str(_proc(tmp_path, mount, "0::/docker/123\n")[""].own) == "/sys/fs/cgroup"


def test_a_path_outside_of_what_is_mounted_falls_back_to_the_mount(tmp_path):
    mount = "41 31 0:38 /docker/123 /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
    assert str(_proc(tmp_path, mount, "0::/other\n")[""].own) == "/sys/fs/cgroup"


def test_a_mount_point_with_a_space_is_unescaped(tmp_path):
    found = _proc(tmp_path, "41 31 0:38 / /mnt/my\\040groups rw - cgroup2 none rw\n", "0::/\n")
    assert str(found[""].mount) == "/mnt/my groups"


def test_a_hierarchy_that_may_not_be_written_is_not_used(tmp_path):
    place = cgroups.Hierarchy("", tmp_path / "missing", tmp_path / "missing")
    plain = cgroups.Hierarchy("", tmp_path, tmp_path)  # writable, but has no freezer
    assert cgroups.freezable([place, plain]) is None
    assert list(tmp_path.iterdir()) == []


def test_hierarchies_without_a_freezer_are_not_tried(tmp_path):
    (tmp_path / "cgroup.procs").touch()
    assert cgroups.freezable([cgroups.Hierarchy("memory", tmp_path, tmp_path)]) is None


@pytest.mark.parametrize(
    ("name", "text", "kills"),
    [
        ("memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n", 1),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", 4),
        ("cgroup.procs", "", None),
    ],
)
def test_out_of_memory_kills_are_read_in_both_versions(tmp_path, name, text, kills):
    (tmp_path / name).write_text(text)
    assert cgroups.oom_kills(tmp_path) == kills


@pytest.mark.root
@pytest.mark.parametrize("controller", ["", "freezer"])
def test_a_group_is_killed_as_a_whole_even_when_frozen(controller):
    with new_group(controller) as group, running(FAMILY, group) as tree:
        pids = tree.members()
        assert sorted(cgroups.members(group)) == sorted(pids)
        assert len(pids) == 5
        (group / ("freezer.state" if controller else "cgroup.freeze")).write_text("FROZEN" if controller else "1")
        assert not cgroups.remove(group)
        cgroups.kill(group)
        tree.process.wait()
        while any(processes.alive(pid) for pid in cgroups.members(group)):
            pass
        assert tree.members() == []
