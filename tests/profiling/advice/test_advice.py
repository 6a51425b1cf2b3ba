"""Advice appears where the log proves it, with the seconds the log tells, and nowhere else."""

import pytest

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import Activity, ColdStart, Span
from glowplug.profiling.advice import advise

MISS = {"compile_cache_hit": False, "dynamo": 5.0, "inductor": 20.0, "torch_compile_reported": 30.0}
CACHE = {"compile_cache": "/root/.cache/vllm/torch_compile_cache/ab12/rank_0_0/backbone"}


def titled(start: ColdStart, part: str) -> Advice:
    found = [advice for advice in advise(start) if part in advice.title]
    assert len(found) == 1, [advice.title for advice in advise(start)]
    return found[0]


def titles(start: ColdStart) -> list[str]:
    return [advice.title for advice in advise(start)]


def test_a_start_with_nothing_to_gain_gets_no_advice():
    start = ColdStart("vllm", total=30.0, outcome="ready", reported={"compile_cache_hit": True, "weights_load": 2.0})
    assert advise(start) == ()


def test_an_empty_compile_cache_names_the_directory_and_what_compiling_cost():
    advice = titled(ColdStart("vllm", total=300.0, reported=MISS, facts=CACHE), "cache was empty")
    assert "/root/.cache/vllm," in advice.text
    assert "VLLM_CACHE_ROOT" in advice.remedy
    assert advice.gain_seconds == 20.0  # Dynamo runs again on every start


def test_an_artefact_that_was_saved_spares_dynamo_too_next_time():
    facts = CACHE | {"aot_saved": "/root/.cache/vllm/torch_compile_cache/torch_aot_compile/ff/model"}
    assert titled(ColdStart("vllm", total=300.0, reported=MISS, facts=facts), "cache was empty").gain_seconds == 30.0


def test_weights_on_a_volume_and_the_cache_beside_it_point_to_the_volume():
    facts = CACHE | {"arguments": "{'model': '/workspace/models/qwen'}"}
    advice = titled(ColdStart("vllm", total=300.0, reported=MISS, facts=facts), "cache was empty")
    assert "VLLM_CACHE_ROOT=/workspace/vllm-cache" in advice.remedy
    assert "/workspace" in advice.text


def test_a_cache_on_the_volume_already_is_not_sent_there_again():
    facts = {
        "compile_cache": "/workspace/cache/torch_compile_cache/ab12/rank_0_0",
        "arguments": "{'model': '/workspace/models/qwen'}",
    }
    advice = titled(ColdStart("vllm", total=300.0, reported=MISS, facts=facts), "cache was empty")
    assert "VLLM_CACHE_ROOT=/workspace" not in advice.remedy


def test_the_worker_of_a_platform_is_pointed_to_its_volume():
    start = ColdStart("vllm", variant="runpod-worker", total=300.0, reported=MISS, facts=CACHE)
    assert "VLLM_CACHE_ROOT=/runpod-volume" in titled(start, "cache was empty").remedy


def test_an_artefact_that_fails_to_load_is_explained_instead_of_called_missing():
    facts = CACHE | {"aot_failed": "/c/torch_aot_compile/ff/model", "aot_failure": "no attribute 'finalize_loading'"}
    start = ColdStart("vllm", total=300.0, reported=MISS, facts=facts)
    advice = titled(start, "fails to load")
    assert "finalize_loading" in advice.text
    assert "VLLM_USE_AOT_COMPILE=0" in advice.remedy
    assert advice.gain_seconds == 25.0
    assert not any("empty" in title for title in titles(start))


def test_a_disabled_cache_names_its_variable():
    start = ColdStart("vllm", total=300.0, reported=MISS, facts={"compile_cache_disabled": "disabled"})
    assert "VLLM_DISABLE_COMPILE_CACHE" in titled(start, "switched off").remedy
    assert not any("empty" in title for title in titles(start))


@pytest.mark.parametrize(("total", "expected"), [(80.0, True), (500.0, False)])
def test_eager_is_proposed_only_where_compiling_is_a_large_part(total: float, expected: bool):
    reported = {"compile_cache_hit": True, "torch_compile_reported": 20.0, "graph_capture": 10.0}
    start = ColdStart("vllm", total=total, reported=reported)
    assert any("without compiling" in title for title in titles(start)) is expected


def test_eager_is_not_proposed_to_an_eager_engine():
    reported = {"torch_compile_reported": 20.0, "graph_capture": 10.0, "compile_cache_hit": True}
    start = ColdStart("vllm", total=40.0, reported=reported, facts={"enforce_eager": "True"})
    assert not any("without compiling" in title for title in titles(start))


@pytest.mark.parametrize(
    ("engine", "word"),
    [("vllm", "HF_HOME"), ("sglang", "HF_HOME"), ("tgi", "HUGGINGFACE_HUB_CACHE"), ("llama.cpp", "LLAMA_CACHE")],
)
def test_a_download_gains_all_its_seconds_and_names_the_engines_own_variable(engine: str, word: str):
    spans = (Span("weights_download", 576.1, 28.0, 604.1, "reported", (31,)),)
    start = ColdStart(engine, total=700.0, reported={"weights_download": 576.1}, spans=spans)
    advice = titled(start, "downloaded")
    assert (advice.gain_seconds, advice.lines) == (576.1, (31, 31))
    assert word in advice.remedy


