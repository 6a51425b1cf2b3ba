"""Process images in memory: which are there, who uses them, and which go when they are too many."""

import asyncio
import contextlib
import itertools
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from glowplug.node.image_space import ImageSpace

_STATUS_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))


@dataclass(slots=True)
class _Resident:
    folder: str
    ready: "asyncio.Future[int]"
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
        self._images[image] = _Resident(folder, ready, last_used=next(self._numbers))
        await self._trim(self._budget)

    @contextlib.asynccontextmanager
    async def using(self, image: str, fill: Callable[[Path], Awaitable[None]]) -> AsyncGenerator[str, None]:
        """The directory of an image, which stays while inside. `fill` writes it if it is not there; once for all who
        ask meanwhile. What `fill` raises is raised by all of them."""
        resident = self._images.get(image)
        if resident is None:
            resident = _Resident(self.new_folder(), asyncio.get_running_loop().create_future())
            self._images[image] = resident
            self._filling = asyncio.ensure_future(self._fill(image, resident, fill))
        resident.users += 1
        try:
            await asyncio.shield(resident.ready)
            yield resident.folder
        finally:
            resident.users -= 1
            resident.last_used = next(self._numbers)
            if resident.doomed and resident.users == 0:
                await self._delete(resident.folder)
            await self._trim(self._budget)

    async def release(self, wanted: int) -> None:
        """Give up images of at least so many bytes, if so many are not in use; tells what is left in any case."""
        await self._trim(max(0, self._total() - wanted))
        self._on_change(self._total())

    async def drop(self, image: str) -> None:
        """The artefact is gone. What is in use stays until it is not, and is then never used again."""
        if (resident := self._images.pop(image, None)) is not None:
            resident.doomed = True
            if resident.users == 0:
                await self._delete(resident.folder)
            self._on_change(self._total())

    async def discard(self, folder: str) -> None:
        """Delete a directory that holds no image."""
        await self._delete(folder)

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
            await self._delete(resident.folder)
            resident.ready.set_exception(error)
            resident.ready.exception()  # there may be nobody left who asks

    async def _trim(self, budget: int) -> None:
        before = total = self._total()
        for image, resident in sorted(self._images.items(), key=lambda item: item[1].last_used):
            if total <= budget:
                break
            if resident.users == 0 and resident.ready.done():
                total -= _size(resident)
                del self._images[image]
                await self._delete(resident.folder)
        if self._total() != before:
            self._on_change(self._total())

    def _total(self) -> int:
        return sum(map(_size, self._images.values()))

    async def _delete(self, folder: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self.ours(folder), True)


def _size(resident: _Resident) -> int:
    ready = resident.ready
    return ready.result() if ready.done() and ready.exception() is None else 0


def _held(folder: Path) -> int:
    """Bytes of memory that the files of a directory take."""
    return sum(
        os.lstat(os.path.join(root, name)).st_blocks * _STATUS_BLOCK  # noqa: PTH118
        for root, _, names in os.walk(folder)
        for name in names
    )
