"""Makes one sandbox as `trial.py` asks, in a process of its own, and ends with it.

Arguments: the plan for `sandbox_init.run` as JSON, the descriptors `guardian`, `told` and `report` that it takes, and
the program to start. Standard library only.
"""

import ctypes
import json
import os
import signal
import sys
from typing import NoReturn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

import sandbox_init
import seccomp

_PR_SET_PDEATHSIG = 1


def _become(program: list[str]) -> NoReturn:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sandbox_init.default_signals()
    seccomp.hide_io_uring()
    os.execv(program[0], program)  # noqa: S606


def main() -> None:
    """Make the sandbox and wait for its end. The exit code is not 0 if it could not be made."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    plan = json.loads(sys.argv[1])
    guardian, told, report = (int(number) for number in sys.argv[2:5])
    for descriptor in (guardian, told, report):
        os.set_inheritable(descriptor, False)  # for the program and for CRIU they do not exist
    program = sys.argv[5:]
    try:
        sandbox_init.unshare_pids()
    except OSError as error:
        os.write(told, f"{error.errno} {error.strerror}".encode())
        raise SystemExit(1) from None
    child = os.fork()
    if child == 0:
        sandbox_init.run(plan, guardian, told, report, lambda: _become(program))
    os.close(told)
    os.close(report)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
