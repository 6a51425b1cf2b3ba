"""The artifact store of a node: snapshots and caches as checked, signed, de-duplicated file trees.

An artifact exists once its manifest is in `manifests/` (`layout`), where it comes last; so a kill at any moment leaves
the store as it was before or after, and `collect` frees the rest. Several processes may use one store at once.
"""

import errno
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from glowplug.artifacts.budget import Budget
from glowplug.artifacts.catalog import Catalog, Problem
from glowplug.artifacts.chunk_files import ChunkFiles
from glowplug.artifacts.collection import Collection
from glowplug.artifacts.compression import level_of
from glowplug.artifacts.errors import StoreError, StoreFull
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.manifest import Manifest, encode
from glowplug.artifacts.parallel import cpus
from glowplug.artifacts.reader import Reader
from glowplug.artifacts.signing import Keys
from glowplug.artifacts.tree_reading import store_tree
from glowplug.artifacts.writer import Writer

_BACKGROUND = 10
"""Niceness of the threads that pack an artifact: half of the scale; a server beside them gets nine tenths of a CPU."""


class ArtifactStore:
    """A store in a directory. All methods block; they may be called from several threads."""

    def __init__(self, directory: Path, *, quota: int | None = None) -> None:
        """Open the store, making it if there is none.

        `quota`: bytes that its chunks may take, None for what the disk holds. Raises StoreError: another user owns or
        can change a part of it, or it cannot be written.
        """
        self._quota = quota
        self._directory = directory
        with self._sentences():
            self._layout = Layout(directory)
            self._keys = Keys(self._layout)
        self._chunks = ChunkFiles(self._layout)
        self._catalog = Catalog(self._layout, self._keys)
        self._collection = Collection(self._layout)

    def add(
        self, kind: str, model: str, source: Path, identity: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> Manifest:
        """Store a file tree and publish it. Raises StoreError, with nothing left behind.

        The tree holds files, directories and relative links within it; owners are not kept, holes and times are.
        """
        with self._sentences(), self._writing() as writer:
            entries = store_tree(source, writer, level_of(self._layout), cpus(), _BACKGROUND)
            text = encode(kind, model, time.time(), identity, facts, writer.stored_bytes, entries)
            return self._publish(writer, self._keys.seal(text))

    def list(self, kind: str | None = None) -> Sequence[Manifest]:
        """The published artifacts that may be used, newest first; the others are in `problems`. Raises StoreError."""
        with self._sentences():
            return [each for each in self._catalog.published() if kind is None or each.kind == kind]

    def newest(self, kind: str, model: str) -> Manifest | None:
        """The newest artifact of a model that may be used. Raises StoreError."""
        return next((each for each in self.list(kind) if each.model == model), None)

    def problems(self) -> Sequence[Problem]:
        """What lies in the store and is not used, with the reason. Raises StoreError."""
        with self._sentences():
            return self._catalog.problems()

    def get(self, name: str) -> Manifest:
        """The artifact of that id, or the only one whose id begins so. Raises NotFound, Untrusted, StoreError."""
        with self._sentences():
            return self._catalog.find(name)

    @contextmanager
    def reading(self, name: str) -> Generator[Reader]:
        """The artifact of that id, which nobody removes while inside. Raises NotFound, Untrusted, StoreError."""
        with ExitStack() as stack:
            with self._sentences():
                stack.enter_context(self._collection.kept(name))
                reader = Reader(self._catalog.read(name), self._chunks)
            yield reader

    def verify(self, name: str) -> None:
        """Read and check all of an artifact. Raises Corrupt, NotFound, Untrusted, StoreError."""
        with self.reading(name) as reader:
            reader.verify()

    def quarantine(self, name: str, reason: str) -> None:
        """Take an artifact out of use at once and keep the reason (`problems`). Raises NotFound, StoreError."""
        with self._sentences():
            self._collection.quarantine(name, reason)

    def remove(self, name: str) -> None:
        """Remove an artifact, also from quarantine; `collect` frees its chunks. Raises NotFound, InUse, StoreError."""
        with self._sentences():
            self._collection.remove(name)

    def collect(self) -> int:
        """Free what no artifact needs and what killed processes left; the bytes freed. Raises StoreError."""
        with self._sentences():
            return self._collection.collect()

    @contextmanager
    def _writing(self) -> Generator[Writer]:
        budget = Budget(self._quota, self._chunks, self._collection.collect, str(self._directory))
        try:
            with Writer(self._layout, self._chunks, budget) as writer:
                yield writer
        except BaseException:
            self._collection.collect()
            raise

    def _publish(self, writer: Writer, contents: bytes) -> Manifest:
        manifest = self._catalog.check(contents, "The new artifact")
        writer.publish(manifest.id, contents)
        return manifest

    @contextmanager
    def _sentences(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(
                    f"The disk of the artifact store {self._directory} is full; free space, or remove artifacts that "
                    "are not needed (glowplug snapshot ls, glowplug snapshot rm)."
                ) from error
            raise StoreError(f"The artifact store {self._directory} cannot be used: {error}.") from error
