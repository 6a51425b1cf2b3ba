"""What the gateway may ask of the fleet, be it one machine or many."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from glowplug.node.snapshot_views import SnapshotListing, SnapshotMade
from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.values import Attempt, Tier


class Rejected(Exception):
    """The scheduler turned the request away. `retry_after` is in seconds."""

    def __init__(
        self, kind: RejectKind, message: str, retry_after: float | None = None, tried: Sequence[Attempt] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.tried = tuple(tried)


class LeasedReplica(Protocol):
    """A running replica that a request may use until its lease ends."""

    @property
    def replica_id(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def woke_from(self) -> Tier: ...

    @property
    def waited(self) -> float: ...


class Lease(Protocol):
    """`async with cluster.lease(...) as replica:` waits for a replica; leaving the block gives it back.

    Cancelling the wait takes the request out of the queue. An exception of type `ReplicaLost` that leaves the block
    tells the scheduler that the engine did not serve.
    """

    async def __aenter__(self) -> LeasedReplica: ...

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None: ...


class ReplicaLost(Exception):
    """The engine broke off before it answered."""


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """For display: one replica. `state` is a tier, or `waking:TIER` / `resting:TIER`; times are seconds in it."""

    id: str
    model: str
    state: str
    since: float
    in_flight: int
    address: str | None
    pid: int | None
    memory: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ModelView:
    """For display: one model. `tier` is the warmest that any replica is in.

    `snapshot` is what its snapshot holds (bytes by kind, once for all replicas), None if there is none; why there is
    none is among `closed_tiers`.
    """

    name: str
    engine: str
    aliases: tuple[str, ...]
    tier: Tier
    queued: int
    in_flight: int
    pin: bool
    replicas: tuple[ReplicaView, ...]
    last_wake: Mapping[str, Any] | None
    quarantine: Mapping[str, str]
    closed_tiers: Mapping[str, str]
    snapshot: Mapping[str, int] | None


class Cluster(Protocol):
    """The fleet."""

    def resolve(self, name: str) -> str | None:
        """The configured model behind a name or alias, or None."""
        ...

    def lease(self, model: str, *, key: str = "", timeout: float | None = None) -> Lease:
        """A replica of a configured model, within `timeout` seconds (None: the configured queue timeout).

        Entering raises Rejected.
        """
        ...

    def models(self) -> Sequence[ModelView]:
        """All configured models, for display."""
        ...

    @property
    def image_memory(self) -> int:
        """Bytes of RAM that snapshots are kept in, ready to be restored."""
        ...

    def names(self) -> Sequence[str]:
        """All configured model names, without aliases."""
        ...

    async def wake(self, model: str) -> None:
        """Wake a replica and wait until it runs. Raises Rejected."""
        ...

    async def rest(self, model: str, tier: Tier | None = None) -> None:
        """Rest the idle replicas of a model to `tier` (None: one step colder) and wait for it.

        Raises Rejected if a replica is busy or pinned, ValueError if the model cannot use that tier.
        """
        ...

    async def restart(self, model: str) -> None:
        """End the processes of a model once idle and forget its quarantines. Raises Rejected if a replica is busy."""
        ...

    async def create_snapshot(self, model: str) -> SnapshotMade:
        """Start a model anew, make a snapshot of it, and wait until that is published.

        Raises Rejected if a replica is busy, if it cannot be woken, or if there can be no snapshot.
        """
        ...

    async def snapshots(self) -> SnapshotListing:
        """The snapshots that are kept here, and what is wrong with others. Raises Rejected if that cannot be read."""
        ...

    async def examine(self) -> Mapping[str, Any]:
        """What each tier needs and whether it is there, found out by trying, in the form of `glowplug doctor`."""
        ...

    def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """Tier changes and cold starts from now on: mappings with `type`, `at` (UTC, ISO 8601) and details."""
        ...

    def cold_starts(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Recorded cold starts, newest first."""
        ...

    def logs(self, replica_id: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Lines an engine printed, oldest first; with `follow`, also those to come. Raises KeyError."""
        ...

    @property
    def ready(self) -> bool:
        """Whether pinned models run and the server is not draining."""
        ...
