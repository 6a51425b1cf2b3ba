"""CRIU's log, said in one sentence."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from glowplug.checkpoint.criu_causes import CAUSES

_ERROR = re.compile(r"^(?:\([\d.]+\)\s*)?(?:pie: )?(?:(\d+):\s+)?Error \([^)]*\): (.*)$")
_NOISE = re.compile(r"^rlimit: ")
"""Said with every success too: in a private network namespace CRIU may not raise its own limits."""

_CONSEQUENCE = re.compile(
    r"^(?:Dumping FAILED|Restoring FAILED|Dump (?:files|core|mappings|fs|ids|eventpoll) \(pid: \d+\) failed"
    r"|(?:\d+ )?exited, status=\d+|Unable to open fd=|BUG at)"
)
_PROCESS = re.compile(r"\(pid: (\d+)\)|Unseizable non-zombie (\d+) ")
_NAMED = re.compile(r"\b(\d+) \(?comm:? (.+?)\)")
_LONGEST = 200
"""Characters of an unknown message that are repeated."""


def explain(log: str, doing: Literal["dump", "restore"], names: Mapping[int, str] | None = None) -> str:
    """Why CRIU could not do it: the cause, the process where it matters, and the remedy, in one sentence.

    CRIU tells its first trouble first and then what follows from it, so the first line that is understood decides; of a
    log in which none is, the first error is repeated.

    Args:
        log: `dump.log` or `restore.log`, of any verbosity, or what CRIU wrote on its standard error.
        doing: which of the two it was.
        names: names of the engine's processes by their ids in the log. A log of verbosity 3 or more has them itself.
    """
    sentence = f"cannot {doing}: {_reason(_errors(log), _names(log) | dict(names or {}))}"
    return "".join(character if character.isprintable() else "?" for character in sentence)


def _reason(errors: Sequence[tuple[int | None, str]], names: Mapping[int, str]) -> str:
    for index, (pid, message) in enumerate(errors):
        for cause in CAUSES:
            if match := cause.pattern.search(message):
                groups = [group for group in match.groups() if group is not None]
                process = _process(errors[index:], pid, names) if cause.of_process else ""
                return f"{cause.cause.format(*groups)}{process}; {cause.remedy}"
    telling = next((message for _, message in errors if not _CONSEQUENCE.search(message)), None)
    if telling is None:
        telling = errors[-1][1] if errors else "CRIU gave no reason"
    return telling.rstrip(".") if len(telling) <= _LONGEST else f"{telling[:_LONGEST]}…"


def _errors(log: str) -> Sequence[tuple[int | None, str]]:
    """Process id, where the line begins with one, and text of every error."""
    found = (_ERROR.match(line.strip()) for line in log.splitlines())
    return [
        (int(match[1]) if match[1] else None, match[2].strip())
        for match in found
        if match and not _NOISE.match(match[2])
    ]


def _process(errors: Sequence[tuple[int | None, str]], pid: int | None, names: Mapping[int, str]) -> str:
    """Which process the first of these errors is about; CRIU often says it only in the next line."""
    if pid is None:
        spoken = (match for _, message in errors if (match := _PROCESS.search(message)))
        first = next(spoken, None)
        pid = int(first[1] or first[2]) if first else None
    if pid is None:
        return ""
    return f' (process {pid}, "{names[pid]}")' if pid in names else f" (process {pid})"


def _names(log: str) -> dict[int, str]:
    return {int(match[1]): match[2] for match in _NAMED.finditer(log)}
