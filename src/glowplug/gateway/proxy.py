"""The hot path: hold a request until its model runs, hand it to the engine, hand the answer back as it comes.

A raw ASGI callable. It creates no task, no timer and no log line for a request that meets a running model.
"""

import asyncio
import contextlib
import logging
import math
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

import aiohttp
from multidict import CIMultiDict

from glowplug.cluster.base import Cluster, LeasedReplica, Rejected, ReplicaLost
from glowplug.config.models import ServerConfig
from glowplug.gateway.auth import KeyRing
from glowplug.gateway.body import ClientLeft, read_body
from glowplug.gateway.destination import find, patience_of
from glowplug.gateway.errors import ApiError, dialect_of, from_rejection
from glowplug.gateway.exchange import Exchange
from glowplug.gateway.headers import to_engine
from glowplug.gateway.heartbeat import Heartbeat
from glowplug.gateway.metrics import Metrics, ModelMetrics
from glowplug.gateway.protocol import connection_of
from glowplug.gateway.relay import relay, relay_events
from glowplug.gateway.upstream import ask

log = logging.getLogger("glowplug.gateway")

# How often a request is given to engines that go away before they answer it.
_ATTEMPTS = 3
# As nginx logs a client that left before its answer began.
_CLIENT_LEFT = 499


@dataclass(frozen=True, slots=True)
class _Request:
    """What an engine is asked."""

    model: str
    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes


class Proxy:
    """Forwards requests under `/v1/` and `/models/NAME/` to engines."""

    def __init__(
        self,
        cluster: Cluster,
        session: aiohttp.ClientSession,
        config: ServerConfig,
        metrics: Metrics,
        keys: KeyRing | None,
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._config = config
        self._metrics = metrics
        self._keys = keys

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI entry for one request."""
        connection = connection_of(scope)
        exchange = Exchange(send, connection, dialect_of(scope["raw_path"]))
        connection.watch(cast("asyncio.Task[Any]", asyncio.current_task()))
        try:
            await self._serve(scope, receive, exchange)
        except ClientLeft:
            pass
        except ApiError as error:
            await exchange.fail(error)
        except Exception:
            log.exception("the gateway failed on %s %s", scope["method"], scope["path"])
            await exchange.fail(ApiError(500, "internal_error", "The gateway failed; its log says how."))
        except asyncio.CancelledError:
            if not connection.lost:
                await exchange.fail(ApiError(503, "shutting_down", "The server is shutting down."))
        finally:
            connection.unwatch()

    async def _serve(self, scope: Any, receive: Any, exchange: Exchange) -> None:
        headers = scope["headers"]
        key = self._keys.name_of(headers) if self._keys is not None else ""
        patience = patience_of(headers, self._config.queue_timeout)
        body = await read_body(headers, receive, self._config.max_body)
        method, query = scope["method"], scope["query_string"]
        destination = await find(self._cluster, method, scope["raw_path"], query, headers, body)
        exchange.dialect = dialect_of(destination.path)
        metrics = self._metrics.of(destination.model)
        path = destination.path.decode("ascii")
        request = _Request(
            model=destination.model,
            method=method,
            target=f"{path}?{query.decode('latin-1')}" if query else path,
            headers=to_engine(headers, with_credentials=self._keys is None),
            body=body,
        )
        interval = self._config.heartbeat
        beats = interval is not None and destination.wants_stream
        heartbeat = Heartbeat(exchange, destination.model, interval) if beats and interval else None
        try:
            await self._hold(request, exchange, metrics, heartbeat, key, patience)
        except ApiError as error:
            await exchange.fail(error)
        finally:
            metrics.answered(exchange.status or _CLIENT_LEFT)

    async def _hold(
        self,
        request: _Request,
        exchange: Exchange,
        metrics: ModelMetrics,
        heartbeat: Heartbeat | None,
        key: str,
        patience: float,
    ) -> None:
        """Wait for a replica and use it; for another one if it goes away before it answers."""
        deadline = monotonic() + patience
        waited = 0.0
        for attempt in range(1, _ATTEMPTS + 1):
            if heartbeat is not None:
                heartbeat.start()
            try:
                async with self._cluster.lease(request.model, key=key, timeout=patience) as replica:
                    if heartbeat is not None:
                        await heartbeat.stop()
                    waited += replica.waited
                    metrics.waited(replica.woke_from, waited)
                    await self._use(replica, request, exchange, metrics, waited)
                    return
            except Rejected as rejected:
                raise from_rejection(rejected) from rejected
            except ReplicaLost as lost:
                patience = deadline - monotonic()
                if exchange.relaying or attempt == _ATTEMPTS or patience <= 0:
                    times = "" if attempt == 1 else f" Tried {attempt} times."
                    raise ApiError(
                        502, "replica_lost", f"The engine of {request.model} failed: {lost}.{times}"
                    ) from lost
            finally:
                if heartbeat is not None:
                    await heartbeat.stop()

    async def _use(
        self,
        replica: LeasedReplica,
        request: _Request,
        exchange: Exchange,
        metrics: ModelMetrics,
        waited: float,
    ) -> None:
        limit = self._config.request_timeout
        try:
            # A timeout costs a timer for every request, so without a limit there is none.
            async with contextlib.nullcontext() if math.isinf(limit) else asyncio.timeout(limit):
                await self._converse(replica, request, exchange, metrics, waited)
        except TimeoutError as error:
            raise ApiError(
                504, "request_timeout", f"The engine did not finish within the {limit:g} s of server.request_timeout."
            ) from error

    async def _converse(
        self,
        replica: LeasedReplica,
        request: _Request,
        exchange: Exchange,
        metrics: ModelMetrics,
        waited: float,
    ) -> None:
        asked = monotonic()
        answer = await ask(
            self._session, request.method, replica.address, request.target, request.headers, request.body
        )
        exchange.relaying = True
        try:
            metrics.upstream_seconds.observe(monotonic() - asked)
            if exchange.started:
                await relay_events(answer, exchange)
            else:
                await relay(
                    answer,
                    exchange,
                    (
                        (b"x-glowplug-model", request.model.encode()),
                        (b"x-glowplug-woke-from", replica.woke_from.value.encode()),
                        (b"x-glowplug-wait-ms", b"%d" % round(waited * 1000)),
                    ),
                )
        finally:
            # Complete answers have given their connection back; of others it is closed, so that the engine stops.
            answer.close()
