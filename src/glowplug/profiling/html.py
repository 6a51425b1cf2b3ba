"""Profiles as one self-contained HTML page."""

from collections.abc import Iterator, Sequence

from glowplug.profiling.html_blocks import (
    advice_list,
    breakdown_table,
    facts,
    gaps,
    numbers,
    outcome_line,
    paragraphs,
    section,
    span_table,
    start_list,
    waterfall_block,
)
from glowplug.profiling.html_page import page
from glowplug.profiling.profile import Profile
from glowplug.profiling.svg import markup
from glowplug.profiling.wording import engine_name, lines


def html(profiles: Sequence[Profile]) -> str:
    """The page: for each profile the breakdown, the waterfall, advice, the tree, gaps and everything else known."""
    first = profiles[0].start if profiles else None
    title = f"Cold start: {engine_name(first)} {first.model or ''}".strip() if first else "Cold start"
    return page(title, ("\n".join(part for part in _article(profile) if part) for profile in profiles))


def _article(profile: Profile) -> Iterator[str]:
    report, start = profile.report, profile.start
    if start is None:
        yield f"<h1>{markup(report.file)}</h1>\n<p>No start of an engine is in it.</p>"
        yield section("Notes", paragraphs(report.notes))
        return
    yield f"<h1>{markup(' '.join(part for part in (engine_name(start), start.model) if part))}</h1>"
    yield outcome_line(start)
    began = f"began {start.started_at}" if start.started_at else ""
    came = f"woken from {start.woke_from}" if start.woke_from else ""
    about = ", ".join(part for part in (report.file, lines(start.lines), began, came) if part)
    yield f'<p class="dim">{markup(about)}</p>'
    yield section("Where the time went", breakdown_table(start))
    yield section("Waterfall", waterfall_block([start], [""]) if start.spans else "")
    yield section("What would make it faster", advice_list(profile.advice))
    yield section("Phases", span_table(start))
    yield section("Unexplained time", gaps(start))
    yield section("Numbers that the log reports", numbers(start.reported))
    yield section("Facts", facts(start.facts))
    yield section("Conditions", facts(start.conditions))
    yield section("Notes", paragraphs([*start.notes, *report.notes]))
    yield section("Other starts in this file", start_list(profile.others))
