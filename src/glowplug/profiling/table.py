"""A profile for people: on a terminal in colour, elsewhere plain, and readable at 80 columns."""

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart
from glowplug.profiling.breakdown import breakdown
from glowplug.profiling.placement import place
from glowplug.profiling.profile import Profile
from glowplug.profiling.reported import without_span, written
from glowplug.profiling.span_rows import Glyphs, glyphs_for, span_rows
from glowplug.profiling.wording import clean, engine_name, headline, lines, outcome, scale_of, seconds, share

_BREAKDOWN_BAR = 30  # characters for the whole of the total
_INDENT = "  "
_OUTCOME_STYLES = {"ready": "bold green", "failed": "bold red"}


def print_profiles(profiles: Sequence[Profile], console: Console | None = None) -> None:
    """Print them one after the other, by default on standard output."""
    console = console or Console(highlight=False)
    glyphs = glyphs_for(console.encoding)
    for number, profile in enumerate(profiles):
        if number:
            console.print()
        for line in _profile(profile, console, glyphs):
            console.print(_encodable(line, console.encoding), soft_wrap=True)


def _profile(profile: Profile, console: Console, glyphs: Glyphs) -> Iterator[Text]:
    report, start = profile.report, profile.start
    if start is None:
        yield from _wrapped(f"{clean(report.file)}: no start of an engine is in it", console)
    else:
        yield from _header(report.file, start, console)
        yield from _breakdown(start, glyphs)
        yield from span_rows(place(start), start, console, glyphs)
        yield from _reported(start)
    notes = [*(start.notes if start else ()), *report.notes]
    yield from _section("Notes", (line for note in notes for line in _wrapped(clean(note), console, _INDENT)))
    yield from _section("What would make it faster", _advice(profile.advice, console))
    yield from _section(
        "Other starts in this file",
        (line for other in profile.others for line in _wrapped(_other(other), console, _INDENT)),
    )


def _header(file: str, start: ColdStart, console: Console) -> Iterator[Text]:
    name = Text.assemble((engine_name(start), "bold"))
    if start.model:
        name.append(f"  {clean(start.model)}", style="bold cyan")
    yield name
    yield from _wrapped(outcome(start), console, style=_OUTCOME_STYLES.get(start.outcome, "bold yellow"))
    began = f"began {clean(start.started_at)}" if start.started_at else ""
    came = f"woken from {start.woke_from}" if start.woke_from else ""
    yield Text(", ".join(part for part in (clean(file), lines(start.lines), began, came) if part), style="dim")


def _breakdown(start: ColdStart, glyphs: Glyphs) -> Iterator[Text]:
    table = breakdown(start)
    if table is None:
        return
    yield Text()
    scale = scale_of(start)
    total = "total" if table.total_known else "all phases that the log tells"
    width = max(len(total), *(len(part.title) for part in table.parts))
    for part in table.parts:
        bar = glyphs.full * round(part.share * _BREAKDOWN_BAR)
        numbers = f"{seconds(part.seconds, scale):>10}  {share(part.seconds, table.total):>7}"
        yield Text(f"{part.title:<{width}}  {numbers}  {bar}".rstrip())
    yield Text(f"{total:<{width}}  {seconds(table.total, scale):>10}", style="bold")


def _reported(start: ColdStart) -> Iterator[Text]:
    found = [(clean(key), written(value)) for key, value in without_span(start)]
    width = max((cell_len(key) for key, _ in found), default=0)
    yield from _section(
        "Also reported", (Text(f"{_INDENT}{set_cell_size(key, width)}  {value}") for key, value in found)
    )


def _advice(advice: Iterable[Advice], console: Console) -> Iterator[Text]:
    for each in advice:
        gain = "" if each.gain_seconds is None else f"saves about {each.gain_seconds:.1f} s"
        about = ", ".join(part for part in (gain, lines(each.lines)) if part)
        yield from _wrapped(clean(each.title) + (f" ({about})" if about else ""), console, _INDENT, "bold")
        yield from _wrapped(clean(each.text), console, _INDENT * 2)
        yield from _wrapped(clean(each.remedy), console, _INDENT * 2, "green")


def _other(start: ColdStart) -> str:
    return ": ".join(part for part in (lines(start.lines), headline(start)) if part)


def _section(heading: str, body: Iterable[Text]) -> Iterator[Text]:
    content = list(body)
    if content:
        yield Text()
        yield Text(heading, style="bold")
        yield from content


def _wrapped(text: str, console: Console, indent: str = "", style: str = "") -> Iterator[Text]:
    for line in Text(text, style=style).wrap(console, max(20, console.width - len(indent))):
        line.rstrip()
        yield Text.assemble(indent, line)


def _encodable(line: Text, encoding: str) -> Text:
    """The line without what the output cannot show; such outputs are rare, so it may lose its colours."""
    plain = line.plain.encode(encoding, "replace").decode(encoding)
    return line if plain == line.plain else Text(plain)
