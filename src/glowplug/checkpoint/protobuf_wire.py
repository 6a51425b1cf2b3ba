"""The wire format of Protocol Buffers, as far as CRIU's images need it: read, change some fields, write the rest back.

Source: https://protobuf.dev/programming-guides/encoding/. No schema is needed, so that fields which a newer CRIU adds
survive a rewrite. Groups (wire types 3 and 4) do not occur in CRIU's images and are refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK64 = (1 << 64) - 1


class WireError(Exception):
    """The bytes are not a message. A clause without a full stop."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, its value, and the bytes it stands in. Numbers are unsigned, as on the wire."""

    number: int
    value: int | bytes
    raw: bytes


def fields(message: bytes) -> Sequence[Field]:
    """All fields in their order. Raises WireError."""
    found: list[Field] = []
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        kind = tag & 7
        value: int | bytes
        if kind == _VARINT:
            value, position = _varint(message, position)
        elif kind == _BYTES:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
            value, position = int.from_bytes(message[position : position + length], "little"), position + length
        else:
            raise WireError(f"a field has the unknown wire type {kind}")
        if position > len(message):
            raise WireError("a field goes on after the message's end")
        if tag >> 3 == 0:
            raise WireError("a field has the number 0")
        found.append(Field(tag >> 3, value, message[start:position]))
    return found


def number(message: Iterable[Field], which: int, default: int | None = None) -> int:
    """The value of a numeric field, the last one if it is there more than once. Raises WireError if it is missing."""
    values = [field.value for field in message if field.number == which]
    value = values[-1] if values else default
    if not isinstance(value, int):
        raise WireError(f"field {which} is missing" if value is None else f"field {which} is not a number")
    return value


def messages(message: Iterable[Field], which: int) -> Sequence[bytes]:
    """Every value of a field that holds messages, texts or bytes. Raises WireError."""
    values = [field.value for field in message if field.number == which]
    found = [value for value in values if isinstance(value, bytes)]
    if len(found) != len(values):
        raise WireError(f"field {which} is a number")
    return found


def numeric_field(which: int, value: int) -> bytes:
    """A field with a number, as bytes."""
    return _encoded(which << 3 | _VARINT) + _encoded(value)


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message):
            raise WireError("a number goes on after the message's end")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK64, position
        shift += 7
        if shift > 63:
            raise WireError("a number is longer than 64 bits")


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
