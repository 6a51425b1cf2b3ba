"""Bench files, and the scenarios that come out of them."""

import re
from dataclasses import replace

import pytest

from glowplug.config.errors import ConfigError
from glowplug.profiling.bench.bench_file import BenchSection, RequestSection, load_bench
from glowplug.profiling.bench.paths import PageCache, UnknownPath, known_paths, parse_path
from glowplug.profiling.bench.scenario import DEFAULT_WARMUP, UnknownModel, scenarios
from glowplug.scheduler.values import Tier
from glowplug.tiers.registry import TRANSITIONS
from glowplug.tiers.worth import ImageAt
from tests.docs.examples import ROOT

TWO = "models: {one: {engine: fake}, two: {engine: fake, warmup: [{prompt: Hi}]}}\n"


@pytest.fixture
def load(tmp_path):
    def load(text: str):
        file = tmp_path / "bench.yaml"
        file.write_text(text)
        return load_bench(file)

    return load


def names(file, **choice):
    choice = {"paths": None, "repeats": None, "only": (), **choice}
    return [(scenario.name, scenario.repeats) for scenario in scenarios(file, **choice)]


def test_a_plain_configuration_is_a_bench_file(load):
    assert names(load("models: {one: {engine: fake}}")) == [("one/cold", 5), ("one/cached", 5), ("one/parked", 5)]


def test_a_model_may_have_paths_and_repeats_of_its_own(load):
    file = load(TWO + "bench: {paths: [cached, cold], repeats: 4, models: {two: {repeats: 2, paths: [parked]}}}")
    assert names(file) == [("one/cached", 4), ("one/cold", 4), ("two/parked", 2)]


def test_the_command_line_goes_before_the_file(load):
    file = load(TWO + "bench: {repeats: 4, models: {two: {repeats: 2, paths: [parked]}}}")
    assert names(file, paths=["cold", "cold"], repeats=7, only=["two"]) == [("two/cold", 7)]


def test_single_paths_may_have_repeats_of_their_own_and_a_model_goes_before_them(load):
    file = load(
        TWO + "bench: {paths: [cold, cached, parked], repeats: 4, path_repeats: {cold: 2},"
        " models: {two: {repeats: 6, path_repeats: {parked: 9}}}}"
    )
    assert names(file) == [
        *(("one/cold", 2), ("one/cached", 4), ("one/parked", 4)),
        *(("two/cold", 6), ("two/cached", 6), ("two/parked", 9)),
    ]
    assert {repeats for _, repeats in names(file, repeats=1)} == {1}


@pytest.mark.parametrize(
    ("bench", "complaint"),
    [
        ("{path_repeats: {parkt: 2}}", 'there is no start path "parkt"; did you mean "parked"?'),
        ("{path_repeats: {cold: 0}}", '"cold" must be at least 1'),
        ("{paths: [parkt]}", 'there is no start path "parkt"; did you mean "parked"?'),
        ("{paths: []}", "paths"),
        ("{repeats: 0}", '"repeats" must be at least 1'),
        ("{repeat: 3}", 'unknown key "repeat"; did you mean "repeats"?'),
        ("{models: {three: {repeats: 2}}}", 'bench.models names "three", which is not among the models'),
        ("{page_cache: all}", "page_cache"),
        ("{request: {tokens: 1}}", '"tokens" must be at least 2'),
    ],
)
def test_mistakes_are_named_with_their_line(load, bench, complaint):
    with pytest.raises(ConfigError) as caught:
        load(TWO + f"bench: {bench}\n")
    (problem,) = caught.value.problems
    assert complaint in problem.message
    assert problem.position is None or problem.position.line in (1, 2)


def test_a_model_that_is_not_there(load):
    with pytest.raises(UnknownModel, match=r'no model "tow".*did you mean "two"'):
        names(load(TWO), only=["tow"])


def test_there_is_a_path_for_every_tier_that_can_be_rested_in():
    resting = {path.tier for path in known_paths().values()} - {None}
    assert resting == set(TRANSITIONS) - {Tier.CACHED, Tier.COLD}
    assert parse_path("parked").tier is Tier.PARKED


