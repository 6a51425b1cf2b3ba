"""Whether a restore is clearly faster than a start, from what was measured. No I/O, no clock.

Until a restore has been measured three times, what is missing is filled in with an estimate from bytes and speeds, so a
single odd measurement decides nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

WINDOW = 9
"""Latest measurements that count. The median of nine ignores up to four odd ones and still follows a real change."""

CONFIDENT = 3
"""Measurements after which no estimate is added to them: the fewest whose median one odd value cannot be."""

CLEARLY = 0.7
NO_LONGER = 0.85
"""A restore is taken up at this part of a start's time, and given up above that one. Between them what was decided
stays: repeated restores of one image vary by a tenth (0.98 to 1.12 s measured)."""

LEAST_SAVED = 0.2
"""Seconds that must be saved for an image to be taken up; half of it, to stay so. Below, nobody who waits can tell,
and an image costs gigabytes of disk."""

RECHECK = 20
"""Starts after which a state that was declined for measured restores is tried again. It costs at most one slow wake in
so many, and without it a disk that was busy once would be held against an image for ever."""

_OVERHEAD = 0.1
"""Seconds of a restore that do not depend on the image: namespaces, CRIU itself, hooks, canary (0.21 s measured with
llama.cpp, of which half is its memory)."""

_DECLINED = "declined: "


class ImageAt(StrEnum):
    """Where the image is when the wake begins, the fastest first."""

    RESIDENT = "resident"
    PAGE_CACHE = "page cache"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Start:
    """A measured start of the engine: seconds to the first answer, and whether its weights were in the page cache."""

    seconds: float
    weights_cached: bool


@dataclass(frozen=True, slots=True)
class Speeds:
    """Bytes per second on this machine.

    Attributes:
        disk: read from the disk, as stored.
        unpack: decompressed, verified and written to memory, counted before compression.
        pages: put into the restored processes. CRIU 4.2 does 2 GB/s on two cores (1.96 GB in 0.98 s measured).
    """

    disk: float
    unpack: float
    pages: float = 2e9


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Bytes of an image in memory and in the store."""

    raw: int
    stored: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one model. Measurements are seconds, the oldest first.

    Attributes:
        starts: from the tier that comes after `snapshot`.
        restores: by where the image was.
        image: its size, or what it is expected to be; None if nothing tells.
        speeds: of this machine; None if they were not measured.
        starts_since_restore: starts since the last restore that was measured.
    """

    starts: Sequence[Start] = ()
    restores: Mapping[ImageAt, Sequence[float]] = field(default_factory=lambda: dict[ImageAt, Sequence[float]]())
    image: ImageSize | None = None
    speeds: Speeds | None = None
    starts_since_restore: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`worth` or not, and why, in one sentence. The seconds are those that were compared; None if unknown."""

    worth: bool
    reason: str
    restore: float | None = None
    start: float | None = None


def worth_using(evidence: Evidence, at: ImageAt, weights_cached: bool, before: bool | None = None) -> Verdict:
    """Whether to restore, with the image there and the weights in the page cache or not.

    `before` is what was decided last in the same state; None the first time.
    """
    starts = _starts(evidence.starts, weights_cached)
    start = median(starts) if starts else None
    restore, measured = _restore(evidence, at)
    if start is None:
        return Verdict(True, "no start was measured yet that a restore could be compared with", restore)
    if restore is None:
        return Verdict(True, f"nothing tells yet what a restore takes; a start takes {_seconds(start)}", None, start)
    verdict = _compare(restore, start, _how(at, measured), len(starts), before)
    if not verdict.worth and measured and evidence.starts_since_restore >= RECHECK:
        again = f"tried again after {evidence.starts_since_restore} starts, because it may have changed: "
        return Verdict(True, again + verdict.reason.removeprefix(_DECLINED), restore, start)
    return verdict


def worth_making(
    evidence: Evidence, states: Collection[ImageAt], weights_cached: bool, before: bool | None = None
) -> Verdict:
    """Whether an image is worth its disk: whether it would be used in any of the states that it can be in.

    `states` has `resident` only if the image would fit into the memory for it. Of several reasons the one that speaks
    most for it is given.
    """
    verdicts = [worth_using(evidence, at, weights_cached, before) for at in ImageAt if at in states]
    if not verdicts:
        raise ValueError("an image is always somewhere")
    return next((verdict for verdict in verdicts if verdict.worth), verdicts[0])


def _compare(restore: float, start: float, how: str, starts: int, before: bool | None) -> Verdict:
    part, saved = (NO_LONGER, LEAST_SAVED / 2) if before else (CLEARLY, LEAST_SAVED)
    worth = restore <= start * part and start - restore >= saved
    times = "measured once" if starts == 1 else f"median of {starts}"
    seconds = f"a restore {how} {_seconds(restore)} and a start {_seconds(start)} ({times})"
    return Verdict(worth, seconds if worth else f"{_DECLINED}{seconds}, which is not clearly faster", restore, start)


def _starts(starts: Sequence[Start], weights_cached: bool) -> Sequence[float]:
    """Seconds of the latest starts in that state of the page cache; of any, if none was measured in it."""
    alike = [start.seconds for start in starts if start.weights_cached is weights_cached]
    return (alike or [start.seconds for start in starts])[-WINDOW:]


def _restore(evidence: Evidence, at: ImageAt) -> tuple[float | None, int]:
    """Seconds of a restore, and how many were measured."""
    measured = evidence.restores.get(at, ())[-WINDOW:]
    estimate = _estimate(evidence, at)
    added = [] if estimate is None else [estimate] * (CONFIDENT - len(measured))
    samples = [*measured, *added]
    return (median(samples) if samples else None), len(measured)


def _estimate(evidence: Evidence, at: ImageAt) -> float | None:
    """What a restore takes by bytes and speeds; on top of restores of the resident image once those were measured."""
    image, speeds = evidence.image, evidence.speeds
    if image is None or speeds is None:
        return None
    pages = _OVERHEAD + image.raw / speeds.pages
    unpack = image.raw / speeds.unpack
    match at:
        case ImageAt.RESIDENT:
            return pages
        case ImageAt.PAGE_CACHE:
            return _resident(evidence, pages) + unpack
        case ImageAt.DISK:
            return _resident(evidence, pages) + max(unpack, image.stored / speeds.disk)


def _resident(evidence: Evidence, estimate: float) -> float:
    measured = evidence.restores.get(ImageAt.RESIDENT, ())[-WINDOW:]
    return median([*measured, *[estimate] * (CONFIDENT - len(measured))])


def _how(at: ImageAt, measured: int) -> str:
    where = "of the resident image" if at is ImageAt.RESIDENT else f"from the {at}"
    if measured == 0:
        return f"{where} would take about"
    return f"{where} takes" if measured >= CONFIDENT else f"{where} takes about"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"
