"""JSON answers of the gateway's own routes."""

from typing import Any

import msgspec
from starlette.responses import Response

from glowplug.gateway.errors import ApiError, Dialect


class JsonResponse(Response):
    """Whatever msgspec can encode: views, mappings, sequences."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def error_response(error: ApiError) -> Response:
    """An error in the shape that the admin API and the OpenAI API share."""
    body = error.body(Dialect.OPENAI)
    headers = {name.decode(): value.decode() for name, value in error.headers(body)}
    return Response(body, status_code=error.status, headers=headers)
