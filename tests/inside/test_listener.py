"""The thread that waits to be told of a snapshot, in the kinds of processes that engines are made of."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from glowplug.inside.glowplug_hooks import protocol
from tests.inside.engine_python import engine_python, tell

ENGINES = Path(__file__).parents[2] / ".engines"
OLDER_AND_NEWER = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))

CHILD = """
def wait_for_the_end(pipe):
    pipe.recv()

def start(context):
    ours, theirs = context.Pipe()
    process = context.Process(target=wait_for_the_end, args=(theirs,))
    process.start()
    return process, ours
"""


FORK = """
import os, signal
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.write(writing, b"-")  # the copy runs, so it listens
    signal.pause()
os.read(reading, 1)
print(child)
"""


def hears(pid: int) -> bool:
    return tell(pid, "before_snapshot").failure == ""


def hears_soon(pid: int) -> bool:
    """For a process whose listener may just be making its socket."""
    name = f"@{protocol.PREFIX[1:]}{pid}\n"
    while name not in Path("/proc/net/unix").read_text():
        os.kill(pid, 0)  # fails if it has ended
        os.sched_yield()
    return hears(pid)


def test_a_plain_process_hears_and_ends_without_a_word():
    with engine_python("-X", "dev", "-W", "error") as engine:
        assert hears(engine.pid)
        assert engine.finish() == ""


@pytest.mark.parametrize("options", [["-P"], ["-B"], ["-O"], ["-u"]])
def test_options_of_the_interpreter_make_no_difference(options):
    if options == ["-P"] and sys.version_info < (3, 11):
        pytest.skip("this Python has no -P")
    with engine_python(*options) as engine:
        assert hears(engine.pid)


@pytest.mark.slow
@pytest.mark.parametrize("python", OLDER_AND_NEWER, ids=lambda path: path.parents[1].name)
def test_other_versions_of_python_hear_and_end_without_a_word(python):
    if tuple(map(int, python.parents[1].name.split("."))) < (3, 8):
        pytest.skip("older than what is supported")
    with engine_python("-X", "dev", "-W", "error", python=python) as engine:
        engine.do("import random, ssl, tempfile, uuid; random.random(); tempfile.mktemp(); uuid.uuid1()")
        before = engine.do("print(random.getstate())")
        assert hears(engine.pid)
        assert tell(engine.pid, "after_restore").failure == ""
        assert engine.do("print(random.getstate())") != before
        assert engine.finish() == ""


def test_a_program_that_waits_in_the_main_thread_hears():
    with engine_python() as engine:
        engine.do("import threading; threading.Timer(0, lambda: print('done', flush=True)).start(); import time")
        engine.do("print('done', flush=True)\ntime.sleep(3600)")
        assert hears(engine.pid)


def test_forked_children_hear_on_their_own():
    with engine_python("-W", "error") as engine:
        first, second = int(engine.do(FORK)), int(engine.do(FORK))
        assert hears(engine.pid)
        assert hears(first)
        assert hears(second)
        engine.do(f"os.kill({first}, 9); os.waitpid({first}, 0)")
        assert hears(engine.pid)
        assert hears(second)
        with pytest.raises(ConnectionRefusedError):
            tell(first, "before_snapshot")


def test_a_daemon_hears():
    """A child's child that has given up all files, as programs do that go into the background."""
    with engine_python() as engine:
        engine.do("import os, signal\nreading, writing = os.pipe()\nos.set_inheritable(writing, True)")
        daemon = engine.do(
            "if not os.fork():\n"
            "    os.setsid()\n"
            "    if os.fork(): os._exit(0)\n"
            "    os.closerange(writing + 1, 4096)\n"
            "    os.write(writing, str(os.getpid()).encode())\n"
            "    signal.pause()\n"
            "print(os.read(reading, 20).decode())"
        )
        assert hears_soon(int(daemon))
        os.kill(int(daemon), signal.SIGKILL)  # it is in no group of ours


def test_a_program_put_in_the_place_of_another_hears():
    with engine_python() as engine:
        engine.do("import os, sys\nargs = [sys.executable, '-c', 'print(\"done\", flush=True); input()']")
        engine.do("os.execv(sys.executable, args)")
        assert hears(engine.pid)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_hear(method, tmp_path):
    (tmp_path / "child_of_engine.py").write_text(CHILD)
    with engine_python(PYTHONPATH=str(tmp_path)) as engine:
        engine.do(f"import multiprocessing, child_of_engine\ncontext = multiprocessing.get_context('{method}')")
        child = int(engine.do("process, pipe = child_of_engine.start(context)\nprint(process.pid)"))
        assert hears_soon(child)
        assert engine.do("pipe.send('end'); process.join(); print(process.exitcode)") == "0"
        assert hears(engine.pid)
        assert engine.finish() == ""


