"""What engines compile while they start, kept for the next start: on the local disk, and in the artifact store.

Nothing here ever fails a start. Where the caches cannot be prepared, the engine keeps its own, wherever it likes to;
and whatever was found damaged is out of the way at the next try.
"""

import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from glowplug.artifacts.errors import Corrupt, StoreError
from glowplug.artifacts.manifest import Manifest
from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import ModelConfig
from glowplug.engines.base import Engine, EngineError, Launch
from glowplug.tiers.cache_facts import cache_facts
from glowplug.tiers.cache_folders import CacheFolders, fingerprint
from glowplug.tiers.cache_key import cache_key

log = logging.getLogger(__name__)

KIND = "cache"
"""Of artifacts in the store."""

_NICENESS = 15
"""Of the thread that saves: the engine has just begun to answer requests."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The caches of one start.

    Attributes:
        key: of their folder; None if there is none, because the engine compiles nothing or it could not be made.
        environment: what leads the engine there; to be added to that of its launch.
        filled: whether an earlier start has left something in it.
    """

    key: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    filled: bool = False


class CompileCaches:
    """The compile caches of one server. Its methods may be called by any thread; none raises."""

    def __init__(self, directory: Path, store: ArtifactStore, quota: int) -> None:
        """
        Args:
            directory: where the folders are.
            store: where they are saved; it looks after its own quota.
            quota: bytes that the folders may take; those that this server has used are kept even so.
        """
        self._folders = CacheFolders(directory)
        self._store = store
        self._quota = quota
        self._mutex = threading.Lock()
        self._used: set[str] = set()
        self._saver = ThreadPoolExecutor(1, "save-caches", _yield_to_others)

    def prepare(self, engine: Engine, model: ModelConfig, launch: Launch) -> Prepared:
        """Have a folder ready for a start: the one of an earlier start, or of the store, or an empty one.

        Takes milliseconds, or as long as the store needs to read the caches. Not for the event loop.
        """
        try:
            if not engine.caches(model, self._folders.path("")):
                return Prepared()
            key = cache_key(cache_facts(engine, model, launch))
            with self._mutex:
                if not self._folders.exists(key):
                    self._load(key)
                folder = self._folders.make(key)
                self._folders.used(key)
                self._used.add(key)
            return Prepared(key, engine.caches(model, folder), fingerprint(folder) is not None)
        except (EngineError, OSError) as error:
            log.warning("Compile caches of %s are not kept: %s", engine.name, error)
            return Prepared()

    def keep(self, name: str, engine: Engine, prepared: Prepared) -> "Future[None]":
        """Save the caches of the model `name`, whose start has gone well, if they have changed.

        Returns at once; the result is done when the rest is, or after `close`. Only for the curious: it never fails.
        """
        try:
            return self._saver.submit(self._save, name, engine.name, prepared)
        except RuntimeError:  # closed
            done: Future[None] = Future()
            done.set_result(None)
            return done

    def distrust(self, prepared: Prepared, reason: str) -> bool:
        """Move caches aside with which an engine died, here and in the store. Whether a start without them is worth it.

        `reason` is one sentence. They were not the reason if the folder was empty.
        """
        if prepared.key is None or not prepared.filled:
            return False
        log.warning("Compile caches %s are set aside: %s", prepared.key, reason)
        with self._mutex:
            try:
                if self._folders.exists(prepared.key):
                    self._folders.set_aside(prepared.key)
            except OSError as error:
                log.warning("Compile caches %s could not be set aside: %s", prepared.key, error)
                return False
            for manifest in self._saved(prepared.key):
                self._quarantine(manifest, reason)
        return True

    def close(self) -> None:
        """Wait until what is being saved is saved; leave out what has not begun."""
        self._saver.shutdown(wait=True, cancel_futures=True)

    def _load(self, key: str) -> None:
        """Fill the folder from the store if it is there. Raises OSError."""
        for manifest in self._saved(key):
            place = self._folders.place_for_new(key)
            try:
                with self._store.reading(manifest.id) as reader:
                    reader.materialise(place)
            except Corrupt as error:
                self._folders.drop_new(key)
                self._quarantine(manifest, str(error))
            except (StoreError, OSError) as error:
                self._folders.drop_new(key)
                log.warning("Saved compile caches %s cannot be used: %s", manifest.id, error)
            else:
                self._folders.take(key)
                return

    def _save(self, name: str, engine: str, prepared: Prepared) -> None:
        if prepared.key is None:
            return
        try:
            self._add(name, engine, prepared.key)
            self._folders.trim(self._quota, self._used)
        except (StoreError, OSError) as error:
            log.warning("Compile caches of %s could not be saved: %s", name, error)

    def _add(self, name: str, engine: str, key: str) -> None:
        folder = self._folders.path(key)
        before = fingerprint(folder)
        earlier = self._saved(key)
        if before is None or (earlier and earlier[0].facts.get("fingerprint") == before):
            return
        identity = {"key": key, "engine": engine}
        added = self._store.add(KIND, name, folder, identity, {"fingerprint": before})
        if fingerprint(folder) != before:  # the engine wrote meanwhile: half of a file may be in it
            earlier = [added]
            log.info("Compile caches of %s changed while they were saved; they are saved after the next start", name)
        for manifest in earlier:
            with suppress(StoreError):  # being read: it goes with the next change
                self._store.remove(manifest.id)
        self._store.collect()

    def _saved(self, key: str) -> list[Manifest]:
        """Newest first."""
        try:
            return [manifest for manifest in self._store.list(KIND) if manifest.identity.get("key") == key]
        except (StoreError, OSError) as error:
            log.warning("Saved compile caches cannot be listed: %s", error)
            return []

    def _quarantine(self, manifest: Manifest, reason: str) -> None:
        try:
            self._store.quarantine(manifest.id, reason)
        except (StoreError, OSError) as error:
            log.warning("Saved compile caches %s could not be set aside: %s", manifest.id, error)


def _yield_to_others() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # of this thread alone, on Linux
