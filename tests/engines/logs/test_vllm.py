"""vLLM's log of every era: the tree of phases, the numbers, the facts."""

import json
import re

import pytest

from glowplug.coldstart.reading import read_starts
from glowplug.engines.logs import GRAMMARS
from tests.engines.logs.reading import lines_of, outline, read, start_of

V0 = """\
config_tokenizer 0 - 10
model_load 10 - 38 ranks 2: 26..28
profile_kv 36 - 45
gap 45 - 47 | # GPU blocks: | Capturing the model
graph_capture 47 - 63 ranks 2: 15..16
server_init 62 - 64"""

V1_0_8 = """\
config_tokenizer 0 - 11
dist_init 11 - 13
model_load 13.25 - 16
  weights_load 13.88 - 16
engine_init 16 - 40
  gap 16 - 17.5 | the beginning | torch_compile
  torch_compile 17.5 - 23
    dynamo 16.5 - 22
    gap 22 - 23 | dynamo | the end
  gap 23 - 24 | torch_compile | graph_capture
  graph_capture 24 - 40
server_init 40 - 41"""

V1_0_10 = """\
config_tokenizer 0 - 14
dist_init 14 - 16
model_load 16.875 - 25
  weights_load 17.5 - 24
  gap 24 - 25 | weights_load | the end
engine_init 24.5 - 48
  gap 24.5 - 26 | the beginning | torch_compile
  torch_compile 26 - 41
    dynamo 25 - 31
    inductor 31 - 40
    gap 40 - 41 | inductor | the end
  gap 41 - 42 | torch_compile | graph_capture
  graph_capture 42 - 48
server_init 48 - 50"""

V1_0_14 = """\
config_tokenizer 0 - 12
dist_init 12 - 20
model_load 20.75 - 34 ranks 2: 12.5..13.25
  weights_download 21.5 - 31
  weights_load 31.25 - 34 ranks 2: 2..2.75
gap 34 - 35 | model_load | engine_init
engine_init 35 - 63
  gap 35 - 36 | the beginning | torch_compile
  torch_compile 36 - 52
    dynamo 35 - 42
    gap 42 - 43 | dynamo | inductor
    inductor 43 - 52
  gap 52 - 54 | Compiling a graph | Graph capturing finished
  graph_capture 54 - 62 ranks 2: 8..8
  gap 62 - 63 | graph_capture | the end
server_init 63 - 65"""

V1_0_22 = """\
config_tokenizer 0 - 20
dist_init 20 - 22
model_load 22.5 - 28
  weights_load 22.5 - 27
  gap 27 - 28 | weights_load | the end
engine_init 28.5 - 68
  torch_compile 28.5 - 51
    dynamo 28.75 - 35
    gap 35 - 36 | dynamo | inductor
    inductor 36 - 47
    gap 47 - 51 | Compiling a graph | saved AOT compiled
  profile_kv 51.25 - 53
  gap 53 - 58 | Initial profiling/warmup run | Available KV cache
  gap 58 - 60 | Available KV cache | Graph capturing finished
  graph_capture 60 - 67
  gap 67 - 68 | graph_capture | the end
server_init 68 - 72"""

V1_0_32 = """\
config_tokenizer 0 - 18
dist_init 18 - 26
gap 26 - 27 | dist_init | model_load
model_load 27 - 31
  weights_load 26.75 - 30
  gap 30 - 31 | weights_load | the end
engine_init 31.25 - 80
  gap 31.25 - 33 | the beginning | torch_compile
  gap 33 - 35 | Compiling model again | Dynamo bytecode transform
  torch_compile 35 - 72
    dynamo 34.5 - 40
    gap 40 - 41 | dynamo | inductor
    inductor 41 - 70
    gap 70 - 72 | Compiling a graph | torch.compile took 37.00
  profile_kv 72.5 - 74
  gap 74 - 80 | Initial profiling/warmup run | init engine (profile,
server_init 80 - 82"""


@pytest.mark.parametrize(
    ("name", "variant", "version", "tree"),
    [
        ("vllm-v0.log", "V0", "0.6.4", V0),
        ("vllm-0.8.log", "V1", "0.8.4", V1_0_8),
        ("vllm-0.10.log", "V1", "0.10.2", V1_0_10),
        ("vllm-0.14.log", "V1", "0.14.1", V1_0_14),
        ("vllm-0.22.log", "V1", "0.22.0", V1_0_22),
        ("vllm-0.32.log", "V1", "0.32.0", V1_0_32),
    ],
)
def test_every_era_gives_the_same_phases(name: str, variant: str, version: str, tree: str) -> None:
    start = start_of(name)
    assert (start.engine, start.variant, start.version, start.model) == ("vllm", variant, version, "acme/tiny-1b")
    assert (start.outcome, start.reason) == ("ready", None)
    assert outline(start) == tree


