"""A gateway in front of one address, without scheduler and node: what the gateway alone costs.

Run as `python -m benchmarks.load.fixed_gateway ENGINE_URL`; it prints its own URL once it serves.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from glowplug.cluster.base import ModelView
from glowplug.config.models import ServerConfig
from glowplug.gateway.listening import listen
from glowplug.gateway.server import serve
from glowplug.scheduler.values import Tier


@dataclass(frozen=True, slots=True)
class _Replica:
    address: str
    replica_id: str = "bench-1"
    woke_from: Tier = Tier.RUNNING
    waited: float = 0.0


class _Lease:
    __slots__ = ("_replica",)

    def __init__(self, replica: _Replica) -> None:
        self._replica = replica

    async def __aenter__(self) -> _Replica:
        return self._replica

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        return None


class FixedCluster:
    """One model, `bench`, that always runs."""

    ready = True

    def __init__(self, address: str) -> None:
        self._replica = _Replica(address)

    def resolve(self, name: str) -> str | None:
        return name if name == "bench" else None

    def lease(self, model: str, *, key: str = "", timeout: float | None = None) -> _Lease:
        return _Lease(self._replica)

    def models(self) -> Sequence[ModelView]:
        return []

    def names(self) -> Sequence[str]:
        return ["bench"]

    async def wake(self, model: str) -> None: ...

    async def rest(self, model: str, tier: Tier | None = None) -> None: ...

    async def restart(self, model: str) -> None: ...

    async def events(self) -> AsyncIterator[Mapping[str, Any]]:
        await asyncio.Event().wait()
        yield {}

    def cold_starts(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        return []

    async def logs(self, replica_id: str, *, follow: bool = False) -> AsyncIterator[str]:
        yield ""

    async def start(self) -> None: ...

    async def drain(self, timeout: float) -> None: ...

    async def close(self) -> None: ...


if __name__ == "__main__":
    listener = listen("127.0.0.1", 0)
    cluster = FixedCluster(sys.argv[1])
    uvloop.run(serve(ServerConfig(), cluster, listener, None, lambda url: print(url, flush=True)))
