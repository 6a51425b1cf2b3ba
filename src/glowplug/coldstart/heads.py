"""The head of a line: what collectors, launchers and engines write before the message.

Collectors of logs (docker, compose, Kubernetes, Ray, RunPod's console, journald, JSON lines) put their own time, source
and quoting around the line of an engine, in any order. `read_head` peels all of it off.
"""

import re
from dataclasses import dataclass

from glowplug.coldstart.envelopes import read_envelope
from glowplug.coldstart.stamps import Stamp, epoch, stamp, stamp_of

_MAX_LAYERS = 8
"""Heads peeled off one line at most; real ones have up to four."""

_DATE = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d+))?"
_ZONE = r"(?P<zone>Z|[+-]\d\d:?\d\d)"
_LEVEL = r"(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL|TRACE)"

# Heads of engines, by the first character of the line: their time is the engine's own, and nothing else follows.
_VLLM = re.compile(rf"{_LEVEL} +(?P<month>\d\d)-(?P<day>\d\d) {_CLOCK} +\[?[\w./<>-]+:\d+\] ?")
_SGLANG = re.compile(rf"\[{_DATE} {_CLOCK}(?: (?P<ranks>[A-Z]+\d+(?: [A-Z]+\d+)*))?\] ?")
_TURBOMIND = re.compile(r"\[TM\]\[\w+\]\[(?P<month>\d\d)(?P<day>\d\d)\.(?P<clock>\d\d:\d\d:\d\d)\.(?P<fraction>\d+)\]")
# A level may also stand behind the time of a collector, at the beginning of a line of vLLM.
_PYTHON = re.compile(
    rf"{_DATE} {_CLOCK} (?:- (?:[\w.]+ - )?(?={_LEVEL} )|(?={_LEVEL}\b(?! +\d\d-\d\d \d\d:|:[\w.-]+:))|\[pid=)"
)
_RUST = re.compile(rf"{_DATE}T{_CLOCK}{_ZONE} +(?={_LEVEL} )(?!{_LEVEL} +\d\d-\d\d \d\d:)")
_LLAMA = re.compile(r"(?P<minutes>\d{1,6})\.(?P<seconds>\d\d)\.(?P<ms>\d{3})\.(?P<us>\d{3}) (?=[IWEDV] )")
_LLAMA_2024 = re.compile(r"(?:INFO|WARN|ERR|VERB) +\[ *\w+\] (?=.{1,200} timestamp=(?P<epoch>\d{10})\b)")
_WORKER = re.compile(rf"[\w.]+\.py +:\d+ +{_DATE} {_CLOCK} ")

# Heads of collectors.
_RFC3339 = re.compile(rf"\[?{_DATE}[T ]{_CLOCK}{_ZONE}\]?(?:\s+|$)")
_PLAIN = re.compile(rf"\[?{_DATE} {{1,2}}{_CLOCK}\]?(?: (?:\| )?|$)")
_RUNPOD = re.compile(rf"{_DATE}\s+{_CLOCK} \| \w+ \| (?P<source>[\w-]+) \|(?: |$)")
_CRI = re.compile(r"std(?:out|err) [FP](?: |$)")
_COMPOSE = re.compile(r"(?P<source>\[?\w[\w.-]*\]?)\s+\|(?: |$)")
_KUBERNETES = re.compile(r"\[?(?P<source>pods?/[\w./-]+)\]?:?(?: |$)")
_JOURNALD = re.compile(
    r"(?P<name>[A-Z][a-z]{2}) +(?P<date>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d) \S+ [\w.@-]+(?:\[\d+\])?: "
)
_UNIT = re.compile(r"[\w.-]+ [\w.@-]+\[\d+\]: ")
_LOGGER = re.compile(rf"{_LEVEL}:[\w.-]+:\s*")
_PROCESS = re.compile(
    r"\((?P<name>[A-Za-z_][\w:.-]*)(?:\([^\n]*?\))?(?: rank=(?P<rank>\d+))?,? pid=(?P<pid>\d+)(?:, ip=[\w.:]+)?\)\s*"
)
_REPEATED = re.compile(r"\[repeated \d+x across cluster\]")
_MONTHS = {name: f"{i:02}" for i, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)}  # fmt: skip

