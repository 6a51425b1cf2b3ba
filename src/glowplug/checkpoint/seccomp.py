"""A system call filter that hides io_uring from a process and all its descendants.

CRIU cannot dump a process that has an io_uring, and libuv (under uvloop) opens one whether asked or not. With the
filter its three calls answer ENOSYS, as on a kernel without it, and every program falls back to epoll.

Standard library only: the process that becomes the engine runs this file without the rest of Glowplug.
Sources: seccomp(2); Documentation/userspace-api/seccomp_filter.rst and include/uapi/linux/filter.h of the kernel.
"""

import ctypes
import errno
import os
import struct

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2

IO_URING_FIRST = 425
IO_URING_LAST = 427
"""io_uring_setup, io_uring_enter and io_uring_register, which have these numbers on every architecture but Alpha."""

_LOAD_WORD, _JUMP_GE, _JUMP_GT, _RETURN = 0x20, 0x35, 0x25, 0x06
_ANSWER_ERROR, _ALLOW = 0x00050000, 0x7FFF0000

_PROGRAM = (
    (_LOAD_WORD, 0, 0, 0),  # the number of the call is the first field of struct seccomp_data
    (_JUMP_GE, 0, 2, IO_URING_FIRST),
    (_JUMP_GT, 1, 0, IO_URING_LAST),
    (_RETURN, 0, 0, _ANSWER_ERROR | errno.ENOSYS),
    (_RETURN, 0, 0, _ALLOW),
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def hide_io_uring() -> None:
    """Install the filter for this thread and what it starts. Needs CAP_SYS_ADMIN or no_new_privs. Raises OSError."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _PROGRAM)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(_PROGRAM), ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no system call filter can be installed: {os.strerror(number)}")
