"""Runs a program that must not outlive the process that started it: `lifeline.py PARENT PROGRAM ARGUMENTS...`

The bench may be killed at any moment. The kernel then kills this program (prctl(2), PR_SET_PDEATHSIG), which is the
server, and the guardians of the server end the engines. A file of its own, run without imports from Glowplug, because
code between fork and exec must not be Python's.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, program: list[str]) -> None:
    """Tie this process to its parent and become the program."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        return
    os.execv(program[0], program)  # noqa: S606 - that is what this is for


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
