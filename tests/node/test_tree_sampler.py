"""Looking at what a process tree uses."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from glowplug.node.process_usage import read_usage
from glowplug.node.tree_sampler import Sample, TreeSampler, _at

pytestmark = pytest.mark.slow

TICKS = 0.05
"""Seconds that may be missing because the kernel rounds each counter of each process down to 10 ms."""

BUSY = "import time\nwhile time.process_time() < {seconds}: pass\n"
TALK = "print('ready', flush=True)\nimport sys; sys.stdin.readline()\n"
COLLECT = "while True:\n    try: os.wait()\n    except OSError: break"


@contextmanager
def root(script, *, then="sys.stdin.read()"):
    """A Python process that runs a script, says so, and waits; it collects orphans as a guardian does."""
    prelude = "import ctypes, os, subprocess, sys, time\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
    wait = "print('go', flush=True); sys.stdin.readline()\n"
    code = f"{prelude}{wait}{script}\nprint('done', flush=True)\n{then}"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "go\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def look_around(process):
    """A sampler that has looked at the process before and after its script ran."""
    sampler = TreeSampler(process.pid)
    sampler.look()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    sampler.look()
    return sampler


def test_work_of_children_that_came_and_went_between_two_looks_is_counted():
    script = f"for _ in range(3): subprocess.run([sys.executable, '-c', {BUSY.format(seconds=0.1)!r}])"
    with root(script) as process:
        used = look_around(process).latest.cpu
        assert used >= 0.3 - TICKS
        assert len(TreeSampler(process.pid).lifetimes) == 0


def test_work_of_an_orphan_is_counted_when_the_root_collects_it():
    orphan = f"import os\nif os.fork() == 0:\n    os.setsid()\n    exec({BUSY.format(seconds=0.2)!r})\n"
    script = f"subprocess.run([sys.executable, '-c', {orphan!r}])\n{COLLECT}"
    with root(script) as process:
        assert look_around(process).latest.cpu >= 0.2 - TICKS


def test_a_child_that_is_collected_between_two_looks_is_not_counted_twice():
    script = (
        f"child = subprocess.Popen([sys.executable, '-c', {BUSY.format(seconds=0.3) + TALK!r}], stdin=-1, stdout=-1)\n"
    )
    script += "child.stdout.readline()"
    with root(
        script, then="sys.stdin.readline(); child.communicate(b'x\\n'); print('done', flush=True)\ninput()"
    ) as process:
        sampler = look_around(process)
        running = sampler.latest.cpu
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        sampler.look()
        assert 0.3 - TICKS <= running <= sampler.latest.cpu < running + 0.25


def test_counters_never_fall_when_a_child_ends_that_nobody_collects():
    child = f"subprocess.Popen([sys.executable, '-c', {BUSY.format(seconds=0.1) + TALK!r}], stdin=-1, stdout=-1)"
    script = f"import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nchild = {child}\n"
    script += "child.stdout.readline()"
    after = "sys.stdin.readline(); child.stdin.close()\nwhile os.path.exists(f'/proc/{child.pid}'): pass\n"
    with root(script, then=after + "print('done', flush=True)\ninput()") as process:
        sampler = look_around(process)
        before = sampler.latest.cpu
        assert before >= 0.1 - TICKS
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        sampler.look()
        assert sampler.latest.cpu >= before


def test_a_process_of_another_parent_does_not_belong_to_the_tree():
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        with root("pass") as process:
            sampler = look_around(process)
            assert [life.pid for life in sampler.lifetimes] == [process.pid]
    finally:
        stranger.kill()
        stranger.wait()


def test_every_process_is_known_with_its_start_its_parent_and_its_command():
    with root("child = subprocess.Popen(['sleep', '1000'])", then="input()") as process:
        before = time.monotonic()
        sampler = look_around(process)
        life = sampler.lifetimes[-1]
        os.kill(life.pid, signal.SIGKILL)
        assert (life.parent, life.name, life.command) == (process.pid, "sleep", "sleep 1000")
        assert before - 0.02 <= life.started <= time.monotonic()
        assert sampler.living == (life,) or list(sampler.living) == [life]


def test_a_python_process_that_names_itself_is_known_by_its_title():
    script = "import ctypes; ctypes.CDLL(None).prctl(15, b'engine::core', 0, 0, 0)"
    with root(script) as process:
        before = time.monotonic()
        (life,) = look_around(process).lifetimes
        assert life.title.startswith(sys.executable)  # its command line, which programs replace together with the name
        assert before <= life.titled < life.last_seen  # not after it had the name
    with root("pass") as process:
        (life,) = look_around(process).lifetimes
        assert (life.title, life.titled) == ("", None)


def test_bytes_written_to_a_disk_are_counted_and_what_the_page_cache_answers_is_not(tmp_path):
    file = tmp_path / "data"
    file.write_bytes(b"x" * 8_000_000)
    os.sync()
    file.read_bytes()
    written = str(tmp_path / "written")
    script = f"open({str(file)!r}, 'rb').read()\nf = open({written!r}, 'wb')\nf.write(b'y' * 8_000_000)\n"
    script += "f.flush()\nos.fsync(f)"
    with root(script) as process:
        sample = look_around(process).latest
        if read_usage(process.pid).read is None:
            pytest.skip("the kernel does not count disk traffic")
        assert sample.read < 4_000_000
        if not sample.written:
            pytest.skip(f"{tmp_path} is not on a disk")
        assert sample.written >= 8_000_000


def test_memory_that_processes_share_counts_once():
    script = (
        "import mmap; shared = mmap.mmap(-1, 64 << 20); shared.write(b'x' * (64 << 20)); os.fork() or time.sleep(1000)"
    )
    with root(script) as process:
        sampler = look_around(process)
        for life in sampler.living:
            os.kill(life.pid, signal.SIGKILL)
        assert 64 << 20 <= sampler.latest.memory < 110 << 20


def test_an_interval_takes_its_part_of_the_samples_that_it_cuts():
    sampler = TreeSampler(1)
    sampler._samples = [Sample(10, 0, 0, 0, 0), Sample(12, 1, 100, 50, 0), Sample(14, 1, 300, 50, 0)]
    assert sampler.between(11, 13) == (0.5, 150, 25)
    assert sampler.between(0, 100) == (1, 300, 50)
    assert sampler.between(12, 12) == (0, 0, 0)
    assert _at((), 5) == (0.0, 0.0, 0.0)


def test_it_looks_by_itself_until_it_is_stopped():
    with root("pass") as process:
        sampler = TreeSampler(process.pid, interval=0.001)
        sampler.stop()
        sampler.start()
        deadline = time.monotonic() + 20
        while len(sampler.samples) < 5:
            assert time.monotonic() < deadline
        sampler.stop()
        count = len(sampler.samples)
        sampler.stop()
        assert len(sampler.samples) == count
        assert sampler.cost > 0
        assert not sampler._thread.is_alive()


def test_a_tree_that_is_gone_uses_nothing_more():
    with root("pass") as process:
        sampler = look_around(process)
        used = sampler.latest.cpu
    sampler.look()
    assert (sampler.latest.cpu, sampler.latest.memory, list(sampler.living)) == (used, 0, [])


def test_a_process_with_brackets_and_spaces_in_its_name_is_read():
    script = "open('/proc/self/comm', 'w').write('a) (b 7')"
    with root(script) as process:
        usage = read_usage(process.pid) if look_around(process) else None
        assert (usage.name, usage.parent) == ("a) (b 7", os.getpid())
        assert read_usage(process.pid).private > 0
    assert read_usage(process.pid) is None
