"""The folders of a store, held open, and the lock that orders the short steps of its processes.

    key.pem, key.pub    the store's own key
    trusted/*.pub       keys of others, put there by hand
    chunks/DIGEST       the bytes, each content once, compressed or not
    manifests/ID        published artifacts, signed; what is not here does not exist
    quarantine/ID       manifests that were taken out of use, ID.reason beside each
    writing/NAME/       what a process is writing, locked by it
    lock                held for milliseconds at a time

Names are looked up in the open folders only, so nothing that is put in place of a folder later is ever used.
"""

import fcntl
import os
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from glowplug.artifacts.private_files import open_directory, open_root, remove, write_file


class Layout:
    """The open folders of one store. Every descriptor lives as long as this object."""

    def __init__(self, directory: Path) -> None:
        """Open the store, making what is missing. Raises Unsafe, OSError."""
        self.directory = directory.absolute()
        self._open: list[int] = []
        self._closing = weakref.finalize(self, _close, self._open)
        self.root = open_root(self.directory)
        self._open.append(self.root)
        self.chunks = self._folder("chunks")
        self.manifests = self._folder("manifests")
        self.quarantine = self._folder("quarantine")
        self.writing = self._folder("writing")
        self.trusted = self._folder("trusted")

    def shown(self, *names: str) -> str:
        """The path of a part of the store, for a message."""
        return str(self.directory.joinpath(*names))

    @contextmanager
    def lock(self) -> Generator[None]:
        """While inside, no other thread or process publishes, removes or collects. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open("lock", flags, 0o600, dir_fd=self.root)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def replace_file(self, name: str, contents: bytes) -> None:
        """Write a file of the store's own folder whole or not at all; the caller holds the lock. Raises OSError."""
        remove(f"{name}.new", self.root)
        write_file(f"{name}.new", self.root, contents)
        os.rename(f"{name}.new", name, src_dir_fd=self.root, dst_dir_fd=self.root)
        os.fsync(self.root)

    def _folder(self, name: str) -> int:
        descriptor = open_directory(name, self.root, self.shown(name))
        self._open.append(descriptor)
        return descriptor


def locked(descriptor: int, operation: int) -> bool:
    """flock(2) without waiting: whether the lock was had. It goes with the descriptor."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
