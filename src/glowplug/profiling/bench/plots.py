"""Distributions as strip plots: every repeat is a dot, so that nothing hides behind a mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from glowplug.profiling.bench.statistics import Summary
from glowplug.profiling.bench.table import number
from glowplug.profiling.palette import STYLE
from glowplug.profiling.svg import element, shortened, text, title, width

# All in pixels.
_WIDTH = 1040
_MARGIN = 16
_FONT = 12
_ROW = 26
_TOP = 10
_AXIS = 26
_DOT = 4
_SWAY = 5
_VALUE = 90
_LABELS_AT_MOST = 330
_TICK_ROOM = 56

_LOGARITHMIC_FROM = 20
"""Ratio of the greatest to the least value from which the axis is logarithmic: below, a linear one that begins at 0
shows proportions as they are; above, it would squeeze the small values into one dot."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One row: what it is called and its values."""

    label: str
    summary: Summary


def strip_plot(strips: Sequence[Strip], unit: str, caption: str) -> str:
    """An SVG with one row per strip: dots for the repeats, a bar for the median's interval, a line for the median.

    Dots of outliers are hollow. Empty without strips. It is styled by the sheet that all drawings share.
    """
    return _Plot(strips, unit, caption).svg() if strips else ""


class _Scale:
    """Maps values to coordinates, linearly from 0 or by their logarithm."""

    def __init__(self, values: Sequence[float], left: float, right: float) -> None:
        least, greatest = min(values), max(values)
        self.logarithmic = least > 0 and greatest / least > _LOGARITHMIC_FROM
        self._low = math.log10(least) - 0.05 if self.logarithmic else 0.0
        self._high = math.log10(greatest) + 0.05 if self.logarithmic else (greatest * 1.05 or 1.0)
        self._left, self._right = left, right

    def at(self, value: float) -> float:
        """The coordinate of a value."""
        place = math.log10(value) if self.logarithmic else value
        return self._left + (place - self._low) / (self._high - self._low) * (self._right - self._left)

    def ticks(self) -> list[float]:
        """Round values on the axis, with room for their labels between them."""
        if self.logarithmic:
            decades = range(math.floor(self._low), math.ceil(self._high) + 1)
            candidates = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
        else:
            magnitude = 10.0 ** math.floor(math.log10(self._high / 8))
            step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= self._high / 8)
            candidates = [count * step for count in range(9)]
        places = [(value, self.at(value)) for value in candidates]
        kept: list[tuple[float, float]] = []
        for value, x in places:
            if self._left <= x <= self._right and (not kept or x - kept[-1][1] >= _TICK_ROOM):
                kept.append((value, x))
        return [value for value, _ in kept]


class _Plot:
    def __init__(self, strips: Sequence[Strip], unit: str, caption: str) -> None:
        self._strips = strips
        self._unit = unit
        self._caption = caption
        labels = max(width(strip.label, _FONT) for strip in strips)
        self._left = _MARGIN + min(_LABELS_AT_MOST, labels) + 12
        self._right = _WIDTH - _MARGIN - _VALUE
        values = [value for strip in strips for value in strip.summary.values]
        self._scale = _Scale(values, self._left, self._right)
        self._bottom = _TOP + len(strips) * _ROW

    def svg(self) -> str:
        height = self._bottom + _AXIS
        rows = "".join(self._row(strip, _TOP + index * _ROW) for index, strip in enumerate(self._strips))
        content = (
            element("title", self._caption)
            + f"<style>{STYLE}</style>"
            + element("rect", class_="gp-bg", width=_WIDTH, height=height)
            + self._grid()
            + rows
        )
        return element(
            "svg", content, xmlns="http://www.w3.org/2000/svg", class_="gp-strips", role="img", width=_WIDTH,
            height=height, viewBox=f"0 0 {_WIDTH} {height}",
        )  # fmt: skip

    def _grid(self) -> str:
        parts: list[str] = []
        for value in self._scale.ticks():
            x = self._scale.at(value)
            parts.append(element("line", class_="gp-grid", x1=x, x2=x, y1=_TOP, y2=self._bottom))
            parts.append(text(_tick(value, self._unit), x, self._bottom + 15, "gp-faint", "middle"))
        note = "logarithmic" if self._scale.logarithmic else ""
        parts.append(text(note, _WIDTH - _MARGIN, self._bottom + 15, "gp-faint", "end"))
        return "".join(parts)

    def _row(self, strip: Strip, top: float) -> str:
        summary, middle = strip.summary, top + _ROW / 2
        parts = [text(shortened(strip.label, _FONT, self._left - _MARGIN - 8), _MARGIN, middle + 4)]
        if summary.interval is not None:
            low, high = self._scale.at(summary.interval.low), self._scale.at(summary.interval.high)
            band = title(f"95 % of the resampled medians: {self._said(summary.interval.low)} to "
                         f"{self._said(summary.interval.high)}")  # fmt: skip
            parts.append(element("rect", band, class_="gp-other", x=low, y=middle - 8, width=max(1.5, high - low),
                                 height=16, fill_opacity=0.22, stroke_opacity=0))  # fmt: skip
        for index, value in enumerate(summary.values):
            y = middle + (index % 3 - 1) * _SWAY if summary.n > 1 else middle
            parts.append(self._dot(value, index, y, index in summary.outliers))
        x = self._scale.at(summary.median)
        parts.append(element("line", title(f"median {self._said(summary.median)}"), class_="gp-end", x1=x, x2=x,
                             y1=middle - 10, y2=middle + 10))  # fmt: skip
        parts.append(text(self._said(summary.median), _WIDTH - _MARGIN, middle + 4, "gp-text", "end"))
        return element("g", "".join(parts), class_="gp-strip")

    def _dot(self, value: float, index: int, y: float, outlier: bool) -> str:
        """A dot; its height above or below the line only keeps dots apart and follows the order of the repeats."""
        said = f"repeat {index + 1}: {self._said(value)}" + (", an outlier" if outlier else "")
        style = (
            {"class_": "gp-gap gp-outlier", "fill": "none"} if outlier else {"class_": "gp-load", "fill_opacity": 0.6}
        )
        return element("circle", title(said), cx=self._scale.at(value), cy=y, r=_DOT, **style)

    def _said(self, value: float) -> str:
        return number(value, self._unit)


def _tick(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:g}"
    return f"{value * 1000:g} ms" if 0 < value < 1 else f"{value:g} s"
