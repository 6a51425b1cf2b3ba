"""The hot path: hold a request until its model runs, hand it to the engine, hand the answer back as it comes.

A raw ASGI callable. It creates no task, no timer and no log line for a request that meets a running model.
"""

import asyncio
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
from glowplug.gateway.relay import is_event_stream, relay_body, relay_error, relay_head
from glowplug.gateway.upstream import ask

log = logging.getLogger("glowplug.gateway")

# How often a request is given to engines that go away before they answer it.
_ATTEMPTS = 3
# As nginx logs a client that left before its answer began.
_CLIENT_LEFT = 499


@dataclass(slots=True)
class _Request:
    """What an engine is asked, and how long its client waits."""

    model: str
    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes
    key: str
    patience: float
    wants_stream: bool

    def forget(self) -> None:
        """Let go of what was sent: an answer may take hours, and thousands of them at once must fit in memory."""
        self.body = b""
        self.headers = CIMultiDict()


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
        request = await self._read(scope, receive, exchange)
        metrics = self._metrics.of(request.model)
        try:
            await self._hold(request, exchange, metrics)
        except ApiError as error:
            await exchange.fail(error)
        finally:
            metrics.answered(exchange.status or _CLIENT_LEFT)

    async def _read(self, scope: Any, receive: Any, exchange: Exchange) -> _Request:
        """The whole request, once it is known to be worth an engine's time."""
        headers, method, query = scope["headers"], scope["method"], scope["query_string"]
        key = self._keys.name_of(headers) if self._keys is not None else ""
        patience = patience_of(headers, self._config.queue_timeout)
        body = await read_body(headers, receive, self._config.max_body)
        destination = await find(self._cluster, method, scope["raw_path"], query, headers, body)
        exchange.dialect = dialect_of(destination.path)
        path = destination.path.decode("ascii")
        return _Request(
            model=destination.model,
            method=method,
            target=f"{path}?{query.decode('latin-1')}" if query else path,
            headers=to_engine(headers, with_credentials=self._keys is None),
            body=body,
            key=key,
            patience=patience,
            wants_stream=destination.wants_stream,
        )

    async def _hold(self, request: _Request, exchange: Exchange, metrics: ModelMetrics) -> None:
        """Wait for a replica and use it; for another one if it goes away before it answers."""
        deadline = monotonic() + request.patience
        heartbeat = self._heartbeat(request, exchange)
        limit = self._config.request_timeout
        waited = 0.0
        for attempt in range(1, _ATTEMPTS + 1):
            if heartbeat is not None:
                heartbeat.start()
            try:
                async with self._cluster.lease(request.model, key=request.key, timeout=request.patience) as replica:
                    if heartbeat is not None:
                        await heartbeat.stop()
                    waited += replica.waited
                    metrics.waited(replica.woke_from, replica.waited)
                    if math.isinf(limit):  # a timeout would cost every request a timer
                        await self._converse(replica, request, exchange, metrics, waited)
                    else:
                        async with asyncio.timeout(limit):
                            await self._converse(replica, request, exchange, metrics, waited)
                    return
            except Rejected as rejected:
                raise from_rejection(rejected) from rejected
            except TimeoutError as error:
                message = f"The engine did not finish within the {limit:g} s of server.request_timeout."
                raise ApiError(504, "request_timeout", message) from error
            except ReplicaLost as lost:
                request.patience = deadline - monotonic()
                if exchange.relaying or attempt == _ATTEMPTS or request.patience <= 0:
                    times = "" if attempt == 1 else f" Tried {attempt} times."
                    message = f"The engine of {request.model} failed: {lost}.{times}"
                    raise ApiError(502, "replica_lost", message) from lost
            finally:
                if heartbeat is not None:
                    await heartbeat.stop()

    def _heartbeat(self, request: _Request, exchange: Exchange) -> Heartbeat | None:
        interval = self._config.heartbeat
        if interval and request.wants_stream:
            return Heartbeat(exchange, request.model, interval)
        return None

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
        request.forget()
        try:
            metrics.upstream_seconds.observe(monotonic() - asked)
            if not exchange.started:
                added = (
                    (b"x-glowplug-model", request.model.encode()),
                    (b"x-glowplug-woke-from", replica.woke_from.value.encode()),
                    (b"x-glowplug-wait-ms", b"%d" % round(waited * 1000)),
                )
                await relay_head(answer, exchange, added)
            elif not is_event_stream(answer):
                await relay_error(answer, exchange)
                return
            await relay_body(answer, exchange)
        finally:
            # Complete answers have given their connection back; of others it is closed, so that the engine stops.
            answer.close()
