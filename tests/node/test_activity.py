"""What a gap is said to have been."""

from glowplug.coldstart.values import Span
from glowplug.node.activity import READING, READING_PER_CPU, explain_gaps, verdict
from glowplug.node.tree_sampler import Sample, TreeSampler

MIB = 1024**2


def sampled(*samples):
    sampler = TreeSampler(1)
    sampler._samples = [Sample(at, cpu, read, 0, 0) for at, cpu, read in samples]
    return sampler


def gap(start, end):
    return Span("gap", end - start, start, end, "gap")


def test_half_a_core_computes():
    assert verdict(10, 5, 0) == "computed"
    assert verdict(10, 4.9, 0) == "waited"


def test_a_tree_that_uses_no_processor_and_reads_little_waits():
    assert verdict(10, 0, 10 * READING - 1) == "waited"
    assert verdict(10, 0, 10 * READING) == "read"


def test_a_busy_tree_reads_only_if_most_of_its_work_can_be_reading():
    assert verdict(10, 10, 10 * READING_PER_CPU) == "read"
    assert verdict(10, 10, 10 * READING_PER_CPU - 1) == "computed"


def test_a_gap_of_no_length_waited():
    assert verdict(0, 0, 0) in ("waited", "computed")


def test_every_gap_is_explained_by_its_own_interval():
    sampler = sampled((100, 0, 0), (110, 9, 0), (120, 9.5, 400 * MIB), (130, 9.6, 400 * MIB))
    inner = Span("engine_init", 20, 10, 30, children=(gap(10, 20), gap(20, 30)))
    first, second = explain_gaps([gap(0, 10), inner], sampler, 100)
    assert (first.activity.cpu, first.activity.verdict) == (9, "computed")
    reading, waiting = (span.activity for span in second.children)
    assert (reading.read, reading.verdict) == (400 * MIB, "read")
    assert (round(waiting.cpu, 3), waiting.verdict) == (0.1, "waited")
    assert second.activity is None


def test_stacks_are_those_of_the_gap():
    asked = []
    stacks = lambda start, end: asked.append((start, end)) or (("f < g", 1.0),)  # noqa: E731
    (span,) = explain_gaps([gap(1, 2)], sampled((0, 0, 0), (200, 0, 0)), 100, stacks)
    assert asked == [(101, 102)]
    assert span.activity.stacks == (("f < g", 1.0),)


def test_a_gap_without_times_stays_as_it_is():
    span = Span("gap", 3, source="gap")
    assert explain_gaps([span], sampled((0, 0, 0)), 0) == (span,)
