"""Real logs with what was read from them by eye, where they lie beside the repository."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from glowplug.coldstart.values import PHASES, ColdStart, LogReport, Span, from_json, report_to_json, to_json
from glowplug.profiling.logfile import read_file

CORPUS = Path(__file__).parents[4] / "shared" / "logs"
INDEX = CORPUS / "INDEX.tsv"
ENGINES = {
    "vllm": ("vllm", None),
    "runpod-worker-vllm": ("vllm", "runpod-worker"),
    "sglang": ("sglang", None),
    "lmdeploy-pytorch": ("lmdeploy", "pytorch"),
    "lmdeploy-turbomind": ("lmdeploy", "turbomind"),
    "tgi": ("tgi", None),
    "llamacpp": ("llama.cpp", None),
}
"""Our name and variant by the name in the index."""
PRINTED = (
    "weights_download", "weights_load", "dynamo", "inductor", "graph_capture", "profile_kv", "dist_init", "mm_warmup",
    "fit_params", "graph_reserve", "graph_mem_gib", "first_token", "external_llm_init_s",
)  # fmt: skip
"""Numbers that engines print themselves, in some of their versions: then they are exact."""
WITHIN = 1.0
"""Seconds by which a number may be off that follows from two times, which mostly are whole seconds."""

pytestmark = pytest.mark.skipif(not INDEX.exists(), reason=f"no logs with truth at {CORPUS}")


def rows() -> list[dict[str, str]]:
    if not INDEX.exists():
        return []
    with INDEX.open(newline="") as index:
        return list(csv.DictReader(index, delimiter="\t"))


def truth_of(row: dict[str, str]) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads(row["ground_truth_json"])
    return {key: value for key, value in truth.items() if key != "notes" and value is not None}


def notes_of(row: dict[str, str]) -> str:
    return json.loads(row["ground_truth_json"]).get("notes", "")


@cache
def report_of(file: str) -> LogReport:
    return read_file(str(CORPUS / file))


def subject_of(file: str) -> ColdStart:
    return report_of(file).starts[-1]


def is_printed(start: ColdStart, key: str) -> bool:
    """Whether the engine told the number itself, rather than two of its lines their times."""
    if key.endswith(("_reported", "_hit")):
        return True
    spans = [span for span in start.walk() if span.phase == key]
    return key in PRINTED and all(span.source == "reported" for span in spans)


EACH = pytest.mark.parametrize("row", [pytest.param(row, id=row["file"]) for row in rows()])


@EACH
def test_every_number_of_the_truth_is_reported(row: dict[str, str]) -> None:
    start = subject_of(row["file"])
    truth = truth_of(row)
    wrong = {
        key: (value, start.reported.get(key))
        for key, value in truth.items()
        if key not in start.reported or abs(start.reported[key] - value) > (1e-6 if is_printed(start, key) else WITHIN)
    }
    assert wrong == {}


@EACH
def test_engine_and_outcome(row: dict[str, str]) -> None:
    start = subject_of(row["file"])
    engine, variant = ENGINES[row["engine"]]
    assert start.engine == engine
    assert variant in (None, start.variant)
    notes = notes_of(row)
    expected = "failed" if "FAILED" in notes else "incomplete" if "incomplete" in row["model"] else "ready"
    assert start.outcome == expected
    assert (start.reason is None) == (expected == "ready")


@EACH
def test_versions_that_the_log_names(row: dict[str, str]) -> None:
    version = subject_of(row["file"]).version
    if row["engine"] in ("vllm", "runpod-worker-vllm"):
        assert version is not None
        # A log may name its build more exactly than the index.
        assert version.startswith(row["version"])
    elif version is not None:
        assert version.split()[0].lstrip("b") in row["version"]


@EACH
def test_spans_are_well_formed(row: dict[str, str]) -> None:
    with (CORPUS / row["file"]).open("rb") as log:
        count = sum(1 for _ in log)
    for start in report_of(row["file"]).starts:
        assert 1 <= start.lines[0] <= start.lines[1] <= count
        for span in start.walk():
            check(span, count)
        for siblings in families(start):
            times = [span.start for span in siblings if span.start is not None]
            assert times == sorted(times)


def check(span: Span, count: int) -> None:
    assert span.phase in PHASES
    assert span.seconds >= 0
    assert span.source in ("reported", "stamps", "gap")
    assert (span.phase == "gap") == (span.source == "gap") == (span.neighbours is not None)
    assert list(span.lines) == sorted(span.lines)
    assert all(1 <= line <= count for line in span.lines)
    assert span.lines or span.phase == "gap"
    if span.start is None or span.end is None:
        assert span.start is span.end is None
    else:
        assert span.end - span.start == pytest.approx(span.seconds, abs=1e-4)
    if span.ranks is not None:
        assert span.ranks.count > 1
        assert span.ranks.least <= span.ranks.first <= span.ranks.greatest


def families(start: ColdStart) -> Iterator[tuple[Span, ...]]:
    yield start.spans
    for span in start.walk():
        yield span.children


@EACH
def test_what_is_inside_another_phase_overlaps_it(row: dict[str, str]) -> None:
    for span in subject_of(row["file"]).walk():
        for child in span.children:
            if span.start is None or span.end is None or child.start is None or child.end is None:
                continue
            # Stamps are whole seconds, and a duration that was told ends when its line was written.
            assert child.end >= span.start - WITHIN
            assert child.start <= span.end + WITHIN


@EACH
def test_the_json_form_comes_back_the_same(row: dict[str, str]) -> None:
    document = json.loads(json.dumps(report_to_json(report_of(row["file"]))))
    assert document["starts"] == [to_json(from_json(start)) for start in document["starts"]]
    assert [start["outcome"] for start in document["starts"]] == [s.outcome for s in report_of(row["file"]).starts]


def test_the_whole_index_is_read() -> None:
    assert len(rows()) >= 40
    assert {row["engine"] for row in rows()} <= ENGINES.keys()