_GLUED = re.compile(
    rf"(?:\(\w+(?: rank=\d+)? pid=\d+\) *){{0,3}}"
    rf"(?:{_LEVEL} \d\d-\d\d \d\d:\d\d:\d\d|\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)"
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
        if not head.message or not _peel(head, head.message[0]) or head.inner is not None:
            break
    return head


def glued_at(text: str) -> list[int]:
    """Where in `text`, after its beginning, further lines begin that a progress bar swallowed the line end of."""
    return [match.start() for match in _GLUED.finditer(text) if match.start() > 0]


def _peel(head: Head, first: str) -> bool:
    """Take one head off that begins with the character `first`."""
    if first == "(":
        return _process(head)
    if first.isdigit():
        return (
            _runpod(head)
            or _engine(head, _RUST)
            or _engine(head, _PYTHON)
            or _collector(head, _RFC3339)
            or _llama(head)
            or _collector(head, _PLAIN)
            or _named(head)
        )
    if first == "[":
        return (
            _engine(head, _SGLANG)
            or _engine(head, _TURBOMIND)
            or _collector(head, _RFC3339)
            or _collector(head, _PLAIN)
            or _named(head)
        )
    if first == "{":
        return _json(head, head.message)
    if first.isupper() and (_engine(head, _VLLM) or _epoch(head) or _logger(head) or _journald(head)):
        return True
    if first == "d" and head.message.startswith("data: {"):
        return _json(head, head.message.removeprefix("data: "))
    return _engine(head, _WORKER) or _named(head)


def _engine(head: Head, pattern: re.Pattern[str]) -> bool:
    if (match := pattern.match(head.message)) is None:
        return False
    groups = match.groupdict()
    head.inner = stamp_of(groups)
    head.process = groups.get("ranks") or head.process
    head.message = head.message[match.end() :]
    return True


def _llama(head: Head) -> bool:
    if (match := _LLAMA.match(head.message)) is None:
        return False
    seconds = int(match["minutes"]) * 60 + int(match["seconds"]) + int(match["ms"]) / 1e3 + int(match["us"]) / 1e6
    head.inner = Stamp(seconds, relative=True)
    head.message = head.message[match.end() :]
    return True


def _epoch(head: Head) -> bool:
    """The server of llama.cpp in 2024, and forks of it, tell the time behind the message."""
    if (match := _LLAMA_2024.match(head.message)) is None:
        return False
    head.inner = epoch(int(match["epoch"]))
    head.message = head.message[match.end() :]
    return True


def _process(head: Head) -> bool:
    if (match := _PROCESS.match(head.message)) is None:
        return False
    name, rank, head.pid = match.group("name", "rank", "pid")
    head.process = f"{name} rank={rank}" if rank else name
    head.message = head.message[match.end() :]
    # What Ray appends when other processes said the same.
    if "x across cluster]" in head.message and (repeated := _REPEATED.search(head.message)) is not None:
        head.message = head.message[: repeated.start()].rstrip()
    return True


def _runpod(head: Head) -> bool:
    if not _collector(head, _RUNPOD):
        return False
    head.escaped = True
    return True


def _collector(head: Head, pattern: re.Pattern[str]) -> bool:
    if (match := pattern.match(head.message)) is None:
        return False
    groups = match.groupdict()
    head.outer = head.outer or stamp_of(groups)
    head.source = head.source or groups.get("source") or ""
    head.message = head.message[match.end() :]
    return True


def _logger(head: Head) -> bool:
    if (match := _LOGGER.match(head.message)) is None:
        return False
    head.message = head.message[match.end() :]
    return True


def _journald(head: Head) -> bool:
    if (match := _JOURNALD.match(head.message)) is None or match["name"] not in _MONTHS:
        return False
    if head.outer is None:
        head.outer = stamp(None, _MONTHS[match["name"]], match["date"], match["clock"], None, None)
    head.message = head.message[match.end() :]
    return True


def _named(head: Head) -> bool:
    """Prefixes that only name where the line comes from."""
    patterns = (_CRI,) if head.source else (_CRI, _COMPOSE, _KUBERNETES)
    for pattern in patterns if head.outer is None else (*patterns, _UNIT):
        if (match := pattern.match(head.message)) is not None:
            head.source = head.source or match.groupdict().get("source") or ""
            head.message = head.message[match.end() :]
            return True
    return False


def _json(head: Head, text: str) -> bool:
    """A JSON object with the line inside; several collectors write one per line."""
    if (envelope := read_envelope(text)) is None:
        return False
    head.outer = head.outer or envelope.time
    head.source = head.source or envelope.source
    head.process, head.pid = head.process or envelope.process, head.pid or envelope.pid
    head.message = envelope.message
    return True
