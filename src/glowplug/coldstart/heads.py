"""The head of a line: what collectors, launchers and engines write before the message.

Collectors of logs (docker, compose, Kubernetes, Ray, RunPod's console, journald, JSON lines) put their own time, source
and quoting around the line of an engine, in any order. `read_head` peels all of it off.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from glowplug.coldstart.stamps import Stamp, stamp

_MAX_LAYERS = 8
"""Heads peeled off one line at most; real ones have up to four."""

_DATE = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d+))?"
_ZONE = r"(?P<zone>Z|[+-]\d\d:?\d\d)"
_LEVEL = r"(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL|TRACE)"

# Heads of engines: their time is the engine's own.
_VLLM = re.compile(rf"{_LEVEL} +(?P<month>\d\d)-(?P<day>\d\d) {_CLOCK} +\[?[\w./<>-]+:\d+\] ?")
_SGLANG = re.compile(rf"\[{_DATE} {_CLOCK}(?: (?P<ranks>[A-Z]+\d+(?: [A-Z]+\d+)*))?\] ?")
_PYTHON = re.compile(rf"{_DATE} {_CLOCK} (?:- [\w.]+ - (?={_LEVEL})|(?={_LEVEL}\b)|\[pid=)")
_RUST = re.compile(rf"{_DATE}T{_CLOCK}{_ZONE} +(?={_LEVEL} )")
_WORKER = re.compile(rf"[\w.]+\.py +:\d+ +{_DATE} {_CLOCK} ")
_TURBOMIND = re.compile(r"\[TM\]\[\w+\]\[(?P<month>\d\d)(?P<day>\d\d)\.(?P<clock>\d\d:\d\d:\d\d)\.(?P<fraction>\d+)\]")
_LLAMA = re.compile(r"(?P<minutes>\d+)\.(?P<seconds>\d\d)\.(?P<ms>\d{3})\.(?P<us>\d{3}) (?=[IWEDV] )")
_ENGINE_HEADS = (_VLLM, _SGLANG, _RUST, _PYTHON, _WORKER, _TURBOMIND)

# Heads of collectors.
_RFC3339 = re.compile(rf"\[?{_DATE}[T ]{_CLOCK}{_ZONE}\]?\s+")
_PLAIN = re.compile(rf"\[?{_DATE} {{1,2}}{_CLOCK}\]?(?: |$)")
_RUNPOD = re.compile(rf"{_DATE}\s+{_CLOCK} \| \w+ \| (?P<source>[\w-]+) \| ?")
_CRI = re.compile(r"std(?:out|err) [FP] ")
_COMPOSE = re.compile(r"(?P<source>\[?[\w][\w.-]*\]?)\s+\| ")
_KUBERNETES = re.compile(r"\[?(?P<source>pods?/[\w./-]+)\]?:? ")
_JOURNALD = re.compile(
    r"(?P<name>[A-Z][a-z]{2}) +(?P<date>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d) \S+ [\w.@-]+(?:\[\d+\])?: "
)
_LOGGER = re.compile(rf"{_LEVEL}:[\w.-]+:\s*")
_PROCESS = re.compile(
    r"\((?P<name>[A-Za-z_]\w*)(?:\(.*?\)+)?(?: rank=(?P<rank>\d+))?,? pid=(?P<pid>\d+)(?:, ip=[\w.:]+)?\)\s*"
)
_MONTHS = {name: f"{i:02}" for i, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)}  # fmt: skip

_TEXT_KEYS = ("log", "message", "msg", "line", "text", "body", "textPayload")
_TIME_KEYS = ("time", "timestamp", "ts", "@timestamp", "asctime", "t")
_SOURCE_KEYS = ("worker", "workerId", "pod", "pod_name", "container", "container_name")
_JSON_TIME = re.compile(rf"{_DATE}[T ]{_CLOCK}{_ZONE}?")

_GLUED = re.compile(
    rf"(?:\(\w+(?: rank=\d+)? pid=\d+\)\s*)*(?:{_LEVEL} \d\d-\d\d \d\d:\d\d:\d\d|\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)"
)


@dataclass(slots=True)
class Head:
    """What stood before the message.

    `inner` is the engine's own time, `outer` that of the first collector, `source` which container or worker spoke as
    far as a collector told, `process` and `pid` which of the engine's processes.
    """

    message: str
    inner: Stamp | None = None
    outer: Stamp | None = None
    source: str = ""
    process: str = ""
    pid: str = ""
    escaped: bool = False
    """The collector wrote line ends as two characters, backslash and n."""


def read_head(text: str) -> Head:
    """Peel everything off `text` that is not the message. Never fails: what is not understood stays."""
    head = Head(text)
    for _ in range(_MAX_LAYERS):
        if not _peel(head):
            break
    return head


def read_time(text: str) -> Stamp | None:
    """The time that `text` begins with, such as 2026-07-06T14:07:54; None if there is none."""
    match = _JSON_TIME.match(text)
    return None if match is None else _stamp(match.groupdict())


def glued_at(text: str) -> list[int]:
    """Where in `text`, after its beginning, further lines begin that a progress bar swallowed the line end of."""
    return [match.start() for match in _GLUED.finditer(text) if match.start() > 0]


def _peel(head: Head) -> bool:
    text = head.message
    if not text:
        return False
    first = text[0]
    if first == "(":
        return _process(head, text)
    if first.isdigit():
        return _dated(head, text)
    if first == "[":
        return _engine(head, text) or _collector(head, text, _RFC3339) or _collector(head, text, _PLAIN) or _named(head)
    if first in "{d" and (first == "{" or text.startswith("data: {")):
        return _json(head, text[text.index("{") :])
    if head.inner is None and first.isupper() and (_engine(head, text) or _logger(head, text)):
        return True
    return _named(head)


def _process(head: Head, text: str) -> bool:
    if (match := _PROCESS.match(text)) is None:
        return False
    head.process = match["name"] + (f" rank={match['rank']}" if match["rank"] else "")
    head.pid = match["pid"]
    head.message = text[match.end() :]
    return True


def _dated(head: Head, text: str) -> bool:
    if (match := _RUNPOD.match(text)) is not None:
        head.source = match["source"]
        head.escaped = True
        return _take(head, match, text)
    if _engine(head, text) or _collector(head, text, _RFC3339):
        return True
    if (match := _LLAMA.match(text)) is not None and head.inner is None:
        seconds = int(match["minutes"]) * 60 + int(match["seconds"]) + int(match["ms"]) / 1e3 + int(match["us"]) / 1e6
        head.inner = Stamp(seconds, relative=True)
        head.message = text[match.end() :]
        return True
    return _collector(head, text, _PLAIN)


def _engine(head: Head, text: str) -> bool:
    if head.inner is not None:
        return False
    for pattern in _ENGINE_HEADS:
        if (match := pattern.match(text)) is not None:
            groups = match.groupdict()
            head.inner = _stamp(groups)
            if groups.get("ranks"):
                head.process = groups["ranks"]
            head.message = text[match.end() :]
            return True
    return False


def _collector(head: Head, text: str, pattern: re.Pattern[str]) -> bool:
    match = pattern.match(text)
    return match is not None and _take(head, match, text)


def _take(head: Head, match: re.Match[str], text: str) -> bool:
    if head.outer is None:
        head.outer = _stamp(match.groupdict())
    head.message = text[match.end() :]
    return True


def _logger(head: Head, text: str) -> bool:
    if (match := _LOGGER.match(text)) is not None:
        head.message = text[match.end() :]
        return True
    if (match := _JOURNALD.match(text)) is not None and match["name"] in _MONTHS:
        if head.outer is None:
            head.outer = stamp(None, _MONTHS[match["name"]], match["date"].zfill(2), match["clock"], None, None)
        head.message = text[match.end() :]
        return True
    return False


def _named(head: Head) -> bool:
    """Prefixes that only name where the line comes from."""
    text = head.message
    if (match := _CRI.match(text)) is not None:
        head.message = text[match.end() :]
        return True
    if not head.source:
        for pattern in (_COMPOSE, _KUBERNETES):
            if (match := pattern.match(text)) is not None:
                head.source = match["source"]
                head.message = text[match.end() :]
                return True
    return False


def _json(head: Head, text: str) -> bool:
    """A JSON object with the line inside; several collectors write one per line."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return False
    fields = cast("Mapping[str, Any]", document)
    line = next((fields[key] for key in _TEXT_KEYS if isinstance(fields.get(key), str)), None)
    if line is None:
        return False
    time = next((fields[key] for key in _TIME_KEYS if fields.get(key) is not None), None)
    if head.outer is None and time is not None:
        head.outer = _json_time(time)
    source = next((fields[key] for key in _SOURCE_KEYS if isinstance(fields.get(key), str)), "")
    head.source = head.source or source
    head.message = line
    return True


def _json_time(time: Any) -> Stamp | None:
    if isinstance(time, str):
        return read_time(time)
    if isinstance(time, int | float) and not isinstance(time, bool):
        # Epoch seconds, milliseconds, microseconds or nanoseconds, told apart by size.
        seconds = float(time)
        while seconds > 1e11:
            seconds /= 1000
        try:
            moment = datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, ValueError, OSError):
            return None
        return stamp(str(moment.year), str(moment.month), str(moment.day), f"{moment:%H:%M:%S}", f"{moment:%f}", "Z")
    return None


def _stamp(groups: Mapping[str, str | None]) -> Stamp | None:
    month, day, clock = groups.get("month"), groups.get("day"), groups.get("clock")
    if month is None or day is None or clock is None:
        return None
    return stamp(groups.get("year"), month, day, clock, groups.get("fraction"), groups.get("zone"))
