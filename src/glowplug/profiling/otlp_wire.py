"""Reading spans out of OTLP requests (opentelemetry/proto/trace/v1/trace.proto), so far as a profile needs them.

Engines send them as protocol buffers. The few fields that matter are read by hand: the wire format is a sequence of
numbered fields (protobuf.dev/programming-guides/encoding), and the classes generated for it would be a dependency.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class EngineSpan:
    """A span that an engine recorded. Times in nanoseconds since 1970; `process` is what the engine calls itself."""

    name: str
    process: str
    start: int
    end: int


def read_spans(request: bytes) -> list[EngineSpan]:
    """The spans of one ExportTraceServiceRequest.

    Raises:
        ValueError: it is none.
    """
    try:
        return [
            span
            for resource_spans in _submessages(request, 1)
            for span in _spans(resource_spans, _process(resource_spans))
        ]
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("it is no OTLP request") from error


def _spans(resource_spans: bytes, process: str) -> Iterator[EngineSpan]:
    for scope_spans in _submessages(resource_spans, 2):
        for span in _submessages(scope_spans, 2):
            name, start, end = "", 0, 0
            for number, value in _fields(span):
                if number == 5 and isinstance(value, bytes):
                    name = value.decode()
                elif number == 7 and isinstance(value, int):
                    start = value
                elif number == 8 and isinstance(value, int):
                    end = value
            yield EngineSpan(name, process, start, end)


def _process(resource_spans: bytes) -> str:
    """The process as its resource attributes tell it: vLLM's own name for it, else the service's."""
    attributes: dict[str, str] = {}
    for resource in _submessages(resource_spans, 1):
        for attribute in _submessages(resource, 1):
            parts = {number: value for number, value in _fields(attribute) if isinstance(value, bytes)}
            for number, value in _fields(parts.get(2, b"")):
                if number == 1 and isinstance(value, bytes):
                    attributes[parts.get(1, b"").decode()] = value.decode()
    return attributes.get("vllm.process_name") or attributes.get("service.name", "")


def _submessages(message: bytes, wanted: int) -> Iterator[bytes]:
    for number, value in _fields(message):
        if number == wanted and isinstance(value, bytes):
            yield value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a message. Raises IndexError or ValueError if it is cut or damaged."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"there is no wire type {kind}")
        content = message[position : position + size]
        if len(content) < size:
            raise IndexError
        position += size
        yield key >> 3, content if kind == _BYTES else int.from_bytes(content, "little")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
