"""What the user is told of an engine that ended."""

import pytest

from glowplug.tiers.base import ExitCause
from glowplug.tiers.exit_report import exit_report, telling_line


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ([], None),
        (["", "  "], None),
        (["loading", "ready", ""], "ready"),
        (["Traceback:", "  File x", "ValueError: bad shape", "  ", "bye"], "ValueError: bad shape"),
        (["first error", "second ERROR", "more"], "second ERROR"),
        (["error, long ago", *["line"] * 60], "line"),
        (["  CUDA out of memory: allocation failed  "], "CUDA out of memory: allocation failed"),
    ],
)
def test_the_telling_line_is_the_last_with_trouble_else_the_last(output, line):
    assert telling_line(output) == line


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (ExitCause(code=3), "exited with code 3"),
        (ExitCause(signal=11), "was killed by signal 11"),
        (ExitCause(signal=9), "was killed by signal 9 (by someone, or by the kernel because memory ran out)"),
        (ExitCause(signal=9, out_of_memory=True), "was killed by the kernel because memory ran out"),
    ],
)
def test_causes_are_told_apart(cause, text):
    assert exit_report(cause, []) == f"The engine {text}; it printed nothing."
    assert exit_report(cause, ["no such file: error"]) == f'The engine {text}; it said "no such file: error".'


def test_a_very_long_line_is_cut():
    assert len(exit_report(ExitCause(code=1), ["x" * 10_000])) < 600
