"""Tells the Python processes of a sandbox of the moments around a snapshot, and hears what they did about it.

Each of them listens on an abstract Unix socket in the sandbox's network namespace (`inside/glowplug_hooks`). The kernel
lists these, so there is no registry that could be out of date, and nothing has to be shared with the sandbox. All are
told at once, and work in parallel.
"""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glowplug.checkpoint import netns, processes
from glowplug.inside.glowplug_hooks import protocol

Moment = Literal["before_snapshot", "after_restore"]

_LOOK_AGAIN = 0.1
"""Seconds without an answer after which it is looked whether those who owe one are still there."""

_RNDRESEEDCRNG = 0x5207
"""Makes the kernel's random generator take new entropy: random(4), linux/random.h."""


class HookError(Exception):
    """A process could not do what belongs to the moment. The message is sentences for people."""


@dataclass(frozen=True, slots=True)
class HookReport:
    """What one process did.

    `pid` is its id in the sandbox, `seconds` what it took there. `notes` are sentences on what could not be renewed.
    """

    pid: int
    seconds: float
    notes: tuple[str, ...]


def tell(moment: Moment, pid: int, timeout: float, *, expected: Collection[int] = ()) -> Sequence[HookReport]:
    """Tell every listening process of a sandbox of the moment and wait for all of them.

    Args:
        moment: After `after_restore`, no random generator that is within reach gives what another copy's gives.
        pid: any process of the sandbox, by its id out here.
        timeout: seconds for all together.
        expected: ids in the sandbox of processes that have to be there: those that reported before the snapshot.

    Raises HookError if a process is missing, does not answer in time, or could not do its part.
    """
    deadline = time.monotonic() + timeout
    if moment == protocol.AFTER_RESTORE:
        _renew_kernel_generator()
    moment_id = secrets.token_hex(32)
    answers: dict[int, protocol.Answer] = {}
    try:
        with _socket_beside(pid) as asking:
            # Those who were born meanwhile are told as well; a child of a process that has done its part says so.
            while new := listening(pid) - answers.keys():
                answers |= _ask(asking, pid, new, protocol.encode_question(moment, moment_id), moment_id, deadline)
    except OSError as error:
        raise HookError(f"The processes of the sandbox cannot be told of {moment}: {error.strerror}.") from error
    if missing := set(expected) - answers.keys():
        raise HookError(f"{_named(missing)} of the engine should be there and is not, or does not listen.")
    if failed := [f"Process {which}: {answer.failure}." for which, answer in sorted(answers.items()) if answer.failure]:
        raise HookError(" ".join(failed))
    return [HookReport(which, answer.seconds, tuple(answer.notes)) for which, answer in sorted(answers.items())]


def listening(pid: int) -> set[int]:
    """Ids, in the sandbox, of the processes there that listen. Raises OSError if there is no process `pid`."""
    prefix = protocol.PREFIX.replace("\0", "@")
    sockets = Path(f"/proc/{pid}/net/unix").read_text(errors="replace").splitlines()
    names = (line.rpartition(" ")[2] for line in sockets)
    suffixes = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return {int(suffix) for suffix in suffixes if suffix.isdecimal()}


def deaf(pid: int) -> Sequence[str]:
    """Python processes of the sandbox that do not listen, each as its id there and its command.

    They were started with an environment of their own, or with `-I`, `-E` or `-S`, or forked by a C library. Two copies
    of them may give the same random numbers. Looks at all processes of the machine: some milliseconds.
    """
    namespace = os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 - a link that leads nowhere
    listeners = listening(pid)
    found: list[str] = []
    for entry in processes.PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino == namespace and _runs_python(entry):
                    inner = _id_inside(entry)
                    if inner != 1 and inner not in listeners:  # the first is the sandbox's own
                        found.append(f"{inner} ({_command(entry)})")
    return sorted(found)


def _socket_beside(pid: int) -> socket.socket:
    """A socket in the network namespace of a process, with a name that can be answered to."""
    namespace = netns.namespace_of(pid)
    try:
        asking = netns.socket_in(namespace, socket.AF_UNIX, socket.SOCK_DGRAM)
    finally:
        os.close(namespace)
    asking.bind("")  # the kernel gives it a name
    return asking


def _ask(
    asking: socket.socket, pid: int, asked: set[int], question: bytes, moment_id: str, deadline: float
) -> dict[int, protocol.Answer]:
    """Ask these processes and collect their answers."""
    addresses = {(protocol.PREFIX + str(which)).encode(): which for which in asked}
    for address, which in list(addresses.items()):
        try:
            asking.sendto(question, socket.MSG_DONTWAIT, address)
        except ConnectionRefusedError:
            del addresses[address]  # it ended
        except BlockingIOError:
            raise HookError(f"Process {which} of the engine does not read what it is told.") from None
    answers: dict[int, protocol.Answer] = {}
    while addresses:
        asking.settimeout(max(0.001, min(_LOOK_AGAIN, deadline - time.monotonic())))
        try:
            datagram, address = asking.recvfrom(protocol.LONGEST)
        except TimeoutError:
            _check_still_expected(addresses.values(), pid, deadline)
            continue
        with suppress(ValueError):
            answer = protocol.decode_answer(datagram)
            if answer.moment_id == moment_id and address in addresses:
                answers[addresses.pop(address)] = answer
    return answers


def _check_still_expected(owing: Collection[int], pid: int, deadline: float) -> None:
    if ended := set(owing) - listening(pid):
        raise HookError(f"{_named(ended)} of the engine ended before it answered.")
    if time.monotonic() >= deadline:
        raise HookError(f"{_named(owing)} of the engine did not answer in time; a hook may be stuck.")


def _named(which: Collection[int]) -> str:
    return f"Process {', '.join(map(str, sorted(which)))}"


def _renew_kernel_generator() -> None:
    """Make what processes remember of the kernel's random generator out of date.

    Since Linux 6.11 and glibc 2.41 getrandom(2) is answered within the process, from a state that is thrown away as
    soon as the kernel has taken new entropy. A copy of a process has a copy of that state. Without the privilege
    (CAP_SYS_ADMIN), which a restore needs anyway, the kernel does it once a minute.
    """
    with suppress(OSError), open("/dev/urandom", "rb", buffering=0) as generator:  # noqa: PTH123
        fcntl.ioctl(generator, _RNDRESEEDCRNG)


def _runs_python(process: Path) -> bool:
    if Path(os.readlink(process / "exe")).name.startswith("python"):  # noqa: PTH115 - the target may be hidden
        return True
    return "/libpython" in (process / "maps").read_text(errors="replace")


def _id_inside(process: Path) -> int:
    """The id of a process in the innermost of its PID namespaces."""
    status = (process / "status").read_text()
    return int(status.partition("\nNSpid:")[2].partition("\n")[0].split()[-1])


def _command(process: Path) -> str:
    words = (process / "cmdline").read_bytes().split(b"\0")
    return b" ".join(words[:3]).decode(errors="replace").strip()
