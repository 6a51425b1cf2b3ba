"""CRIU's logs in one sentence: made-up ones of the shape of real ones, and real ones of failures made on purpose."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.checkpoint.criu_causes import CAUSES
from glowplug.checkpoint.criu_log import explain
from tests.checkpoint.dumps import Namespaced, running, usable_criu

RLIMIT = "(00.021216) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted"


def dump_log(*errors: str) -> str:
    return "\n".join(
        [
            "(00.000012) Version: 4.2.1 (gitid 0)",
            RLIMIT,
            "(00.021300) SEIZE 12 (comm uvicorn): success",
            "(00.021301) Dumping task (pid: 12 comm: uvicorn)",
            *(f"(00.024986) Error ({error}" for error in errors),
            "(00.024995) Error (criu/cr-dump.c:1545): Dump files (pid: 12) failed with -1",
            "(00.025394) Error (criu/cr-dump.c:1975): Dumping FAILED.",
        ]
    )


def restore_log(*errors: str) -> str:
    lines = [f"(00.031849)    901: Error ({error}" for error in errors]
    return "\n".join([RLIMIT, *lines, "(00.031871) Error (criu/cr-restore.c:2331): Restoring FAILED."])


DUMPS = {
    "criu/files-ext.c:94): Unknown shit 600 (anon_inode:[io_uring])": (
        'the process has an io_uring (process 12, "uvicorn"); start it in a sandbox'
    ),
    "criu/files-reg.c:1350): Can't lookup mount=24 for fd=10 path=/dev/null": (
        'descriptor 10 (/dev/null) was opened outside the sandbox (process 12, "uvicorn")'
    ),
    "criu/sk-inet.c:200): inet: Connected TCP socket, consider using --tcp-established option.": "TCP connection",
    "criu/sk-unix.c:905): unix: Can't dump half of stream unix connection. name: (null); peer name: /run/x": (
        "a UNIX socket ((null)) is connected to a process outside the sandbox (/run/x)"
    ),
    "criu/sk-unix.c:900): unix: External socket is used. Consider using --ext-unix-sk option.": "UNIX socket",
    "criu/sockets.c:545): sockets: Can't get 1:16 opt: Operation not supported": "SO_PASSCRED",
    "criu/pie-util-vdso.c:102): vdso: Not all dynamic entries are present": "vDSO",
    "criu/vdso.c:1): Unexpected rt vDSO area bounds": "glowplug doctor --install-criu",
    "criu/netfilter.c:105): Iptables configuration failed": "neither iptables nor nftables",
    "criu/page-xfer.c:263): page-xfer: Unable to spice data: No space left on device": "no room left",
    "criu/seccomp.c:90): seccomp: Can't fetch filter on tid_real 12 i 0: Permission denied": "system call filter",
    "compel/src/lib/infect.c:262): Unseizable non-zombie 14 found, state S, err -1/10": "traces the process, or "
    "ptrace is forbidden (process 14)",
    "criu/files-reg.c:1031): Can't dump ghost file /dev/shm/x of 2097152 size, increase limit": (
        "the deleted file /dev/shm/x of 2097152 bytes"
    ),
    "criu/files-ext.c:94): Can't dump file 3 of that type [600] (anon anon_inode:[userfaultfd])": (
        "the process uses anon_inode:[userfaultfd], which CRIU cannot dump"
    ),
    "criu/files-ext.c:94): Can't dump file 31 of that type [20666] (chr 195:255)": "still uses a GPU",
    "criu/tty.c:1): tty: Found slave peer index 1 without correspond master peer": "terminal",
    "criu/mount.c:1): mnt: Mount 9 /x (master_id: 1 shared_id: 0) has unreachable sharing.": "unreachable sharing",
    "criu/crtools.c:1): CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE capability: ": "as root",
}
RESTORES = {
    "criu/files-reg.c:2175): File tmp/out.log has bad size 300 (expect 1)": (
        "the file /tmp/out.log has 300 bytes and had 1"
    ),
    "criu/files-reg.c:2353): Can't open file dev/shm/sem.mp-x on restore: No such file or directory": (
        "the shared memory /dev/shm/sem.mp-x is missing"
    ),
    "criu/files-reg.c:2353): Can't open file srv/w.bin on restore: No such file or directory": "/srv/w.bin",
    "criu/cr-restore.c:1237): Can't fork for 901: File exists": "the process id 901 is taken",
    "criu/cr-restore.c:1650): Pid 77 do not match expected 901 (task 901)": "the process id 77 is taken",
    "criu/sk-inet.c:1): inet: Can't bind inet socket (id 5): Address already in use": "a port of the engine is in use",
    "criu/arch/x86/cpu.c:1): cpu: CPU instruction capabilities do not match run time": "this CPU lacks features",
    "criu/image.c:554): Head magic doesn't match for core-901.img": "the image is damaged",
    "criu/kerndat.c:2010): kerndat_tcp_repair failed when initializing kerndat.": "ip link set lo up",
}


@pytest.mark.parametrize(("error", "said"), DUMPS.items())
def test_a_failed_dump_is_said_in_a_sentence(error: str, said: str) -> None:
    sentence = explain(dump_log(error), "dump")
    assert sentence.startswith("cannot dump: ")
    assert said in sentence


@pytest.mark.parametrize(("error", "said"), RESTORES.items())
def test_a_failed_restore_is_said_in_a_sentence(error: str, said: str) -> None:
    sentence = explain(restore_log(error), "restore")
    assert sentence.startswith("cannot restore: ")
    assert said in sentence


def test_the_first_cause_counts_not_what_follows_from_it() -> None:
    log = dump_log(
        "criu/page-xfer.c:263): page-xfer: Unable to spice data: No space left on device",
        "criu/image.c:554): Head magic doesn't match for core-901.img",
    )
    assert "no room left" in explain(log, "dump")


def test_names_of_processes_may_come_from_the_caller() -> None:
    log = "(00.1) Error (criu/x.c:1): Unknown shit 600 (anon_inode:[io_uring])\n(00.2) Error (a:1): Dump files (pid: 7)"
    assert '(process 7, "vllm")' in explain(log, "dump", {7: "vllm"})
    assert "(process 7);" in explain(log, "dump")


def test_an_unknown_failure_repeats_the_first_error_that_tells_something() -> None:
    log = dump_log("criu/new.c:5): frobnicator 3 is stuck.", "criu/new.c:9): giving up on frobnicators")
    assert explain(log, "dump") == "cannot dump: frobnicator 3 is stuck"
    long = explain(dump_log(f"criu/new.c:5): {'x' * 5000}"), "dump")
    assert len(long) < 250


def test_a_log_without_any_error_says_so() -> None:
    assert explain("", "restore") == "cannot restore: CRIU gave no reason"
    assert explain("(00.1) Restoring...\n", "restore") == "cannot restore: CRIU gave no reason"


def test_a_path_cannot_write_to_the_terminal() -> None:
    sentence = explain(restore_log("criu/f.c:1): File tmp/\x1b[31mred has bad size 3 (expect 1)"), "restore")
    assert "\x1b" not in sentence


@given(st.text())
def test_any_text_gives_one_printable_line(text: str) -> None:
    for log in (text, dump_log(f"criu/x.c:1): {text}")):
        assert explain(log, "dump").isprintable()


def test_every_cause_has_as_many_groups_as_its_sentence_needs() -> None:
    for cause in CAUSES:
        needed = {int(number) for number in re.findall(r"\{(\d)\}", cause.cause)}
        assert len(needed) <= cause.pattern.groups


# ---- real ones

PROGRAMS = {
    "io_uring": "assert libc.syscall(425, 8, ctypes.create_string_buffer(120)) >= 0",
    "TCP connection is established": "c = socket.create_connection(s.getsockname()); a = s.accept()",
    "waits to be accepted": "c = socket.create_connection(s.getsockname())",
    "holds file locks": "f = open('/dev/shm/x', 'w'); fcntl.flock(f, fcntl.LOCK_EX)",
    "the file /dev/shm/x was deleted": "f = open('/dev/shm/x', 'w'); os.link('/dev/shm/x', '/dev/shm/y');"
    "os.unlink('/dev/shm/x')",
    "the deleted file /dev/shm/x": "f = open('/dev/shm/x', 'w'); f.write('x' * 2**21); f.flush(); os.unlink(f.name)",
    "family 40": "v = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "another program traces the process": "p = os.fork()\nif p == 0: signal.pause()\nlibc.ptrace(0x4206, p, 0, 0)",
}
START = (
    "import ctypes, fcntl, os, signal, socket\nlibc = ctypes.CDLL(None)\ns = socket.create_server(('127.0.0.1', 0))\n"
)
END = "\nprint('ready', flush=True)\nsignal.pause()\n"


def dumped(process: Namespaced, images: Path, *options: str) -> str:
    status = Path(f"/proc/{process.pid}/status").read_text()
    inside = status.partition("NSpid:")[2].split()[1]
    subprocess.run(
        [
            *("nsenter", "-t", str(process.init), "-p", "-m", "-n", "-i", *usable_criu()),
            *("dump", "-t", inside, "-D", str(images), "-W", str(images), "-o", "dump.log", "-v2"),
            *("--network-lock", "skip", "--ghost-limit", "1M", *options),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return (images / "dump.log").read_text()


@pytest.mark.criu
@pytest.mark.slow
@pytest.mark.parametrize(("said", "code"), PROGRAMS.items())
def test_a_real_dump_that_fails_is_understood(said: str, code: str, tmp_path: Path) -> None:
    usable_criu()
    program = tmp_path / "program.py"
    program.write_text(START + code + END)
    with running(program) as process:
        log = dumped(process, tmp_path)
    assert said in explain(log, "dump")


@pytest.mark.criu
@pytest.mark.slow
def test_a_real_full_disk_is_understood(tmp_path: Path) -> None:
    usable_criu()
    program = tmp_path / "program.py"
    program.write_text(START + END)
    images = tmp_path / "images"
    images.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", images], check=True)
    try:
        with running(program) as process:
            log = dumped(process, images)
    finally:
        subprocess.run(["umount", images], check=True)
    assert "no room left for the image" in explain(log, "dump")
