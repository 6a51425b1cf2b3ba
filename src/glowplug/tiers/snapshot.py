"""Snapshot: the process tree of a warmed-up engine on disk, with everything that it has computed so far.

The image is made once, right after a start and before the first request, so no request's data can be in it (`capture`).
To rest here is to end the process; to wake is to have CRIU bring the image back in a fresh sandbox.
"""

import asyncio
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from glowplug.checkpoint import criu as criu_jobs
from glowplug.checkpoint import criu_binary, hooks
from glowplug.checkpoint.criu_binary import Criu
from glowplug.checkpoint.criu_log import explain
from glowplug.checkpoint.criu_times import RestoreTimes, restore_times
from glowplug.checkpoint.sandbox import PORT, Restore, sandbox_closed
from glowplug.checkpoint.sandbox_environment import secret_in
from glowplug.config.models import ModelConfig
from glowplug.engines.arguments import command_line
from glowplug.engines.base import EVERYWHERE, Engine, EngineError, Launch
from glowplug.scheduler.values import Tier
from glowplug.tiers.base import BadImage, Body, Host, Image, Phase, TierError
from glowplug.tiers.capture import FILES, PAGES, PRIVATE
from glowplug.tiers.process import stop
from glowplug.tiers.sandboxed import sandboxed_launch
from glowplug.tiers.steps import perform

_RESTORE_TIMEOUT = 20.0
_SLOWEST = 100e6
"""Seconds, and bytes per second, that CRIU gets. It restores 1 to 2 GB/s; on an image that it misreads it may go round
in circles for ever, writing a log of gigabytes."""

_HOOKS_TIMEOUT = 10.0
"""Seconds for all hooks after a restore. Reseeding takes milliseconds; what takes longer hangs."""


class SnapshotTier:
    """On disk, and perhaps in memory: an image of the processes."""

    tier: ClassVar[Tier] = Tier.SNAPSHOT

    def closed(self, model: ModelConfig, engine: Engine) -> str | None:
        """See `TierTransition.closed`."""
        if (reason := machine_closed() or engine.snapshottable(model)) is not None:
            return reason
        if (secret := secret_in(model.env, _words(model, engine))) is not None:
            return f"{secret} is configured for the engine and would be in its image; remove it"
        return None

    async def rest(self, body: Body, source: Tier, host: Host) -> None:
        """End the engine at once: its image is there already, and what it would tidy up is private to its sandbox."""
        await stop(body, 0)

    async def wake(self, body: Body, host: Host) -> None:
        """Restore the image into a fresh sandbox and make what comes out of it unique."""
        criu = require_criu()
        try:
            launch = sandboxed_launch(body.model_name, body.model, body.engine)
        except EngineError as error:
            raise TierError(str(error)) from error
        async with host.images.restoring(body, launch) as image:
            place = _place(body, image)
            with body.phase("restore_pages"):
                await _restore(body, host, launch, image, criu, place)
            restored = body.phases[-1]
            body.canary, body.image_at = image.canary, image.at
            with body.phase("wake"):
                # Nobody waits for what CRIU says of itself: the hooks take longer.
                times, _ = await asyncio.gather(
                    asyncio.to_thread(restore_times, place.log_folder), _make_unique(body, host, image)
                )
            body.phases += _parts(restored, times)


def _words(model: ModelConfig, engine: Engine) -> Sequence[str]:
    """The command line that would be in an image; as far as it is known, if the engine cannot be started."""
    try:
        return engine.launch("", model, PORT, EVERYWHERE).argv
    except EngineError:
        return command_line(model.args)


def _place(body: Body, image: Image) -> criu_jobs.Place:
    work = Path("restores") / body.replica_id
    return criu_jobs.Place(image.seen / PAGES, image.seen / work, image.ours / work)


def _parts(restored: Phase, times: RestoreTimes | None) -> Sequence[Phase]:
    """What the restore consisted of: making the sandbox, CRIU reading what the image says, and its bringing back the
    processes and their memory."""
    if times is None:
        return ()
    marks = [restored.start, *(min(max(at, restored.start), restored.end) for at in (times.began, times.processes))]
    ends = [*marks[1:], max(marks[-1], min(times.ended, restored.end))]
    labels = ("sandbox", "image description", "processes and memory")
    return [Phase(restored.name, *part) for part in zip(marks, ends, labels, strict=True)]


async def _restore(body: Body, host: Host, launch: Launch, image: Image, criu: Criu, place: criu_jobs.Place) -> None:
    place.log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (criu_jobs.RESTORE_LOG, criu_jobs.RESTORE_STATISTICS):  # those of the restore before
        (place.log_folder / name).unlink(missing_ok=True)
    command = criu_jobs.restore_command(criu, place, image.output)
    fill = [(image.seen / FILES / name, private) for name, private in PRIVATE.items()]
    body.port = PORT
    limit = _RESTORE_TIMEOUT + image.size / _SLOWEST
    try:
        sandbox = host.images.sandbox(launch, Restore(command, image.engine, fill))
        async with asyncio.timeout(limit):
            # Whatever else faults pages in meanwhile gets huge ones too, so the block is as short as can be.
            with host.images.huge_pages():
                body.tree = await host.spawn(body.replica_id, launch, sandbox)
    except TimeoutError as error:
        raise BadImage(f"CRIU did not restore the engine within {limit:.0f} s.") from error
    except TierError as error:
        log = await asyncio.to_thread(criu_jobs.read_log, place.log_folder / criu_jobs.RESTORE_LOG)
        if not log:
            raise
        kept = criu_jobs.keep_log(log, host.state_dir(body.replica_id) / criu_jobs.RESTORE_LOG)
        raise BadImage(f"CRIU {explain(log, 'restore')} (its log: {kept}).") from error


async def _make_unique(body: Body, host: Host, image: Image) -> None:
    assert body.tree is not None
    try:
        with body.phase("wake", "hooks"):
            await asyncio.to_thread(
                hooks.tell, "after_restore", body.tree.pid, _HOOKS_TIMEOUT, expected=image.listening
            )
    except (hooks.HookError, OSError) as error:
        raise BadImage(f"The restored engine could not be made unique: {error}") from error
    await perform(body.engine.wake(body.model_name, body.model, body.port), body, host)


def require_criu() -> Criu:
    """The CRIU of this machine, as it is now. Raises TierError."""
    criu = criu_binary.find()
    if criu is None or criu.version < criu_binary.MINIMUM:
        raise TierError(criu_binary.criu_closed() or "CRIU cannot be started.")
    return criu


@functools.cache
def machine_closed() -> str | None:
    """None if engines can be dumped and restored on this machine, else why not and the remedy. Found out once."""
    return criu_binary.criu_closed() or sandbox_closed()
