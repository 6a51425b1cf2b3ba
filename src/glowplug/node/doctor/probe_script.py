"""Tries namespaces, the system call filter and io_uring, each in a process of its own; prints what happened as JSON.

Argument: the folder of `seccomp.py`. Standard library only; it runs by itself, because what it tries changes a process
for good.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable

sys.path.insert(0, sys.argv[1])

import seccomp

_NAMESPACES = {"pid": 0x20000000, "mount": 0x00020000, "ipc": 0x08000000, "net": 0x40000000, "time": 0x00000080}
_IO_URING_SETUP = 425
_libc = ctypes.CDLL(None, use_errno=True)


def _apart(attempt: Callable[[], str]) -> str:
    """What an attempt says, made in a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = attempt()
        except OSError as error:
            said = error.strerror or str(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def _unshare(flag: int) -> str:
    if _libc.unshare(flag) != 0:
        return os.strerror(ctypes.get_errno())
    return ""


def _set_up_io_uring() -> str:
    """Empty if an io_uring can be made. 120 is the size of struct io_uring_params."""
    if _libc.syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120)) < 0:
        return os.strerror(ctypes.get_errno())
    return ""


def _hide_io_uring() -> str:
    seccomp.hide_io_uring()
    return "" if _set_up_io_uring() else "the filter did not hide io_uring"


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "namespaces": {name: _apart(lambda flag=flag: _unshare(flag)) for name, flag in _NAMESPACES.items()},
                "io_uring": _apart(_set_up_io_uring),
                "filter": _apart(_hide_io_uring),
            }
        )
    )