def test_v0_tells_no_seconds_of_loading_so_they_follow_from_stamps() -> None:
    reported = start_of("vllm-v0.log").reported
    assert reported["model_load_wall"] == 28
    assert reported["total"] == 64
    assert "weights_load" not in reported


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("vllm-0.8.log", {"torch_compile_reported": 5.5, "compile_cache_hit": True, "profile_kv_derived": 2.5}),
        ("vllm-0.10.log", {"torch_compile_reported": 15, "compile_cache_hit": False, "profile_kv_derived": 2.5}),
        ("vllm-0.14.log", {"weights_download": 9.5, "graph_mem_gib": -0.12, "profile_kv_derived": 4.0}),
        ("vllm-0.22.log", {"torch_compile_reported": 22.5, "engine_init_reported": 39.5, "profile_kv_derived": 10.0}),
        ("vllm-0.32.log", {"torch_compile_reported": 37, "compile_cache_hit": False, "profile_kv": 1.5, "total": 82}),
    ],
)
def test_numbers_are_those_of_the_lines(name: str, numbers: dict[str, float]) -> None:
    reported = start_of(name).reported
    assert {key: reported.get(key) for key in numbers} == numbers


def test_an_artefact_that_fails_to_load_is_a_fact() -> None:
    facts = start_of("vllm-0.32.log").facts
    assert facts["aot_failed"].endswith("/torch_aot_compile/9f/rank_0_0/model")
    assert facts["aot_failure"] == "'function' object has no attribute 'finalize_loading'"


def test_ranks_are_not_summed_and_draft_models_are() -> None:
    start = start_of("vllm-tp4-draft.log")
    reported = start.reported
    # The slowest rank, its target and its draft model.
    assert reported["weights_load"] == 12 + 1.5
    assert reported["model_load_reported"] == 16
    assert reported["torch_compile_reported"] == 15 + 2.25
    assert reported["graph_capture"] == 9
    (first, second) = [span for span in start.walk() if span.phase == "weights_load"]
    assert first.ranks is not None
    assert (first.ranks.count, first.ranks.least, first.ranks.greatest, first.ranks.first) == (4, 10, 13.5, 10)
    assert (first.lines, second.lines) == ((7,), (12,))


def test_ranks_of_the_json_formatter_are_told_apart() -> None:
    def in_json(line: str) -> str:
        head = re.match(r"\((\w+) pid=(\d+)\) (\w+) (\d\d-\d\d) (\S+) \[.*?\] (.*)", line)
        if head is None:
            return line
        name, pid, level, day, clock, message = head.groups()
        time = f"2026-{day} {clock},000"
        record = {"asctime": time, "levelname": level, "name": "vllm", "processName": name, "process": int(pid)}
        return json.dumps(record | {"message": message})

    (start,) = read("\n".join(in_json(line) for line in lines_of("vllm-tp4-draft.log")))
    plain = start_of("vllm-tp4-draft.log")
    assert outline(start) == outline(plain)
    assert start.reported == plain.reported
    assert start.started_at == "2026-06-10T12:00:00.000"


def test_an_offline_engine_is_ready_when_it_is_initialised() -> None:
    offline = [line for line in lines_of("vllm-0.10.log") if "APIServer" not in line]
    (start,) = read("\n".join(offline))
    assert start.outcome == "ready"
    assert start.total == 34
    assert start.version == "0.10.2"


def test_a_server_without_its_last_lines_is_incomplete() -> None:
    cut = lines_of("vllm-0.10.log")[:10]
    (start,) = read("\n".join(cut))
    assert start.outcome == "incomplete"
    assert start.reason is not None
    assert start.reason.endswith("Compiling a graph for dynamic shape takes 9.00 s")
    assert start.reported["inductor"] == 9
    assert start.total is None


CPU = """\
(APIServer pid=10) INFO 11-23 22:00:00 [api_utils.py:327] vLLM server version 0.32.0, serving model tiny
(EngineCore pid=20) INFO 11-23 22:00:14 [core.py:134] Initializing a V1 LLM engine (v0.32.0) with config: model='tiny'
(Worker pid=30) INFO 11-23 22:00:22 [cpu_model_runner.py:70] Starting to load model tiny...
(Worker pid=30) INFO 11-23 22:00:25 [cpu_model_runner.py:87] Warming up model for the compilation...
{again}(Worker pid=30) INFO 11-23 22:01:17 [decorators.py:743] [backbone] saved AOT compiled function to /c/model
(Worker pid=30) INFO 11-23 22:01:18 [monitor.py:91] [backbone] Initial profiling/warmup run took 1.15 s
(EngineCore pid=20) INFO 11-23 22:01:20 [core.py:402] init engine (profile, create kv cache, warmup model) took 54.7 s
(APIServer pid=10) INFO 11-23 22:01:22 [entry.py:140] Starting vLLM server on http://127.0.0.1:8000
"""
AGAIN = (
    "(Worker pid=30) WARNING 11-23 22:00:27 [decorators.py:333] [backbone] Compiling model again due to a load "
    "failure from /c/model, reason: 'function' object has no attribute 'finalize_loading'\n"
)


@pytest.mark.parametrize(("again", "seconds"), [("", 52.0), (AGAIN, 50.0)])
def test_on_a_cpu_compiling_is_what_happens_until_its_result_is_saved(again, seconds):
    (start,) = read_starts([CPU.format(again=again).encode()], GRAMMARS).starts
    assert start.seconds_of("torch_compile") == seconds
    assert start.reported["compile_cache_hit"] is False
    assert start.facts.get("aot_failure", "").endswith("'finalize_loading'") is bool(again)
