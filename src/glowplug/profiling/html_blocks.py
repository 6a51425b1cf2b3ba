"""The parts that report pages are made of, each as markup."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.breakdown import Scheme, breakdown
from glowplug.profiling.placement import place
from glowplug.profiling.reported import written
from glowplug.profiling.svg import markup
from glowplug.profiling.waterfall import waterfall
from glowplug.profiling.wording import (
    activity,
    headline,
    lines,
    outcome,
    ranks,
    scale_of,
    seconds,
    share,
    span_name,
)

_DEEPEST = 4  # steps of indentation that the style sheet knows


def section(heading: str, body: str) -> str:
    """A part of a page with its heading; nothing if it has no body."""
    return f"<h2>{markup(heading)}</h2>\n{body}" if body else ""


def paragraphs(texts: Iterable[str]) -> str:
    """Sentences, one a paragraph."""
    return "\n".join(f"<p>{markup(text)}</p>" for text in texts)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of texts; the columns in `numbers`, counted from 0, are set to the right. Nothing if it has no row."""
    classes = dict.fromkeys(numbers, ' class="number"')
    head = "".join(f"<th{classes.get(number, '')}>{markup(text)}</th>" for number, text in enumerate(heading))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{classes.get(number, '')}>{markup(text)}</td>" for number, text in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>" if body else ""


def outcome_line(start: ColdStart) -> str:
    """How the start ended."""
    return f'<p class="outcome {markup(start.outcome)}">{markup(outcome(start))}</p>'


def breakdown_table(start: ColdStart, scheme: Scheme | None = None) -> str:
    """The four lines; nothing if nothing was measured."""
    found = breakdown(start, scheme)
    if found is None:
        return ""
    scale = scale_of(start)
    rows = "\n".join(
        f'<tr><td>{markup(part.title)}</td><td class="number">{seconds(part.seconds, scale)}</td>'
        f'<td class="number">{share(part.seconds, found.total)}</td>'
        f'<td><meter value="{part.share:.4f}"></meter></td></tr>'
        for part in found.parts
    )
    total = "total" if found.total_known else "all phases that the log tells"
    return (
        f"<table>\n<tbody>\n{rows}\n</tbody>\n<tfoot><tr><td>{total}</td>"
        f'<td class="number">{seconds(found.total, scale)}</td><td></td><td></td></tr></tfoot>\n</table>'
    )


def waterfall_block(starts: Sequence[ColdStart], captions: Sequence[str] | None = None) -> str:
    """The drawing, on narrow screens as wide as it must be."""
    return f'<div class="scroll">{waterfall(starts, captions)}</div>'


def span_table(start: ColdStart, number: int = 0) -> str:
    """The tree of spans; `number` is the place of the start in the drawing on the same page, counted from 0."""
    scale = scale_of(start)
    rows = "\n".join(
        f'<tr data-span="{number}-{index}">'
        f'<td class="depth-{min(each.depth, _DEEPEST)}">{_named(each.span, start)}</td>'
        f'<td class="number">{seconds(each.start, scale) if each.known else ""}</td>'
        f'<td class="number">{seconds(each.span.seconds, scale)}</td>'
        f'<td class="number">{share(each.span.seconds, start.total)}</td>'
        f'<td class="source">{markup(each.span.source)}</td>'
        f'<td class="source">{markup(lines(each.span.lines))}</td></tr>'
        for index, each in enumerate(place(start))
    )
    head = (
        '<th>Phase</th><th class="number">Start</th><th class="number">Seconds</th><th class="number">Share</th>'
        "<th>Source</th><th>Log</th>"
    )
    if not rows:
        return ""
    whole = f'<table class="wide">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'
    return f'<div class="scroll">{whole}</div>'


def gaps(start: ColdStart) -> str:
    """Every gap with its neighbours and what was done in it, the longest first."""
    found = sorted((span for span in start.walk() if span.phase == "gap"), key=lambda span: -span.seconds)
    return "\n".join(_gap(span, start) for span in found)


def advice_list(advice: Iterable[Advice]) -> str:
    """What would make the start faster."""
    return "\n".join(_advice(each) for each in advice)


def numbers(values: Mapping[str, float | bool]) -> str:
    """The numbers that a log reports, as they are."""
    return table(("Name", "Value"), ((key, written(value)) for key, value in values.items()), (1,))


def facts(values: Mapping[str, Any]) -> str:
    """Other things that are known, such as the conditions of the start."""
    return table(("Name", "Value"), ((str(key), str(value)) for key, value in values.items()))


def start_list(starts: Iterable[ColdStart]) -> str:
    """Starts in one line each."""
    items = "\n".join(
        f"<li>{markup(': '.join(part for part in (lines(start.lines), headline(start)) if part))}</li>"
        for start in starts
    )
    return f"<ul>\n{items}\n</ul>" if items else ""


def _named(span: Span, start: ColdStart) -> str:
    spread = f"<small>{markup(ranks(span.ranks, scale_of(start)))}</small>" if span.ranks else ""
    return f"<code>{markup(span_name(span))}</code>{spread}"


def _gap(span: Span, start: ColdStart) -> str:
    scale = scale_of(start)
    when = f" beginning at {seconds(span.start, scale)}" if span.start is not None else ""
    parts = [f"<p><strong>{seconds(span.seconds, scale)}</strong>{when}</p>"]
    if span.activity is not None:
        parts.append(paragraphs(activity(span.activity)))
    if span.neighbours is not None:
        before, after = span.neighbours
        parts.append(f"<small>after</small><pre>{markup(before) or '(the beginning of the log)'}</pre>")
        parts.append(f"<small>before</small><pre>{markup(after) or '(the end of the log)'}</pre>")
    return f'<div class="gap">{"".join(parts)}</div>'


def _advice(advice: Advice) -> str:
    gain = "" if advice.gain_seconds is None else f"saves about {advice.gain_seconds:.1f} s"
    about = ", ".join(part for part in (gain, lines(advice.lines)) if part)
    return (
        f'<div class="advice"><p><strong>{markup(advice.title)}</strong> <small>{markup(about)}</small></p>'
        f'<p>{markup(advice.text)}</p><p class="remedy">{markup(advice.remedy)}</p></div>'
    )
