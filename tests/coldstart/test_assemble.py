import json
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.grammar import Interval, Line, Ready
from glowplug.coldstart.reading import read_starts
from glowplug.coldstart.values import PHASES, ColdStart, from_json, to_json
from tests.coldstart.kettle import GRAMMARS, KETTLE, one, read, stamped, start


def coverage(found: ColdStart, end: float) -> float:
    """Seconds up to `end` that no span of the start covers, the longest piece of them."""
    longest, reached = 0.0, 0.0
    for begin, stop in sorted((s.start, s.end) for s in found.spans if s.start is not None and s.end is not None):
        longest = max(longest, min(begin, end) - reached)
        reached = max(reached, stop)
    return max(longest, end - reached)


def test_a_start_tells_its_phases_numbers_and_facts() -> None:
    found = one(start())
    assert dict(found.reported) == {
        "config_tokenizer": 5.0,
        "dist_init": 2.0,
        "weights_load": 4.25,
        "model_load": 5.75,
        "graph_capture": 3.0,
        "server_init": 1.0,
        "litres": 0.61,
        "scale": False,
        "total": 31.0,
    }
    assert dict(found.facts) == {"arguments": "--model water"}
    load = next(span for span in found.spans if span.phase == "model_load")
    assert [child.phase for child in load.children] == ["weights_load", "gap"]
    assert (load.source, load.lines) == ("reported", (8,))
    assert coverage(found, 31.0) < 1.0


def test_a_failed_start_tells_what_there_was_and_why() -> None:
    found = one(start(fail=True))
    assert (found.outcome, found.reason, found.total) == ("failed", "RuntimeError: dry", None)
    assert found.seconds_of("model_load") == 5.75
    assert coverage(found, 20.0) < 1.0
    unnamed = one(start(fail=True)[:-1])
    assert unnamed.reason == "an exception was raised (line 9), and the log ends before it is named"


@pytest.mark.parametrize("length", range(1, 13))
def test_a_log_that_ends_anywhere_tells_its_last_line(length: int) -> None:
    found = one([*start()[:length], "", " "])
    assert found.outcome == "incomplete"
    assert found.reason is not None
    assert found.reason.endswith(start()[length - 1].split("] ", 1)[-1].removeprefix("(Element pid=2) "))
    assert found.lines == (1, length + 2)
    assert coverage(found, max(offsets(start()[:length]))) < 1.0


def offsets(lines: list[str]) -> list[int]:
    """The seconds after ten o'clock that lines tell."""
    return [int(found[1]) * 60 + int(found[2]) for line in lines if (found := re.search(r"10:(\d\d):(\d\d)", line))]


def moved(lines: list[str], begin: str) -> list[str]:
    """The lines as if ten o'clock had been at `begin`."""
    first = datetime.fromisoformat(begin)
    return [
        re.sub(r"07-21 10:\d\d:\d\d", f"{first + timedelta(seconds=at):%m-%d %H:%M:%S}", line)
        for line in lines
        for at in offsets([line]) or [0]
    ]


def test_stamps_that_count_from_the_start_of_the_process_count_from_it() -> None:
    lines = [f"{at // 60}.{at % 60:02}.250.000 I {line.split('] ')[-1]}" for line in start() for at in offsets([line])]
    found = one(lines)
    assert found.total == 31.0
    assert coverage(found, 31.0) < 0.1
    late = one(lines[2:])
    assert (late.total, late.spans[0].start, late.started_at) == (31.25, 0.0, None)


def test_a_total_may_be_told_by_the_collectors_clock_alone() -> None:
    """What a platform says when the engine is ready carries no time of the engine's."""
    console = replace(
        KETTLE,
        lines=(*KETTLE.lines, Line(text="Worker is up", mark="up")),
        total=(Interval(phase="total", begin=("first",), end=("up",), outer=True),),
        ready=(Ready(mark="up"),),
    )
    lines = [*start(), "Worker is up"]
    times = [f"2026-07-21T03:00:{5 + 2 * i:02}.000Z {line}" for i, line in enumerate(lines)]
    (found,) = read(times, (console,)).starts
    assert found.total == 26.0
    assert (found.spans[0].phase, found.spans[0].start) == ("config_tokenizer", 0.0)


