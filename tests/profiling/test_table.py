"""The report on a terminal."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from glowplug.coldstart.values import ColdStart, LogReport, Span
from glowplug.profiling.profile import Profile
from glowplug.profiling.table import print_profiles
from tests.profiling import samples


def printed(*profiles: Profile, width: int = 80, **options) -> list[str]:
    output = io.StringIO()
    print_profiles(profiles, Console(file=output, width=width, highlight=False, **options))
    return output.getvalue().splitlines()


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.strip().startswith(name))


def test_the_breakdown_comes_first_and_adds_up():
    lines = printed(Profile(samples.report(samples.VLLM)))
    assert lines[:9] == [
        "vllm V1 0.25.1  Qwen/Qwen3-14B",
        "ready after 184.20 s",
        "vllm.log, lines 1-140, began 2026-11-23T10:00:00+00:00",
        "",
        "model load               12.00 s    6.5 %  ██",
        "torch.compile            57.62 s   31.3 %  █████████",
        "CUDA graph capture       63.00 s   34.2 %  ██████████",
        "other initialisation     51.58 s   28.0 %  ████████",
        "total                   184.20 s",
    ]


def test_the_tree_shows_when_how_long_and_how_it_is_known():
    lines = printed(Profile(samples.report(samples.VLLM)))
    assert row(lines, "inductor").split()[:8] == ["inductor", "52.00", "s", "41.90", "s", "22.7", "%", "reported"]
    assert row(lines, "inductor").startswith("    inductor")
    assert row(lines, "torch_compile (draft model)").split()[-2] == "reported"
    assert "      4 ranks: 5.02 s to 5.41 s, rank 0 5.10 s" in lines


def test_bars_of_the_tree_stand_on_one_time_axis():
    lines = printed(Profile(samples.report(samples.VLLM)), width=120)
    bars = {name: row(lines, name) for name in ("python_import", "engine_init", "graph_capture", "gap")}
    assert bars["python_import"].rstrip().endswith("█")
    assert bars["python_import"].index("█") < bars["engine_init"].index("━") < bars["graph_capture"].index("█")
    assert bars["gap"].index("░") == pytest.approx(bars["graph_capture"].index("█") - 2, abs=1)


def test_line_numbers_are_shown_where_there_is_room():
    assert "44-58" not in row(printed(Profile(samples.report(samples.VLLM))), "inductor")
    assert "44-58" in row(printed(Profile(samples.report(samples.VLLM)), width=120), "inductor")


def test_a_gap_names_its_neighbours_and_what_was_done():
    text = "\n".join(printed(Profile(samples.report(samples.VLLM)), width=160))
    assert "after: (EngineCore_DP0 pid=364) INFO 11-23 10:01:48 [worker.py:76] Available KV cache: 21.4 GiB" in text
    assert "before: (EngineCore_DP0 pid=364) INFO 11-23 10:01:55 [runner.py:63] Profiling graph memory" in text
    assert "it computed: 7.10 s of CPU time, read 41.0 MB" in text


def test_a_gap_that_hardly_matters_is_one_line():
    gap = Span("gap", 0.9, 0.0, 0.9, "gap", neighbours=("first", "second"))
    short = ColdStart("vllm", outcome="ready", total=100.0, spans=(gap,))
    assert "after: first" not in "\n".join(printed(Profile(samples.report(short))))
    assert "after: first" in "\n".join(printed(Profile(samples.report(replace(short, total=10.0)))))


def test_reported_numbers_are_repeated_only_if_no_span_shows_them():
    lines = printed(Profile(samples.report(samples.VLLM)))
    beside = lines[lines.index("Also reported") + 1 :][:2]
    assert [line.split() for line in beside] == [["torch_compile_reported", "53.12"], ["compile_cache_hit", "no"]]


def test_advice_says_what_it_gains_and_what_to_do():
    lines = printed(Profile(samples.report(samples.VLLM), (samples.ADVICE,)))
    advice = lines[lines.index("What would make it faster") + 1 :]
    assert advice[0] == "  The compile cache was missed (saves about 49.0 s, lines 36-61)"
    assert any("VLLM_CACHE_ROOT" in line for line in advice)


def test_other_starts_take_one_line_each():
    lines = printed(Profile(samples.report(samples.FAILED, samples.VLLM)), width=200)
    assert lines[lines.index("Other starts in this file") + 1 :] == [
        "  vllm 0.25.1 · org/broken · failed after 38.00 s: torch.OutOfMemoryError: CUDA out of memory. "
        "Tried to allocate 2.00 GiB"
    ]


def test_a_failed_start_says_why():
    lines = printed(Profile(samples.report(samples.FAILED)))
    assert lines[1] == "failed after 38.00 s: torch.OutOfMemoryError: CUDA out of memory. Tried to"
    assert lines[2] == "allocate 2.00 GiB"


def test_a_start_without_stamps_shows_lengths_and_no_places():
    lines = printed(Profile(samples.report(samples.UNSTAMPED)))
    assert lines[1] == "ready; the log does not tell the total time"
    assert row(lines, "all phases that the log tells").split()[-2:] == ["2.87", "s"]
    assert row(lines, "weights_load").split()[:5] == ["weights_load", "-", "2.00", "s", "-"]


def test_ten_milliseconds_are_shown_in_milliseconds():
    lines = printed(Profile(samples.report(samples.QUICK)))
    assert lines[1] == "ready after 10.0 ms"
    assert row(lines, "wake").split()[:6] == ["wake", "4.0", "ms", "0.0", "ms", "0.0"]


def test_a_log_without_a_start_says_so():
    assert printed(Profile(LogReport("empty.log", "unknown", (), ("It is empty.",)))) == [
        "empty.log: no start of an engine is in it", "", "Notes", "  It is empty.",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in samples.ALL if name != "odd"])
def test_nothing_is_wider_than_eighty_columns(name):
    lines = printed(Profile(samples.report(samples.ALL[name]), (samples.ADVICE,)))
    assert all(cell_len(line) <= 80 for line in lines)
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("start", samples.ALL.values(), ids=samples.ALL)
def test_texts_from_logs_steer_neither_terminal_nor_markup(start):
    text = "\n".join(printed(Profile(samples.report(start)), width=300))
    assert "\x1b" not in text and "\u202e" not in text and "\x00" not in text
    assert start is not samples.ODD or "[bold]" in text


def test_colours_only_on_a_terminal():
    assert "\x1b[" not in "\n".join(printed(Profile(samples.report(samples.VLLM))))
    assert "\x1b[" in "\n".join(printed(Profile(samples.report(samples.VLLM)), force_terminal=True, no_color=False))


def test_an_output_that_knows_only_ascii_gets_ascii():
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    print_profiles([Profile(samples.report(samples.ODD, samples.VLLM))], Console(file=output, width=80))
    assert b"model load               12.00 s    6.5 %  ##" in raw.getvalue()
