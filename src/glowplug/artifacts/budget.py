"""How many bytes the chunks of a store may take."""

import threading
from collections.abc import Callable

from glowplug.artifacts.chunk_files import ChunkFiles
from glowplug.artifacts.errors import StoreFull


class Budget:
    """What is left of a store's quota while one artifact is written. Used by several threads at once."""

    def __init__(self, quota: int | None, chunks: ChunkFiles, collect: Callable[[], int], shown: str) -> None:
        """`quota` in bytes, None for no limit; `collect` frees what nothing needs. Raises OSError."""
        self._quota = quota
        self._chunks = chunks
        self._collect = collect
        self._shown = shown
        self._mutex = threading.Lock()
        self._left = 0 if quota is None else quota - chunks.used()
        self._taken = 0

    def take(self, size: int) -> None:
        """A chunk of `size` bytes is about to be written. Raises StoreFull, OSError."""
        if self._quota is None:
            return
        with self._mutex:
            if size > self._left:
                self._collect()  # after it the chunks of this artifact have no name but in the writer's folder
                self._left = self._quota - self._taken - self._chunks.used()
            if size > self._left:
                raise StoreFull(
                    f"The artifact store {self._shown} has reached its quota of {self._quota} bytes; remove artifacts "
                    "that are not needed (glowplug snapshot ls, glowplug snapshot rm) or raise the quota."
                )
            self._left -= size
            self._taken += size
