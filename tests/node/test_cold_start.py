"""The record of a wake: which phase lies within which."""

from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.values import from_json
from glowplug.config.models import ModelConfig
from glowplug.engines.fake import Fake
from glowplug.node.cold_start import cold_start_record
from glowplug.scheduler.values import Tier
from glowplug.tiers.base import Body, Phase
from glowplug.tiers.worth import ImageAt

BEGAN = 100.0


def record(*phases: Phase, image_at: ImageAt | None = None):
    body = Body("m-0", "m", ModelConfig(engine="fake"), Fake(), 60.0, phases=[*phases])
    told = cold_start_record(
        body, Tier.SNAPSHOT, None, began=BEGAN, ended=BEGAN + 10, outcome="ready", image_at=image_at
    )
    return from_json(told)


def shape(spans):
    return [(span.phase, span.label, shape(span.children)) for span in spans]


def test_parts_stand_inside_the_phase_that_they_lie_in_whenever_they_were_told():
    start = record(
        Phase("restore_read", 100.5, 101.0, "identity"),
        Phase("restore_read", 100.5, 102.0),
        Phase("restore_pages", 102.0, 106.0),
        Phase("wake", 106.0, 106.5, "hooks"),
        Phase("wake", 106.0, 107.0),
        Phase("restore_pages", 102.0, 103.0, "sandbox"),
        Phase("restore_pages", 103.0, 106.0, "processes and memory"),
        Phase("canary", 107.0, 109.0),
    )
    assert shape(start.spans) == [
        ("restore_read", "", [("restore_read", "identity", [])]),
        ("restore_pages", "", [("restore_pages", "sandbox", []), ("restore_pages", "processes and memory", [])]),
        ("wake", "", [("wake", "hooks", [])]),
        ("canary", "", []),
    ]
    pages = start.spans[1]
    assert (pages.start, pages.end, pages.seconds) == (2.0, 6.0, 4.0)
    assert [(part.start, part.end) for part in pages.children] == [(2.0, 3.0), (3.0, 6.0)]
    assert start.seconds_of("restore_pages") == 4.0  # the parts do not count again


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=8))
def test_no_phase_is_lost_and_children_lie_within_their_parent(times):
    start = record(*(Phase("gap", BEGAN + begin, BEGAN + end) for begin, end in times))
    spans = [span for top in start.spans for span in top.walk()]
    assert sorted([span.start, span.end] for span in spans) == sorted(times)
    for span in spans:
        for child in span.children:
            assert span.start <= child.start and child.end <= span.end


def test_where_the_image_was_is_told_of_a_restore_alone():
    assert record(image_at=ImageAt.RESIDENT).conditions["image"] == "resident"
    assert "image" not in record().conditions
