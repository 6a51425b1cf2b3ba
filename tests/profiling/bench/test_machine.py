"""What the bench does to the machine and sees of it: quiet, page cache, the engines' caches, conditions."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glowplug.checkpoint import processes
from glowplug.node.pagecache import cached_share
from glowplug.profiling.bench import lifeline, page_cache
from glowplug.profiling.bench.caches import Caches
from glowplug.profiling.bench.conditions import conditions, moment, share_cached
from glowplug.profiling.bench.page_cache import prepare
from glowplug.profiling.bench.paths import PageCache
from glowplug.profiling.bench.settle import Quiet, busy_share

PATIENCE = 30.0


@pytest.fixture
def process():
    """A process that does nothing until it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def named(pid: int) -> dict[int, int]:
    stat = processes.read_stat(pid)
    assert stat is not None
    return {pid: stat.start_time}


async def test_a_process_of_the_repeat_before_is_waited_for_and_then_named(process):
    settled = await Quiet().settle(named(process.pid), patience=0)
    assert settled.trouble == "1 processes of the repeat before are still there"


async def test_a_process_that_has_ended_or_another_one_with_its_number_is_no_trouble(process):
    ((pid, started),) = named(process.pid).items()
    for earlier in ({pid: started + 1}, {}):
        trouble = (await Quiet().settle(earlier, patience=0)).trouble
        assert trouble is None or "processes" not in trouble
    process.kill()
    process.wait()
    trouble = (await Quiet().settle({pid: started}, patience=0)).trouble
    assert trouble is None or "processes" not in trouble


def test_the_busy_share_of_the_cpu():
    assert busy_share((100, 200), (150, 300)) == 0.5
    assert busy_share((100, 200), (200, 300)) == 0.0
    assert busy_share((100, 200), (100, 200)) == 0.0


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.write(os.urandom(4 * 1024**2))
        file.flush()
        os.fsync(file.fileno())
    prepare(PageCache.DROPPED, [path], whole_machine=False)
    if cached_share(path) != 0.0:
        pytest.skip("this file system keeps its files in memory")
    return path


def test_weights_are_brought_into_the_page_cache_and_out_of_it(weights):
    assert share_cached([weights]) == 0.0
    prepare(PageCache.FILLED, [weights], whole_machine=False)
    assert share_cached([weights]) == moment([weights])["weights_cached"] == 1.0
    prepare(PageCache.UNTOUCHED, [weights], whole_machine=False)
    assert share_cached([weights]) == 1.0
    prepare(PageCache.DROPPED, [weights], whole_machine=False)
    assert share_cached([weights]) == 0.0


def test_the_pages_of_the_whole_machine_are_dropped_only_if_that_is_wanted_and_allowed(tmp_path, monkeypatch):
    switch = tmp_path / "drop_caches"
    monkeypatch.setattr(page_cache, "_DROP_CACHES", switch)
    with pytest.raises(page_cache.CannotDrop, match="needs root"):
        page_cache.require_machine_drop()
    switch.touch()
    page_cache.require_machine_drop()
    prepare(PageCache.FILLED, [], whole_machine=True)
    prepare(PageCache.DROPPED, [], whole_machine=False)
    assert switch.read_text() == ""
    prepare(PageCache.DROPPED, [], whole_machine=True)
    assert switch.read_text() == "3"  # what proc_sys_vm(5) wants for pages, entries and inodes


def test_the_share_of_several_files_is_by_size(weights, tmp_path):
    small = tmp_path / "small"
    small.write_bytes(b"x" * 1024**2)
    assert share_cached([weights, small]) == 0.2
    assert share_cached([]) is None


def test_caches_are_empty_until_a_start_has_filled_them(tmp_path):
    caches = Caches(tmp_path / "c")
    assert not caches.filled
    caches.empty()
    folder = Path(caches.environment({})["TORCHINDUCTOR_CACHE_DIR"])
    (folder / "kernel.so").write_text("x")
    caches.mark_filled()
    assert caches.filled and Caches(tmp_path / "c").filled
    caches.empty()
    assert folder.is_dir() and not list(folder.iterdir()) and not caches.filled
    caches.remove()
    caches.remove()
    assert not (tmp_path / "c").exists()


def test_an_engine_finds_its_caches_in_the_directory_and_its_weights_where_they_were(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/outer")
    caches = Caches(tmp_path / "c")
    environment = dict(caches.environment({"VLLM_CACHE_ROOT": "/configured"}))
    assert environment.pop("HF_HOME") == "/outer/huggingface"
    assert "VLLM_CACHE_ROOT" in environment
    assert all(Path(folder).is_relative_to(tmp_path / "c") for folder in environment.values())
    assert len(set(environment.values())) == len(environment)
    assert caches.environment({"HF_HOME": "/mine"})["HF_HOME"] == "/mine"
    assert caches.environment({"XDG_CACHE_HOME": "/x"})["HF_HOME"] == "/x/huggingface"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert caches.environment({})["HF_HOME"] == "/home/me/.cache/huggingface"


def test_the_conditions_of_a_machine_are_the_same_when_asked_again():
    first, second = conditions(), conditions()
    assert first == second
    assert first.machine["cores"] >= 1 and first.machine["kernel"] == os.uname().release
    assert first.machine["cpu"] and first.machine["flags"]


LIFELINE = [sys.executable, "-I", "-S", lifeline.__file__]
CHILD = [sys.executable, "-c", "print('up', flush=True); input()"]


def test_a_program_on_a_lifeline_ends_with_its_parent_however_that_ends():
    code = (
        "import os, subprocess, sys\n"
        "command = [*sys.argv[1:5], str(os.getpid()), *sys.argv[5:]]\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *LIFELINE, *CHILD], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    said = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
    (pid,) = (int(word) for word in said - {"up"})
    descriptor = os.pidfd_open(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert select.select([descriptor], [], [], PATIENCE)[0]
    assert not processes.alive(pid)


def test_a_program_whose_parent_is_gone_already_is_not_run():
    done = subprocess.run([*LIFELINE, "1", *CHILD], capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    assert done.stdout == b""
