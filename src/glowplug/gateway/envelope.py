"""What the gateway reads of a body: the model's name, and whether a stream is wanted. It never changes the body."""

import asyncio
from typing import Any, cast

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from glowplug.gateway.errors import ApiError

_MAX_MODEL_BYTES = 1024
_MULTIPART_STEP = 1024 * 1024


class Envelope(msgspec.Struct, gc=False):
    """The two fields that decide where a request goes. Other fields are checked for being JSON, and left alone."""

    model: Any = None
    stream: Any = None


_decode = msgspec.json.Decoder(Envelope).decode


def read_json(body: bytes) -> Envelope:
    """The envelope of a JSON body.

    Raises:
        ApiError: 400, the body is empty, is not JSON, or is no object.
    """
    try:
        return _decode(body)
    except msgspec.ValidationError:
        raise ApiError(400, "invalid_json", "The request body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not body.strip():
            raise empty_body() from None
        raise ApiError(400, "invalid_json", f"The request body is not valid JSON: {error}.") from None


def model_name(value: Any) -> str | None:
    """The `model` field if it is there.

    Raises:
        ApiError: 400, it is no string or an empty one.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ApiError(400, "invalid_model", "The field 'model' must be a non-empty string.", param="model")
    return value


def empty_body() -> ApiError:
    """400 for a request that needs a body."""
    return ApiError(400, "empty_body", "The request body is empty; send a JSON object with a 'model'.")


class _FieldFinder:
    """Callbacks that collect the value of one field of a multipart body."""

    def __init__(self, field: bytes) -> None:
        self._field = field
        self._header_name = b""
        self._header_value = b""
        self._inside = False
        self._value = b""
        self.found: bytes | None = None

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._field_data,
            "on_header_value": self._value_data,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
        }

    def _part_begin(self) -> None:
        self._inside = False
        self._value = b""

    def _field_data(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value_data(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            options = parse_options_header(self._header_value)[1]
            self._inside = options.get(b"name") == self._field and b"filename" not in options
        self._header_name = self._header_value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside and len(self._value) <= _MAX_MODEL_BYTES:
            self._value += data[start : min(end, start + _MAX_MODEL_BYTES)]

    def _part_end(self) -> None:
        if self._inside and self.found is None:
            self.found = self._value


async def multipart_model(body: bytes, content_type: bytes) -> str | None:
    """The value of the field `model` of a multipart/form-data body, or None if it has none.

    Reads no further than that field, and lets other requests go on in between.

    Raises:
        ApiError: 400, the body is not multipart/form-data, or the field is not text.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ApiError(400, "invalid_multipart", "The content type multipart/form-data has no boundary.")
    finder = _FieldFinder(b"model")
    try:
        parser = MultipartParser(boundary, cast(Any, finder.callbacks()))
        for start in range(0, len(body), _MULTIPART_STEP):
            parser.write(body[start : start + _MULTIPART_STEP])
            if finder.found is not None:
                return finder.found.decode()
            await asyncio.sleep(0)
    except (FormParserError, UnicodeDecodeError) as error:
        raise ApiError(
            400, "invalid_multipart", f"The request body is not valid multipart/form-data: {error}."
        ) from None
    return None