def test_what_the_starts_have_left():
    found = {name: (parse_path(name).caches_filled, parse_path(name).page_cache) for name in list(known_paths())[:3]}
    assert found == {
        "cold": (False, PageCache.DROPPED),
        "cached": (True, PageCache.FILLED),
        "cached-cold-disk": (True, PageCache.DROPPED),
    }


def test_a_process_image_is_where_the_path_says_and_warm_up_does_not_change_that():
    found = {path.name: (path.image, path.page_cache) for path in known_paths().values() if path.tier is Tier.SNAPSHOT}
    assert found == {
        "snapshot-cold-disk": (ImageAt.DISK, PageCache.DROPPED),
        "snapshot-page-cache": (ImageAt.PAGE_CACHE, PageCache.FILLED),
        "snapshot": (ImageAt.RESIDENT, PageCache.UNTOUCHED),
    }
    assert parse_path("snapshot-cold-disk+warmup") == replace(
        parse_path("snapshot-cold-disk"), name="snapshot-cold-disk+warmup", warmup=True
    )
    assert {path.image for path in known_paths().values() if path.tier is not Tier.SNAPSHOT} == {None}


def test_an_unknown_path_is_told_the_known_ones():
    with pytest.raises(UnknownPath, match=r"known: cold, cached, cached-cold-disk, .*parked"):
        parse_path("xyz+warmup")


def test_warm_up_requests_are_sent_on_paths_that_say_so_and_on_no_other(load):
    found = {s.name: s.warmup for s in scenarios(load(TWO), paths=["cached", "cached+warmup"], repeats=1, only=())}
    assert found == {
        "one/cached": (),
        "two/cached": (),
        "one/cached+warmup": [DEFAULT_WARMUP],
        "two/cached+warmup": [{"prompt": "Hi", "max_tokens": 16}],
    }


def test_a_definition_holds_what_matters_and_no_secret(load):
    file = load(
        "models:\n  m:\n    engine: fake\n    model: hub/name\n    options: {tokens: 3}\n"
        "    env: {HF_TOKEN: hf_secret, OMP_NUM_THREADS: 2}\n"
        "    args: {api-key: sk-1, max-total-tokens: 8, tokenizer: t}\n"
    )
    (scenario,) = scenarios(file, paths=["parked"], repeats=1, only=())
    definition = scenario.definition()
    assert definition["config"] == {
        "engine": "fake",
        "model": "hub/name",
        "options": {"tokens": 3},
        "env": {"HF_TOKEN": "(hidden)", "OMP_NUM_THREADS": "2"},
        "args": {"api-key": "(hidden)", "max-total-tokens": 8, "tokenizer": "t"},
    }
    assert "repeats" not in definition


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("bench-*.yaml")), ids=lambda file: file.stem)
def test_the_examples_are_right_and_documented(file):
    assert names(load_bench(file))
    assert file.name in (ROOT / "docs" / "benchmarking.md").read_text()


def test_the_four_engines_are_measured_as_announced():
    found = names(load_bench(ROOT / "examples" / "bench-cpu-engines.yaml"))
    repeats = {"llama-cpp": 5, "transformers": 5, "sglang": 5, "vllm": 3}
    assert found == [(f"{m}/{path}", n) for m, n in repeats.items() for path in ("cold", "cached", "parked")]


def test_snapshots_are_measured_as_announced():
    found = dict(names(load_bench(ROOT / "examples" / "bench-snapshot.yaml")))
    vllm = {"cold": 2, "cached": 3, "parked": 7, "snapshot": 7, "snapshot-page-cache": 5, "snapshot-cold-disk": 7}
    assert {name.partition("/")[2]: n for name, n in found.items() if name.startswith("vllm/")} == vllm
    assert {n for name, n in found.items() if not name.startswith("vllm/")} == {3}


def test_the_documented_bench_file_is_right(load, tmp_path):
    page = (ROOT / "docs" / "benchmarking.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in names(load(text))] == [
        "qwen/cold", "qwen/cached", "qwen/cached-cold-disk", "qwen/parked", "small/cached", "small/cached+warmup",
    ]  # fmt: skip
    known = set(BenchSection.model_fields) | {f"request.{name}" for name in RequestSection.model_fields}
    table = page.partition("| key |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z_.]+)`", table, re.MULTILINE)) == known - {"request"}
