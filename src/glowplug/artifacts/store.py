"""The artifact store of a node: snapshots and caches as checked, signed, de-duplicated file trees.

An artifact exists once its manifest is in `manifests/` (`layout`), where it comes last; so a kill at any moment leaves
the store as it was before or after, and `collect` frees the rest. Several processes may use one store at once.
"""

import errno
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from glowplug.artifacts.archive import Archive, write_archive
from glowplug.artifacts.budget import Budget
from glowplug.artifacts.catalog import Catalog, Problem
from glowplug.artifacts.chunk_codec import Scratch
from glowplug.artifacts.chunk_files import ChunkFiles
from glowplug.artifacts.collection import Collection
from glowplug.artifacts.compression import level_of
from glowplug.artifacts.errors import NotFound, StoreError, StoreFull
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.manifest import Chunk, Manifest, decode, encode
from glowplug.artifacts.parallel import cpus
from glowplug.artifacts.reader import Reader
from glowplug.artifacts.receiving import Fetch, store_chunks
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
        with self._sentences(), self._collecting_after_errors(), self._writer() as writer:
            entries = store_tree(source, writer, level_of(self._layout), cpus(), _BACKGROUND)
            text = encode(kind, model, time.time(), identity, facts, writer.stored_bytes, entries)
            manifest = decode(text)
            writer.publish(manifest.id, self._keys.seal(text))
            return manifest

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

    def export(self, name: str, file: Path) -> None:
        """Write an artifact to one file, which then is complete or not there. Raises Corrupt, NotFound, StoreError."""
        with self.sealed(name) as (contents, manifest):
            write_archive(file, contents, manifest, self._chunks)

    def import_(self, file: Path) -> Manifest:
        """Publish what `export` wrote, here or elsewhere.

        Raises Untrusted before anything of it is used if none of the trusted keys signed it; Corrupt, StoreError.
        """
        with Archive(file) as archive:
            manifest = self.check(archive.contents, str(file))
            archive.locate(manifest)
            with self._sentences(), self._collecting_after_errors():
                return self.receive(archive.contents, str(file), archive.fetch, cpus())

    @contextmanager
    def sealed(self, name: str) -> Generator[tuple[bytes, Manifest]]:
        """An artifact and its signed manifest; nobody removes it while inside. Raises as `reading` does."""
        with self.reading(name) as reader:
            with self._sentences():
                contents = self._catalog.sealed(name)
            yield contents, reader.manifest

    def check(self, contents: bytes, shown: str) -> Manifest:
        """What a signed manifest from elsewhere says; `shown` is its place. Raises Untrusted, ManifestError."""
        with self._sentences():
            return self._catalog.check(contents, shown)

    def receive(self, contents: bytes, shown: str, fetch: Fetch, threads: int) -> Manifest:
        """Publish the artifact of a signed manifest, its chunks checked; what the store has is not fetched.

        After an error what was fetched stays until `collect`, so that another attempt need not fetch it again. Raises
        Untrusted, Corrupt, StoreError.
        """
        manifest = self.check(contents, shown)
        with self._sentences(), self._writer() as writer:
            store_chunks(manifest.distinct_chunks(), fetch, writer, shown, threads)
            if not self._catalog.usable(manifest.id):
                with suppress(NotFound):
                    self._collection.remove(manifest.id)
            writer.publish(manifest.id, contents)
        return manifest

    def stored(self, chunk: Chunk, scratch: Scratch) -> memoryview:
        """A chunk as it is kept, checked; valid until `scratch` is used again. Raises Corrupt, StoreError."""
        with self._sentences():
            return self._chunks.stored(chunk, scratch)

    @contextmanager
    def _collecting_after_errors(self) -> Generator[None]:
        try:
            yield
        except BaseException:
            self._collection.collect()
            raise

    def _writer(self) -> Writer:
        budget = Budget(self._quota, self._chunks, self._collection.collect, str(self._directory))
        return Writer(self._layout, self._chunks, budget)

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
