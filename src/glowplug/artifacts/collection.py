"""Taking artifacts out of a store, and freeing what nothing needs any more.

Who reads an artifact holds a shared lock (flock(2)) on its manifest; it stays on the file when that is moved away.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager

from glowplug.artifacts.catalog import REASON
from glowplug.artifacts.errors import InUse, NotFound, StoreError
from glowplug.artifacts.layout import Layout, locked
from glowplug.artifacts.manifest import MAX_MANIFEST, decode
from glowplug.artifacts.private_files import DIRECTORY, READ, names_in, open_file, read_whole, remove, write_file
from glowplug.artifacts.signing import unseal
from glowplug.artifacts.writer import remove_folder


class Collection:
    """The removing side of a store, and the locks of those who read."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @contextmanager
    def kept(self, name: str) -> Generator[None]:
        """While inside, nobody removes the published artifact or frees its chunks. Raises NotFound, Unsafe, OSError."""
        if name not in names_in(self._layout.manifests):  # a name is never a path
            raise self._missing(name)
        try:
            descriptor = open_file(name, self._layout.manifests, self._layout.shown("manifests", name))
        except FileNotFoundError:
            raise self._missing(name) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits at most for a removal, which takes a moment
            if not self._is(name, descriptor):
                raise self._missing(name)
            yield
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Unpublish an artifact and forget that it was in quarantine. Raises NotFound, InUse, OSError."""
        layout = self._layout
        with layout.lock():
            removed = [_unlink(name, folder) for folder in (layout.manifests, layout.quarantine)]
            if not any(removed):
                raise self._missing(name)
            remove(name + REASON, layout.quarantine)
            os.fsync(layout.manifests)

    def quarantine(self, name: str, reason: str) -> None:
        """Unpublish an artifact at once, even while it is read, and keep the reason. Raises NotFound, OSError."""
        layout = self._layout
        with layout.lock():
            if name not in names_in(layout.manifests):
                raise self._missing(name)
            remove(name + REASON, layout.quarantine)
            write_file(name + REASON, layout.quarantine, reason.encode(errors="replace"))
            os.rename(name, name, src_dir_fd=layout.manifests, dst_dir_fd=layout.quarantine)
            os.fsync(layout.quarantine)
            os.fsync(layout.manifests)

    def collect(self) -> int:
        """Free chunks that no artifact needs, and what killed writers left; the bytes freed. Raises OSError."""
        layout = self._layout
        with layout.lock():
            freed = sum(_remove_if_left(name, layout.writing) for name in names_in(layout.writing))
            needed = self._needed()
            for name in names_in(layout.chunks):
                if name not in needed:
                    freed += _bytes_of(name, layout.chunks)
                    remove(name, layout.chunks)
            quarantined = set(names_in(layout.quarantine))
            for name in quarantined:
                if name.endswith(REASON) and name.removesuffix(REASON) not in quarantined:
                    os.unlink(name, dir_fd=layout.quarantine)
        return freed

    def _missing(self, name: str) -> NotFound:
        return NotFound(f"There is no artifact {name!r} in {self._layout.directory}.")

    def _is(self, name: str, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(name, dir_fd=self._layout.manifests), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _needed(self) -> set[str]:
        layout = self._layout
        needed: set[str] = set()
        for folder, always in ((layout.manifests, True), (layout.quarantine, False)):
            for name in names_in(folder):
                if not name.endswith(REASON):
                    needed |= _digests(name, folder, always)
        return needed


def _digests(name: str, folder: int, always: bool) -> set[str]:
    """The chunks that a manifest names, trusted or not: its key may still be added. Unless `always`, if it is read."""
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError:  # removed since, or a planted link
        return set()
    try:
        if not always and locked(descriptor, fcntl.LOCK_EX):
            return set()
        text = unseal(read_whole(descriptor, name, MAX_MANIFEST), name).text
        return {chunk.digest for chunk in decode(text).chunks()}
    except (StoreError, IsADirectoryError):
        return set()
    finally:
        os.close(descriptor)


def _unlink(name: str, folder: int) -> bool:
    if name not in names_in(folder):  # a name is never a path
        return False
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError:  # a planted link is nothing that could be read
        remove(name, folder)
        return True
    try:
        if not locked(descriptor, fcntl.LOCK_EX):
            raise InUse(f"The artifact {name} is being read; remove it when that is done.")
        remove(name, folder)
        return True
    finally:
        os.close(descriptor)


def _remove_if_left(name: str, folder: int) -> int:
    """Remove a writer's folder unless its writer lives; the bytes freed."""
    try:
        descriptor = os.open(name, DIRECTORY, dir_fd=folder)
    except OSError:  # planted: a writer makes folders only
        remove(name, folder)
        return 0
    try:
        if not locked(descriptor, fcntl.LOCK_EX):
            return 0
        freed = sum(_bytes_of(file, descriptor) for file in names_in(descriptor))
        remove_folder(name, folder, descriptor)
        return freed
    finally:
        os.close(descriptor)


def _bytes_of(name: str, folder: int) -> int:
    """What removing a file frees: nothing if it has another name, in a writer's folder."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return found.st_size if found.st_nlink == 1 else 0
