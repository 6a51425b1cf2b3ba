"""How engines say that a start has failed."""

from dataclasses import dataclass

from glowplug.coldstart.finder import PatternList

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
    "CUDA error",
    "ROCm error",
    "HIP error",
    "NCCL error",
    "Metal error",
    "error while attempting to bind",
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
    "Engine process failed",
    "Failed core proc",
    "sigquit from a child",
    "No space left on device",
)
"""Plain texts, one of which is in every line that `read_failure` knows."""

_LINE = ".*"
"""Before a rule that shows the whole line, not only what follows its text."""

RULES = (
    (r"(?:CUDA|ROCm|HIP|NCCL|Metal)\b(?: error\b|.{0,20}(?:Error\b|error:)).*", 5),
    (r"(?:[\w.]+\.)?OutOfMemoryError\b.*", 5),
    (r"(?:\S+: )?(?:\S+ failed: )?out of memory\b.*", 5),
    (r"No space left on device.*", 5),
    (r"(?:error while attempting to bind|couldn't bind)\b.*|\b[Aa]ddress already in use\b.*", 5),
    (r"Check failed:.*", 4),
    (r"(?:error loading model|failed to load model|exiting due to)\b.*", 3),
    (r"error: (?:unrecognized|unexpected|argument|the following|invalid|unknown|a value is required)\b.*", 4),
    (r"error while handling argument\b.*", 4),
    (rf"{_LINE}(?:Engine core initialization failed|Engine process failed|Failed core proc).*", 1),
    (rf"{_LINE}(?:ShardCannotStart|Error: (?:DownloadError|WebserverFailed)|sigquit from a child).*", 1),
    (r"^(?:ERROR )?(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)\b(?::.*)?$", 4),
    (rf"{_LINE}\b(?:Segmentation fault|Aborted \(core dumped\)|Killed)\b.*", 2),
    (r"Traceback \(most recent call last\)", 0),
)
"""Patterns with their weight; the first that fits counts."""
_PATTERNS = PatternList([pattern for pattern, _ in RULES])


def read_failure(message: str, line: int) -> Failure | None:
    """The failure that this message tells of, if it does."""
    found = _PATTERNS.search(message.strip())
    if found is None:
        return None
    place, text = found
    return Failure(text.strip()[:_TEXT_LIMIT].rstrip(), RULES[place][1], line)


def reason(failure: Failure) -> str:
    """The sentence to show for a failure."""
    if failure.weight == 0:
        return f"an exception was raised (line {failure.line}), and the log ends before it is named"
    return failure.reason
