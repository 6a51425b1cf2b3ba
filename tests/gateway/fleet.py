"""An in-memory cluster that leases given addresses, waits and rejects on command, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glowplug.cluster.base import ModelView, Rejected, ReplicaLost, ReplicaView
from glowplug.node.doctor.report import Finding, ModelVerdict, Report, State, Verdict
from glowplug.node.snapshot_views import SnapshotListing, SnapshotMade
from glowplug.scheduler.effects import RejectKind
from glowplug.scheduler.values import Tier


@dataclass
class Granted:
    replica_id: str
    address: str
    woke_from: Tier = Tier.RUNNING
    waited: float = 0.0


@dataclass
class LeaseRecord:
    """One lease that was asked for. `outcome` is None until it ended: left, rejected, served or lost."""

    model: str
    key: str
    timeout: float | None
    entered: bool = False
    outcome: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, outcome: str) -> None:
        self.outcome = outcome
        self.ended.set()


class FakeLease:
    def __init__(self, fleet: "Fleet", record: LeaseRecord) -> None:
        self._fleet = fleet
        self._record = record

    async def __aenter__(self) -> Granted:
        fleet, record = self._fleet, self._record
        fleet.records.append(record)
        fleet.waiting.release()
        try:
            if fleet.rejection is not None:
                raise fleet.rejection
            async with asyncio.timeout(record.timeout):
                await fleet.open.wait()
        except TimeoutError:
            record.end("rejected")
            raise Rejected(RejectKind.DEADLINE, f"{record.model} did not wake within {record.timeout:g} s.") from None
        except Rejected:
            record.end("rejected")
            raise
        except BaseException:
            record.end("left")
            raise
        record.entered = True
        address = fleet.addresses.pop(0) if len(fleet.addresses) > 1 else fleet.addresses[0]
        return Granted("replica-1", address, fleet.woke_from, fleet.waited)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None:
            self._record.end("served")
        else:
            self._record.end("lost" if isinstance(error, ReplicaLost) else "left")


class Fleet:
    """The cluster. `open` lets leases through; `addresses` are leased in order, the last one for ever."""

    def __init__(self, addresses: Sequence[str] = (), models: Mapping[str, Sequence[str]] | None = None) -> None:
        self.addresses = list(addresses)
        self.aliases = dict(models or {"m": ["alias"]})
        self.rejection: Rejected | None = None
        self.woke_from = Tier.RUNNING
        self.waited = 0.0
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = asyncio.Semaphore(0)
        self.records: list[LeaseRecord] = []
        self.calls: list[tuple[Any, ...]] = []
        self.refusal: Exception | None = None
        self.is_ready = True
        self.listeners: list[asyncio.Queue[Mapping[str, Any] | None]] = []
        self.lines = ["first line", "zweite Zeile: größer", "third"]
        self.later_lines: asyncio.Queue[str] = asyncio.Queue()
        self.image_memory = 0
        self.views: list[ModelView] | None = None
        self.listing = SnapshotListing()

    def resolve(self, name: str) -> str | None:
        for model, aliases in self.aliases.items():
            if name == model or name in aliases:
                return model
        return None

    def lease(self, model: str, *, key: str = "", timeout: float | None = None) -> FakeLease:
        return FakeLease(self, LeaseRecord(model, key, timeout))

    def names(self) -> list[str]:
        return list(self.aliases)

    def models(self) -> list[ModelView]:
        if self.views is not None:
            return self.views
        return [
            ModelView(
                name=name,
                engine="fake",
                aliases=tuple(aliases),
                tier=Tier.PARKED,
                queued=3,
                in_flight=2,
                pin=False,
                replicas=(
                    ReplicaView(f"{name}-1", name, "parked", 1.5, 2, "http://127.0.0.1:1", 42, {"ram": 1000, "gpu": 0}),
                ),
                last_wake={"from": "parked", "seconds": 0.02},
                quarantine={},
                closed_tiers={"snapshot": "CRIU is missing"},
                snapshot=None,
            )
            for name, aliases in self.aliases.items()
        ]

    async def wake(self, model: str) -> None:
        self._called("wake", model)

    async def rest(self, model: str, tier: Tier | None = None) -> None:
        self._called("rest", model, tier)

    async def restart(self, model: str) -> None:
        self._called("restart", model)

    async def create_snapshot(self, model: str) -> SnapshotMade:
        self._called("create_snapshot", model)
        return SnapshotMade(model, "ab" * 16, 2000, 1000, 0.5, 61.5)

    async def snapshots(self) -> SnapshotListing:
        self._called("snapshots")
        return self.listing

    def _called(self, *call: Any) -> None:
        self.calls.append(call)
        if self.refusal is not None:
            raise self.refusal

    async def examine(self) -> Mapping[str, Any]:
        self.calls.append(("examine",))
        return Report(
            [Verdict(Tier.RUNNING), Verdict(Tier.SNAPSHOT, "CRIU is not installed", "install it")],
            [Finding("criu", State.MISSING, "CRIU is not installed", "install it", {"version": None})],
            [ModelVerdict("m", "fake", None, {Tier.SNAPSHOT: "CRIU is not installed; install it"})],
        ).as_json()

    def events(self) -> AsyncIterator[Mapping[str, Any]]:
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self.listeners.append(queue)

        async def listen() -> AsyncIterator[Mapping[str, Any]]:
            try:
                while (event := await queue.get()) is not None:
                    yield event
            finally:
                self.listeners.remove(queue)

        return listen()

    def tell(self, **event: Any) -> None:
        for queue in self.listeners:
            queue.put_nowait(event)

    def cold_starts(self, limit: int = 100) -> list[Mapping[str, Any]]:
        return [{"model": "m", "total": float(number)} for number in range(limit)]

    def logs(self, replica_id: str, *, follow: bool = False) -> AsyncIterator[str]:
        async def lines() -> AsyncIterator[str]:
            for line in self.lines:
                yield line
            while follow:
                yield await self.later_lines.get()

        return lines()

    @property
    def ready(self) -> bool:
        return self.is_ready
