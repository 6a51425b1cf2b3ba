"""Python stacks of busy processes."""

import asyncio
import json
import subprocess
import sys

import pytest

from glowplug.node.tree_sampler import TreeSampler
from glowplug.profiling import pyspy
from glowplug.profiling.live_error import LiveError
from glowplug.profiling.pyspy import StackSample, StackWatch, find_py_spy, read_stacks

BUSY = """
def innermost():
    while True:
        pass

def around():
    innermost()

print("ready", flush=True)
around()
"""


@pytest.fixture
def busy():
    """A process that is always in the same function."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def looked_twice(pid):
    """A sampler that knows how busy the process is."""
    sampler = TreeSampler(subprocess.os.getpid())
    sampler.look()
    while not any(life.pid == pid and life.load >= pyspy.BUSY for life in sampler.living):
        sampler.look()
    return sampler


async def run_until(watch, condition):
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(60):
            while not condition():
                assert not task.done(), task.result()
                await asyncio.sleep(0.01)
    finally:
        task.cancel()


async def test_the_stack_of_a_busy_process_is_seen_innermost_function_first(busy):
    try:
        program = find_py_spy()
    except LiveError as error:
        pytest.skip(str(error))
    watch = StackWatch(program, looked_twice(busy.pid), lambda: True)
    await run_until(watch, lambda: watch.samples)
    sample = watch.samples[0]
    assert sample.stack.startswith("innermost (<string>:")
    assert " < around (<string>:" in sample.stack
    ((stack, share),) = watch.between(sample.at, sample.at)
    assert (stack, share) == (sample.stack, 1.0)


async def test_nobody_is_looked_at_while_the_phase_is_known(busy):
    asked = []
    watch = StackWatch("/nonexistent", looked_twice(busy.pid), lambda: asked.append(1) and None)
    await run_until(watch, lambda: asked)
    assert watch.samples == ()


async def test_a_process_that_is_no_python_is_looked_at_once(busy, tmp_path):
    calls = tmp_path / "calls"
    program = tmp_path / "py-spy"
    program.write_text(f"#!/bin/sh\necho $* >> {calls}\necho 'Error: Failed to find python version' >&2\nexit 1\n")
    program.chmod(0o755)
    watch = StackWatch(str(program), looked_twice(busy.pid), lambda: True)
    await watch._look(busy.pid)
    assert calls.read_text().split() == ["dump", "--json", "--nonblocking", "--pid", str(busy.pid)]
    assert busy.pid not in [life.pid for life in watch._busy()]
    assert watch.samples == ()


def test_stacks_are_counted_within_their_gap():
    watch = StackWatch("x", TreeSampler(1), lambda: True)
    watch._samples = [StackSample(at, stack) for at, stack in ((1, "a"), (2, "b"), (3, "b"), (4, "b"), (9, "c"))]
    assert watch.between(1, 4) == [("b", 0.75), ("a", 0.25)]
    assert watch.between(5, 8) == []


def thread(*names, active=True, filename="m.py"):
    return {"active": active, "frames": [{"name": name, "filename": filename, "line": 7} for name in names]}


def test_only_active_threads_count_and_only_the_innermost_functions():
    output = json.dumps([thread(*"abcdefgh"), thread("idle", active=False), thread()])
    assert read_stacks(output) == ["a (m.py:7) < b (m.py:7) < c (m.py:7) < d (m.py:7) < e (m.py:7)"]


def test_threads_that_wait_in_the_standard_library_are_left_out():
    waiting = thread("Condition.wait", "Event.wait", filename="/usr/lib/python3.11/threading.py")
    named_alike = thread("wait", filename="/x/other.py")
    assert read_stacks(json.dumps([waiting, named_alike])) == ["wait (/x/other.py:7)"]


def test_the_machinery_of_imports_is_left_out_unless_it_is_all_there_is():
    machinery = {"name": "_call", "filename": "<frozen importlib._bootstrap>", "line": 1}
    module = {"name": "<module>", "filename": "/x/torch/a.py", "short_filename": "torch/a.py", "line": 3}
    both = [{"active": True, "frames": [machinery, machinery, module]}, {"active": True, "frames": [machinery]}]
    assert read_stacks(json.dumps(both)) == [
        "<module> (torch/a.py:3)",
        "_call (<frozen importlib._bootstrap>:1)",
    ]


@pytest.mark.parametrize(
    "output", [b"", b"{}", b"[1]", b'[{"active": true}]', b"\xff", b'[{"active": true, "frames": [{}]}]']
)
def test_what_is_no_dump_has_no_stacks(output):
    assert read_stacks(output) == []


def test_without_py_spy_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LiveError, match=r"pip install 'glowplug\[pyspy\]'"):
        find_py_spy()


def test_a_kernel_that_forbids_it_is_told_before_the_start(monkeypatch, tmp_path):
    (tmp_path / "py-spy").write_text("#!/bin/sh\n")
    (tmp_path / "py-spy").chmod(0o755)
    (tmp_path / "scope").write_text("1\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(pyspy, "_PTRACE_SCOPE", tmp_path / "scope")
    monkeypatch.setattr(pyspy.os, "geteuid", lambda: 1000)
    with pytest.raises(LiveError, match=r"ptrace_scope"):
        find_py_spy()
    (tmp_path / "scope").write_text("0\n")
    assert find_py_spy() == str(tmp_path / "py-spy")
