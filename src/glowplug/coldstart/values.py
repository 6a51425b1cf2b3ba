"""A cold start as plain values: what `profile`, `bench`, `serve` and the API all speak of, and its JSON form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

Source = Literal["reported", "stamps", "gap"]
Outcome = Literal["ready", "failed", "incomplete"]

PHASES = (
    "provision", "image_pull", "process_start", "python_import", "config_tokenizer", "dist_init", "weights_download",
    "weights_load", "model_load", "dynamo", "inductor", "torch_compile", "profile_kv", "kernel_warmup",
    "graph_capture", "engine_init", "server_init", "warmup", "first_token", "restore_read", "restore_pages",
    "cuda_restore", "thaw", "wake", "canary", "snapshot", "queue", "gap",
)  # fmt: skip
"""Every name that a span's `phase` may have."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """How the ranks of a parallel engine differ in one phase: their number and their least and greatest seconds."""

    count: int
    least: float
    greatest: float
    first: float
    """Seconds of rank 0, or of the rank that spoke first."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the engine's process tree did during a gap, so that one sees whether it computed, read or waited.

    `cpu` is in seconds of one core, `read` and `written` in bytes of real disk traffic. `stacks` are the most frequent
    Python stacks (leaf first) with their share of the samples, where somebody looked.
    """

    cpu: float
    read: int
    written: int
    verdict: Literal["computed", "read", "waited"]
    stacks: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """One phase of a cold start.

    Attributes:
        phase: one of `PHASES`.
        seconds: how long it took.
        start, end: seconds since the beginning of the cold start; None if the log does not tell the time of day.
        source: `reported` by the engine itself, from time `stamps`, or a `gap` that nobody explains.
        lines: first and last line number in the log (1 is the first); empty if no line belongs to it.
        children: phases inside this one. They need not add up to it.
        label: what distinguishes this span among others of its phase, such as "draft model".
        ranks: the spread over ranks, if there are several.
        neighbours: of a gap, the texts of the line before and the line after it.
        activity: of a gap in a live profile, what the processes did.
    """

    phase: str
    seconds: float
    start: float | None = None
    end: float | None = None
    source: Source = "stamps"
    lines: tuple[int, ...] = ()
    children: tuple["Span", ...] = ()
    label: str = ""
    ranks: Ranks | None = None
    neighbours: tuple[str, str] | None = None
    activity: Activity | None = None

    def walk(self) -> Iterator["Span"]:
        """This span and everything inside it, outermost first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One start of one engine.

    Attributes:
        engine: name of the engine as in the configuration file; `unknown` if nothing told it.
        variant: which of several kinds of that engine it is, such as "V0" or "turbomind"; may be empty.
        total: seconds from the first sign of the start to the engine being ready; None if the log does not tell.
        reported: numbers the engine printed, or that follow from its lines, by the names of the truth files: the keys
            of `phase` plus such as `model_load_reported`, `compile_cache_hit`.
        facts: other things the lines said that advice is based on, such as a cache directory.
        notes: whole sentences about this start for people, such as advice about how to read it.
        replica, woke_from, conditions: known for starts made by Glowplug.
    """

    engine: str
    version: str | None = None
    model: str | None = None
    variant: str = ""
    outcome: Outcome = "incomplete"
    reason: str | None = None
    total: float | None = None
    started_at: str | None = None
    reported: Mapping[str, float | bool] = field(default_factory=dict[str, float | bool])
    spans: tuple[Span, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    replica: str | None = None
    woke_from: str | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def walk(self) -> Iterator[Span]:
        """All spans, outermost first."""
        for span in self.spans:
            yield from span.walk()

    def seconds_of(self, phase: str) -> float | None:
        """Seconds of all spans of `phase` together (the outermost ones only); None if there is none."""
        found = [span.seconds for span in _outermost(self.spans, phase)]
        return sum(found) if found else None


@dataclass(frozen=True, slots=True)
class LogReport:
    """What one log says: the starts in it, the one that the file is about last."""

    file: str
    engine: str
    starts: tuple[ColdStart, ...]
    notes: tuple[str, ...] = ()


def to_json(start: ColdStart) -> dict[str, Any]:
    """The cold start in the form that the API, the files and `--format json` show."""
    document: dict[str, Any] = {
        "engine": start.engine,
        "variant": start.variant,
        "version": start.version,
        "model": start.model,
        "outcome": start.outcome,
        "reason": start.reason,
        "total": _rounded(start.total),
        "started_at": start.started_at,
        "reported": {key: _rounded(value, 9) for key, value in start.reported.items()},
        "facts": dict(start.facts),
        "notes": list(start.notes),
        "lines": list(start.lines),
        "conditions": dict(start.conditions),
        "spans": [_span_to_json(span) for span in start.spans],
    }
    if start.replica is not None:
        document |= {"replica": start.replica, "woke_from": start.woke_from}
    return document


def report_to_json(report: LogReport) -> dict[str, Any]:
    """The report on one log: `{"file", "engine", "starts", "notes"}`."""
    return {
        "file": report.file,
        "engine": report.engine,
        "starts": [to_json(start) for start in report.starts],
        "notes": list(report.notes),
    }


def from_json(document: Mapping[str, Any]) -> ColdStart:
    """The cold start out of its JSON form.

    Raises:
        ValueError: it is no cold start; the text says what is missing or wrong.
    """
    try:
        return ColdStart(
            engine=str(document["engine"]),
            version=document.get("version"),
            model=document.get("model"),
            variant=str(document.get("variant", "")),
            outcome=document["outcome"],
            reason=document.get("reason"),
            total=_number(document, "total"),
            started_at=document.get("started_at"),
            reported=dict(document.get("reported", {})),
            spans=tuple(_span_from_json(span) for span in document["spans"]),
            facts=dict(document.get("facts", {})),
            notes=tuple(document.get("notes", ())),
            lines=tuple(document.get("lines", ())),
            replica=document.get("replica"),
            woke_from=document.get("woke_from"),
            conditions=dict(document.get("conditions", {})),
        )
    except KeyError as error:
        raise ValueError(f"it is no cold start: {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(f"it is no cold start: {error}") from error


def _span_to_json(span: Span) -> dict[str, Any]:
    document: dict[str, Any] = {
        "phase": span.phase,
        "seconds": _rounded(span.seconds),
        "start": _rounded(span.start),
        "end": _rounded(span.end),
        "source": span.source,
        "lines": list(span.lines),
        "children": [_span_to_json(child) for child in span.children],
    }
    if span.label:
        document["label"] = span.label
    if span.ranks is not None:
        ranks = span.ranks
        document["ranks"] = {
            "count": ranks.count, "least": ranks.least, "greatest": ranks.greatest, "first": ranks.first,
        }  # fmt: skip
    if span.neighbours is not None:
        document["neighbours"] = list(span.neighbours)
    if span.activity is not None:
        activity = span.activity
        document["activity"] = {
            "cpu": _rounded(activity.cpu),
            "read": activity.read,
            "written": activity.written,
            "verdict": activity.verdict,
            "stacks": [[stack, share] for stack, share in activity.stacks],
        }
    return document


def _span_from_json(document: Mapping[str, Any]) -> Span:
    ranks = cast("Mapping[str, Any] | None", document.get("ranks"))
    neighbours = document.get("neighbours")
    return Span(
        phase=str(document["phase"]),
        seconds=float(document["seconds"]),
        start=_number(document, "start"),
        end=_number(document, "end"),
        source=document.get("source", "stamps"),
        lines=tuple(document.get("lines", ())),
        children=tuple(_span_from_json(child) for child in document.get("children", ())),
        label=str(document.get("label", "")),
        ranks=Ranks(**ranks) if ranks else None,
        neighbours=(str(neighbours[0]), str(neighbours[1])) if neighbours else None,
        activity=_activity_from_json(document["activity"]) if document.get("activity") else None,
    )


def _activity_from_json(document: Mapping[str, Any]) -> Activity:
    return Activity(
        cpu=float(document["cpu"]),
        read=int(document["read"]),
        written=int(document["written"]),
        verdict=document["verdict"],
        stacks=tuple((str(stack), float(share)) for stack, share in document.get("stacks", ())),
    )


def _number(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{key!r} is no number")
    return value


def _outermost(spans: Sequence[Span], phase: str) -> Iterator[Span]:
    for span in spans:
        if span.phase == phase:
            yield span
        else:
            yield from _outermost(span.children, phase)


def _rounded(value: Any, digits: int = 6) -> Any:
    return round(value, digits) if isinstance(value, float) else value