def test_processes_started_by_subprocess_hear():
    with engine_python() as engine:
        engine.do("import subprocess, sys; pipe = subprocess.PIPE")
        start = (
            "child = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'], stdin=pipe, stdout=pipe"
        )
        for preexec in ("", ", preexec_fn=lambda: None", ", start_new_session=True"):
            child = int(engine.do(f"{start}{preexec})\nchild.stdout.readline()\nprint(child.pid)"))
            assert hears(child)
            engine.do("child.communicate(b'x')")


def test_a_process_that_closes_all_files_hears():
    with engine_python() as engine:
        engine.do("import os; os.closerange(3, 4096)")
        assert hears_soon(engine.pid)
        assert hears(engine.pid)


def test_a_file_that_takes_our_number_is_left_alone():
    with engine_python() as engine:
        engine.do(
            "import os, socket\n"
            "ours = max(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}'))\n"
            "theirs, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "os.dup2(theirs.fileno(), ours)"
        )
        assert hears_soon(engine.pid)
        assert hears(engine.pid)
        engine.do("peer.send(b'for them')")
        assert engine.do("print(os.read(ours, 100))") == "b'for them'"


def test_a_process_that_was_stopped_after_it_closed_all_files_hears():
    with engine_python() as engine:
        engine.do("import os; os.closerange(3, 4096)")
        os.kill(engine.pid, signal.SIGSTOP)  # its system calls are begun again after this
        os.waitid(os.P_PID, engine.pid, os.WSTOPPED)
        os.kill(engine.pid, signal.SIGCONT)
        while not Path(f"/proc/{engine.pid}/fd/700").exists():  # the new socket comes a moment later
            engine.do("pass")
        assert hears(engine.pid)


def test_a_child_of_a_process_that_closed_all_files_hears():
    with engine_python() as engine:
        engine.do("import os; os.closerange(3, 4096)")
        child = int(engine.do(FORK))
        assert hears(child)
        assert hears_soon(engine.pid)


def test_settings_for_all_new_sockets_do_not_reach_ours():
    with engine_python() as engine:
        engine.do("import socket; socket.setdefaulttimeout(0.001)")
        child = int(engine.do(FORK))
        assert hears(child)


def test_few_files_are_enough():
    with engine_python(wrapper=["/bin/sh", "-c", 'ulimit -n 32; exec "$@"', "sh"]) as engine:
        assert hears(engine.pid)
        assert engine.finish() == ""


def test_a_child_that_may_open_no_file_goes_on_and_says_so():
    with engine_python() as engine:
        engine.do("import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))")
        assert engine.do("child = os.fork()\nif not child: os._exit(7)\nprint(os.waitpid(child, 0)[1] >> 8)") == "7"
        assert engine.finish().endswith("cannot be told of snapshots: [Errno 24] Too many open files\n")


def test_signals_are_the_engines():
    with engine_python() as engine:
        engine.do("import signal, os, time\ngot = []\nsignal.signal(signal.SIGUSR1, lambda *_: got.append(1))")
        os.kill(engine.pid, signal.SIGUSR1)
        assert engine.do("while not got: time.sleep(0)\nprint(len(got))") == "1"
        assert hears(engine.pid)


def test_what_hooks_start_gets_the_usual_signals():
    with engine_python() as engine:
        engine.do(
            "import glowplug_snapshot, signal\nmasks = []\n"
            "glowplug_snapshot.register_before_snapshot(lambda: masks.append(signal.pthread_sigmask(0, [])))"
        )
        assert hears(engine.pid)
        assert engine.do("print(masks)") == "[set()]"


def test_what_is_no_question_is_not_answered_and_does_no_harm():
    with engine_python() as engine:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            for datagram in (b"", b"\xff", b"before_snapshot", b"before_snapshot\nzz", b"dance\n" + b"0" * 64):
                stranger.sendto(datagram, f"{protocol.PREFIX}{engine.pid}")
        assert hears(engine.pid)
        assert engine.finish() == ""


def test_who_asks_and_leaves_does_no_harm():
    with engine_python() as engine:
        leave_unanswered(engine.pid)
        assert hears(engine.pid)
        assert engine.finish() == ""


def leave_unanswered(pid: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.bind("")
        asking.sendto(protocol.encode_question("before_snapshot", "0" * 64), f"{protocol.PREFIX}{pid}")


@pytest.mark.vllm
def test_setproctitle_and_uvloop_make_no_difference():
    python = ENGINES / "vllm/bin/python"
    if not python.exists():
        pytest.skip("the engine is not installed; run make engine-vllm")
    with engine_python(python=python) as engine:
        engine.do("import setproctitle; setproctitle.setproctitle('VLLM::EngineCore' * 20)")
        assert hears(engine.pid)
        engine.do(
            "import asyncio, uvloop, signal, os\n"
            "async def main():\n    print('done', flush=True)\n    await asyncio.sleep(3600)\n"
        )
        engine.do("uvloop.run(main())")
        assert hears(engine.pid)
