"""What of a bench file can be measured here, and how long the rest of it will take."""

import pytest

from glowplug.engines.fake import Fake
from glowplug.profiling.bench import page_cache
from glowplug.profiling.bench.bench_file import load_bench
from glowplug.profiling.bench.run import CannotBench, remaining, select
from glowplug.profiling.bench.scenario import scenarios
from glowplug.profiling.bench.schedule import Turn
from tests.profiling.bench.results import bad, good


@pytest.fixture
def wanted(tmp_path):
    def wanted(text: str):
        file = tmp_path / "bench.yaml"
        file.write_text(text)
        return scenarios(load_bench(file), paths=None, repeats=None, only=())

    return wanted


def test_a_tier_that_a_model_cannot_use_here_is_left_out_with_its_reason(wanted, monkeypatch):
    monkeypatch.setattr(Fake, "parkable", lambda self, model: "it holds a GPU")
    selection = select(wanted("models: {m: {engine: fake}}"))
    assert [scenario.name for scenario in selection.scenarios] == ["m/cold", "m/cached"]
    assert selection.closed == {"m/parked": "it holds a GPU"}


def test_every_model_that_cannot_start_is_named_once(wanted):
    with pytest.raises(CannotBench) as caught:
        select(wanted("models: {a: {engine: llama.cpp}, b: {engine: llama.cpp, model: ./x.gguf}, c: {engine: fake}}"))
    first, second = str(caught.value).splitlines()
    assert first.startswith("model 'a': ") and second.startswith("model 'b': ")


def test_pages_of_the_whole_machine_that_may_not_be_dropped(wanted, monkeypatch, tmp_path):
    monkeypatch.setattr(page_cache, "_DROP_CACHES", tmp_path / "none")
    with pytest.raises(CannotBench, match="page_cache: machine needs root"):
        select(wanted("{models: {m: {engine: fake}}, bench: {page_cache: machine}}"))


def test_what_is_left_is_estimated_from_the_mean_of_each_scenario():
    repeats = [good("a", 1, 1.0), bad("a", 2), good("b", 3, 1.0)]  # 30 s, 0 s and 30 s
    turns = [Turn("a", 2, 1), Turn("b", 2, 2), Turn("b", 3, 1)]
    assert remaining(turns, repeats) == 15 + 30 + 30
    assert remaining([], repeats) == 0
    assert remaining([*turns, Turn("c", 1, 1)], repeats) is None
