import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.heads import glued_at, read_head
from glowplug.coldstart.records import plain_text
from glowplug.coldstart.stamps import Stamp, iso
from tests.coldstart.prefixes import PREFIXES, Prefix

VLLM = "INFO 01-22 21:31:43 [core.py:114] Initializing a V1 LLM engine"
SGLANG = "[2026-01-22 21:31:43 TP0] Load weight begin."
ENGINE_LINES = (
    (VLLM, "Initializing a V1 LLM engine", ""),
    ("INFO 01-22 21:31:43 api_server.py:528] vLLM API server", "vLLM API server", ""),
    (f"(EngineCore_DP0 pid=364) {VLLM}", "Initializing a V1 LLM engine", "EngineCore_DP0"),
    (f"(EngineCore_DP0 pid=364) (Worker_TP1 pid=370) {VLLM}", "Initializing a V1 LLM engine", "Worker_TP1"),
    (f"(VllmWorker rank=3 pid=3252) {VLLM}", "Initializing a V1 LLM engine", "VllmWorker rank=3"),
    (SGLANG, "Load weight begin.", "TP0"),
    ("[2026-01-22 21:31:43 DP0 TP0 EP1] Load weight begin.", "Load weight begin.", "DP0 TP0 EP1"),
    ("[2026-01-22 21:31:43] INFO:     Uvicorn running", "INFO:     Uvicorn running", ""),
    ("[TM][INFO][0122.21:31:43.641964][turbomind.cc:319] Warm-up", "[turbomind.cc:319] Warm-up", ""),
    ("2026-01-22 21:31:43,929 - INFO - autotuner.py:256 - Autotuning", "INFO - autotuner.py:256 - Autotuning", ""),
    ("2026-01-22 21:31:43,248 - lmdeploy - WARNING - turbomind.py:246 - x", "WARNING - turbomind.py:246 - x", ""),
    ("2026-01-22T21:31:43.196666Z  INFO text_generation_launcher: Args", "INFO text_generation_launcher: Args", ""),
    ("engine.py           :171  2026-01-22 21:31:43,893 Initialized vLLM engine", "Initialized vLLM engine", ""),
)


def clock(stamp: Stamp | None) -> str | None:
    return None if stamp is None else iso(stamp.seconds, stamp.year or 2026, zoned=False)[11:19]


@pytest.mark.parametrize(("line", "message", "process"), ENGINE_LINES, ids=[line for line, _, _ in ENGINE_LINES])
def test_an_engines_own_head_is_read(line: str, message: str, process: str) -> None:
    head = read_head(line)
    # A head of Python's logging keeps the name of the logger or the level, whichever tells more.
    assert head.message.endswith(message)
    assert clock(head.inner) == "21:31:43"
    assert head.process == process
    assert head.outer is None


@pytest.mark.parametrize("prefix", PREFIXES, ids=repr)
@pytest.mark.parametrize("line", [line for line, _, _ in ENGINE_LINES])
def test_every_prefix_is_peeled_off_every_engine(prefix: Prefix, line: str) -> None:
    bare = read_head(line)
    head = read_head(plain_text(prefix.wrap(line).encode()))
    assert head.message == bare.message
    assert head.inner == bare.inner
    assert clock(head.outer) == prefix.outer
    assert head.source == (prefix.source or "")
    assert head.process == (bare.process or prefix.process or "")


@given(
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=3, unique=True).filter(
        lambda chosen: sum(prefix.source is not None for prefix in chosen) < 2
    ),
    line=st.sampled_from(ENGINE_LINES),
)
def test_prefixes_are_peeled_in_any_order(prefixes: list[Prefix], line: tuple[str, str, str]) -> None:
    text = line[0]
    for prefix in prefixes:
        text = prefix.wrap(text)
    bare, head = read_head(line[0]), read_head(plain_text(text.encode()))
    assert head.message == bare.message
    assert head.inner == bare.inner
    assert clock(head.outer) == next((p.outer for p in reversed(prefixes) if p.outer), None)
    assert head.source == next((p.source for p in prefixes if p.source), "")


@pytest.mark.parametrize("prefix", PREFIXES, ids=repr)
def test_a_line_without_a_time_of_its_own_keeps_its_message(prefix: Prefix) -> None:
    head = read_head(plain_text(prefix.wrap("load_tensors: offloaded 43/43 layers").encode()))
    assert head.message == "load_tensors: offloaded 43/43 layers"
    assert head.inner is None
    assert clock(head.outer) == prefix.outer


def test_what_follows_the_engines_own_head_is_the_message_whatever_it_looks_like() -> None:
    for message in ("2026-01-01 00:00:00 is a date", '{"message": "x"}', "name | value", "INFO:a: b", "[pod/x] y"):
        head = read_head(f"INFO 01-22 21:31:43 [a.py:1] {message}")
        assert head.message == message
        assert clock(head.inner) == "21:31:43"
        assert head.outer is None
        assert not head.source


