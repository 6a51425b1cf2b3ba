"""The waterfall: cold starts as one SVG drawing, under each other on one time axis."""

import hashlib
from collections.abc import Iterator, Sequence

from glowplug.coldstart.values import ColdStart
from glowplug.profiling.axis import axis
from glowplug.profiling.palette import FAMILIES, OTHER, STYLE, family_of
from glowplug.profiling.placement import Placed, extent, place
from glowplug.profiling.svg import element, shortened, text, title, width
from glowplug.profiling.wording import clean, headline, lines, scale_of, seconds, share, span_details, span_name

# All in pixels.
_WIDTH = 1040
_MARGIN = 16
_FONT = 12
_SMALL = 11
_CAPTION_FONT = 13
_ROW = 20
_BAR = 12
_INDENT = 14
_LABELS_AT_LEAST, _LABELS_AT_MOST = 120, 330
_CAPTION = 30
_BETWEEN = 18
_AXIS = 22
_LEGEND = 26
_SWATCH = 11
_PAD = 6
_THINNEST = 1.5


def waterfall(starts: Sequence[ColdStart], captions: Sequence[str] | None = None) -> str:
    """A self-contained SVG of the starts, one under the other.

    `captions` stand above them, if not empty; by default the engine, the model and the outcome. Each bar has a tooltip
    with all that is known of its span. A span of which the log does not tell the place is dashed and stands behind the
    one before.
    """
    return _Drawing(starts, captions or [headline(start) for start in starts]).svg()


