"""Opening files and directories that no other user can have changed or can change.

Every check is made on the descriptor that is used afterwards, and no symbolic link is followed below the store's own
directory: there is no moment between a check and its use (open(2), O_NOFOLLOW and dir_fd).
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from glowplug.artifacts.errors import Unsafe

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: a planted FIFO must not hold us up
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def open_root(path: Path) -> int:
    """A descriptor of the directory, made (0700) if missing. Raises Unsafe, OSError.

    The directories above it must belong to this user or root, and nobody else may rename things in them; links among
    them are resolved first, since a home directory often lies behind one. A path through a descriptor of a process
    (/proc/PID/fd/N) stands for no other path, and whoever holds the descriptor has made sure of what is above.
    """
    if path.is_relative_to("/proc"):
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        parent = Path(os.path.realpath(path.absolute().parent))
        parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_ancestors(parent)
    try:
        with suppress(FileExistsError):
            os.mkdir(path.name, 0o700, dir_fd=descriptor)
        opened = _open_directory(path.name, descriptor, str(path))
    finally:
        os.close(descriptor)
    try:
        found = os.fstat(opened)
        _check_owner(found, str(path))
        if found.st_mode & 0o022:
            raise Unsafe(f"{path} can be written by others; run: chmod 700 {path}")
        if found.st_mode & 0o077:  # nobody else could have written there, so to close it is enough
            os.fchmod(opened, 0o700)
    except BaseException:
        os.close(opened)
        raise
    return opened


def open_directory(name: str, folder: int, shown: str) -> int:
    """A descriptor of the private directory `name` in `folder`, made (0700) if missing. Raises Unsafe, OSError."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
    descriptor = _open_directory(name, folder, shown)
    try:
        _check_private(os.fstat(descriptor), shown)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_file(name: str, folder: int, shown: str) -> int:
    """A descriptor of a regular file in a private directory, for reading. Raises Unsafe, OSError."""
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError as error:
        if _is_link(name, folder):
            raise Unsafe(f"{shown} is a symbolic link; remove it.") from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Unsafe(f"{shown} is no regular file; remove it.")
        _check_owner(found, shown)
        if found.st_mode & 0o022:
            raise Unsafe(
                f"{shown} can be written by others; remove it, or if it is known to be good: chmod 600 {shown}"
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_file(name: str, folder: int, shown: str, limit: int) -> bytes:
    """The whole of a small file of a private directory. Raises Unsafe, OSError."""
    descriptor = open_file(name, folder, shown)
    try:
        return read_whole(descriptor, shown, limit)
    finally:
        os.close(descriptor)


def read_whole(descriptor: int, shown: str, limit: int) -> bytes:
    """The contents of an open file of at most `limit` bytes. Raises Unsafe, OSError."""
    size = os.fstat(descriptor).st_size
    if size > limit:
        raise Unsafe(f"{shown} has {size} bytes, which is beyond reason; remove it.")
    return b"".join(iter(lambda: os.read(descriptor, limit + 1), b""))


def names_in(folder: int) -> list[str]:
    """The names in an open directory, sorted. Raises OSError.

    Opened anew, since the position of a descriptor is shared by all threads that read it.
    """
    own = os.open(".", DIRECTORY, dir_fd=folder)
    try:
        with os.scandir(own) as found:
            return sorted(each.name for each in found)
    finally:
        os.close(own)


def remove(name: str, folder: int) -> None:
    """Remove whatever has this name in a private directory; nothing is no error. Raises OSError."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=folder)


def write_file(name: str, folder: int, *parts: bytes | memoryview) -> None:
    """Make a new file (0600) with these contents, on the disk when this returns. Raises OSError."""
    descriptor = os.open(name, CREATE, 0o600, dir_fd=folder)
    try:
        for part in parts:
            write_all(descriptor, part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """`os.write` until everything is written. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _open_ancestors(path: Path) -> int:
    descriptor = os.open("/", DIRECTORY)
    shown = ""
    for name in path.parts[1:]:
        shown += f"/{name}"
        try:
            below = _open_directory(name, descriptor, shown)
        finally:
            os.close(descriptor)
        descriptor = below
        try:
            _check_ancestor(os.fstat(descriptor), shown)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def _open_directory(name: str, folder: int, shown: str) -> int:
    try:
        return os.open(name, DIRECTORY, dir_fd=folder)
    except OSError as error:
        if _is_link(name, folder):
            raise Unsafe(f"{shown} is a symbolic link; put a directory there, or name the real one.") from error
        raise


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _check_ancestor(found: os.stat_result, shown: str) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise Unsafe(
            f"{shown} belongs to user {found.st_uid}, who could replace what lies in it; use another directory."
        )
    by_group = found.st_mode & stat.S_IWGRP and not found.st_gid == os.getegid() == os.geteuid()  # a user's own group
    if (by_group or found.st_mode & stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
        raise Unsafe(f"{shown} can be written by others; run: chmod go-w {shown}")


def _check_private(found: os.stat_result, shown: str) -> None:
    _check_owner(found, shown)
    if found.st_mode & 0o077:
        raise Unsafe(f"{shown} is open to others; remove it, or if it is known to be good: chmod 700 {shown}")


def _check_owner(found: os.stat_result, shown: str) -> None:
    if found.st_uid != os.geteuid():
        raise Unsafe(f"{shown} belongs to user {found.st_uid}, not to the user of this process; remove it.")
