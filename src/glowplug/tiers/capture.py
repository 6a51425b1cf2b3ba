"""Dumping a running engine: quiesce, dump, copy what its sandbox holds, and let it run on."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glowplug.checkpoint import criu as criu_jobs
from glowplug.checkpoint import hooks
from glowplug.checkpoint.connections import StillConnected
from glowplug.checkpoint.criu import CriuError, Place
from glowplug.checkpoint.criu_binary import Criu
from glowplug.checkpoint.criu_log import explain
from glowplug.checkpoint.sandbox_init import copy_tree
from glowplug.engines.base import CanaryAnswer
from glowplug.tiers.base import Body, Host, ProcessTree, TierError
from glowplug.tiers.steps import perform

PAGES = "images"
FILES = "files"
WORK = "work"
"""Directories of an image: what CRIU wrote, what was in the private directories, logs."""

PRIVATE = {"shm": Path("/dev/shm"), "tmp": Path("/tmp")}  # noqa: S108
"""The private directories of a sandbox, by their name in an image."""

_HOOKS_TIMEOUT = 30.0
_DUMP_TIMEOUT = 90.0
"""Seconds. CRIU writes 1 GB/s or more into memory; what takes longer hangs, and a wake waits for it."""


class NotDumped(Exception):
    """The engine cannot be dumped, and runs on unharmed. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What was dumped.

    Attributes:
        engine: its process id in the sandbox.
        output: name of the pipe that is its output.
        pause: for how long it stood still, in seconds.
        listening: ids, in the sandbox, of the processes that are to be told of a restore.
        canary: what it answers.
    """

    engine: int
    output: str
    pause: float
    listening: Sequence[int]
    canary: CanaryAnswer

    def as_facts(self) -> dict[str, Any]:
        """Plain values, as a manifest holds them."""
        answer = self.canary
        canary = {"tokens": [*answer.tokens], "logprobs": [*answer.logprobs], "vector": [*answer.vector]}
        return {
            "engine": self.engine,
            "output": self.output,
            "pause": round(self.pause, 4),
            "listening": [*self.listening],
            "canary": canary,
        }


def canary_of(facts: Mapping[str, Any]) -> CanaryAnswer:
    """The canary in the facts of a manifest. Raises KeyError or TypeError if there is none."""
    canary = facts["canary"]
    return CanaryAnswer(tuple(canary["tokens"]), tuple(canary["logprobs"]), tuple(canary["vector"]))


async def capture(body: Body, host: Host, criu: Criu, seen: Path, ours: Path) -> Captured:
    """Dump the engine into an empty directory, `seen` by its sandbox and `ours` by us, and let it run on.

    Raises:
        NotDumped: it cannot be; it runs on.
        TierError: it was harmed and must be ended.
    """
    tree, canary = body.tree, body.canary
    if tree is None or tree.init is None or canary is None:
        raise NotDumped("The engine does not run in a sandbox.")
    for name in (PAGES, WORK, FILES, *(f"{FILES}/{name}" for name in PRIVATE)):
        (ours / name).mkdir(mode=0o700)
    await perform(body.engine.sleep(body.model_name, body.model, body.port), body, host)
    try:
        pause, listening = await _dump_quiet(body, tree, host, criu, seen, ours)
    except NotDumped:
        await _wake(body, host)
        raise
    await _wake(body, host)
    return Captured(criu_jobs.inner_pid(tree.pid), tree.output_pipe, pause, listening, canary)


async def _dump_quiet(
    body: Body, tree: ProcessTree, host: Host, criu: Criu, seen: Path, ours: Path
) -> tuple[float, Sequence[int]]:
    assert tree.init is not None
    try:
        async with tree.cut_off():
            return await asyncio.to_thread(_dump, criu, tree, tree.init, seen, ours)
    except StillConnected as error:
        raise NotDumped(str(error)) from error
    except CriuError as error:
        kept = criu_jobs.keep_log(error.log, host.state_dir(body.replica_id) / criu_jobs.DUMP_LOG)
        raise NotDumped(f"CRIU {explain(error.log, 'dump', error.names)} (its log: {kept}).") from error


async def _wake(body: Body, host: Host) -> None:
    await perform(body.engine.wake(body.model_name, body.model, body.port), body, host)


def _dump(criu: Criu, tree: ProcessTree, init: int, seen: Path, ours: Path) -> tuple[float, Sequence[int]]:
    """Seconds that the tree stood still, and the processes that listen for a restore."""
    try:
        told = hooks.tell("before_snapshot", tree.pid, _HOOKS_TIMEOUT)
    except hooks.HookError as error:
        with suppress(hooks.HookError):  # perhaps those of some processes ran
            hooks.tell("after_restore", tree.pid, _HOOKS_TIMEOUT)
        raise NotDumped(str(error)) from error
    try:
        pause = _dump_told(criu, tree, init, Place(seen / PAGES, seen / WORK, ours / WORK), ours / FILES)
    except (CriuError, NotDumped):
        _undo_hooks(tree)
        raise
    _undo_hooks(tree)
    return pause, [report.pid for report in told]


def _undo_hooks(tree: ProcessTree) -> None:
    """What was closed for the dump is needed again, because the engine runs on. Raises TierError."""
    try:
        hooks.tell("after_restore", tree.pid, _HOOKS_TIMEOUT)
    except hooks.HookError as error:
        raise TierError(f"The engine was harmed while it was dumped: {error}") from error


def _dump_told(criu: Criu, tree: ProcessTree, init: int, place: Place, files: Path) -> float:
    began = time.monotonic()
    try:
        criu_jobs.dump(criu, init=init, engine=criu_jobs.inner_pid(tree.pid), place=place, timeout=_DUMP_TIMEOUT)
        try:
            for name, private in PRIVATE.items():
                copy_tree(f"/proc/{init}/root{private}", str(files / name))
        finally:
            criu_jobs.resume(tree.pids())
    except TimeoutError as error:
        raise TierError(f"The engine was harmed while it was dumped: {error}.") from error
    except OSError as error:
        raise NotDumped(f"The engine cannot be dumped: {error}.") from error
    return time.monotonic() - began
