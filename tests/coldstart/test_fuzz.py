"""Lines of all engines, as their grammars have them, changed and put together in every way."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glowplug.coldstart.failures import RULES
from glowplug.coldstart.grammar import Grammar
from glowplug.engines.logs import GRAMMARS
from tests.coldstart.kettle import stamped
from tests.coldstart.prefixes import PREFIXES
from tests.fuzz.checks import check_log

LINES = list({id(line): line for grammar in GRAMMARS for line in grammar.lines}.values())
HEADS = (
    "(EngineCore_DP0 pid=364) ",
    "(Worker_TP1 pid=370) ",
    "(VllmWorker rank=3 pid=3252) ",
    "(APIServer pid=1) ",
    "",
)


def stamp(engine: int, at: int) -> str:
    clock = f"{10 + at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}"
    return (
        f"{stamped(at)} ",
        f"[2026-07-21 {clock} TP{at % 3}] ",
        f"2026-07-21T{clock}.250Z  INFO text_generation_launcher: ",
        f"2026-07-21 {clock},250 - lmdeploy - INFO - file.py:1 - ",
        f"[TM][INFO][0721.{clock}.250000]",
        f"{at // 60}.{at % 60:02}.250.000 I ",
        "",
    )[engine]


@st.composite
def messages(draw: st.DrawFn) -> str:
    """A line that a grammar or a rule for failures looks for, or nearly."""
    chosen = draw(st.sampled_from([*LINES, *(pattern for pattern, _ in RULES)]))
    if isinstance(chosen, str):
        return draw(st.from_regex(re.compile(chosen, re.ASCII)))
    if chosen.pattern is None or draw(st.integers(0, 9)) == 0:
        return chosen.text + draw(st.text(max_size=9))
    filled = draw(st.from_regex(re.compile(chosen.pattern, re.ASCII)))
    return filled if chosen.text in filled else f"{chosen.text} {filled}"


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    engine, prefix = draw(st.integers(0, 6)), draw(st.none() | st.sampled_from(PREFIXES))
    at = 0
    text = ""
    for message in draw(st.lists(messages(), min_size=1, max_size=12)):
        at += draw(st.sampled_from([0, 0, 1, 7, 60, -3, 4000]))
        line = draw(st.sampled_from(HEADS)) + stamp(engine, max(at, 0)) + message
        line = line if prefix is None else prefix.wrap(line)
        text += line + draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "", "\n\n", "]"]))
    data = bytearray(text.encode("utf-8", "replace"))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 3))] = draw(
            st.sampled_from([b"", b"\n", b"\r", b"\x00", b"\xff", b"\x1b[", b"]", b"9" * 30, b"{", b"\\n", b" "])
        )
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=logs(), size=st.integers(1, 60))
def test_any_log_is_read_the_same_way_in_pieces_and_told_in_bounds(data: bytes, size: int) -> None:
    check_log(data, size)


@pytest.mark.slow
@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: f"{grammar.engine} {grammar.variant}".strip())
def test_lines_a_thousand_times_over_are_read(grammar: Grammar) -> None:
    """Nothing that repeats, in one line or over many, takes more than its share of time; too much is the limit of time
    of every test."""
    for line in {line.text: line for line in grammar.lines}.values():
        text = line.text
        for data in (f"{text} " * 600, f"{text} 1" + " " * 9000, f"{text}(" + "1" * 9000, f"{text}\n" * 2000):
            check_log(data.encode(), 50_000)
