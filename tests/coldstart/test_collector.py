"""Which lines belong to which start."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart import collector as module
from glowplug.coldstart.collector import Collector, Mode
from glowplug.coldstart.heads import read_head
from glowplug.coldstart.values import ColdStart
from tests.coldstart.kettle import GRAMMARS, KETTLE, one, read, stamped, start


def outcomes(starts: tuple[ColdStart, ...]) -> list[str]:
    return [found.outcome for found in starts]


def test_one_start_is_one_start() -> None:
    found = one(["shell: starting", *start()])
    assert (found.engine, found.version, found.model, found.outcome) == ("kettle", "1.2", "water", "ready")
    assert found.total == 31.0
    assert found.lines == (2, 14)


def test_a_server_that_begins_anew_is_another_start() -> None:
    reading = read([*start(), *start(100, pid=7, model="tea"), *start(200, pid=9)])
    assert outcomes(reading.starts) == ["ready"] * 3
    assert [found.model for found in reading.starts] == ["water", "tea", "water"]
    assert [found.total for found in reading.starts] == [31.0] * 3
    assert [found.lines for found in reading.starts] == [(1, 13), (14, 26), (27, 39)]


@given(fails=st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_crash_loop_is_as_many_starts_as_attempts(fails: list[bool]) -> None:
    lines = [line for i, fail in enumerate(fails) for line in start(60 * i, pid=10 + i, fail=fail)]
    starts = read(lines).starts
    assert outcomes(starts) == ["failed" if fail else "ready" for fail in fails]
    assert {found.reason for found in starts if found.outcome == "failed"} <= {"RuntimeError: dry"}
    assert [found.lines[0] for found in starts][1:] == [found.lines[1] + 1 for found in starts][:-1]


def test_an_engine_that_begins_again_in_one_server_is_another_start() -> None:
    lines = start()[2:]
    starts = read([*lines, *start(100)[2:]]).starts
    assert outcomes(starts) == ["ready", "ready"]


def test_an_engine_that_begins_again_before_it_was_ready_is_another_start() -> None:
    lines = start()
    starts = read([*lines[:8], *(line.replace("10:00:", "10:03:") for line in lines[2:])]).starts
    assert outcomes(starts) == ["incomplete", "ready"]
    two = read([*lines[:3], lines[2].replace("pid=2", "pid=3").replace("(Element", "(Element_DP1"), *lines[3:]]).starts
    assert outcomes(two) == ["ready"]


def test_a_server_that_fails_before_its_engine_begins_and_begins_anew_is_another_start() -> None:
    grammar = replace(KETTLE, lines=[replace(line, mark=None) if line.mark == "api" else line for line in KETTLE.lines])
    begin = f"{stamped(0)} Kettle server version 1"
    assert outcomes(read([begin, "ValueError: no water", begin], (grammar,)).starts) == ["failed", "incomplete"]
    assert outcomes(read([begin, begin], (grammar,)).starts) == ["incomplete"]


def test_a_bar_drawn_after_a_failure_does_not_undo_it() -> None:
    lines = start()
    bar = next(line for line in lines if "Boiling bar" in line)
    assert one([*lines[:8], "RuntimeError: dry", bar]).outcome == "failed"
    assert one([*lines[:8], "RuntimeError: dry", lines[11]]).outcome == "incomplete"


def test_ranks_and_draft_models_are_one_start() -> None:
    ranks = [
        line.replace("(Element pid=2)", f"(Element_TP{rank} pid={rank + 2})")
        for rank in range(4)
        for line in start()[2:8]
    ]
    found = one([*start()[:2], *ranks, *start()[8:]])
    assert found.outcome == "ready"
    load = next(span for span in found.walk() if span.phase == "weights_load")
    assert load.ranks is not None
    assert load.ranks.count == 4


def test_an_exception_that_is_survived_is_no_failure() -> None:
    lines = start()
    found = one([*lines[:4], "Traceback (most recent call last):", "ImportError: no milk", *lines[4:]])
    assert (found.outcome, found.reason) == ("ready", None)


def test_an_exception_before_the_engine_begins_does_not_part_it_from_its_server() -> None:
    lines = start()
    found = one([*lines[:2], "ImportError: no milk", *lines[2:]])
    assert found.lines == (1, 14)
    assert found.total == 31.0


def test_what_failed_before_the_server_began_is_not_its_failure() -> None:
    lines = start()
    for begin in (0, 2):
        found = one(["ValueError: another program", *lines[begin:8]])
        assert (found.outcome, found.lines[0]) == ("incomplete", 2)


def test_the_gravest_failure_is_the_reason_however_many_follow() -> None:
    later = ["torch.OutOfMemoryError: CUDA out of memory", *(f"RuntimeError: number {i}" for i in range(100))]
    found = one([*start(fail=True)[:-1], *(f"Traceback (most recent call last): {i}" for i in range(80)), *later])
    assert found.reason == "torch.OutOfMemoryError: CUDA out of memory"


def test_of_failures_equally_grave_the_first_is_the_reason() -> None:
    found = one([*start(fail=True), "RuntimeError: because it was dry", "ValueError: and so on"])
    assert found.reason == "RuntimeError: dry"


def test_workers_in_one_console_are_told_apart() -> None:
    def told(worker: str, lines: list[str]) -> list[str]:
        return [f"2026-07-21  02:00:00.000 | info | {worker} | {line}" for line in lines]

    first, second = told("alpha", start()), told("beta", start(3, pid=5, model="tea"))
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    starts = read([*mixed, *told("alpha", start(90, pid=30, fail=True))]).starts
    assert sorted((found.model, found.outcome, found.total) for found in starts) == [
        ("tea", "ready", 31.0),
        ("water", "failed", None),
        ("water", "ready", 31.0),
    ]


def test_a_worker_that_begins_while_another_serves_is_read_whole() -> None:
    """A silence between lines that nobody looks for is found in its start too."""
    lines = [f"b-1  | {line}" for line in start(100)]
    starts = read([*(f"a-1  | {line}" for line in start()), *lines]).starts
    for found in starts:
        gap = next(span for span in found.spans if span.phase == "gap" and span.seconds == 12.0)
        assert gap.neighbours == ("Something happens", "Something else happens")


def test_an_engine_is_known_by_its_lines() -> None:
    pot = [f"{stamped(50)} Pot version 3", f"{stamped(58)} Pot is hot"]
    starts = read([*(f"kettle-1  | {line}" for line in start()), *(f"pot-1  | {line}" for line in pot)]).starts
    assert [(found.engine, found.total) for found in starts] == [("kettle", 31.0), ("pot", 8.0)]


def test_a_text_without_a_start_holds_none() -> None:
    assert read(["nothing", f"{stamped(0)} of note", "RuntimeError: but an error"]).starts == ()


def test_only_the_last_starts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STARTS", 3)
    reading = read([line for i in range(8) for line in start(40 * i, pid=i + 1)])
    assert (len(reading.starts), reading.dropped) == (4, 4)
    assert [found.lines[0] for found in reading.starts] == [1 + 13 * i for i in (4, 5, 6, 7)]


def test_sources_beyond_the_limit_share_one_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SOURCES", 2)
    collector = Collector(GRAMMARS)
    for number in range(1, 10):
        collector.accept(read_head(f"service-{number}  | hello"), number)
    assert [log.source for log in collector.open_starts()] == ["service-1", "service-2", ""]


def test_of_one_kind_of_line_not_more_are_kept_than_a_start_can_have() -> None:
    collector = Collector(GRAMMARS)
    lines = [
        *start()[:6],
        *["Filling took 1 s"] * 5000,
        *[f"(P{i} pid={i}) Boiling bar: | 1/2 [00:01<" for i in range(5000)],
    ]
    for number, line in enumerate([*lines, f"{stamped(30)} Boiled in 3 s", f"{stamped(31)} Kettle serves"], start=1):
        collector.accept(read_head(line), number)
    (log,) = collector.open_starts()
    assert len(log.events) < 1100
    assert len(log.bars) <= 1000
    assert log.ready
    assert {event.line.mark for event in log.events} >= {"api", "boiled", "serves"}


def test_what_the_next_lines_are_read_for_follows_from_the_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ATTENTION", 20)
    collector = Collector(GRAMMARS)
    modes: list[Mode] = []
    for number, line in enumerate(["x | y"] * 25 + start() + start(60, fail=True) + ["no line"] * 25, start=1):
        collector.accept(read_head(line), number)
        modes.append(collector.mode)
    assert modes[:25] == [Mode.ALL] * 19 + [Mode.MARKS] * 6
    assert modes[25:37] == [Mode.ALL] * 12
    assert modes[37] is Mode.BEGINNINGS
    assert modes[38:58] == [Mode.ALL] * 20
    assert modes[60:] == [Mode.MARKS] * (len(modes) - 60)


def test_lines_that_only_say_that_somebody_waits_do_not_end_a_silence() -> None:
    lines = start()
    waits = [f"(Main pid=1) {stamped(at)} Kettle waits" for at in (16, 18, 20, 22, 24)]
    found = one([*lines[:9], *waits, *lines[9:]])
    assert any(span.phase == "gap" and span.seconds == 12.0 for span in found.spans)


def test_a_bar_that_begins_anew_is_another_bar() -> None:
    def bar(seconds: int) -> str:
        return f"(Element pid=2) Fill level: | 1/2 [00:{seconds:02}<00:01, 1it/s]"

    collector = Collector((KETTLE,))
    for number, seconds in enumerate((0, 0, 3, 4, 0, 2, 9), start=1):
        collector.accept(read_head(bar(seconds)), number)
    (log,) = collector.open_starts()
    assert [event.values["clock"] for event in log.bars.values()] == ["00:04", "00:09"]
