"""How the values of a cold start are written for people: times, shares, bytes, names, and texts from logs."""

from collections.abc import Iterator, Sequence

from rich.filesize import decimal

from glowplug.coldstart.values import Activity, ColdStart, Ranks, Span

_OUTCOMES = {"ready": "ready after", "failed": "failed after", "incomplete": "not ready after"}
_STACKS_SHOWN = 3


def clean(text: str) -> str:
    """The text on one line without control characters, which could steer a terminal or break an XML file."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)


def scale_of(start: ColdStart) -> float:
    """The longest time that is shown of a start."""
    return max((span.seconds for span in start.walk()), default=0.0) if start.total is None else start.total


def seconds(value: float, scale: float) -> str:
    """A time in the unit that suits `scale`, the longest time beside it: `184.20 s`, or `12.3 ms` below one second."""
    return f"{value:.2f} s" if scale >= 1 else f"{value * 1000:.1f} ms"


def share(value: float, total: float | None) -> str:
    """The part of `total` in per cent; empty if there is no total to speak of."""
    return f"{value / total:.1%}".replace("%", " %") if total else ""


def span_name(span: Span) -> str:
    """The phase, with what distinguishes the span among others of that phase."""
    return f"{span.phase} ({clean(span.label)})" if span.label else span.phase


def engine_name(start: ColdStart) -> str:
    """The engine with its variant and version, as far as they are known."""
    return " ".join(clean(part) for part in (start.engine, start.variant, start.version) if part)


def outcome(start: ColdStart) -> str:
    """How the start ended, after how long, and why."""
    if start.total is None:
        text = start.outcome if start.outcome != "incomplete" else "not ready"
        text += "; the log does not tell the total time"
    else:
        text = f"{_OUTCOMES.get(start.outcome, start.outcome)} {seconds(start.total, start.total)}"
    return f"{text}: {clean(start.reason)}" if start.reason else text


def headline(start: ColdStart) -> str:
    """The engine, the model and how the start ended, in one line."""
    return " · ".join(part for part in (engine_name(start), clean(start.model or ""), outcome(start)) if part)


def lines(numbers: Sequence[int]) -> str:
    """Line numbers of a log: `line 41` or `lines 41-57`; empty if there are none."""
    if not numbers:
        return ""
    first, last = numbers[0], numbers[-1]
    return f"line {first}" if first == last else f"lines {first}-{last}"


def ranks(spread: Ranks, scale: float) -> str:
    """How the ranks differ."""
    least, greatest = seconds(spread.least, scale), seconds(spread.greatest, scale)
    return f"{spread.count} ranks: {least} to {greatest}, rank 0 {seconds(spread.first, scale)}"


def activity(of: Activity) -> Iterator[str]:
    """What the processes did during a gap: one sentence, and one line for each stack somebody saw."""
    moved = ", ".join(
        f"{verb} {decimal(amount)}" for verb, amount in (("read", of.read), ("wrote", of.written)) if amount
    )
    yield f"it {of.verdict}: {of.cpu:.2f} s of CPU time, {moved or 'no disk traffic'}"
    for stack, part in of.stacks[:_STACKS_SHOWN]:
        yield f"{part:.0%} of samples in {clean(stack)}"


def span_details(span: Span, scale: float) -> Iterator[str]:
    """Everything there is to say about a span besides its name and its times, one thing a line."""
    if span.ranks is not None:
        yield ranks(span.ranks, scale)
    if span.neighbours is not None:
        before, after = span.neighbours
        yield f"after: {clean(before).strip() or '(the beginning of the log)'}"
        yield f"before: {clean(after).strip() or '(the end of the log)'}"
    if span.activity is not None:
        yield from activity(span.activity)
