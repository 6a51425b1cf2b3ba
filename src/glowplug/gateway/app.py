"""The whole HTTP application: the proxy for what engines serve, Starlette for what the gateway serves itself."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from glowplug.cluster.base import Cluster
from glowplug.config.models import ServerConfig
from glowplug.gateway.admin import Admin
from glowplug.gateway.auth import KeyRing
from glowplug.gateway.cors import Cors
from glowplug.gateway.errors import ApiError
from glowplug.gateway.guard import Guard
from glowplug.gateway.health import health_routes
from glowplug.gateway.metrics import Metrics
from glowplug.gateway.models_api import model_routes
from glowplug.gateway.proxy import Proxy
from glowplug.gateway.responses import error_response
from glowplug.gateway.status_page import status_route


def build_app(
    cluster: Cluster,
    config: ServerConfig,
    session: aiohttp.ClientSession,
    metrics: Metrics,
    keys: KeyRing | None,
    closing: asyncio.Event,
) -> Any:
    """The ASGI application. `closing` tells endless streams that the server shuts down."""
    proxy = Proxy(cluster, session, config, metrics, keys)
    own = Guard(_own_routes(cluster, metrics, closing), keys)

    def app(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        path: bytes = scope["raw_path"]
        if path.startswith((b"/v1/", b"/models/")) and path != b"/v1/models" and not path.startswith(b"/v1/models/"):
            return proxy(scope, receive, send)
        return own(scope, receive, send)

    return Cors(app, config.cors_origins) if config.cors_origins else app


def _own_routes(cluster: Cluster, metrics: Metrics, closing: asyncio.Event) -> Starlette:
    async def exposition(request: Request) -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes = [
        status_route(cluster),
        *health_routes(cluster),
        *model_routes(cluster),
        Route("/metrics", exposition),
        *Admin(cluster, closing).routes(),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _unexpected},
    )


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own errors: no such path, or a method that a path does not take."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        shaped = ApiError(405, "method_not_allowed", f"{request.url.path} does not take {request.method}.")
    else:
        shaped = ApiError(error.status_code, "not_found", f"There is nothing at {request.url.path}.")
    response = error_response(shaped)
    response.headers.update(error.headers or {})
    return response


async def _unexpected(request: Request, error: Exception) -> Response:
    return error_response(ApiError(500, "internal_error", "The gateway failed; its log says how."))
