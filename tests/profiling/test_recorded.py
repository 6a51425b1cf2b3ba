"""Cold starts read back."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.values import to_json
from glowplug.profiling.outputs import write
from glowplug.profiling.profile import Profile
from glowplug.profiling.recorded import RecordedError, read
from tests.profiling import samples


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_what_profile_wrote_is_read_back_whole(tmp_path):
    path = tmp_path / "profile.json"
    write([Profile(samples.report(samples.FAILED, samples.VLLM)), Profile(samples.report(samples.QUICK))], path)
    assert read(path) == {"": [samples.FAILED, samples.VLLM, samples.QUICK]}


def test_a_bare_cold_start_is_enough(tmp_path):
    assert read(written(tmp_path / "start.json", to_json(samples.MINUTE))) == {"": [samples.MINUTE]}


def test_repeats_of_a_bench_belong_to_their_scenarios_and_fills_to_none(tmp_path):
    repeats = [
        {"kind": "fill", "scenario": "m/cached", "cold_start": to_json(samples.VLLM)},
        {"kind": "measured", "scenario": "m/cold", "cold_start": to_json(samples.VLLM)},
        {"kind": "measured", "scenario": "m/parked", "cold_start": to_json(samples.QUICK)},
        {"kind": "measured", "scenario": "m/cold", "cold_start": to_json(samples.FAILED)},
        {"kind": "measured", "scenario": "m/cold", "cold_start": None, "failure": "it did not begin"},
    ]
    path = tmp_path / "repeats.jsonl"
    path.write_text("\n".join(map(json.dumps, repeats)) + '\n{"kind": "measured", "scen')  # killed while it wrote
    expected = {"m/cold": [samples.VLLM, samples.FAILED], "m/parked": [samples.QUICK]}
    assert read(path) == expected
    assert read(tmp_path) == expected


def test_results_of_a_bench_hold_a_typical_start_for_each_scenario(tmp_path):
    scenarios = [
        {"name": "m/cold", "typical": to_json(samples.VLLM), "metrics": {}},
        {"name": "m/parked", "typical": None},
    ]
    path = written(tmp_path / "results.json", {"format": 1, "scenarios": scenarios})
    assert read(path) == {"m/cold": [samples.VLLM]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"spans": [], "outcome": "ready"}', "'engine' is missing"),
        ('{"engine": "x", "outcome": "ready", "spans": [{"phase": "gap"}]}', "'seconds' is missing"),
        ('{"engine": "x", "outcome": "ready", "total": "long", "spans": []}', "'total' is no number"),
        ('{"engine": "x", "outcome": "ready", "spans": 7}', "it is no cold start"),
        ('{"engine": "x", "outcome": "ready", "total": NaN, "spans": []}', "no start"),
        ('{"models": []}', "no start"),
        ("[" * 100_000, "no start"),
        ("", "empty"),
    ],
)
def test_what_holds_no_cold_start_is_refused_with_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(RecordedError) as caught:
        read(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_directory_that_is_no_result_is_refused(tmp_path):
    with pytest.raises(RecordedError, match=r"repeats\.jsonl cannot be read"):
        read(tmp_path)


KEYS = (
    "spans", "outcome", "engine", "phase", "seconds", "start", "children", "ranks", "neighbours", "activity", "total",
    "lines", "reported", "scenario", "kind",
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
        | st.fixed_dictionaries(
            {"engine": inner, "outcome": inner, "spans": st.lists(inner | st.fixed_dictionaries(
                {"phase": inner, "seconds": inner, "ranks": inner, "neighbours": inner, "activity": inner}
            ), max_size=2)}
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_no_document_ends_in_a_traceback(tmp_path_factory, document):
    path = written(tmp_path_factory.mktemp("fuzz") / "any.json", document)
    try:
        read(path)
    except RecordedError as error:
        assert "\n" not in str(error)
