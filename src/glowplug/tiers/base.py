"""What a tier is: how a replica gets from running into it and back. One file per tier, one line in `registry.py`.

Tiers see the machine only through `Host` and a replica only through `Body`; the node implements both and adds what is
the same for every tier: time limits, tear-down on failure, canary, measured memory, records.
"""

import asyncio
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from glowplug.checkpoint.sandbox import Restore, Sandbox
from glowplug.config.models import ModelConfig
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, Engine, Launch
from glowplug.scheduler.values import Tier
from glowplug.tiers.caches import CompileCaches, Prepared
from glowplug.tiers.worth import ImageAt


class TierError(Exception):
    """A wake or a rest failed. The text is one sentence for the user.

    `intact` says that the replica is unharmed in the tier it came from (a refused rest); otherwise it is torn down.
    """

    def __init__(self, message: str, *, intact: bool = False) -> None:
        super().__init__(message)
        self.intact = intact


@dataclass(frozen=True, slots=True)
class ExitCause:
    """How a process ended: exactly one of `code`, `signal`; `out_of_memory` if the kernel's OOM killer did it."""

    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False

    def __str__(self) -> str:
        if self.out_of_memory:
            return "was killed by the kernel because memory ran out"
        if self.signal == 9:
            return "was killed by signal 9 (by someone, or by the kernel because memory ran out)"
        if self.signal is not None:
            return f"was killed by signal {self.signal}"
        return f"exited with code {self.code}"


class ProcessTree(Protocol):
    """An engine's main process and everything it started.

    Attributes:
        pid: of the main process.
        cgroup: that holds all of it, if there is one.
        ip: address at which its ports are reached, through `checkpoint.sandbox_addresses.socket_for`.
        output_pipe: what CRIU calls the pipe that it prints to.
        init: the first process of its sandbox, as this machine numbers it; None if it runs in none.
    """

    pid: int
    cgroup: Path | None
    ip: str
    init: int | None
    output_pipe: str

    @property
    def exited(self) -> "asyncio.Future[ExitCause]":
        """Done when the main process has ended (await it with `asyncio.shield`)."""
        ...

    def pids(self) -> Sequence[int]:
        """All live processes of the tree, the main one first."""
        ...

    def output(self) -> Sequence[str]:
        """The last lines the tree printed, oldest first."""
        ...

    def cut_off(self) -> AbstractAsyncContextManager[None]:
        """While inside, no connection leads out of the engine's sandbox; its way out, if it has one, is shut.

        Entering raises `checkpoint.connections.StillConnected` if a connection remains.
        """
        ...

    async def stop(self, grace: float) -> ExitCause:
        """End the whole tree: SIGTERM, after `grace` seconds SIGKILL. Works on a frozen tree; leaves none behind."""
        ...


class Host(Protocol):
    """What a tier may ask of the machine."""

    async def spawn(self, replica_id: str, launch: Launch, sandbox: Sandbox | None = None) -> ProcessTree:
        """Start a process tree of its own for a replica, or have it restored. Raises TierError."""
        ...

    async def free_port(self, replica_id: str) -> int:
        """A port on 127.0.0.1 that no other replica has. Raises TierError."""
        ...

    async def call(self, address: str, call: Call, timeout: float) -> tuple[int, Any]:
        """Ask an engine at its base URL; status and parsed JSON (or text).

        Raises OSError or TimeoutError if there is no answer.
        """
        ...

    async def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Run a program to its end; exit status and output. Raises OSError if it cannot start, TimeoutError."""
        ...

    async def drop_page_cache(self, files: Sequence[Path]) -> None:
        """Take files out of the page cache, so that their memory is free. Files that are missing are ignored."""
        ...

    def state_dir(self, replica_id: str) -> Path:
        """A private directory for the files of a replica."""
        ...

    @property
    def caches(self) -> CompileCaches | None:
        """Where engines keep what they compile; None if nothing can be kept here."""
        ...

    @property
    def images(self) -> "Images":
        """The process images of this machine."""
        ...


@dataclass(frozen=True, slots=True)
class Image:
    """A process image, verified and in memory, ready for CRIU.

    Attributes:
        id: of the artefact.
        seen: its directory, as a sandbox sees it.
        ours: the same as we see it.
        engine: process id of the engine in its sandbox.
        output: name of the pipe that was its output.
        canary: what it answered before the dump.
        listening: ids, in the sandbox, of the processes that are to be told of the restore.
        at: where it was when it was asked for.
        size: bytes.
    """

    id: str
    seen: Path
    ours: Path
    engine: int
    output: str
    canary: CanaryAnswer
    listening: Sequence[int]
    at: ImageAt
    size: int


class Images(Protocol):
    """Where process images are kept."""

    def sandbox(self, launch: Launch, restore: Restore | None = None) -> Sandbox:
        """The surroundings for an engine that is to be dumped, or restored."""
        ...

    def huge_pages(self) -> AbstractContextManager[None]:
        """For the block in which CRIU fills the memory of processes: huge pages, if that is configured."""
        ...

    def restoring(self, body: "Body", launch: Launch) -> AbstractAsyncContextManager[Image]:
        """The image of a model; nobody takes it away meanwhile.

        Entering raises TierError if there is none, if it does not fit any more, or if it is damaged. A `BadImage` that
        leaves the block takes the image out of use.
        """
        ...


class BadImage(TierError):
    """The image itself is to blame."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a wake; `name` is a phase of a cold start. `start` and `end` are times of `time.monotonic`.

    `label` tells what it is within the phase that it lies in.
    """

    name: str
    start: float
    end: float
    label: str = ""


@dataclass(slots=True)
class Body:
    """What exists on the machine of one replica. Owned by the transition that is running on it.

    `sandboxed` says that its engine is started so that it can be dumped. `image_at` is where the image of the last
    restore was. `prepared` are the compile caches of the last start. `phases` are those of the wake that is running, or
    of the last one; some lie within others.
    """

    replica_id: str
    model_name: str
    model: ModelConfig
    engine: Engine
    start_timeout: float
    sandboxed: bool = False
    port: int = 0
    tree: ProcessTree | None = None
    canary: CanaryAnswer | None = None
    image_at: ImageAt | None = None
    prepared: Prepared = field(default_factory=Prepared)
    phases: list[Phase] = field(default_factory=lambda: list[Phase]())

    @contextmanager
    def phase(self, name: str, label: str = "") -> Generator[None, None, None]:
        """Record how long the block takes; one that fails is not recorded."""
        start = time.monotonic()
        yield
        self.phases.append(Phase(name, start, time.monotonic(), label))

    @property
    def address(self) -> str:
        """Base URL of the engine."""
        return f"http://{LOOPBACK if self.tree is None else self.tree.ip}:{self.port}"


class TierTransition(Protocol):
    """How to rest a replica into `tier` and wake it from there."""

    tier: ClassVar[Tier]

    def closed(self, model: ModelConfig, engine: Engine) -> str | None:
        """None if this tier can be used here for this model, else why not and the remedy."""
        ...

    async def rest(self, body: Body, source: Tier, host: Host) -> None:
        """Bring the replica from the warmer `source` into this tier, verified. Raises TierError."""
        ...

    async def wake(self, body: Body, host: Host) -> None:
        """Bring the replica from this tier to a process that can be asked for its canary. Raises TierError."""
        ...
