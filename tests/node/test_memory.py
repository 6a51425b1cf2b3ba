"""How much memory there is and how much a tree holds."""

import os
import subprocess
import sys

import pytest

from glowplug.checkpoint.cgroups import Hierarchy
from glowplug.config.models import NodeConfig
from glowplug.node import memory
from glowplug.scheduler.values import UNLIMITED, Resources
from tests.checkpoint.trees import running

MIB = 1024**2
GIB = 1024**3


@pytest.fixture
def proc(tmp_path):
    """A /proc of a machine with 64 GiB, 50 of them available."""
    (tmp_path / "meminfo").write_text(
        f"MemTotal:       {64 * MIB} kB\nMemFree:        1024 kB\nMemAvailable:   {50 * MIB} kB\n"
    )
    return tmp_path


def _group(tmp_path, version, path, limit, used, inactive=0):
    directory = tmp_path / f"v{version}" / path
    directory.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, value in zip(names, (limit, used), strict=True):
        (directory / name).write_text(f"{value}\n")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (directory / "memory.stat").write_text(f"anon 5\n{key} {inactive}\n")
    return Hierarchy("" if version == 2 else "memory", tmp_path / f"v{version}", directory)


def test_without_limits_it_is_the_machines(proc):
    assert memory.host_memory(proc, []) == memory.HostMemory(64 * GIB, 50 * GIB)


@pytest.mark.parametrize("version", [1, 2])
def test_a_limit_of_our_cgroup_counts_and_page_cache_in_it_is_available(proc, tmp_path, version):
    group = _group(tmp_path, version, "app", 8 * GIB, 6 * GIB, inactive=2 * GIB)
    assert memory.host_memory(proc, [group]) == memory.HostMemory(8 * GIB, 4 * GIB)


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_limit_on_the_way_up_counts(proc, tmp_path, version):
    _group(tmp_path, version, "outer", 4 * GIB, 1 * GIB)
    inner = _group(tmp_path, version, "outer/inner", 8 * GIB, 0)
    assert memory.host_memory(proc, [inner]) == memory.HostMemory(4 * GIB, 3 * GIB)


@pytest.mark.parametrize(("version", "unlimited"), [(1, 2**63 - 4096), (2, "max")])
def test_no_limit_is_no_limit(proc, tmp_path, version, unlimited):
    group = _group(tmp_path, version, "app", unlimited, 6 * GIB)
    assert memory.host_memory(proc, [group]).total == 64 * GIB


def test_a_group_without_the_memory_controller_limits_nothing(proc, tmp_path):
    assert memory.host_memory(proc, [Hierarchy("", tmp_path, tmp_path)]).total == 64 * GIB
    freezer = Hierarchy("freezer", tmp_path, _group(tmp_path, 2, "app", GIB, 0).own)
    assert memory.host_memory(proc, [freezer]).total == 64 * GIB


def test_this_machine_has_memory():
    here = memory.host_memory()
    assert 0 < here.available <= here.total


def test_auto_is_nine_tenths_and_gpu_memory_is_limited_only_if_configured():
    node = NodeConfig()
    assert memory.capacity(node) == Resources(int(memory.host_memory().total * 0.9), UNLIMITED, node.disk)
    node = NodeConfig.model_validate({"memory": "4GiB", "gpu_memory": "80GiB", "disk": "1GiB"})
    assert memory.capacity(node) == Resources(4 * GIB, 80 * GIB, GIB)


HOLDING = f"""
exec {sys.executable} -c '
import mmap, os, time
shared = mmap.mmap(-1, 64 * 2**20)
shared.write(b"x" * 64 * 2**20)
if os.fork() == 0:
    private = b"y" * (32 * 2**20)
    os.write(1, b"ready\\n")
    time.sleep(1000)
os.wait()
'
"""


@pytest.mark.parametrize("kernel_tells", [True, False])
def test_shared_memory_counts_once_for_the_tree_and_private_memory_in_full(kernel_tells, monkeypatch):
    if not kernel_tells:
        monkeypatch.setattr(memory, "_kilobytes", lambda _text: {})
    with running(HOLDING) as tree:
        held = memory.tree_memory(tree.members()).ram
    if kernel_tells:
        assert 96 * MIB < held < 130 * MIB
    else:
        assert 32 * MIB < held < 64 * MIB  # what is shared is not counted at all


def test_a_frozen_tree_can_be_measured():
    with running(HOLDING) as tree:
        for pid in tree.members():
            os.kill(pid, 19)
        assert memory.tree_memory(tree.members()).ram > 96 * MIB


def test_a_process_that_is_gone_holds_nothing():
    process = subprocess.Popen(["true"])
    process.wait()
    assert memory.tree_memory([process.pid]) == Resources()