def test_a_long_silence_that_no_phase_explains_is_a_number_too() -> None:
    def told(silent: int) -> dict[str, float | bool]:
        late = [line.replace("10:00:2", "10:01:2").replace("10:00:3", "10:01:3") for line in start()]
        return dict(one([*late[:-5], f"(Element pid=2) {stamped(86 - silent)} Something", *late[-4:]]).reported)

    assert told(60)["unlabelled_gap_approx"] == 60.0
    assert told(33)["unlabelled_gap_approx"] == 40.0
    lines = start()
    loading = [*lines[:4], *(line.replace("10:00:", "10:01:") for line in lines[6:])]
    explained = [line.replace("4.25", "64.25").replace("5.75", "65.75") for line in loading]
    assert one(loading).reported["unlabelled_gap_approx"] == 65.0
    assert "unlabelled_gap_approx" not in one(explained).reported


def test_true_wins_over_false_whatever_comes_last() -> None:
    for lines in (["Boiled before", "Boiled in 3 s"], ["Boiled in 3 s", "Boiled before"]):
        assert one([*start()[:3], *lines]).reported["scale"] is True


def test_numbers_that_are_none_are_left_out() -> None:
    lines = [line.replace("0.61", "0.6.1").replace("4.25", "..").replace("5.75", "9" * 400) for line in start()]
    found = one(lines)
    assert found.outcome == "ready"
    assert not {"litres", "weights_load", "model_load"} & set(found.reported)


def test_a_start_says_when_it_began_if_the_log_tells_the_year() -> None:
    lines = [f"2026-12-31T23:59:{40 + i}.250Z {line.split('] ')[-1]}" for i, line in enumerate(start())]
    found = one(lines)
    assert found.started_at == "2026-12-31T23:59:40.250+00:00"
    assert found.total == pytest.approx(12.0)
    assert one(start()).started_at is None


@pytest.mark.parametrize(
    "begin", ["2025-12-31 23:59:50", "2025-02-28 23:59:50", "2024-02-28 23:59:50", "2025-07-31 23:59:50"]
)
def test_a_start_over_midnight_is_as_long_as_any_other(begin: str) -> None:
    lines = moved(start(), begin)
    assert begin[5:] in lines[0]
    assert " 00:00:2" in lines[-1]
    found, wanted = one(lines), one(start())
    assert found == wanted


def test_starts_before_and_after_new_year_begin_in_their_years() -> None:
    old, new = ("2025-12-31T23:50:00Z", "2026-01-01T00:10:00Z")
    starts = read([*(f"{old} {line}" for line in start()), *(f"{new} {line}" for line in start(600))]).starts
    assert [found.total for found in starts] == [31.0, 31.0]
    untimed = [f"{at} {line.split('] ')[-1]}" for at in (old, new) for line in start()]
    assert [found.started_at for found in read(untimed).starts] == [
        "2025-12-31T23:50:00.000+00:00",
        "2026-01-01T00:10:00.000+00:00",
    ]


def test_the_engines_clock_counts_before_the_collectors_and_both_together() -> None:
    lines = [
        f"2026-07-21T02:{(i * 2 + 5) // 60:02}:{(i * 2 + 5) % 60:02}.000Z {line}" for i, line in enumerate(start())
    ]
    found = one(lines)
    assert found.total == 31.0
    untimed = [line.replace(f"{stamped(31)} ", "") for line in lines]
    (late,) = read(untimed).starts
    assert late.outcome == "ready"
    # The least that the collector was late by is 3 seconds less than nothing, and its last time is 29.
    assert late.total == 32.0


log_lines = st.lists(
    st.sampled_from([*start(), *start(40, fail=True), *start(200, pid=9)])
    | st.builds(lambda at, text: f"{stamped(at)} {text}", st.integers(0, 500), st.text(max_size=9)),
    max_size=60,
)


@given(log_lines)
def test_lines_in_any_order_give_starts_that_are_whole(lines: list[str]) -> None:
    for found in read(line.replace("\n", "").replace("\r", "") for line in lines).starts:
        document = json.loads(json.dumps(to_json(found), allow_nan=False))
        assert from_json(document) == from_json(to_json(found))
        assert found.engine == "kettle"
        assert (found.reason is None) == (found.outcome == "ready")
        for span in found.walk():
            assert span.phase in PHASES
            if span.start is not None and span.end is not None and span.phase == "gap":
                assert span.end >= span.start
                assert span.neighbours is not None


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_among_the_lines_of_a_start_are_no_error(noise: list[bytes]) -> None:
    lines = [line.encode() for line in start()]
    mixed = [part for pair in zip(lines, [*noise, *[b""] * 20], strict=False) for part in pair]
    for found in read_starts([b"\n".join(mixed)], GRAMMARS).starts:
        json.dumps(to_json(found), allow_nan=False).encode()
