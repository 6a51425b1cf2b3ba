"""Process images in memory: which are there, who uses them, and which go when they are too many."""

import asyncio
import contextlib
import itertools
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glowplug.node.image_space import ImageSpace

_STATUS_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))


@dataclass(slots=True)
class _Resident:
    folder: str
    ready: "asyncio.Future[int]"
    expected: int
    users: int = 0
    last_used: int = 0
    doomed: bool = False


class ResidentImages:
    """Directories of an `ImageSpace` by the id of their artefact. For one event loop.

    Those that nobody uses are kept up to `budget` bytes, the most recently used first. `on_change` is told the bytes of
    all that are there.
    """

    def __init__(self, space: ImageSpace, budget: int, on_change: Callable[[int], None]) -> None:
        self._space = space
        self._budget = budget
        self._on_change = on_change
        self._images: dict[str, _Resident] = {}
        self._numbers = itertools.count(1)
        self._background: set[asyncio.Task[None]] = set()

    def new_folder(self) -> str:
        """The name of a directory that nobody has used."""
        return f"image-{next(self._numbers)}"

    def seen(self, folder: str) -> Path:
        """A directory as sandboxes see it."""
        return self._space.inside / folder

    def ours(self, folder: str) -> Path:
        """A directory as we see it."""
        return self._space.path / folder

    def holds(self, image: str) -> bool:
        """Whether the image is there, complete."""
        resident = self._images.get(image)
        return resident is not None and resident.ready.done() and resident.ready.exception() is None

    async def adopt(self, image: str, folder: str) -> None:
        """Take over a directory that holds an image already."""
        size = await asyncio.to_thread(_held, self.ours(folder))
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        ready.set_result(size)
        self._images[image] = _Resident(folder, ready, size, last_used=next(self._numbers))
        self._trim(self._budget)
        self._on_change(self._total())

    @contextlib.asynccontextmanager
    async def using(self, image: str, size: int, fill: Callable[[Path], Awaitable[None]]) -> AsyncGenerator[str, None]:
        """The directory of an image, which stays while inside.

        `fill` writes it, about `size` bytes, if it is not there: once for all who ask meanwhile. What it raises is
        raised by all of them.
        """
        resident = self._images.get(image)
        if resident is None:
            resident = _Resident(self.new_folder(), asyncio.get_running_loop().create_future(), size)
            self._images[image] = resident
            self._on_change(self._total())  # before it is written: others must not count on that memory
            self._in_background(self._fill(image, resident, fill))
        resident.users += 1
        try:
            await asyncio.shield(resident.ready)
            yield resident.folder
        finally:
            resident.users -= 1
            resident.last_used = next(self._numbers)
            if resident.doomed and resident.users == 0:
                self.discard(resident.folder)
            if self._trim(self._budget):
                self._on_change(self._total())

    def release(self, wanted: int) -> None:
        """Give up images of at least so many bytes, if so many are not in use; tells what is left in any case."""
        self._trim(max(0, self._total() - wanted))
        self._on_change(self._total())

    def drop(self, image: str) -> None:
        """The artefact is gone. What is in use stays until it is not, and is then never used again."""
        if (resident := self._images.pop(image, None)) is not None:
            resident.doomed = True
            if resident.users == 0:
                self.discard(resident.folder)
            self._on_change(self._total())

    def discard(self, folder: str) -> None:
        """Delete a directory, in the background: giving gigabytes back takes tenths of a second."""
        self._in_background(asyncio.to_thread(shutil.rmtree, self.ours(folder), True))

    async def close(self) -> None:
        """Finish what goes on in the background."""
        await asyncio.gather(*self._background, return_exceptions=True)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _fill(self, image: str, resident: _Resident, fill: Callable[[Path], Awaitable[None]]) -> None:
        folder = self.ours(resident.folder)
        try:
            folder.mkdir(mode=0o700)
            await fill(folder)
            resident.ready.set_result(await asyncio.to_thread(_held, folder))
            self._on_change(self._total())
        except BaseException as error:
            if self._images.get(image) is resident:
                del self._images[image]
            self.discard(resident.folder)
            self._on_change(self._total())
            resident.ready.set_exception(error)
            resident.ready.exception()  # there may be nobody left who asks

    def _trim(self, budget: int) -> bool:
        """Whether something was given up."""
        before = total = self._total()
        for image, resident in sorted(self._images.items(), key=lambda item: item[1].last_used):
            if total <= budget:
                break
            if resident.users == 0 and resident.ready.done():
                total -= _size(resident)
                del self._images[image]
                self.discard(resident.folder)
        return self._total() != before

    def _total(self) -> int:
        return sum(map(_size, self._images.values()))


def _size(resident: _Resident) -> int:
    ready = resident.ready
    if not ready.done():
        return resident.expected
    return ready.result() if ready.exception() is None else 0


def _held(folder: Path) -> int:
    """Bytes of memory that the files of a directory take."""
    return sum(
        os.lstat(os.path.join(root, name)).st_blocks * _STATUS_BLOCK  # noqa: PTH118
        for root, _, names in os.walk(folder)
        for name in names
    )
