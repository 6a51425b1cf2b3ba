"""Lines of JSON with a line of an engine inside, as collectors of logs write them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from glowplug.coldstart.stamps import Stamp, epoch, read_time
from glowplug.coldstart.terminal import without_control

_TEXT_KEYS = ("log", "message", "msg", "line", "text", "body", "textPayload", "MESSAGE")
_TIME_KEYS = ("time", "timestamp", "ts", "@timestamp", "asctime", "t", "__REALTIME_TIMESTAMP")
_SOURCE_KEYS = ("worker", "workerId", "pod", "pod_name", "container", "container_name")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a JSON object says about the line inside it; `source`, `process` and `pid` are empty if it names none."""

    message: str
    time: Stamp | None
    source: str
    process: str = ""
    pid: str = ""


def read_envelope(text: str) -> Envelope | None:
    """The envelope that `text` is; None if it is no JSON object with a line in it."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    fields = cast("Mapping[str, Any]", document)
    message = _text(fields, _TEXT_KEYS)
    message = _traced(fields) if message is None else message
    if message is None:
        return None
    moment = next((fields[key] for key in _TIME_KEYS if fields.get(key) is not None), None)
    source = _text(fields, _SOURCE_KEYS) or _text(_within(fields, "kubernetes"), _SOURCE_KEYS)
    # vLLM's and other Python loggers' own JSON.
    process = _text(fields, ("processName",)) or ""
    # JSON can name halves of a character, which no file can hold.
    message = message if message.isascii() else message.encode("utf-8", "replace").decode()
    message = without_control(message.rstrip("\r\n"))
    return Envelope(message, _time(moment), source or "", process, str(fields.get("process", "")) if process else "")


def _text(fields: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((fields[key] for key in keys if isinstance(fields.get(key), str)), None)


def _traced(fields: Mapping[str, Any]) -> str | None:
    """The message of Rust's tracing library, which TGI uses, with the rank that speaks as its text form has it."""
    message: Any = _within(fields, "fields").get("message")
    if not isinstance(message, str):
        return None
    rank: Any = _within(fields, "span").get("rank")
    return message if rank is None else f"{message} rank={rank}"


def _within(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner: Any = fields.get(key)
    return cast("Mapping[str, Any]", inner) if isinstance(inner, dict) else {}


def _time(moment: Any) -> Stamp | None:
    if isinstance(moment, str):
        if not moment.isdecimal():
            return read_time(moment)
        moment = float(moment)
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return None
    return epoch(moment)
