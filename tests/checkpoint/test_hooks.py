"""Telling all Python processes of a private network namespace of a moment."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from glowplug.checkpoint import hooks, netns
from glowplug.inside.glowplug_hooks import protocol
from tests.inside.engine_python import EnginePython, engine_python

pytestmark = pytest.mark.root

FORK = """
import os, signal
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.write(writing, b"-")
    signal.pause()
os.read(reading, 1)
print(child)
"""


@pytest.fixture
def engine() -> Iterator[EnginePython]:
    """A Python process in a network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with engine_python(wrapper=["/usr/bin/unshare", "--net"]) as process:
        yield process


def impostor(engine: EnginePython, name: str) -> socket.socket:
    """A socket beside the engine's."""
    namespace = netns.namespace_of(engine.pid)
    try:
        made = netns.socket_in(namespace, socket.AF_UNIX, socket.SOCK_DGRAM)
    finally:
        os.close(namespace)
    made.bind(protocol.PREFIX + name)
    return made


def test_every_process_is_told_once_and_reports(engine):
    engine.do("import glowplug_snapshot; glowplug_snapshot.register_after_restore(lambda: open('/dev/null').close())")
    children = {int(engine.do(FORK)) for _ in range(12)}
    for moment in ("before_snapshot", "after_restore"):
        reports = hooks.tell(moment, engine.pid, 60)
        assert [report.pid for report in reports] == sorted({engine.pid, *children})
        assert all(report.seconds > 0 and report.notes == () for report in reports)


def test_any_process_of_the_sandbox_will_do_to_find_the_others(engine):
    child = int(engine.do(FORK))
    assert hooks.listening(child) == hooks.listening(engine.pid) == {child, engine.pid}


def test_processes_of_other_namespaces_are_not_told(engine):
    with engine_python(wrapper=["/usr/bin/unshare", "--net"]) as other:
        assert [report.pid for report in hooks.tell("before_snapshot", engine.pid, 60)] == [engine.pid]
        assert [report.pid for report in hooks.tell("before_snapshot", other.pid, 60)] == [other.pid]


def test_a_process_born_meanwhile_is_told_too(engine):
    engine.do(
        "import glowplug_snapshot\n"
        "def give_birth():\n"
        "    if os.getpid() == parent:\n"
        f"        exec({FORK.replace('print(child)', '')!r}, globals())\n"
        "import os\n"
        "parent = os.getpid()\n"
        "glowplug_snapshot.register_before_snapshot(give_birth)"
    )
    reports = {report.pid for report in hooks.tell("before_snapshot", engine.pid, 60)}
    assert reports == {engine.pid, int(engine.do("print(child)"))}


def test_processes_do_their_part_at_the_same_time(engine):
    """Each waits for the other in its hook, so one after the other would never end."""
    engine.do(
        "import os, glowplug_snapshot\nfirst, second = os.pipe(), os.pipe()\nparent = os.getpid()\n"
        "def meet():\n"
        "    (_, mine), (theirs, _) = (first, second) if os.getpid() == parent else (second, first)\n"
        "    os.write(mine, b'-'); os.read(theirs, 1)\n"
        "glowplug_snapshot.register_after_restore(meet)"
    )
    engine.do(FORK)
    assert len(hooks.tell("after_restore", engine.pid, 60)) == 2


def test_the_failure_of_a_hook_is_told_with_its_process(engine):
    engine.do("import glowplug_snapshot\ndef reconnect(): raise OSError('no route')")
    engine.do("glowplug_snapshot.register_after_restore(reconnect)")
    with pytest.raises(hooks.HookError) as caught:
        hooks.tell("after_restore", engine.pid, 60)
    assert str(caught.value) == f"Process {engine.pid}: the after_restore hook reconnect failed: OSError: no route."
    assert engine.do("print('on')") == "on"


def test_a_hook_that_takes_too_long_fails_the_moment(engine):
    engine.do("import glowplug_snapshot, threading\ngo = threading.Event()")
    engine.do("glowplug_snapshot.register_before_snapshot(go.wait)")
    with pytest.raises(hooks.HookError, match=rf"Process {engine.pid} of the engine did not answer in time"):
        hooks.tell("before_snapshot", engine.pid, 0.2)
    # Its late answer finds nobody, and is not taken for the answer to the next question.
    engine.do("go.set()")
    (report,) = hooks.tell("after_restore", engine.pid, 60)
    assert report.seconds < 60


def test_a_process_that_ends_instead_of_answering_fails_the_moment_at_once(engine):
    engine.do("import os, glowplug_snapshot\nparent = os.getpid()")
    engine.do("glowplug_snapshot.register_before_snapshot(lambda: os.getpid() == parent or os.kill(os.getpid(), 9))")
    child = int(engine.do(FORK))
    with pytest.raises(hooks.HookError, match=rf"Process {child} of the engine ended before it answered"):
        hooks.tell("before_snapshot", engine.pid, 60)


def test_a_process_that_should_be_there_is_missed(engine):
    hooks.tell("after_restore", engine.pid, 60, expected=[engine.pid])
    with pytest.raises(hooks.HookError, match="Process 7 of the engine should be there"):
        hooks.tell("after_restore", engine.pid, 60, expected=[engine.pid, 7])


def test_no_process_at_all_is_said_so():
    with pytest.raises(hooks.HookError, match="cannot be told of after_restore: No such file or directory"):
        hooks.tell("after_restore", 2**22 + 1, 1)


def test_an_engine_without_python_has_nothing_to_tell(engine):
    engine.do("import subprocess; child = subprocess.Popen(['unshare', '--net', 'sleep', '3600'])")
    child = int(engine.do("print(child.pid)"))
    while os.readlink(f"/proc/{child}/exe") != os.path.realpath("/usr/bin/sleep"):
        engine.do("pass")
    assert hooks.tell("after_restore", child, 60) == []


def test_answers_to_other_questions_and_from_others_do_not_count(engine):
    stale = protocol.encode_answer(protocol.Answer("after_restore", "0" * 64, 1.0, "", []))
    with impostor(engine, "17") as other, impostor(engine, "18") as silent, impostor(engine, "x") as stranger:

        def answer() -> None:
            question, asker = other.recvfrom(protocol.LONGEST)
            moment, moment_id = protocol.decode_question(question)
            right = protocol.encode_answer(protocol.Answer(moment, moment_id, 2.0, "", ["a note"]))
            for datagram in (stale, b"nonsense", right):
                other.sendto(datagram, asker)
            stranger.sendto(right, asker)
            silent.recvfrom(protocol.LONGEST)
            silent.sendto(protocol.encode_answer(protocol.Answer(moment, moment_id, 3.0, "", [])), asker)

        thread = threading.Thread(target=answer)
        thread.start()
        reports = hooks.tell("after_restore", engine.pid, 60)
        thread.join()
    assert [(report.pid, report.seconds, report.notes) for report in reports[:2]] == [
        (17, 2.0, ("a note",)),
        (18, 3.0, ()),
    ]


def test_python_processes_out_of_reach_are_found(engine):
    assert hooks.deaf(engine.pid) == []
    engine.do("import subprocess, sys; pipe = subprocess.PIPE")
    engine.do(
        "argv = [sys.executable, '-I', '-c', 'print(1, flush=True); input()']\n"
        "child = subprocess.Popen(argv, stdin=pipe, stdout=pipe)\n"
        "child.stdout.readline()"
    )
    (found,) = hooks.deaf(engine.pid)
    assert found.startswith(f"{engine.do('print(child.pid)')} (")
    assert " -I -c" in found
