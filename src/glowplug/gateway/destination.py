"""Where a request goes: which model, and which path of its engine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_to_bytes

from glowplug.cluster.base import Cluster
from glowplug.gateway.envelope import empty_body, model_name, multipart_model, read_json
from glowplug.gateway.errors import ApiError, unknown_model
from glowplug.gateway.headers import Header, header

_MODELS = b"/models/"
# A name has at most 200 characters, each at most three bytes when percent-encoded.
_LONGEST_NAME = 600
_BINARY = (b"application/octet-stream", b"audio/", b"image/", b"video/")
_BODILESS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class Destination:
    """A configured model, the path of its engine, and whether the client asked for a stream."""

    model: str
    path: bytes
    wants_stream: bool


def by_path(raw_path: bytes, cluster: Cluster) -> tuple[str, bytes] | None:
    """Model and engine path of `/models/NAME/REST`, or None for a path of another kind.

    Names may contain slashes, so the longest configured name wins; they may be percent-encoded too.

    Raises:
        ApiError: 404, no configured name is a prefix.
    """
    if not raw_path.startswith(_MODELS):
        return None
    rest = raw_path[len(_MODELS) :]
    end = len(rest) if len(rest) <= _LONGEST_NAME else rest.rfind(b"/", 0, _LONGEST_NAME + 1)
    while end > 0:
        name = unquote_to_bytes(rest[:end]).decode("utf-8", "replace")
        model = cluster.resolve(name)
        if model is not None:
            return model, rest[end:] or b"/"
        end = rest.rfind(b"/", 0, end)
    first = unquote_to_bytes(rest[:_LONGEST_NAME].partition(b"/")[0]).decode("utf-8", "replace")
    raise unknown_model(first, tuple(cluster.names()))


async def find(
    cluster: Cluster, method: str, raw_path: bytes, query: bytes, headers: Iterable[Header], body: bytes
) -> Destination:
    """The destination of a request whose body was read.

    The name is taken from the path (`/models/NAME/...`); else from the body (JSON or multipart); else from `?model=` or
    the header `x-glowplug-model`; else, for a request without a body, it is the only configured model if there is one.

    Raises:
        ApiError: 400, no model is named or the body is malformed; 404, it is not configured.
    """
    stream = _accepts_events(headers)
    named = by_path(raw_path, cluster)
    if named is not None:
        return Destination(*named, wants_stream=stream)
    wanted: str | None = None
    content_type = header(headers, b"content-type") or b"application/json"
    opaque = header(headers, b"content-encoding") is not None
    has_document = False
    if body and not opaque:
        if content_type[:19].lower() == b"multipart/form-data":
            has_document = True
            wanted = await multipart_model(body, content_type)
        elif not content_type.lower().startswith(_BINARY):
            # Whatever else it says it is: curl, for one, calls every body a form unless told otherwise.
            has_document = True
            envelope = read_json(body)
            wanted = model_name(envelope.model)
            stream = stream or envelope.stream is True
    if wanted is None:
        wanted = _named_outside(query, headers)
    if wanted is None:
        names = cluster.names()
        if not body and method not in _BODILESS:
            raise empty_body()
        if has_document or len(names) != 1:
            raise ApiError(
                400,
                "missing_model",
                "The request names no model: set the field 'model', or the header x-glowplug-model.",
                param="model",
            )
        wanted = names[0]
    model = cluster.resolve(wanted)
    if model is None:
        raise unknown_model(wanted, tuple(cluster.names()))
    return Destination(model, raw_path, stream)


def patience_of(headers: Iterable[Header], configured: float) -> float:
    """Seconds a request may wait: the configured time, or less if the header `x-glowplug-timeout` says so.

    Raises:
        ApiError: 400, the header is no positive number.
    """
    text = header(headers, b"x-glowplug-timeout")
    if text is None:
        return configured
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ApiError(400, "invalid_timeout", "The header x-glowplug-timeout must be a positive number of seconds.")
    return min(seconds, configured)


def _accepts_events(headers: Iterable[Header]) -> bool:
    accept = header(headers, b"accept")
    return accept is not None and b"text/event-stream" in accept


def _named_outside(query: bytes, headers: Iterable[Header]) -> str | None:
    if b"model=" in query:
        values = parse_qs(query.decode("latin-1")).get("model")
        if values:
            return values[0]
    value = header(headers, b"x-glowplug-model")
    return model_name(value.decode("utf-8", "replace")) if value is not None else None
