"""The statistics of a few repeats: order statistics, bootstrap intervals, outliers, and what n repeats cannot show.

Cold starts are few, skewed and sometimes far off, so nothing here assumes a distribution. The standard library is
enough: a result is tens of numbers. All functions are pure; what is random is seeded.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LEVEL = 0.95
"""Nominal coverage of the intervals."""

RESAMPLES = 10_000
"""Bootstrap resamples (B). Efron and Tibshirani (An Introduction to the Bootstrap, 1993, section 13.3) want at least
1000 for a percentile interval; ten times that keeps the seed from showing in the printed digits."""

OUTLIER_SCORE = 3.5
"""Limit of the modified z-score, as Iglewicz and Hoaglin recommend it (How to Detect and Handle Outliers, 1993)."""

OUTLIER_MINIMUM = 5
"""Repeats below which none is called an outlier: of four, nobody can say which is the odd one."""

_MAD_TO_SIGMA = 0.6745
"""The median absolute deviation of a normal distribution in units of its standard deviation."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap percentile interval of nominal coverage `level`."""

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Summary:
    """What is said of the repeats of one number. `outliers` are indices of `values`; they count like all others.

    `interval` is that of the median; None for a single value.
    """

    values: tuple[float, ...]
    median: float
    p10: float
    p90: float
    least: float
    greatest: float
    interval: Interval | None
    outliers: tuple[int, ...]

    @property
    def n(self) -> int:
        """Number of values."""
        return len(self.values)


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of `values` lie, by linear interpolation between order statistics.

    Definition 7 of Hyndman and Fan (Sample Quantiles in Statistical Packages, 1996). Raises ValueError without values.
    """
    if not values:
        raise ValueError("there are no values")
    ordered = sorted(values)
    position = part * (len(ordered) - 1)
    below = math.floor(position)
    above = math.ceil(position)
    low, high = ordered[below], ordered[above]
    return low if low == high else low + (high - low) * (position - below)


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones. Raises ValueError without values."""
    if not values:
        raise ValueError("there are no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Indices of values whose modified z-score, 0.6745 · |x - median| / MAD, is above 3.5.

    None of fewer than five, and none if more than half of the values are equal (the MAD is then 0).
    """
    if len(values) < OUTLIER_MINIMUM:
        return ()
    middle = median(values)
    deviation = median([abs(value - middle) for value in values])
    if deviation == 0:
        return ()
    return tuple(
        index for index, value in enumerate(values) if _MAD_TO_SIGMA * abs(value - middle) / deviation > OUTLIER_SCORE
    )


def median_interval(values: Sequence[float], *, seed: int, resamples: int = RESAMPLES) -> Interval | None:
    """Bootstrap percentile interval of the median; None for fewer than two values, which say nothing of a spread."""
    if len(values) < 2:
        return None
    source = random.Random(seed)  # noqa: S311 - a simulation, no secret
    return _percentile_interval(lambda: median(source.choices(values, k=len(values))), resamples)


def ratio_interval(
    values: Sequence[float], base: Sequence[float], *, seed: int, resamples: int = RESAMPLES
) -> Interval | None:
    """Bootstrap percentile interval of median(values) / median(base), the two samples drawn independently.

    None if either has fewer than two values. Raises ValueError unless all of `base` are positive.
    """
    if min(base, default=1.0) <= 0:
        raise ValueError("a ratio needs positive values")
    if len(values) < 2 or len(base) < 2:
        return None
    source = random.Random(seed)  # noqa: S311 - a simulation, no secret

    def draw() -> float:
        above = median(source.choices(values, k=len(values)))
        return above / median(source.choices(base, k=len(base)))

    return _percentile_interval(draw, resamples)


def summarise(values: Sequence[float], *, seed: int, resamples: int = RESAMPLES) -> Summary:
    """Everything that a report says of the repeats of one number. Raises ValueError without values."""
    return Summary(
        values=tuple(values),
        median=median(values),
        p10=quantile(values, 0.1),
        p90=quantile(values, 0.9),
        least=min(values),
        greatest=max(values),
        interval=median_interval(values, seed=seed, resamples=resamples),
        outliers=outliers(values),
    )


def reachable_coverage(n: int) -> float:
    """The greatest coverage that any interval within the range of n values can have for the median, 1 - 2^(1-n).

    The true median lies outside the range only if all values fall on one side of it, with probability 2 · 2^-n
    (David and Nagaraja, Order Statistics, 2003, section 7.1). It needs no assumption about the distribution.
    """
    return 1 - 2.0 ** (1 - n) if n else 0.0


def reservation(n: int, level: float = LEVEL) -> str | None:
    """What a reader must know of an interval from n values, as a sentence; None if n is large enough for it."""
    if n == 0:
        return "There is no finished repeat, so nothing can be said."
    if n == 1:
        return "A single repeat says nothing about how much the numbers vary."
    reached = reachable_coverage(n)
    if reached >= level:
        return None
    needed = next(count for count in range(n, 100) if reachable_coverage(count) >= level)
    return (
        f"With {n} repeats even their whole range holds the true median only {reached * 100:.3g} % of the time, so the "
        f"{level:.0%} intervals are too narrow; {needed} repeats or more would do."
    )


def _percentile_interval(draw: Callable[[], float], resamples: int) -> Interval:
    drawn = [draw() for _ in range(resamples)]
    tail = (1 - LEVEL) / 2
    return Interval(quantile(drawn, tail), quantile(drawn, 1 - tail))
