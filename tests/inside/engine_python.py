"""Python processes as an engine has them: with our folder on their path, told what to do line by line."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from glowplug import inside
from glowplug.inside.glowplug_hooks import protocol

# Runs the blocks of code that it reads, each ended by a line with a dot, and writes `done` after each.
_LOOP = """
import sys
names, block = {"__name__": "__main__"}, []
for line in sys.stdin:
    if line != ".\\n":
        block.append(line)
        continue
    exec("".join(block), names)
    block.clear()
    print("done", flush=True)
"""


class EnginePython:
    """One such process and its children, which end with it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid

    def do(self, code: str) -> str:
        """Run code; what it has printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{code}\n.\n")
        self._process.stdin.flush()
        printed: list[str] = []
        for line in self._process.stdout:
            if line == "done\n":
                return "".join(printed).strip()
            printed.append(line)
        raise AssertionError(f"ended with {self._process.wait()} after: {''.join(printed)}")

    def finish(self) -> str:
        """Let it come to its end in the usual way; all that was written to stderr, and an exit code that is not 0."""
        _, errors = self._process.communicate(timeout=60)
        return errors + (f"exit {self._process.returncode}" if self._process.returncode else "")


def tell(pid: int, moment: str, moment_id: str | None = None) -> protocol.Answer:
    """What a process of our own network namespace answers; ConnectionRefusedError if it does not listen."""
    moment_id = moment_id or secrets.token_hex(32)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.bind("")
        asking.settimeout(60)
        address = f"{protocol.PREFIX}{pid}"
        asking.sendto(protocol.encode_question(moment, moment_id), address)
        datagram, sender = asking.recvfrom(protocol.LONGEST)
    assert sender == address.encode()
    answer = protocol.decode_answer(datagram)
    assert (answer.moment, answer.moment_id) == (moment, moment_id)
    return answer


@contextmanager
def engine_python(
    *options: str, python: str | Path = sys.executable, wrapper: Sequence[str] = (), **variables: str
) -> Iterator[EnginePython]:
    """A Python process that listens; gone after the block."""
    environment = inside.environment({"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **variables}, hooks=True)
    pipe = subprocess.PIPE
    argv = [*wrapper, str(python), *options, "-c", _LOOP]
    with subprocess.Popen(
        argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            engine = EnginePython(process)
            engine.do("pass")  # it runs, so it listens
            yield engine
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children too, which hold the pipes
