"""Errors as clients see them, in the shape of the API they speak."""

import math
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any

import msgspec

from glowplug.cluster.base import Rejected
from glowplug.scheduler.effects import RejectKind

Header = tuple[bytes, bytes]


class Dialect(Enum):
    """The API whose shapes an answer must have."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


def dialect_of(engine_path: bytes) -> Dialect:
    """The dialect that clients of an engine path speak."""
    if engine_path == b"/v1/messages" or engine_path.startswith(b"/v1/messages/"):
        return Dialect.ANTHROPIC
    return Dialect.OPENAI


# HTTP status: the `type` that each API documents for it. Statuses that are not listed use the first digit.
_OPENAI_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    504: "timeout_error",
}
_ANTHROPIC_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


class ApiError(Exception):
    """An error answer. `retry_after` is in seconds; `param` names the offending field of the request."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after

    def body(self, dialect: Dialect) -> bytes:
        """The JSON document of this error."""
        if dialect is Dialect.ANTHROPIC:
            kind = _ANTHROPIC_TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
            return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": self.message}})
        kind = _OPENAI_TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return msgspec.json.encode(
            {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
        )

    def sse_event(self, dialect: Dialect) -> bytes:
        """This error as the last event of a stream whose head was already sent."""
        return sse_error(self.body(dialect), dialect)

    def headers(self, body: bytes) -> list[Header]:
        """Response headers that belong to `body`."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(self.retry_after))))
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", b"Bearer"))
        return headers


def sse_error(document: bytes, dialect: Dialect) -> bytes:
    """A server-sent event that the SDKs of `dialect` raise as an error. `document` is JSON on one line."""
    if dialect is Dialect.ANTHROPIC:
        return b"event: error\ndata: " + document + b"\n\n"
    return b"data: " + document + b"\n\n"


# What the scheduler's reasons are in HTTP: status and the `code` of the OpenAI shape.
_REJECTIONS: Mapping[RejectKind, tuple[int, str]] = {
    RejectKind.UNKNOWN_MODEL: (404, "model_not_found"),
    RejectKind.QUEUE_FULL: (429, "queue_full"),
    RejectKind.DEADLINE: (504, "deadline_exceeded"),
    RejectKind.WAKE_FAILED: (503, "wake_failed"),
    RejectKind.QUARANTINED: (503, "model_quarantined"),
    RejectKind.TOO_LARGE: (503, "model_too_large"),
    RejectKind.SHUTTING_DOWN: (503, "shutting_down"),
    RejectKind.REFUSED: (409, "refused"),
}


def from_rejection(rejected: Rejected) -> ApiError:
    """The answer to a request that the scheduler turned away, with every rung that was tried."""
    status, code = _REJECTIONS[rejected.kind]
    message = rejected.message
    if rejected.tried:
        counted = Counter(f"{attempt.tier}: {attempt.reason.rstrip('.')}" for attempt in rejected.tried)
        tried = "; ".join(what if count == 1 else f"{what} ({count} times)" for what, count in counted.items())
        message = f"{message.rstrip('.')}. Tried {tried}."
    return ApiError(status, code, message, retry_after=rejected.retry_after)


def unknown_model(name: str, configured: tuple[str, ...]) -> ApiError:
    """404 that names the models there are."""
    shown = name if len(name) <= 200 else name[:200] + "…"
    return ApiError(
        404, "model_not_found", f"There is no model {shown!r} here; configured: {', '.join(configured)}.", param="model"
    )


def error_from_json(status: int, text: bytes) -> Any:
    """An engine's error answer as the object under `error`, whatever shape the engine gave it."""
    try:
        document: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        document = None
    if isinstance(document, dict):
        error: Any = document.get("error")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(error, dict):
            return error  # pyright: ignore[reportUnknownVariableType]
    message = text.decode("utf-8", "replace").strip() or f"The engine answered {status} without a body."
    return {"message": message, "type": "upstream_error", "param": None, "code": status}