class _Drawing:
    def __init__(self, starts: Sequence[ColdStart], captions: Sequence[str]) -> None:
        self._starts = starts
        self._captions = [clean(caption) for caption in captions]
        self._placed = [place(start) for start in starts]
        extents = [extent(start, placed) for start, placed in zip(starts, self._placed, strict=True)]
        low = min((low for low, _ in extents), default=0.0)
        high = max((high for _, high in extents), default=0.0)
        self._plot = _MARGIN + self._label_width()
        self._axis = axis(low, high, self._plot, _WIDTH - _MARGIN)
        # Two drawings may stand in one page, and names of patterns hold for the whole page.
        self._hatch = f"gp-hatch-{hashlib.sha256(repr((starts, self._captions)).encode()).hexdigest()[:12]}"

    def svg(self) -> str:
        top = float(_LEGEND)
        bodies: list[str] = []
        for number in range(len(self._starts)):
            bodies.append(self._start(number, top))
            top = self._rows_top(number, top) + self._rows_height(number) + _BETWEEN
        bottom = top - _BETWEEN
        height = bottom + _AXIS
        content = (
            element("title", "Cold start waterfall")
            + f"<style>{STYLE}</style>"
            + element("defs", self._pattern())
            + element("rect", class_="gp-bg", width=_WIDTH, height=height)
            + self._legend()
            + "".join(bodies)
            + self._tick_labels(bottom + 15)
        )
        return element(
            "svg", content, xmlns="http://www.w3.org/2000/svg", class_="gp-waterfall", role="img", width=_WIDTH,
            height=height, viewBox=f"0 0 {_WIDTH} {height:g}", data_low=str(self._axis.low),
            data_high=str(self._axis.high), data_left=self._axis.left, data_right=self._axis.right,
        )  # fmt: skip

    def _label_width(self) -> float:
        widths = (
            each.depth * _INDENT + width(span_name(each.span), _FONT) for placed in self._placed for each in placed
        )
        return min(_LABELS_AT_MOST, max(_LABELS_AT_LEAST, *widths, 0.0)) + 2 * _PAD

    def _rows_top(self, number: int, top: float) -> float:
        return top + (_CAPTION if self._captions[number] else _PAD)

    def _rows_height(self, number: int) -> float:
        return max(1, len(self._placed[number])) * _ROW

    def _pattern(self) -> str:
        stripe = element("rect", class_="gp-stripe", width=2, height=6)
        return element(
            "pattern", stripe, id=self._hatch, width=6, height=6, patternUnits="userSpaceOnUse",
            patternTransform="rotate(45)",
        )  # fmt: skip

    def _legend(self) -> str:
        present = {family_of(each.span.phase).key for placed in self._placed for each in placed}
        x, parts = float(_MARGIN), list[str]()
        for family in (*FAMILIES, OTHER):
            if family.key in present:
                parts.append(self._box(family.key, x, 8, _SWATCH, _SWATCH))
                parts.append(text(family.title, x + _SWATCH + 5, 18, "gp-faint"))
                x += _SWATCH + 5 + width(family.title, _SMALL) + 16
        if not all(each.known for placed in self._placed for each in placed):
            parts.append(text("dashed: the log does not tell when", x, 18, "gp-faint"))
        return "".join(parts)

    def _tick_labels(self, baseline: float) -> str:
        parts: list[str] = []
        for moment, label in self._axis.ticks():
            x = self._axis.at(moment)
            at_the_edge = x + width(label, _SMALL) > _WIDTH
            shift, anchor = (-3, "end") if at_the_edge else (3, None)
            parts.append(text(label, x + shift, baseline, "gp-faint", anchor))
        return element("g", "".join(parts), class_="gp-ticks")

    def _grid(self, top: float, bottom: float) -> str:
        places = (self._axis.at(moment) for moment, _ in self._axis.ticks())
        lines = (element("line", class_="gp-grid", x1=x, x2=x, y1=top, y2=bottom) for x in places)
        return element("g", "".join(lines), class_="gp-ticks")

    def _start(self, number: int, top: float) -> str:
        start, placed, caption = self._starts[number], self._placed[number], self._captions[number]
        shown = shortened(caption, _CAPTION_FONT, _WIDTH - 2 * _MARGIN)
        parts = [element("g", title(caption) + text(shown, _MARGIN, top + 18, "gp-text gp-caption"))]
        rows_top = self._rows_top(number, top)
        rows_bottom = rows_top + self._rows_height(number)
        parts.append(self._grid(rows_top - 4, rows_bottom + 4))
        if start.total is not None:
            parts.append(self._end(start, start.total, rows_top - 4, rows_bottom + 4))
        for index, one in enumerate(placed):
            parts.append(self._row(f"{number}-{index}", one, start, rows_top + index * _ROW))
        if not placed:
            parts.append(text("nothing is known of the phases of this start", _MARGIN, rows_top + 14, "gp-faint"))
        return "".join(parts)

    def _end(self, start: ColdStart, total: float, top: float, bottom: float) -> str:
        x = self._axis.at(total)
        style = "gp-end gp-failed" if start.outcome == "failed" else "gp-end"
        line = element("line", title(headline(start)), x1=x, x2=x, y1=top, y2=bottom, class_=style)
        return element("g", line, class_="gp-mark", data_at=str(total))

    def _row(self, key: str, one: Placed, start: ColdStart, top: float) -> str:
        left = _MARGIN + one.depth * _INDENT
        name = shortened(span_name(one.span), _FONT, self._plot - _PAD - left)
        begin, end = self._axis.at(one.start), self._axis.at(one.end)
        length = max(_THINNEST, end - begin)
        style = family_of(one.span.phase).key
        style += " gp-around" if one.span.children else ""
        style += "" if one.known else " gp-unplaced"
        content = (
            title("\n".join(_tooltip(one, start)))
            + text(name, left, top + 14)
            + self._box(style, begin, top + (_ROW - _BAR) / 2, length, _BAR)
            + self._seconds(seconds(one.span.seconds, scale_of(start)), begin, begin + length, top + 14)
        )
        return element(
            "g", content, class_="gp-row", data_span=key, data_start=str(one.start), data_end=str(one.end)
        )  # fmt: skip

    def _seconds(self, label: str, begin: float, end: float, baseline: float) -> str:
        """The length beside its bar: behind it or, where there is no room, before it or inside."""
        needed = width(label, _SMALL) + _PAD
        if end + needed <= _WIDTH - _PAD:
            return text(label, end + 4, baseline, "gp-faint gp-length")
        if begin - needed >= self._plot:
            return text(label, begin - 4, baseline, "gp-faint gp-length", "end")
        return text(label, end - 4, baseline, "gp-text gp-length", "end")

    def _box(self, style: str, x: float, y: float, long: float, high: float) -> str:
        fill = f"url(#{self._hatch})" if style.startswith("gap") else None
        return element("rect", class_=f"gp-bar gp-{style}", x=x, y=y, width=long, height=high, rx=1.5, fill=fill)


def _tooltip(one: Placed, start: ColdStart) -> Iterator[str]:
    span, scale = one.span, scale_of(start)
    part = share(span.seconds, start.total)
    yield f"{span_name(span)}: {seconds(span.seconds, scale)}" + (f", {part} of the total" if part else "")
    if one.known:
        yield f"from {seconds(one.start, scale)} to {seconds(one.end, scale)}"
    else:
        yield "the log does not tell when"
    yield ", ".join(part for part in (f"source: {span.source}", lines(span.lines)) if part)
    yield from span_details(span, scale)
