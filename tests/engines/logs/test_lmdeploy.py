"""LMDeploy's logs: both engines, at the level that shows phases and at the default, which shows bars."""

import pytest

from tests.engines.logs.reading import lines_of, outline, read, start_of

TURBOMIND = """\
config_tokenizer 0 - 5.25
weights_load 5.25 - 15.25
gap 15.25 - 18 | INFO - turbomind.py:230 | [turbomind.cc:319] Object cache
profile_kv 18 - 18.75
kernel_warmup 18.75 - 25.25 (tuning of matrix products)
gap 25.25 - 25.75 | kernel_warmup | the end"""

PYTORCH = """\
config_tokenizer 0 - 12.5
model_load 12.5 - 21
  weights_load 12.5 - 19.5
  gap 19.5 - 21 | weights_load | the end
profile_kv 21 - 22.5
kernel_warmup 22.5 - 26.5
engine_init 26.5 - 27 (KV cache)
gap 27 - 27.25 | engine_init | graph_capture
graph_capture 27.25 - 37.5
gap 37.5 - 38 | graph_capture | the end"""


@pytest.mark.parametrize(
    ("name", "variant", "tree"),
    [("lmdeploy-turbomind-info.log", "turbomind", TURBOMIND), ("lmdeploy-pytorch-info.log", "pytorch", PYTORCH)],
)
def test_the_phases_of_both_engines_at_level_info(name: str, variant: str, tree: str) -> None:
    start = start_of(name)
    assert (start.engine, start.variant, start.outcome) == ("lmdeploy", variant, "ready")
    assert outline(start) == tree


def test_at_the_default_level_bars_tell_the_seconds() -> None:
    start = start_of("lmdeploy-turbomind-warning.log")
    assert (start.variant, start.outcome) == ("turbomind", "ready")
    # A bar that never reaches its end, as the last redraw is often not written.
    assert start.reported == {"weights_download": 41, "weights_load": 12}
    assert start.total is None


def test_the_model_that_turbomind_does_not_support_is_named() -> None:
    start = start_of("lmdeploy-pytorch-info.log")
    assert start.model == "acme/tiny-1b"
    assert start.facts["fallback"].startswith("Fallback to pytorch engine because")


def test_settings_are_facts() -> None:
    facts = start_of("lmdeploy-turbomind-info.log").facts
    expected = {"tp": "2", "quant_policy": "8", "cache_max_entry_count": "0.8", "kv_mb": "55634.70"}
    assert {key: facts.get(key) for key in expected} == expected
    assert "model_format" not in facts


def test_files_that_are_in_the_cache_are_no_download() -> None:
    text = "\n".join(lines_of("lmdeploy-turbomind-warning.log")).replace("[00:41<", "[00:00<")
    (start,) = read(text)
    assert "weights_download" not in start.reported


def test_the_bar_of_a_draft_model_is_another_one() -> None:
    bars = (
        "2026-08-11 09:00:12,500 - lmdeploy - INFO - base.py:420 - Building Model.\n"
        "Loading weights from safetensors:   0%|          | 0/4 [00:00<?, ?it/s]\n"
        "Loading weights from safetensors: 100%|##########| 4/4 [00:07<00:00,  1.75s/it]\n"
        "Loading weights from safetensors: 100%|##########| 4/4 [00:07<00:00,  1.75s/it]\n"
        "Loading weights from safetensors:   0%|          | 0/1 [00:00<?, ?it/s]\n"
        "Loading weights from safetensors: 100%|##########| 1/1 [00:02<00:00,  2.00s/it]\n"
        "INFO:     Application startup complete.\n"
    )
    (start,) = read(bars)
    assert start.reported["weights_load"] == 9


def test_the_first_versions_serve_through_gradio() -> None:
    (start,) = read(
        "[TM][WARNING] [LlamaTritonModel] `max_context_token_num` = 2056.\n"
        "[TM][INFO] [BlockManager] max_block_count = 159\n"
        "[TM][INFO] LlamaBatch<T>::Start()\n"
        "server is gonna mount on: http://0.0.0.0:6006\n"
        "Running on local URL:  http://0.0.0.0:6006\n"
    )
    assert (start.engine, start.variant, start.outcome) == ("lmdeploy", "turbomind", "ready")
    assert start.reported == {}
