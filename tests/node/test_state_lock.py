"""One server per state directory."""

import os
import subprocess
import sys
import threading

import pytest

from glowplug.node.state_lock import StateDirError, StateDirInUse, StateLock


def test_a_second_server_is_refused_with_the_first_ones_pid_and_the_remedy(tmp_path):
    lock = StateLock(tmp_path)
    with pytest.raises(StateDirInUse, match=rf"process {os.getpid()}\) works in {tmp_path}.*node.state_dir"):
        StateLock(tmp_path)
    lock.release()
    StateLock(tmp_path).release()


def test_the_lock_ends_with_its_process_and_is_not_inherited(tmp_path):
    script = f"""
import pathlib, subprocess
from glowplug.node.state_lock import StateLock
lock = StateLock(pathlib.Path({str(tmp_path)!r}))
print(subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL).pid, flush=True)
input()
"""
    pipe = subprocess.PIPE
    server = subprocess.Popen([sys.executable, "-c", script], stdout=pipe, stdin=pipe)
    assert server.stdout is not None
    child = int(server.stdout.readline())
    try:
        with pytest.raises(StateDirInUse, match=str(server.pid)):
            StateLock(tmp_path)
        server.kill()
        server.wait()
        StateLock(tmp_path).release()
    finally:
        os.kill(child, 9)


def test_a_directory_keeps_its_instance_and_two_directories_differ(tmp_path):
    names = []
    for name in ("one", "one", "two"):
        lock = StateLock(tmp_path / "deep" / name)
        names.append(lock.instance)
        lock.release()
    assert names[0] == names[1] != names[2]


def test_a_damaged_instance_is_replaced(tmp_path):
    (tmp_path / "instance").write_text("")
    lock = StateLock(tmp_path)
    assert len(lock.instance) == 12
    lock.release()


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateDirError, match=r"file/state cannot be used \(Not a directory\); set node.state_dir"):
        StateLock(tmp_path / "file" / "state")


def test_only_the_owner_may_look_into_the_directory(tmp_path):
    StateLock(tmp_path / "state").release()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_a_lock_that_is_let_go_within_a_moment_is_waited_for(tmp_path):
    """As when its holder was killed between the fork and the exec of a child, which holds it as well until then."""
    first = StateLock(tmp_path)
    timer = threading.Timer(0.05, first.release)
    timer.start()
    StateLock(tmp_path).release()
    timer.join()
