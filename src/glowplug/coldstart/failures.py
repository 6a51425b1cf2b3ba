"""How engines say that a start has failed."""

import re
from dataclasses import dataclass

_TEXT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """A line that tells of a failure. The one with the greatest `weight` is the reason shown; the first among equals,
    since what follows are mostly its consequences."""

    reason: str
    weight: int
    line: int


TEXTS = (
    "Traceback (most recent call last)",
    "Error",
    "Exception",
    "error:",
    "error while handling argument",
    "couldn't bind",
    "already in use",
    "Check failed:",
    "core dumped",
    "Segmentation fault",
    "Killed",
    "out of memory",
    "launch failure",
    "failed to load model",
    "error loading model",
    "exiting due to",
    "ShardCannotStart",
    "initialization failed",
    "sigquit from a child",
    "No space left on device",
)
"""Plain texts, one of which is in every line that `read_failure` knows."""

_RULES: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"(?:CUDA|ROCm|HIP|NCCL|Metal)\b.{0,20}[Ee]rror\b.*"), 5),
    (re.compile(r"(?:[\w.]+\.)?OutOfMemoryError\b.*"), 5),
    (re.compile(r"(?:\S+: )?(?:\S+ failed: )?out of memory\b.*"), 5),
    (re.compile(r"No space left on device.*"), 5),
    (re.compile(r"(?:error while attempting to bind|couldn't bind)\b.*|\b[Aa]ddress already in use\b.*"), 5),
    (re.compile(r"Check failed:.*"), 4),
    (re.compile(r"(?:error loading model|failed to load model|exiting due to)\b.*"), 3),
    (
        re.compile(
            r"error: (?:unrecognized|unexpected|argument|the following|invalid|unknown|a value is required)\b.*"
        ),
        4,
    ),
    (re.compile(r"error while handling argument\b.*"), 4),
    (re.compile(r".*(?:Engine core initialization failed|Engine process failed|Failed core proc).*"), 1),
    (re.compile(r".*(?:ShardCannotStart|DownloadError|WebserverFailed|sigquit from a child).*"), 1),
    (re.compile(r"^(?:ERROR )?(?:[A-Za-z_][\w]*\.)*[A-Z]\w*(?:Error|Exception)\b(?::.*)?$"), 4),
    (re.compile(r".*\b(?:Segmentation fault|Aborted|Killed)\b.*"), 2),
    (re.compile(r"Traceback \(most recent call last\)"), 0),
)


def read_failure(message: str, line: int) -> Failure | None:
    """The failure that this message tells of, if it does."""
    text = message.strip()
    for pattern, weight in _RULES:
        if (match := pattern.search(text)) is not None:
            return Failure(match.group().strip()[:_TEXT_LIMIT], weight, line)
    return None


def reason(failures: list[Failure]) -> str:
    """The sentence to show for these failures, which are not empty."""
    best = max(failures, key=lambda failure: failure.weight)
    if best.weight == 0:
        return f"an exception was raised (line {best.line}), and the log ends before it is named"
    return best.reason
