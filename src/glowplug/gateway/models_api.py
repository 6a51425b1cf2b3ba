"""`/v1/models`: every configured model, asleep or not, as OpenAI clients list them."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from glowplug.cluster.base import Cluster, ModelView
from glowplug.gateway.errors import unknown_model
from glowplug.gateway.responses import JsonResponse


def model_routes(cluster: Cluster) -> list[Route]:
    """The list, and one model by name or alias."""
    created = int(time.time())

    def describe(view: ModelView) -> dict[str, Any]:
        return {
            "id": view.name,
            "object": "model",
            "created": created,
            "owned_by": "glowplug",
            "glowplug": {"tier": view.tier, "replicas": len(view.replicas), "last_wake": view.last_wake},
        }

    async def list_models(request: Request) -> Response:
        return JsonResponse({"object": "list", "data": [describe(view) for view in cluster.models()]})

    async def get_model(request: Request) -> Response:
        wanted: str = request.path_params["name"]
        name = cluster.resolve(wanted)
        for view in cluster.models():
            if view.name == name:
                return JsonResponse(describe(view))
        raise unknown_model(wanted, tuple(cluster.names()))

    return [Route("/v1/models", list_models), Route("/v1/models/{name:path}", get_model)]
