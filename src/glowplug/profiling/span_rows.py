"""The tree of spans as lines of text: when each began, how long it took, and its place on a bar of the whole start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from glowplug.coldstart.values import ColdStart
from glowplug.profiling.palette import family_of
from glowplug.profiling.placement import Placed, extent
from glowplug.profiling.wording import lines, scale_of, seconds, share, span_details, span_name

_STYLES = {
    "load": "blue", "compile": "yellow", "capture": "magenta", "warm": "green", "restore": "cyan", "gap": "red",
}  # fmt: skip
_NAME_AT_MOST = 40
_BAR_AT_LEAST, _BAR_AT_MOST = 8, 40
_ROOM_FOR_LINES = 100  # columns of a terminal; below, the bar is worth more than the line numbers
_WORTH_EXPLAINING = 0.01  # of the total
_BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What bars are made of."""

    full: str
    around: str
    gap: str
    ellipsis: str


def glyphs_for(encoding: str) -> Glyphs:
    """Those that the encoding of the output can show."""
    if encoding.lower().startswith("utf"):
        return Glyphs("█", "━", "░", "…")
    return Glyphs("#", "-", ".", "~")


def span_rows(placed: Sequence[Placed], start: ColdStart, console: Console, glyphs: Glyphs) -> Iterator[Text]:
    """An empty line, a heading, and a line for each span; below a span what else is known of it."""
    if not placed:
        return
    table = [_cells(each, start) for each in placed]
    heading = ["PHASE", "START", "SECONDS", "SHARE", "SOURCE", "LINES"]
    if console.width < _ROOM_FOR_LINES:
        heading.pop()
    widths = [max(cell_len(row[column]) for row in (heading, *table)) for column in range(len(heading))]
    widths[0] = min(widths[0], _NAME_AT_MOST)
    room = console.width - sum(widths) - len(_BETWEEN) * len(widths)
    bar_width = min(room, _BAR_AT_MOST) if room >= _BAR_AT_LEAST else 0
    yield Text()
    yield Text(_line(heading, widths, glyphs).rstrip(), style="bold")
    low, high = extent(start, placed)
    for each, cells in zip(placed, table, strict=True):
        line = Text(_line(cells, widths, glyphs))
        line.append(_BETWEEN)
        line.append(_bar(each, low, high, bar_width, glyphs), style=_STYLES.get(family_of(each.span.phase).key, ""))
        line.rstrip()
        yield line
        yield from _details(each, start, console)


def _cells(each: Placed, start: ColdStart) -> list[str]:
    span, scale = each.span, scale_of(start)
    return [
        "  " * each.depth + span_name(span),
        seconds(each.start, scale) if each.known else "-",
        seconds(span.seconds, scale),
        share(span.seconds, start.total) or "-",
        span.source,
        lines(span.lines).partition(" ")[2],
    ]


def _line(cells: Sequence[str], widths: Sequence[int], glyphs: Glyphs) -> str:
    name = cells[0]
    if cell_len(name) > widths[0]:
        name = set_cell_size(name, widths[0] - 1) + glyphs.ellipsis
    numbers = (f"{cell:>{width}}" for cell, width in zip(cells[1:4], widths[1:4], strict=True))
    others = (f"{cell:<{width}}" for cell, width in zip(cells[4:], widths[4:], strict=False))
    return _BETWEEN.join((set_cell_size(name, widths[0]), *numbers, *others))


def _bar(each: Placed, low: float, high: float, width: int, glyphs: Glyphs) -> str:
    if not width or high <= low:
        return ""
    begin = min(width - 1, int((each.start - low) / (high - low) * width))
    end = max(begin + 1, round((each.end - low) / (high - low) * width))
    glyph = glyphs.gap if each.span.source == "gap" else glyphs.around if each.span.children else glyphs.full
    return " " * begin + glyph * (end - begin)


def _details(each: Placed, start: ColdStart, console: Console) -> Iterator[Text]:
    if each.span.phase == "gap" and start.total and each.span.seconds < _WORTH_EXPLAINING * start.total:
        return  # pages and JSON explain these, too
    indent = "  " * (each.depth + 2)
    for detail in span_details(each.span, scale_of(start)):
        for line in Text(detail, style="dim").wrap(console, max(20, console.width - len(indent))):
            line.rstrip()
            yield Text.assemble(indent, line)
