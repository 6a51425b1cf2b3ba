"""Durations (`30s`, `10m`, `forever`) and sizes (`32MiB`) as they are written in the configuration file."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    **{f"{p}iB": 1024**i for i, p in enumerate("KMGT", 1)},
    **{f"{p}B": 1000**i for i, p in enumerate("KMGT", 1)},
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d+)?)\s*([KMGT]i?B|B)")


def parse_duration(value: object) -> float:
    """Seconds from `90`, `1.5`, `"30s"`, `"1h30m"` or `"forever"` (infinity).

    Raises:
        ValueError: the text is no duration, or is negative.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and not math.isnan(value):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if text == "forever":
            return math.inf
        parts = _DURATION.findall(text)
        if parts and _DURATION.sub("", text).strip() == "":
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    raise ValueError(f"{value!r} is not a duration; write a number with ms, s, m, h or d, such as 30s, or forever")


def parse_size(value: object) -> int:
    """Bytes from `1048576`, `"32MiB"` or `"1.5GB"`.

    Raises:
        ValueError: the text is no size, or is negative.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(float(match[1]) * _BYTES[match[2]])
    raise ValueError(f"{value!r} is not a size; write bytes or a number with KiB, MiB, GiB or TiB, such as 32MiB")


_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^(forever|(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+)$"},
    ],
    "description": "A duration such as 500ms, 30s, 10m, 1h30m, or forever; a bare number is seconds.",
}
_SIZE_SCHEMA = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([KMGT]i?B|B)$"}],
    "description": "A size such as 512MiB or 16GiB; a bare number is bytes.",
}

Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
