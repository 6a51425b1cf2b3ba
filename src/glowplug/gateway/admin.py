"""The admin API under /glowplug/v1/: look at models, replicas and snapshots; wake, rest, restart and dump."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from glowplug.cluster.base import Cluster, ModelView, Rejected
from glowplug.gateway.errors import ApiError, from_rejection, unknown_model
from glowplug.gateway.events import event_stream
from glowplug.gateway.openapi import openapi_document
from glowplug.gateway.responses import JsonResponse
from glowplug.gateway.streams import until_closing
from glowplug.scheduler.values import Tier

PREFIX = "/glowplug/v1"
_MOST_COLD_STARTS = 1000


class Admin:
    """Handlers of the admin API. `closing` ends the streams that would otherwise never end."""

    def __init__(self, cluster: Cluster, closing: asyncio.Event) -> None:
        self._cluster = cluster
        self._closing = closing

    def routes(self) -> list[Route]:
        """All routes; those for one model come before the one that takes any name."""
        return [
            Route(f"{PREFIX}/models", self.models),
            Route(f"{PREFIX}/models/{{name:path}}/wake", self.wake, methods=["POST"]),
            Route(f"{PREFIX}/models/{{name:path}}/rest", self.rest, methods=["POST"]),
            Route(f"{PREFIX}/models/{{name:path}}/restart", self.restart, methods=["POST"]),
            Route(f"{PREFIX}/models/{{name:path}}/snapshot", self.snapshot, methods=["POST"]),
            Route(f"{PREFIX}/models/{{name:path}}", self.model),
            Route(f"{PREFIX}/replicas", self.replicas),
            Route(f"{PREFIX}/replicas/{{id:path}}/logs", self.logs),
            Route(f"{PREFIX}/snapshots", self.snapshots),
            Route(f"{PREFIX}/cold-starts", self.cold_starts),
            Route(f"{PREFIX}/doctor", self.doctor),
            Route(f"{PREFIX}/events", self.events),
            Route(f"{PREFIX}/openapi.json", self.openapi),
        ]

    async def models(self, request: Request) -> Response:
        return JsonResponse({"models": self._cluster.models()})

    async def model(self, request: Request) -> Response:
        return JsonResponse(self._view(self._named(request)))

    async def replicas(self, request: Request) -> Response:
        return JsonResponse({"replicas": [replica for view in self._cluster.models() for replica in view.replicas]})

    async def wake(self, request: Request) -> Response:
        name = self._named(request)
        return await self._move(name, self._cluster.wake(name))

    async def rest(self, request: Request) -> Response:
        name = self._named(request)
        text = request.query_params.get("tier")
        try:
            tier = Tier(text) if text is not None else None
        except ValueError:
            known = ", ".join(tier.value for tier in Tier)
            raise ApiError(400, "invalid_tier", f"There is no tier {text!r}; the tiers are {known}.") from None
        try:
            return await self._move(name, self._cluster.rest(name, tier))
        except ValueError as error:
            raise ApiError(400, "invalid_tier", str(error)) from None

    async def restart(self, request: Request) -> Response:
        name = self._named(request)
        return await self._move(name, self._cluster.restart(name))

    async def snapshot(self, request: Request) -> Response:
        name = self._named(request)
        try:
            return JsonResponse(await self._cluster.create_snapshot(name))
        except Rejected as rejected:
            raise from_rejection(rejected) from rejected

    async def snapshots(self, request: Request) -> Response:
        try:
            return JsonResponse(await self._cluster.snapshots())
        except Rejected as rejected:
            raise from_rejection(rejected) from rejected

    async def logs(self, request: Request) -> Response:
        replica: str = request.path_params["id"]
        follow = request.query_params.get("follow", "false")
        if follow not in ("true", "false"):
            raise ApiError(400, "invalid_follow", "The parameter 'follow' must be true or false.")
        known = {view.id for model in self._cluster.models() for view in model.replicas}
        if replica not in known:
            raise ApiError(
                404,
                "replica_not_found",
                f"There is no replica {replica!r}; there are: {', '.join(sorted(known)) or 'none'}.",
            )
        lines = self._cluster.logs(replica, follow=follow == "true")
        return StreamingResponse(self._text(lines), media_type="text/plain")

    async def cold_starts(self, request: Request) -> Response:
        text = request.query_params.get("limit", "100")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_COLD_STARTS:
            raise ApiError(400, "invalid_limit", f"The parameter 'limit' must be 1 to {_MOST_COLD_STARTS}.")
        return JsonResponse({"cold_starts": self._cluster.cold_starts(int(text))})

    async def doctor(self, request: Request) -> Response:
        return JsonResponse(await self._cluster.examine())

    async def events(self, request: Request) -> Response:
        stream = event_stream(self._cluster.events(), self._closing)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    async def openapi(self, request: Request) -> Response:
        return JsonResponse(openapi_document())

    def _named(self, request: Request) -> str:
        wanted: str = request.path_params["name"]
        name = self._cluster.resolve(wanted)
        if name is None:
            raise unknown_model(wanted, tuple(self._cluster.names()))
        return name

    def _view(self, name: str) -> ModelView:
        for view in self._cluster.models():
            if view.name == name:
                return view
        raise unknown_model(name, tuple(self._cluster.names()))

    async def _move(self, name: str, move: Awaitable[None]) -> Response:
        began = time.monotonic()
        try:
            await move
        except Rejected as rejected:
            raise from_rejection(rejected) from rejected
        seconds = round(time.monotonic() - began, 6)
        return JsonResponse({"model": name, "tier": self._view(name).tier, "seconds": seconds})

    async def _text(self, lines: AsyncIterator[str]) -> AsyncIterator[str]:
        async for line in until_closing(lines, self._closing):
            yield f"{line}\n"
