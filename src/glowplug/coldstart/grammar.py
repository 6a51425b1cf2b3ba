"""What an engine's log looks like, as data: which lines mean something, and how phases follow from them.

One grammar stands beside each engine's adapter. A new version of an engine is one more `Line`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

Numbers = Mapping[str, float | bool]


class Level(IntEnum):
    """How far into a start a line stands; what tells several starts in one file apart."""

    NONE = 0
    FRONTEND = 1
    """The first lines of a server: another one after engine lines is another start."""
    ENGINE = 2
    """The engine itself begins: again by the same process is another start."""
    WORK = 3
    """Any later line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A kind of line that means something.

    Attributes:
        text: plain ASCII text that every such line contains, without quotes; found by a scan over the raw bytes.
        pattern: regular expression searched in the line; None if `text` says all. Its named groups: `seconds`,
            `milliseconds` and `clock` (such as 01:41) are a duration that ends at this line; `rank` is the rank that
            speaks; `label` says what the duration is of, before the label of the line; `n_KEY` is a number under
            `reported`; `at` is a time that stands in the line (2026-07-06T14:07:54), which counts instead of the
            line's own; any other becomes a fact.
        phase: whose duration the line tells.
        key: name of that number under `reported`; the phase if None, nothing if empty.
        label: what this span is of, such as "draft model".
        mark: name of the moment, for intervals and for being ready.
        level: how far into a start this line stands.
        bar: the line is a progress bar: only its last state counts, and only if nothing better tells of the phase.
        flags: what is true or false once the line was seen, under `reported`; true wins.
        weight: how sure this line makes us that the log is of this engine; 0 if others write it too.
    """

    text: str
    pattern: str | None = None
    phase: str | None = None
    key: str | None = None
    label: str = ""
    mark: str | None = None
    level: Level = Level.WORK
    bar: bool = False
    flags: Mapping[str, bool] = field(default_factory=dict[str, bool])
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A phase that follows from two moments.

    `begin` and `end` are names of marks in order of preference: the first name that occurs counts. The name `first`
    is the first line of the start, `before:NAME` the last line with a time before the mark NAME first came, `last:NAME`
    the last time that it came. With `each`, every process has
    intervals of its own, several one after another; they are summed, and the slowest process counts. `key` as in
    `Line`. `outer` takes the times that a collector of logs put before the lines.
    """

    phase: str
    begin: Sequence[str]
    end: Sequence[str]
    each: bool = False
    key: str | None = None
    outer: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The moment that makes a start a good one, unless the mark `unless` says that more must come."""

    mark: str
    unless: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The log of one kind of engine.

    Attributes:
        engine: the engine's name in the configuration file.
        variant: kind or era of the engine, such as "V0".
        lines: what to look for.
        intervals: phases that follow from marks.
        total: from where to where a start is counted.
        ready: what makes it ready, any of them; after the first of them nothing of the start can follow.
        inside: the phase around each phase, for the tree.
        derive: further numbers out of the reported ones.
        rank_tolerance: seconds by which ranks may differ and the number of the first rank still stands for all.
        silent: texts of lines that say nothing but that somebody waits; they do not end a silence.
    """

    engine: str
    variant: str = ""
    lines: Sequence[Line]
    intervals: Sequence[Interval] = ()
    total: Sequence[Interval] = ()
    ready: Sequence[Ready] = ()
    inside: Mapping[str, str] = field(default_factory=dict[str, str])
    derive: Callable[[Numbers], Numbers] | None = None
    rank_tolerance: float = 0.0
    silent: Sequence[str] = ()
