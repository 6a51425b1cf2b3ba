"""`glowplug compare`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.outputs import write
from glowplug.profiling.profile import Profile
from tests.profiling import samples

LOG = """INFO 11-23 10:00:00 [api_server.py:1034] vLLM API server version 0.9.2
INFO 11-23 10:00:10 [core.py:69] Initializing a V1 LLM engine (v0.9.2) with config: model='org/model'
INFO 11-23 10:00:20 [gpu_model_runner.py:1770] Starting to load model org/model...
INFO 11-23 10:00:{second} [default_loader.py:272] Loading weights took {load:.2f} seconds
INFO 11-23 10:00:{second} [gpu_model_runner.py:1801] Model loading took 1.5 GiB and {load:.6f} seconds
INFO 11-23 10:00:58 [core.py:172] init engine (profile, create kv cache, warmup model) took 2.00 seconds
INFO 11-23 10:00:59 [api_server.py:1090] Starting vLLM API server 0 on http://0.0.0.0:8000
"""


def saved(path: Path, *starts: ColdStart) -> str:
    write([Profile(samples.report(*starts))], path)
    return str(path)


def slower(start: ColdStart, seconds: float) -> ColdStart:
    """The start with its graph capture and its total that much longer."""

    def longer(span: Span) -> Span:
        children = tuple(map(longer, span.children))
        grown = span.seconds + seconds if span.phase == "graph_capture" else span.seconds
        return replace(span, children=children, seconds=grown)

    return replace(start, total=start.total + seconds, spans=tuple(map(longer, start.spans)))


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    return (
        saved(tmp_path / "a.json", samples.VLLM, samples.VLLM),
        saved(tmp_path / "b.json", samples.FAILED, slower(samples.VLLM, 21.0)),
    )


def test_the_table_shows_the_total_and_then_the_greatest_change(glowplug, files):
    result = glowplug("compare", *files)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:5] == [
        f"baseline  {files[0]}  2 starts, medians shown",
        f"compared  {files[1]}  1 start",
        "PHASE             BASELINE  COMPARED    CHANGE  RATIO",
        "total             184.20 s  205.20 s  +21.00 s  1.11x",
        "graph_capture      63.00 s   84.00 s  +21.00 s  1.33x",
    ]
    assert result.stdout.splitlines()[-1] == (
        "note: 1 of the starts in the other file did not become ready and is left out"
    )


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--threshold", "10%"), 1),
        (("--threshold", "12%"), 0),
        (("--threshold", "20s"), 1),
        (("--threshold", "22 s"), 0),
        (("--threshold", "20999ms"), 1),
        (("--threshold", "10%", "--threshold", "22s"), 0),
        (("--threshold", "10%", "--threshold", "20s"), 1),
        (("--threshold", "30%", "--phase", "graph_capture"), 1),
        (("--threshold", "1%", "--phase", "model_load"), 0),
        (("--threshold", "0%", "--phase", "warmup"), 0),
    ],
)
def test_the_threshold_sets_the_exit_code(glowplug, files, options, code):
    result = glowplug("compare", *files, *options)
    assert result.exit_code == code
    assert bool(result.stderr) is (code == 1)


def test_what_is_slower_is_said(glowplug, files):
    assert glowplug("compare", *files, "--threshold", "5s").stderr == (
        f"{files[1]}: total is slower by 21.00 s, 1.11 times the baseline\n"
    )


def test_the_other_way_round_it_is_faster(glowplug, files):
    assert glowplug("compare", files[1], files[0], "--threshold", "0%").exit_code == 0


def test_json_says_the_same(glowplug, files):
    result = glowplug("compare", *files, "--threshold", "10%", "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["baseline"] == files[0]
    (other,) = document["others"]
    (comparison,) = other["comparisons"]
    assert (other["file"], comparison["before"], comparison["after"]) == (files[1], 2, 1)
    assert comparison["total"]["seconds"] == pytest.approx(21.0)
    assert comparison["phases"][0]["phase"] == "graph_capture"
    assert comparison["phases"][0]["before"] == {"n": 2, "median": 63.0, "least": 63.0, "greatest": 63.0}
    assert len(document["slower"]) == 1


def test_each_further_file_is_compared_with_the_first(glowplug, files, tmp_path):
    third = saved(tmp_path / "c.json", slower(samples.VLLM, -4.2))
    result = glowplug("compare", *files, third, "--threshold", "10%")
    totals = [line.split()[5] for line in result.stdout.splitlines() if line.startswith("total")]
    assert totals == ["+21.00", "-4.20"]
    assert result.exit_code == 1


def test_logs_are_read_like_files_of_profile(glowplug, tmp_path):
    before, after = tmp_path / "before.log", tmp_path / "after.log"
    before.write_text(LOG.format(second=25, load=5.0))
    after.write_text(LOG.format(second=50, load=30.0))
    result = glowplug("compare", str(before), str(after), "--threshold", "20s", "--phase", "weights_load")
    assert result.exit_code == 1, result.stdout
    assert result.stderr == f"{after}: weights_load is slower by 25.00 s, 6.00 times the baseline\n"


def test_a_log_that_does_not_tell_its_total_does_not_pass_a_threshold_on_it(glowplug, files, tmp_path):
    untimed = saved(tmp_path / "u.json", samples.UNSTAMPED)
    result = glowplug("compare", files[0], untimed, "--threshold", "10%")
    assert result.exit_code == 1
    assert result.stderr == f"{untimed}: the log does not tell the total; name a phase with --phase\n"
    assert glowplug("compare", files[0], untimed, "--threshold", "10%", "--phase", "model_load").exit_code == 0


def test_files_without_a_ready_start_are_refused(glowplug, files, tmp_path):
    failed = saved(tmp_path / "f.json", samples.FAILED)
    result = glowplug("compare", files[0], failed)
    assert result.exit_code == 1
    assert (
        f"{failed}: there is nothing to compare; 1 of the starts in the other file did not become ready"
        in result.stderr
    )


def test_a_file_that_holds_something_else_is_refused_with_a_sentence(glowplug, files, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("milk, bread\n")
    result = glowplug("compare", files[0], str(other))
    assert result.exit_code == 1
    assert str(other) in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--threshold", "5"), "write a share such as 10% or a time such as 2s or 500ms"),
        (("--threshold", "-5%"), "write a share such as"),
        (("--threshold", "5%", "--threshold", "6%"), "at most one share and one time"),
        (("--threshold", "5%", "--phase", "compile"), "'compile' is none of total, provision"),
        (("--phase", "gap"), "give both"),
    ],
)
def test_bad_usage_is_told_with_exit_code_two(glowplug, files, options, sentence):
    result = glowplug("compare", *files, *options)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_file_that_is_not_there_and_a_lone_file_are_bad_usage(glowplug, files, tmp_path):
    assert glowplug("compare", files[0], str(tmp_path / "none.json")).exit_code == 2
    assert glowplug("compare", files[0]).exit_code == 2
