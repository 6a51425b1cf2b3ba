"""Times of day as engines and log collectors write them, turned into seconds that can be subtracted."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

_DAY = 86400.0
_YEAR = 2000
"""Every date is placed in this leap year, so that times with and without a year can be subtracted."""
_YEAR_DAYS = 366
_NEW_YEAR = date(_YEAR, 1, 1).toordinal()
_FEBRUARY_28 = date(_YEAR, 2, 28).toordinal()
_MARCH_1 = date(_YEAR, 3, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time that a line carries.

    `seconds` count from an arbitrary origin, without the year. `year` is None if the line told none, `zoned` says that
    it told its time zone (and `seconds` are UTC). `relative` stamps count from the start of the process.
    """

    seconds: float
    year: int | None = None
    zoned: bool = False
    relative: bool = False


@lru_cache(maxsize=4096)
def _day(month: int, day: int) -> float:
    return date(_YEAR, month, day).toordinal() * _DAY


def stamp(year: str | None, month: str, day: str, clock: str, fraction: str | None, zone: str | None) -> Stamp | None:
    """The stamp out of its parts as text: "2026", "07", "21", "14:13:10", "123", "Z" or "+02:00".

    None if there is no such date.
    """
    try:
        base = _day(int(month), int(day))
    except ValueError:
        return None
    hours, minutes, seconds = clock.split(":")
    total = base + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    if fraction:
        total += int(fraction[:9]) / 10 ** min(len(fraction), 9)
    if zone and zone not in ("Z", "z"):
        digits = zone[1:].replace(":", "")
        offset = int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60
        total += -offset if zone[0] == "+" else offset
    return Stamp(total, int(year) if year else None, bool(zone))


def iso(seconds: float, year: int, *, zoned: bool) -> str:
    """A stamp's seconds in `year` as ISO 8601 text with milliseconds, ending in `+00:00` if it was zoned."""
    milliseconds = round(seconds * 1000)
    ordinal, rest = divmod(milliseconds, 86_400_000)
    day = date.fromordinal(_NEW_YEAR + (ordinal - _NEW_YEAR) % _YEAR_DAYS)
    minutes, rest = divmod(rest, 60_000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
    return f"{year:04}-{day.month:02}-{day.day:02}T{clock}{'+00:00' if zoned else ''}"


class Unwrapper:
    """Lets times without a year go on over new year, and over the end of February in years of 365 days."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._added = 0.0

    def __call__(self, seconds: float) -> float:
        """The seconds as they would be on a clock that never jumps back by half a year."""
        if self._last is not None:
            if seconds < self._last - _YEAR_DAYS / 2 * _DAY:
                self._added += _YEAR_DAYS * _DAY
            elif seconds // _DAY == _MARCH_1 and self._last // _DAY == _FEBRUARY_28:
                self._added -= _DAY
        self._last = seconds
        return seconds + self._added
