"""Probes for load balancers. They are open even where API keys are configured."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from glowplug.cluster.base import Cluster
from glowplug.gateway.responses import JsonResponse

OPEN_PATHS = frozenset(("/healthz", "/readyz", "/ping"))


def health_routes(cluster: Cluster) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: it may be given traffic. `/ping`: the same, as RunPod asks for it."""

    async def healthz(request: Request) -> Response:
        return JsonResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        if cluster.ready:
            return JsonResponse({"status": "ready"})
        return JsonResponse({"status": "not ready"}, status_code=503)

    async def ping(request: Request) -> Response:
        return JsonResponse({"status": "healthy"}) if cluster.ready else Response(status_code=204)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/ping", ping)]
