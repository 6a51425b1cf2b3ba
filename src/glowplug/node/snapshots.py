"""The snapshots of one node: which there are, whether they fit, making them, and handing their images to a restore."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

from glowplug.artifacts.digests import Digests
from glowplug.artifacts.errors import Corrupt, NotFound, StoreError, Unsafe, Untrusted
from glowplug.artifacts.manifest import Manifest
from glowplug.artifacts.store import ArtifactStore
from glowplug.checkpoint.compact import compact
from glowplug.checkpoint.criu_images import ImageError
from glowplug.checkpoint.huge_pages import HugePages
from glowplug.checkpoint.sandbox import Restore, Sandbox, visible_directories
from glowplug.engines.base import Launch
from glowplug.node.evidence import Evidences
from glowplug.node.image_space import ImageSpace
from glowplug.node.memory import host_memory, tree_memory
from glowplug.node.resident_images import ResidentImages
from glowplug.node.setbacks import Setbacks
from glowplug.node.snapshot_orders import Order, Orders
from glowplug.node.snapshot_views import KIND
from glowplug.scheduler.values import Resources
from glowplug.tiers.base import BadImage, Body, Host, Image, TierError
from glowplug.tiers.capture import PAGES, Captured, NotDumped, canary_of, capture
from glowplug.tiers.identity import Identity, IdentityError, identity_of
from glowplug.tiers.identity_differences import differences
from glowplug.tiers.snapshot import require_criu
from glowplug.tiers.worth import ImageAt

log = logging.getLogger(__name__)

_ROOM = 1.2
"""Memory that must be available for a dump, as a multiple of what the engine holds: the image, and what the kernel
needs to write it."""


class Snapshots:
    """Implements `tiers.base.Images`. For one event loop.

    `on_snapshot` is told of every model: what its snapshot holds, or None and why there is none (any more).
    """

    def __init__(
        self,
        store: ArtifactStore,
        space: ImageSpace,
        budget: int,
        state_dir: Path,
        evidences: Evidences,
        huge_pages: HugePages | None,
        *,
        on_snapshot: Callable[[str, Resources | None, str], None],
        on_images: Callable[[Resources], None],
    ) -> None:
        self._store = store
        self._space = space
        self._budget = budget
        self._digests = Digests(state_dir / "digests")
        self._visible = (state_dir,)
        self._kept_tmp = state_dir / "tmp"
        self._evidences = evidences
        self._huge_pages = huge_pages
        self._on_snapshot = on_snapshot
        self._resident = ResidentImages(space, budget, lambda size: on_images(Resources(ram=size)))
        self._published: dict[str, Manifest] = {}
        self._declined: dict[str, str] = {}
        self._setbacks = Setbacks()
        self._orders = Orders()
        self._background: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def start(self, models: Iterable[str]) -> None:
        """Find what earlier servers left. Raises StoreError."""
        wanted = set(models)
        for manifest in reversed(await asyncio.to_thread(self._store.list, KIND)):
            if manifest.model in wanted:
                self._publish(manifest)

    async def close(self) -> None:
        """Leave off what is being made."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._resident.close()
        await asyncio.to_thread(self._space.close)

    def declined(self, model: str) -> str | None:
        """Why there is no snapshot of a model although there could be one; None if there is one, or will be."""
        return self._declined.get(model)

    def sandbox(self, launch: Launch, restore: Restore | None = None) -> Sandbox:
        """See `Images.sandbox`."""
        named = [Path(part) for word in (*launch.argv, *launch.env.values()) for part in word.split(":")]
        places = [path for path in named if path.is_absolute()]
        cwd = [Path.cwd() if launch.cwd is None else launch.cwd]
        visible = visible_directories([*self._visible, *places, *cwd])
        kept = [(self._kept_tmp / name, Path("/tmp") / name) for name in launch.kept_tmp]  # noqa: S108
        for folder, _ in kept:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Sandbox(visible, kept, self._space.mounts, restore)

    def huge_pages(self) -> contextlib.AbstractContextManager[None]:
        """See `Images.huge_pages`."""
        return contextlib.nullcontext() if self._huge_pages is None else self._huge_pages.always()

    @contextlib.asynccontextmanager
    async def restoring(self, body: Body, launch: Launch) -> AsyncGenerator[Image, None]:
        """See `Images.restoring`."""
        model = body.model_name
        manifest = self._published.get(model)
        if manifest is None:
            raise TierError(f"There is no snapshot of {model!r}.")
        at = ImageAt.RESIDENT if self._resident.holds(manifest.id) else ImageAt.DISK
        try:
            async with contextlib.AsyncExitStack() as stack:
                with body.phase("restore_read"):
                    with body.phase("restore_read", "identity"):
                        await self._require_same(body, launch, manifest)
                    reading = self._store.reading(manifest.id)
                    reader = await asyncio.to_thread(reading.__enter__)
                    stack.callback(reading.__exit__, None, None, None)

                    async def fill(folder: Path) -> None:
                        await asyncio.to_thread(reader.materialise, folder)

                    with body.phase("restore_read", "image"):
                        using = self._resident.using(manifest.id, manifest.raw_bytes, fill)
                        folder = await stack.enter_async_context(using)
                yield self._image(manifest, folder, at)
        except NotFound as error:  # somebody removed it; perhaps another one is there
            with contextlib.suppress(StoreError):
                await self.rescan((model,))
            raise TierError(str(error)) from error
        except (BadImage, Corrupt, Untrusted, Unsafe) as error:
            await self.quarantine(model, str(error))
            raise TierError(str(error)) from error
        except (StoreError, OSError) as error:
            raise TierError(f"The image of {model!r} cannot be read: {error}") from error

    async def after_start(self, body: Body, launch: Launch, host: Host, *, always: bool) -> None:
        """Dump an engine that has just been started and has served nobody, if that is worth it; store it beside.

        `always` does not ask whether it is. Raises TierError if that harmed the engine.
        """
        model = body.model_name
        folder = self._resident.new_folder()
        ours = self._resident.ours(folder)
        try:
            identity = await asyncio.to_thread(self._identity, body, launch)
            ordered = self._orders.waits(model)
            if not ordered and await self._has(model, identity):
                return
            await self._require_worth(body, always=always or ordered)
            if not ordered and (reason := self._setbacks.waiting(model)) is not None:
                raise NotDumped(f"it failed before and is not tried again for now: {reason}")
            ours.mkdir(mode=0o700)
        except (NotDumped, StoreError, OSError) as error:
            self._decline(model, str(error))
            return
        try:
            captured = await capture(body, host, require_criu(), self._resident.seen(folder), ours)
        except NotDumped as error:
            self._setbacks.failed(model, str(error))
            self._decline(model, str(error))
            self._resident.discard(folder)
        except BaseException as error:  # the engine is ended now, for whatever reason: not again at its next start
            reason = str(error) or "the dump was broken off"
            self._setbacks.harmed(model, reason)
            self._decline(model, reason)
            self._resident.discard(folder)
            raise
        else:
            log.info("%s was dumped; it stood still for %.2f s", body.replica_id, captured.pause)
            self._declined.pop(model, None)
            task = asyncio.create_task(self._keep(model, identity, captured, folder))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    @contextlib.asynccontextmanager
    async def ordered(self, model: str) -> AsyncGenerator[Order, None]:
        """While inside, the next start of a model is dumped whatever that is worth, and nothing is restored.

        Entering does not suspend. Where nothing comes of the order, what there was is used again. Raises NotMade.
        """
        order = self._orders.place(model, self._published.get(model))
        if self._published.pop(model, None) is not None:
            self._on_snapshot(model, None, "a new one is being made")
        try:
            yield order
        finally:
            self._orders.remove(model)
            if order.before is not None and model not in self._published:
                self._publish(order.before)

    async def rescan(self, wanted: Iterable[str]) -> None:
        """Take note of what others removed from the store or put into it. Raises StoreError."""
        before = dict(self._published)
        newest = {manifest.model: manifest for manifest in reversed(await asyncio.to_thread(self._store.list, KIND))}
        for model in {*before, *wanted}:
            was, now = before.get(model), newest.get(model)
            if self._published.get(model) is not was or self._orders.waits(model):
                continue  # things went on while the store was read
            if now is not None and (was is None or now.id != was.id):
                self._publish(now)
            elif now is None and was is not None:
                del self._published[model]
                self._on_snapshot(model, None, "it was removed")
            if was is not None and (now is None or now.id != was.id):
                self._resident.drop(was.id)

    async def settled(self) -> None:
        """Wait until all that was dumped is published, or given up."""
        while self._background:
            await asyncio.wait(self._background)

    def release(self, wanted: int) -> None:
        """Free memory of images that nobody uses; `on_images` is told in any case."""
        self._resident.release(wanted)

    async def remove(self, model: str) -> None:
        """Nobody wants the snapshot of a model any more."""
        manifest = self._published.pop(model, None)
        if manifest is not None:
            self._resident.drop(manifest.id)
            with contextlib.suppress(StoreError):  # it is gone, or being exported: then it stays for another time
                await asyncio.to_thread(self._store.remove, manifest.id)
                await asyncio.to_thread(self._store.collect)
            self._on_snapshot(model, None, "it was kept for as long as configured")

    async def quarantine(self, model: str, reason: str) -> None:
        """Take the snapshot of a model out of use because it is bad."""
        manifest = self._published.pop(model, None)
        if manifest is None:
            return
        log.warning("The snapshot of %s is set aside: %s", model, reason)
        self._setbacks.failed(model, reason)
        self._resident.drop(manifest.id)
        try:
            await asyncio.to_thread(self._store.quarantine, manifest.id, reason)
        except StoreError as error:
            log.warning("It could not be set aside: %s", error)
        self._on_snapshot(model, None, reason)

    def started(self, model: str, seconds: float, weights_cached: float | None, *, always: bool) -> None:
        """An engine took so long to start. `always` does not ask whether its snapshot is worth it."""
        self._evidences.started(model, seconds, weights_cached)
        self._review(model, always=always)

    def restored(self, model: str, at: ImageAt, seconds: float, *, always: bool) -> None:
        """A restore took so long, with the image there, and gave the right answer."""
        self._setbacks.succeeded(model)
        self._evidences.restored(model, at, seconds)
        self._review(model, always=always)

    def _review(self, model: str, *, always: bool) -> None:
        """Use the snapshot of a model, or not, as is faster."""
        manifest = self._published.get(model)
        if manifest is None:
            return
        verdict = self._evidences.worth(model, manifest.raw_bytes, manifest.stored_bytes, self._budget)
        worth = verdict.worth or always
        if worth and model in self._declined:
            del self._declined[model]
            self._on_snapshot(model, Resources(disk=manifest.stored_bytes), "")
        elif not worth and model not in self._declined:
            self._decline(model, verdict.reason)
            self._resident.drop(manifest.id)
            self._on_snapshot(model, None, verdict.reason)

    async def _keep(self, model: str, identity: Identity, captured: Captured, folder: str) -> None:
        """Compact what was dumped, store it, and let it take the place of what there was."""
        ours = self._resident.ours(folder)
        try:
            async with self._one_at_a_time:
                await asyncio.to_thread(compact, ours / PAGES)
                manifest = await asyncio.to_thread(
                    self._store.add, KIND, model, ours, identity.as_json(), captured.as_facts()
                )
        except (StoreError, ImageError, OSError) as error:
            reason = f"The snapshot could not be stored: {error}"
            self._setbacks.failed(model, reason)
            self._decline(model, reason)
            self._resident.discard(folder)
            return
        except BaseException:
            self._resident.discard(folder)
            raise
        before = self._published.get(model) or self._orders.replaces(model)
        await self._resident.adopt(manifest.id, folder)
        self._publish(manifest)
        self._orders.fulfil(manifest)
        if before is not None and before.id != manifest.id:
            self._resident.drop(before.id)
        await asyncio.to_thread(self._remove_all_but, manifest)

    def _remove_all_but(self, kept: Manifest) -> None:
        """Leave one snapshot of a model: also those go that did not fit any more."""
        with contextlib.suppress(StoreError):
            for manifest in self._store.list(KIND):
                if manifest.model == kept.model and manifest.id != kept.id:
                    with contextlib.suppress(StoreError):  # being read: it goes when the next one is made
                        self._store.remove(manifest.id)
            self._store.collect()

    def _image(self, manifest: Manifest, folder: str, at: ImageAt) -> Image:
        facts = manifest.facts
        try:
            engine, output, listening = int(facts["engine"]), str(facts["output"]), tuple(facts["listening"])
            canary = canary_of(facts)
        except (KeyError, TypeError, ValueError) as error:
            raise BadImage("The image does not say how it is to be restored.") from error
        seen, ours = self._resident.seen(folder), self._resident.ours(folder)
        return Image(manifest.id, seen, ours, engine, output, canary, listening, at, manifest.raw_bytes)

    def _publish(self, manifest: Manifest) -> None:
        self._published[manifest.model] = manifest
        self._on_snapshot(manifest.model, Resources(disk=manifest.stored_bytes), "")

    async def _require_same(self, body: Body, launch: Launch, manifest: Manifest) -> None:
        """Raises TierError if the image does not fit what would be started now."""
        try:
            now = await asyncio.to_thread(self._identity, body, launch)
        except NotDumped as error:
            raise TierError(str(error)) from error
        if changed := differences(manifest.identity, now):
            reason = f"The snapshot does not fit any more: {'; '.join(changed)}."
            self._published.pop(body.model_name, None)
            self._resident.drop(manifest.id)
            self._on_snapshot(body.model_name, None, reason)
            raise TierError(reason)

    async def _has(self, model: str, identity: Identity) -> bool:
        """Whether the snapshot of such a process is published, or was given up."""
        for manifest in await asyncio.to_thread(self._store.list, KIND):
            if manifest.model == model:
                if not differences(manifest.identity, identity):
                    if model not in self._published:
                        self._publish(manifest)
                    return True
                return False
        return False

    async def _require_worth(self, body: Body, *, always: bool) -> None:
        """Raises NotDumped if a dump is not worth it, or there is no room for it."""
        assert body.tree is not None
        held = (await asyncio.to_thread(tree_memory, body.tree.pids())).ram
        available = host_memory().available
        if available < held * _ROOM:
            raise NotDumped(
                f"a dump needs {held * _ROOM / 2**30:.1f} GiB of free memory, and {available / 2**30:.1f} GiB are free"
            )
        if not always:
            verdict = self._evidences.worth(body.model_name, held, held, self._budget)
            if not verdict.worth:
                raise NotDumped(verdict.reason)

    def _identity(self, body: Body, launch: Launch) -> Identity:
        try:
            return identity_of(body.model_name, body.model, body.engine, launch, require_criu(), self._digests)
        except (IdentityError, TierError) as error:
            raise NotDumped(str(error)) from error

    def _decline(self, model: str, reason: str) -> None:
        log.warning("No snapshot of %s: %s", model, reason)
        self._declined[model] = reason
        self._orders.fail(model, reason)
