"""The log of llama.cpp's server: without times, with times since the start of the process, and of forks."""

import pytest

from tests.engines.logs.reading import lines_of, outline, read, start_of

STAMPED = """\
server_init 0 - 12.75 (devices and port)
  gap 0 - 2.5 | the start of | I cmn common_param:
  gap 2.5 - 2.6 | the beginning | weights_download
  weights_download 2.6 - 12.7
  gap 12.7 - 12.75 | weights_download | the end
model_load 12.75 - 18.25
  profile_kv 12.76 - 13.51 (fitting parameters to memory)
  gap 13.51 - 13.6 | profile_kv | config_tokenizer
  config_tokenizer 13.6 - 14
  weights_load 14 - 17.5
  engine_init 17.5001 - 18 (context)
  profile_kv 17.7375 - 17.8 (reservation of the compute graph)
  warmup 18 - 18.25
server_init 18.25 - 18.5"""


def test_times_count_from_the_start_of_the_process() -> None:
    start = start_of("llama-2026-stamped.log")
    assert (start.engine, start.version) == ("llama.cpp", "b9849-799fcc04a")
    assert (start.model, start.outcome) == ("/root/.cache/llama.cpp/tiny-1b.gguf", "ready")
    assert start.total == 18.5
    assert outline(start) == STAMPED


def test_its_own_numbers_are_exact() -> None:
    reported = start_of("llama-2026-stamped.log").reported
    assert reported["fit_params"] == 0.75
    assert reported["graph_reserve"] == 0.0625


def test_facts_about_the_file_and_where_it_came_from() -> None:
    facts = start_of("llama-2026-stamped.log").facts
    expected = {
        "download_url": "https://models.example/tiny-1b.gguf",
        "quant": "Q4_K - Medium",
        "checkpoint_gib": "0.75",
        "mmap": "true",
        "layers_offloaded": "17/17",
    }
    assert {key: facts.get(key) for key in expected} == expected


def test_a_log_without_times_is_ready_without_phases() -> None:
    start = start_of("llama-2024.log")
    assert (start.version, start.model) == ("3920 (0123abcd)", "/models/tiny-1b.Q4_K_M.gguf")
    assert (start.outcome, start.total, start.spans) == ("ready", None, ())


def test_the_port_of_2024_opens_before_the_model_and_is_not_readiness() -> None:
    (start,) = read("\n".join(lines_of("llama-2024.log")[:12]))
    assert start.outcome == "incomplete"


def test_numbers_of_a_log_without_times_stand_without_a_place() -> None:
    untimed = [line[13:] if line[:1] == "0" else line for line in lines_of("llama-2026-stamped.log")]
    (start,) = read("\n".join(untimed))
    assert start.outcome == "ready"
    assert outline(start) == (
        "profile_kv 0.75 s (fitting parameters to memory)\nprofile_kv 0.0625 s (reservation of the compute graph)"
    )


def test_forks_tell_the_time_behind_the_message() -> None:
    start = start_of("llama-fork.log")
    assert (start.version, start.model, start.outcome) == ("3700", "/models/tiny-1b.gguf", "ready")
    assert (start.total, start.started_at) == (55, "2025-05-24T22:50:00.000+00:00")


@pytest.mark.parametrize("speaker", ["main", "llama_server", "init"])
def test_whoever_speaks_of_the_server(speaker: str) -> None:
    (start,) = read(
        f"0.00.010.000 I srv  {speaker}: loading model\n"
        "0.00.010.100 I srv    load_model: loading model '/models/a b.gguf'\n"
        "0.01.500.000 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 8192, kv_unified = 'true'\n"
        f"0.01.510.000 I srv  {speaker}: model loaded\n"
        f"0.01.520.000 I srv  {speaker}: listening on http://127.0.0.1:8080\n"
    )
    assert (start.model, start.outcome, start.total) == ("/models/a b.gguf", "ready", 1.52)
    assert start.reported["model_load_wall"] == 1.49
