"""A time axis: where its marks stand and how they are labelled."""

import math
from dataclasses import dataclass

_STEPS = (1, 2, 5, 10)
_SHORTEST = 1e-3  # seconds; a start in which nothing took any time still needs an axis


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps the seconds from `low` to `high` to the coordinates from `left` to `right`."""

    low: float
    high: float
    left: float
    right: float

    def at(self, moment: float) -> float:
        """The coordinate of a moment in seconds."""
        return self.left + (moment - self.low) / (self.high - self.low) * (self.right - self.left)

    def ticks(self, about: int = 8) -> list[tuple[float, str]]:
        """Round moments on the axis with their labels; never more than `about` plus one."""
        raw = (self.high - self.low) / about
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * magnitude for factor in _STEPS if factor * magnitude >= raw * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(number * step, _label(number * step, step)) for number in range(first, last + 1)]


def axis(low: float, high: float, left: float, right: float) -> Axis:
    """The axis for moments between `low` and `high`."""
    return Axis(low, max(high, low + _SHORTEST), left, right)


def _label(moment: float, step: float) -> str:
    unit, factor = ("s", 1.0) if step >= 0.1 else ("ms", 1000.0)
    digits = max(0, -math.floor(math.log10(step * factor) + 1e-9))
    return f"{moment * factor:.{digits}f} {unit}"