def test_a_check_that_found_the_files_there_is_no_download():
    start = ColdStart("tgi", total=12.0, reported={"weights_download": 4.5}, facts={"download_skipped": "Skipping"})
    assert not any("downloaded" in title for title in titles(start))


def test_slow_reading_is_measured_against_the_checkpoint_and_says_if_memory_is_too_small():
    facts = {"checkpoint_gib": "92.77", "available_gib": "19.37", "filesystem": "EXT4"}
    advice = titled(ColdStart("vllm", total=1478.0, reported={"weights_load": 581.69}, facts=facts), "read slowly")
    assert "0.16 GiB/s" in advice.text
    assert "19.4 GiB of free memory" in advice.text
    assert advice.gain_seconds == pytest.approx(581.69 - 92.77 / 0.5)


def test_fast_reading_is_left_alone():
    start = ColdStart("vllm", total=90.0, reported={"weights_load": 9.0}, facts={"checkpoint_gib": "18.0"})
    assert not any("slowly" in title for title in titles(start))


def test_many_graph_sizes_gain_in_proportion_and_few_get_no_advice():
    many = ColdStart("vllm", total=900.0, reported={"graph_capture": 32.0}, facts={"graphs": "64"})
    assert titled(many, "many CUDA graphs").gain_seconds == 28.0
    few = ColdStart("vllm", total=900.0, reported={"graph_capture": 32.0}, facts={"graphs": "8"})
    assert not any("many CUDA graphs" in title for title in titles(few))


def test_prefill_graphs_of_sglang_name_their_flag():
    spans = (
        Span("graph_capture", 216.2, 100.0, 316.2, "reported", (150,), label="target prefill"),
        Span("graph_capture", 3.0, 317.0, 320.0, "reported", (160,), label="target verify"),
    )
    advice = titled(ColdStart("sglang", total=367.0, spans=spans), "prefill")
    assert advice.gain_seconds == 216.2
    assert "--disable-prefill-cuda-graph" in advice.remedy


def test_autotuning_names_the_directory_that_would_have_to_be_kept():
    spans = (Span("kernel_warmup", 12.0, 50.0, 62.0, label="autotune", lines=(80, 81)),)
    start = ColdStart("vllm", total=300.0, spans=spans, facts={"autotune_cache": "/c/flashinfer/x.json"})
    advice = titled(start, "tuned at every start")
    assert "/c/flashinfer/x.json" in advice.remedy
    assert advice.lines == (80, 81)


def test_the_measuring_of_graph_memory_names_its_variable():
    start = ColdStart("vllm", total=300.0, reported={"graph_memory_profile": 20.0})
    assert "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0" in titled(start, "measure their memory").remedy


def test_gemm_tuning_of_turbomind_can_be_imported():
    spans = (Span("kernel_warmup", 30.0, 10.0, 40.0, "reported"),)
    start = ColdStart("lmdeploy", variant="turbomind", total=60.0, spans=spans)
    assert "TM_GEMM_IMPORT" in titled(start, "matrix products").remedy
    assert not any("matrix" in title for title in titles(ColdStart("lmdeploy", variant="pytorch", spans=spans)))


def test_fitting_conversion_and_image_warmup_gain_their_seconds():
    assert titled(ColdStart("llama.cpp", reported={"fit_params": 2.4}), "fitted").gain_seconds == 2.4
    assert titled(ColdStart("tgi", reported={"weights_convert": 21.53}), "converted").gain_seconds == 21.53
    assert titled(ColdStart("vllm", reported={"mm_warmup": 46.0}), "image processing").gain_seconds == 46.0


def test_a_long_unexplained_silence_is_quoted_and_sent_to_the_live_profiler():
    gap = Span("gap", 62.0, 40.0, 102.0, "gap", (69, 70), neighbours=("compiled in 34 s", "warm-up took 1 s"))
    advice = titled(ColdStart("vllm", total=150.0, spans=(gap,)), "unexplained")
    assert "compiled in 34 s" in advice.text
    assert "--py-spy" in advice.remedy
    assert (advice.gain_seconds, advice.lines) == (None, (69, 70))


def test_a_profiling_run_of_ten_minutes_is_called_unexplained():
    span = Span("profile_kv", 621.6, 210.0, 831.6, "reported", (70,))
    advice = titled(ColdStart("vllm", total=943.0, spans=(span,)), "unexplained")
    assert "621.6 s" in advice.text
    short = ColdStart("vllm", total=943.0, spans=(Span("profile_kv", 12.0, 210.0, 222.0, "reported", (70,)),))
    assert advise(short) == ()


def test_a_gap_whose_activity_is_known_needs_no_second_look():
    seen = Activity(cpu=60.0, read=0, written=0, verdict="computed")
    gap = Span("gap", 62.0, 40.0, 102.0, "gap", neighbours=("a", "b"), activity=seen)
    assert advise(ColdStart("vllm", total=150.0, spans=(gap,))) == ()


def test_advice_comes_with_the_greatest_gain_first():
    reported = MISS | {"weights_download": 100.0, "graph_memory_profile": 2.0}
    gains = [advice.gain_seconds for advice in advise(ColdStart("vllm", total=400.0, reported=reported))]
    assert gains == sorted(gains, reverse=True)
    assert len(gains) == 3
