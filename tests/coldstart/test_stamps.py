from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.stamps import Unwrapper, iso, stamp

moments = st.datetimes(min_value=datetime.fromisoformat("1970-01-02"), max_value=datetime.fromisoformat("2200-01-01"))
offsets = st.integers(-14 * 60, 14 * 60)


def parse(moment: datetime, *, year: bool = True, fraction: str | None = None, zone: str | None = None):
    return stamp(
        f"{moment:%Y}" if year else None, f"{moment:%m}", f"{moment:%d}", f"{moment:%H:%M:%S}", fraction, zone
    )  # fmt: skip


def written(offset: int) -> str:
    sign = "+" if offset >= 0 else "-"
    return f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"


@given(moment=moments, zoned=st.booleans())
def test_a_stamp_is_written_again_as_it_was_read(moment: datetime, zoned: bool) -> None:
    found = parse(moment, fraction=f"{moment.microsecond // 1000:03}", zone="Z" if zoned else None)
    assert found is not None
    assert found.year == moment.year
    text = iso(found.seconds, found.year, zoned=found.zoned)
    assert text == moment.isoformat(timespec="milliseconds") + ("+00:00" if zoned else "")


@given(moment=moments, offset=offsets, colon=st.booleans())
def test_a_zone_is_taken_off_over_days_months_and_years(moment: datetime, offset: int, colon: bool) -> None:
    zone = written(offset) if colon else written(offset).replace(":", "")
    found = parse(moment, zone=zone)
    there = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    assert found is not None and found.year is not None
    assert iso(found.seconds, found.year, zoned=True) == there.astimezone(UTC).isoformat(timespec="milliseconds")


@given(moment=moments, gap=st.floats(0, 3600))
def test_the_difference_of_two_stamps_is_the_time_between_them(moment: datetime, gap: float) -> None:
    later = moment + timedelta(seconds=gap)
    first, second = (parse(at, fraction=f"{at.microsecond:06}") for at in (moment, later))
    assert first is not None and second is not None
    unwrap = Unwrapper()
    begin = unwrap(first.seconds)
    assert unwrap(second.seconds) - begin == pytest.approx((later - moment).total_seconds(), abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2025-07-01 23:59:50", "2025-07-02 00:00:05"),
        ("2025-12-31 23:59:50", "2026-01-01 00:00:05"),
        ("2025-02-28 23:59:50", "2025-03-01 00:00:05"),
        ("2024-02-28 23:59:50", "2024-02-29 00:00:05"),
        ("2024-02-29 23:59:50", "2024-03-01 00:00:05"),
    ],
    ids=["midnight", "new year", "end of February", "into a leap day", "out of a leap day"],
)
@pytest.mark.parametrize("year", [True, False])
def test_time_goes_on_over(before: str, after: str, year: bool) -> None:
    unwrap = Unwrapper()
    first, second = (parse(datetime.fromisoformat(moment), year=year) for moment in (before, after))
    assert first is not None and second is not None
    begin = unwrap(first.seconds)
    assert unwrap(second.seconds) - begin == 15
    # A line of another process that comes a little late is 15 seconds earlier, and the next one is not later for it.
    assert unwrap(first.seconds) == begin
    assert unwrap(second.seconds) - begin == 15
    assert unwrap(first.seconds) == begin


def test_fractions_have_as_many_digits_as_they_like() -> None:
    def seconds(fraction: str | None) -> float:
        found = stamp("2026", "01", "22", "20:31:25", fraction, "Z")
        assert found is not None
        return found.seconds

    assert seconds("5") - seconds(None) == 0.5
    assert seconds("578") == pytest.approx(seconds("578000000"), abs=1e-6)
    assert seconds("578123456789123") == pytest.approx(seconds("578123456"), abs=1e-6)


@pytest.mark.parametrize(
    ("month", "day", "clock", "zone"),
    [
        ("13", "01", "00:00:00", None),
        ("02", "30", "00:00:00", None),
        ("00", "01", "00:00:00", None),
        ("01", "01", "24:00:00", None),
        ("01", "01", "00:60:00", None),
        ("01", "01", "00:00:00", "+99:99"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_no_stamp(month: str, day: str, clock: str, zone: str | None) -> None:
    found = stamp("0001" if zone else None, month, day, clock, None, zone)
    assert found is None


def test_a_stamp_without_a_year_has_none_and_a_29th_of_february() -> None:
    found = stamp(None, "02", "29", "12:00:00", None, None)
    assert found is not None
    assert found.year is None
    assert not found.zoned
