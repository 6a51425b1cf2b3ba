"""What makes the image space: a mount namespace with a memory file system in it, which the server opens meanwhile.

Nobody sees that file system but who enters the namespace or holds its root. A process of its own, because a process
with threads cannot change its mount namespace; it ends with its input.

Arguments: the directory to mount it on, and mount options.
"""

import ctypes
import os
import signal
import sys

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_SLAVE = 16384, 1 << 19
_PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def main(directory: str, options: str) -> None:
    """Say `ready`, or what is wrong, then wait for the end of the input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _libc.prctl(_PR_SET_NAME, b"glowplug-images", 0, 0, 0)
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    failed = (
        _libc.unshare(_CLONE_NEWNS)
        or _libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_SLAVE), None)
        or _libc.mount(b"glowplug", directory.encode(), b"tmpfs", ctypes.c_ulong(flags), options.encode())
    )
    print(os.strerror(ctypes.get_errno()) if failed else "ready", flush=True)
    if not failed:
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
