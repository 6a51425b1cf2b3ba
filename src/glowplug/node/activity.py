"""Whether a process tree computed, read or waited, and saying so of the gaps of a cold start."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from glowplug.coldstart.values import Activity, Span
from glowplug.node.tree_sampler import TreeSampler

BUSY = 0.5
"""Cores in use from which on a tree computes. A start that waits uses a few hundredths; one that imports or compiles
keeps at least one core busy nearly all of the time."""

READING = 1024 * 1024
"""Bytes per second from a disk from which on a tree that uses little processor time reads: less is what any program
does beside its work."""

READING_PER_CPU = 200 * 1024 * 1024
"""Bytes from a disk per second of processor time from which on a busy tree reads all the same: taking in what comes
from a disk costs a core about a second per gigabyte, so no more than a fifth of the work was something else's."""

Stacks = Callable[[float, float], Sequence[tuple[str, float]]]
"""The most frequent stacks between two moments."""


def verdict(seconds: float, cpu: float, read: int) -> Literal["computed", "read", "waited"]:
    """What a tree did that used `cpu` seconds of one core and read `read` bytes from disks in `seconds` seconds."""
    busy = cpu >= BUSY * seconds
    if read >= READING * seconds and read > 0 and (not busy or read >= READING_PER_CPU * cpu):
        return "read"
    return "computed" if busy else "waited"


def explain_gaps(
    spans: Sequence[Span], sampler: TreeSampler, origin: float, stacks: Stacks = lambda _start, _end: ()
) -> tuple[Span, ...]:
    """The spans with every gap among them, and inside them, telling what the tree did.

    `origin` is the moment, by `time.monotonic`, from which the spans count. A gap without times stays as it is.
    """
    return tuple(_explained(span, sampler, origin, stacks) for span in spans)


def _explained(span: Span, sampler: TreeSampler, origin: float, stacks: Stacks) -> Span:
    children = explain_gaps(span.children, sampler, origin, stacks)
    if span.phase != "gap" or span.start is None or span.end is None:
        return replace(span, children=children)
    start, end = origin + span.start, origin + span.end
    cpu, read, written = sampler.between(start, end)
    activity = Activity(cpu, read, written, verdict(end - start, cpu, read), stacks(start, end))
    return replace(span, children=children, activity=activity)
