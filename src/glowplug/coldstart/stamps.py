"""Times of day as engines and log collectors write them, turned into seconds that can be subtracted."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_DAY = 86400.0
_YEAR = 2000
"""Every date is placed in this leap year, so that times with and without a year can be subtracted."""
_YEAR_DAYS = 366
_NEW_YEAR = date(_YEAR, 1, 1).toordinal()
_FEBRUARY_28 = date(_YEAR, 2, 28).toordinal() - _NEW_YEAR
_MARCH_1 = date(_YEAR, 3, 1).toordinal() - _NEW_YEAR
_LARGEST_SECONDS = 1e11
"""Greater numbers than this (the year 5138) are not seconds but milliseconds, microseconds or nanoseconds."""
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[T ](?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d+))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time that a line carries.

    `seconds` count from the beginning of the year; a small number keeps its nanoseconds. `year` is None if the line
    told none, `zoned` says that it told its time zone (and `seconds` are UTC). `relative` stamps count from the start
    of the process.
    """

    seconds: float
    year: int | None = None
    zoned: bool = False
    relative: bool = False


@lru_cache(maxsize=4096)
def _whole(year: str | None, month: str, day: str, clock: str, zone: str | None) -> Stamp | None:
    """A stamp of whole seconds. Neighbouring lines mostly share theirs."""
    try:
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        moment = datetime(int(year or 0) or _YEAR, int(month), int(day), hours, minutes, seconds, tzinfo=UTC)
        moment -= _offset(zone)
    except (ValueError, OverflowError):
        return None
    days = date(_YEAR, moment.month, moment.day).toordinal() - _NEW_YEAR
    total = days * _DAY + moment.hour * 3600 + moment.minute * 60 + moment.second
    return Stamp(total, moment.year if year else None, bool(zone))


def _offset(zone: str | None) -> timedelta:
    if not zone or zone in "Zz":
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4] or 0))
    return -offset if zone[0] == "-" else offset


def stamp(year: str | None, month: str, day: str, clock: str, fraction: str | None, zone: str | None) -> Stamp | None:
    """The stamp out of its parts as text: "2026", "07", "21", "14:13:10", "123", "Z" or "+02:00".

    None if there is no such date.
    """
    whole = _whole(year, month, day, clock, zone)
    if whole is None or not fraction:
        return whole
    return Stamp(whole.seconds + int(fraction[:9]) / 10 ** min(len(fraction), 9), whole.year, whole.zoned)


def stamp_of(groups: Mapping[str, str | None]) -> Stamp | None:
    """The stamp out of the groups of a match: `month`, `day` and `clock`, and whichever there are of `year`,
    `fraction` and `zone`. None if there is no such date."""
    month, day, clock = groups.get("month"), groups.get("day"), groups.get("clock")
    if month is None or day is None or clock is None:
        return None
    return stamp(groups.get("year"), month, day, clock, groups.get("fraction"), groups.get("zone"))


def read_time(text: str) -> Stamp | None:
    """The time that `text` begins with, such as 2026-07-06T14:07:54; None if there is none."""
    match = _ISO.match(text)
    return None if match is None else stamp_of(match.groupdict())


def epoch(number: float) -> Stamp | None:
    """The stamp out of a number that counts from 1970 in seconds, milliseconds, microseconds or nanoseconds.

    None if it is no time.
    """
    try:
        seconds = float(number)
        while math.isfinite(seconds) and seconds > _LARGEST_SECONDS:
            seconds /= 1000
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return stamp(str(at.year), str(at.month), str(at.day), f"{at:%H:%M:%S}", f"{at:%f}", "Z")


def iso(seconds: float, year: int, *, zoned: bool) -> str:
    """A stamp's seconds in `year` as ISO 8601 text with milliseconds, ending in `+00:00` if it was zoned."""
    milliseconds = round(seconds * 1000)
    ordinal, rest = divmod(milliseconds, 86_400_000)
    day = date.fromordinal(_NEW_YEAR + ordinal % _YEAR_DAYS)
    minutes, rest = divmod(rest, 60_000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
    return f"{year:04}-{day.month:02}-{day.day:02}T{clock}{'+00:00' if zoned else ''}"


class Unwrapper:
    """Lets times without a year go on over new year, and over the end of February in years of 365 days.

    Lines of several processes may be a little out of order, there too.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._years = 0.0
        self._leap = True

    def __call__(self, seconds: float) -> float:
        """The seconds as they would be on a clock that never jumps by half a year."""
        last, self._last = self._last, seconds
        if last is not None:
            if seconds < last - _YEAR_DAYS / 2 * _DAY:
                self._years += 1
            elif seconds > last + _YEAR_DAYS / 2 * _DAY:
                self._years -= 1
            elif seconds // _DAY == _MARCH_1 and last // _DAY == _FEBRUARY_28:
                self._leap = False
        days = _YEAR_DAYS * self._years
        # A start that lasts from February to January does not exist, so the years need not be shorter too.
        if not self._leap and seconds >= _MARCH_1 * _DAY:
            days -= 1
        return seconds + days * _DAY
