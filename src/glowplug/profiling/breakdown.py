"""A cold start in four lines: the table that people make of such logs by hand, adding up to the total."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glowplug.coldstart.values import ColdStart, Span

_LOAD = frozenset({"weights_download", "weights_load", "model_load"})
_COMPILE = frozenset({"dynamo", "inductor", "torch_compile"})
_CAPTURE = frozenset({"graph_capture"})
_RESTORE = frozenset({"restore_pages", "cuda_restore", "thaw", "wake"})
_ROUNDING = 1.0  # seconds; engines stamp whole seconds, so a reported time seems to overlap its neighbour by up to this


@dataclass(frozen=True, slots=True)
class Scheme:
    """Which phases belong to which line. What belongs to none is the last line, `rest`."""

    lines: tuple[tuple[str, frozenset[str]], ...]
    rest: str = "other initialisation"


FIELD = Scheme((("model load", _LOAD), ("torch.compile", _COMPILE), ("CUDA graph capture", _CAPTURE)))
"""The table for engines that compile the model or capture CUDA graphs."""

PLAIN = Scheme(
    (
        ("process start", frozenset({"provision", "image_pull", "process_start", "python_import"})),
        ("model load", _LOAD),
        ("warm-up", frozenset({"profile_kv", "kernel_warmup", "warmup"})),
    )
)
"""The table for engines that do neither, such as llama.cpp."""

RESTORED = Scheme(
    (
        ("image read", frozenset({"restore_read"})),
        ("restore and wake", _RESTORE),
        ("check", frozenset({"canary", "first_token"})),
    ),
    rest="other",
)
"""The table for replicas that come back from a tier that kept their process."""


@dataclass(frozen=True, slots=True)
class Part:
    """One line: its seconds, and its share of the whole from 0 to 1."""

    title: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The four lines. They add up to `total`, which is the start's own total where `total_known`; where the log does
    not tell that, it is the seconds of the phases it does tell."""

    parts: tuple[Part, ...]
    total: float
    total_known: bool


def scheme_of(start: ColdStart) -> Scheme:
    """The table that suits a start."""
    phases = {span.phase for span in start.walk()}
    if phases & (_COMPILE | _CAPTURE):
        return FIELD
    return RESTORED if phases & (_RESTORE | {"restore_read"}) else PLAIN


def breakdown(start: ColdStart, scheme: Scheme | None = None) -> Breakdown | None:
    """The start in the lines of `scheme`, by default the one that suits it; None if nothing was measured.

    A second is counted once: for the innermost line that it belongs to, so what was compiled during the model load is
    compilation. Times at which two phases of the table ran side by side count for the one that began first.
    """
    scheme = scheme or scheme_of(start)
    if start.total is None and not start.spans:
        return None
    pieces = [piece for span in start.spans for piece in _pieces(span, scheme)]
    sums = dict.fromkeys(range(len(scheme.lines)), 0.0)
    for piece in _without_overlap(pieces):
        sums[piece.line] += piece.seconds
    found = sum(sums.values())
    total = sum(span.seconds for span in start.spans) if start.total is None else start.total
    total = max(total, 0.0)
    # Numbers that the engine rounded may exceed a total taken from time stamps; the table still adds up.
    scale = total / found if found > total else 1.0
    seconds = [value * scale for value in sums.values()]
    seconds.append(max(0.0, total - sum(seconds)))
    titles = [title for title, _ in scheme.lines] + [scheme.rest]
    parts = tuple(
        Part(title, value, value / total if total else 0.0) for title, value in zip(titles, seconds, strict=True)
    )
    return Breakdown(parts, total, start.total is not None)


@dataclass(frozen=True, slots=True)
class _Piece:
    line: int
    seconds: float
    start: float | None = None
    end: float | None = None
    reported: bool = False


def _pieces(span: Span, scheme: Scheme) -> Iterator[_Piece]:
    """The parts of a span that belong to lines of the table, nested ones taken out of those around them."""
    line = _line_of(span, scheme)
    inner = [piece for child in span.children for piece in _pieces(child, scheme)]
    if line is None:
        yield from inner
        return
    others = [piece for piece in inner if piece.line != line]
    yield from others
    own = span.seconds - sum(piece.seconds for piece in others)
    if own > 0 and others:
        yield _Piece(line, own)  # no longer one interval, so nothing can be said about its overlap
    elif own > 0:
        yield _Piece(line, own, span.start, span.end, span.source == "reported")


def _line_of(span: Span, scheme: Scheme) -> int | None:
    return next((line for line, (_, phases) in enumerate(scheme.lines) if span.phase in phases), None)


def _without_overlap(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """The pieces, less the time that an earlier one covers already."""
    tolerated = _ROUNDING if any(piece.reported for piece in pieces) else 0.0
    covered = float("-inf")
    for piece in sorted(pieces, key=lambda piece: float("-inf") if piece.start is None else piece.start):
        if piece.start is None or piece.end is None:
            yield piece
            continue
        overlap = min(covered, piece.end) - piece.start
        yield piece if overlap <= tolerated else _Piece(piece.line, max(0.0, piece.seconds - overlap))
        covered = max(covered, piece.end)