def test_the_server_of_llama_cpp_counts_from_its_start() -> None:
    head = read_head("61.02.187.240 I srv    load_model: loading model 'x'")
    assert head.inner is not None and head.inner.relative
    assert head.inner.seconds == pytest.approx(61 * 60 + 2.18724)
    assert head.message == "I srv    load_model: loading model 'x'"


def test_what_ray_appends_to_repeated_lines_is_no_part_of_the_message() -> None:
    line = "(RayWorkerWrapper pid=7, ip=10.0.0.1) Loading weights took 4.2 seconds [repeated 3x across cluster]"
    assert read_head(line).message == "Loading weights took 4.2 seconds"
    told = f"{line} (Ray deduplicates logs by default. Set RAY_DEDUP_LOGS=0 to disable log deduplication)"
    assert read_head(told).message == "Loading weights took 4.2 seconds"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (1769113885, "20:31:25"),
        (1769113885.999, "20:31:25"),
        (1769113885801, "20:31:25"),
        (1769113885801578, "20:31:25"),
        (1769113885801578339, "20:31:25"),
        ("1769113885", "20:31:25"),
        ("2026-01-22T20:31:25Z", "20:31:25"),
        ("2026-01-22 20:31:25,801", "20:31:25"),
        ("yesterday", None),
        (float("inf"), None),
        (float("nan"), None),
        (10**400, None),
        (-(10**18), None),
        (True, None),
        (["2026-01-22T20:31:25Z"], None),
        ("9" * 5000, None),
    ],
)
def test_a_time_in_json_is_read_or_left_out(time: object, expected: str | None) -> None:
    head = read_head(json.dumps({"log": "message", "time": time}))
    assert head.message == "message"
    assert clock(head.outer) == expected


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[]", '{"log": 1}', '{"log": null}', '"log"', "{" * 3000, '{"a":' * 3000, "data: {", '{"log": "x"} y'],
)
def test_what_is_no_envelope_stays_as_it_is(text: str) -> None:
    assert read_head(text).message == text


def test_an_empty_line_in_an_envelope_has_its_time() -> None:
    head = read_head('{"log":"","time":"2026-01-22T20:31:25Z"}')
    assert head.message == ""
    assert clock(head.outer) == "20:31:25"


def test_the_json_of_tgi_says_what_its_text_says() -> None:
    head = read_head(
        '{"timestamp":"2026-01-22T20:31:25.801578Z","level":"INFO","fields":{"message":"Shard ready in 48.2s"},'
        '"target":"text_generation_launcher","span":{"rank":1,"name":"shard-manager"}}'
    )
    assert head.message == "Shard ready in 48.2s rank=1"
    assert clock(head.outer) == "20:31:25"


def test_halves_of_characters_in_json_can_be_written_to_a_file() -> None:
    read_head('{"log": "\\ud800 x \\udfff", "time": 1}').message.encode()


@pytest.mark.parametrize(
    "text",
    [
        f"| 1/2 [00:01<00:01]{VLLM}",
        f"| 1/2 [00:01<00:01](VllmWorker rank=3 pid=3252) {VLLM}",
        f"| 1/2 [00:01<00:01](EngineCore pid=3) (Worker pid=5) {VLLM}",
        f"| 1/2 [00:01<00:01]{SGLANG}",
    ],
)
def test_a_line_glued_to_a_bar_is_found(text: str) -> None:
    bar = "| 1/2 [00:01<00:01]"
    assert glued_at(text) == [len(bar)]
    assert glued_at(text[len(bar) :]) == []
    assert glued_at(text + text) == [len(bar), len(text + bar)]


@given(st.text(max_size=300))
def test_any_text_has_a_head_and_a_message_out_of_it(text: str) -> None:
    head = read_head(text)
    assert head.message in text or text.lstrip().startswith(("{", "data: {"))


heads_in_pieces = st.lists(
    st.sampled_from(
        ["2026-01-22", "T", " ", "20:31:25", ".8", "Z", "[", "]", "(", ")", "INFO", ":", "|", "pid=1", "A",
         "stdout F ", "pod/x", "{", '"log"', "\\n", "\\r", "Jan", " 2 ", "[TM]", "0.00.187.240 I ", "\x1b[36m",
         "data: ", "ip=", ", "]
    ),
    max_size=30,
)  # fmt: skip


@given(heads_in_pieces)
def test_heads_in_disorder_are_no_error(pieces: list[str]) -> None:
    read_head("".join(pieces))
    glued_at("".join(pieces))
