"""The numbers that a log reports beside its phases."""

from collections.abc import Iterator

from glowplug.coldstart.values import ColdStart

_SUFFIXES = ("_reported", "_derived")
_SAME = 0.005  # seconds; times are shown with two digits behind the point


def without_span(start: ColdStart) -> Iterator[tuple[str, float | bool]]:
    """The reported numbers that no span shows: those of no phase, and those that differ from what the spans say."""
    for key, value in start.reported.items():
        shown = start.total if key == "total" else start.seconds_of(_phase(key))
        if isinstance(value, bool) or shown is None or abs(shown - value) > _SAME:
            yield key, value


def written(value: float | bool) -> str:
    """A reported number for people."""
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:.6g}"


def _phase(key: str) -> str:
    for suffix in _SUFFIXES:
        key = key.removesuffix(suffix)
    return key
