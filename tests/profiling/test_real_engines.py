"""Live profiles of real engines on a CPU."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from glowplug.profiling.live import LiveProfile, Plan
from tests.engines.model_file import SMOLLM2, needs_model
from tests.engines.running import free_port
from tests.profiling.test_live import covered, spans_of

ROOT = Path(__file__).parents[2]
MODEL = ROOT / ".models" / "SmolLM2-135M-Instruct"
PATIENCE = 300.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE + 60)]


@dataclass(frozen=True)
class Real:
    """How to start an engine, and what a profile of it must hold beside what every profile holds."""

    engine: str
    arguments: str
    phases: frozenset[str]
    imports: int
    oracles: frozenset[str] = frozenset()


TRANSFORMERS = Real(
    "transformers",
    f"serve {MODEL} --device cpu --log-level info",
    frozenset({"weights_load", "server_init"}),
    imports=1,
)
SGLANG = Real(
    "sglang",
    f"serve --model-path {MODEL} --served-model-name m --device cpu --attention-backend torch_native "
    "--sampling-backend pytorch --context-length 2048 --mem-fraction-static 0.1 --max-total-tokens 8192 "
    "--disable-overlap-schedule --sleep-on-idle",
    frozenset({"config_tokenizer", "dist_init", "weights_load", "profile_kv", "server_init"}),
    imports=3,
    oracles=frozenset({"oracle_weights_load", "oracle_scheduler_e2e"}),
)
VLLM = Real(
    "vllm",
    f"serve {MODEL} --served-model-name m --max-model-len 2048 --max-num-seqs 8 --kv-cache-memory-bytes 256M "
    "--enforce-eager",
    frozenset({"config_tokenizer", "dist_init", "weights_load", "model_load", "engine_init", "server_init"}),
    imports=3,
    oracles=frozenset({"oracle_weights_load", "oracle_model_load", "oracle_engine_init"}),
)


def installed(real: Real):
    """As a parameter, with its marker."""
    missing = not (ROOT / ".engines" / real.engine / "installed").is_file() or not MODEL.is_dir()
    reason = f"{real.engine} or its model is not installed; run: make engine-{real.engine}"
    return pytest.param(
        real, id=real.engine, marks=[getattr(pytest.mark, real.engine), pytest.mark.skipif(missing, reason=reason)]
    )


async def profiled(argv, monkeypatch, caches):
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "SGLANG_USE_CPU_ENGINE": "1",
        "XDG_CACHE_HOME": str(caches),
        "VLLM_CACHE_ROOT": str(caches / "vllm"),
    }.items():
        monkeypatch.setenv(name, value)
    async with LiveProfile(Plan([*argv, "--host", "127.0.0.1", "--port", str(free_port())], timeout=PATIENCE)) as live:
        return await live.run()


@pytest.mark.parametrize("real", [installed(TRANSFORMERS), installed(SGLANG), installed(VLLM)])
async def test_a_profile_explains_the_start_of_a_real_engine(real, monkeypatch, tmp_path):
    program = ROOT / ".engines" / real.engine / "bin" / real.engine
    start = await profiled([str(program), *real.arguments.split()], monkeypatch, tmp_path)
    assert (start.engine, start.outcome, start.reason) == (real.engine, "ready", None)
    assert covered(start) >= 0.95
    assert real.phases | {"process_start", "python_import", "first_token"} <= {span.phase for span in start.walk()}
    # Each process imports the whole engine anew, which takes seconds.
    assert len([span for span in spans_of(start, "python_import") if span.seconds > 1]) == real.imports
    for phase, compared in start.facts.get("oracle", {}).items():
        assert compared["oracle"] == pytest.approx(compared["log"], rel=0.1, abs=0.1), phase
    assert real.oracles <= set(start.reported)
    assert all(span.activity is not None for span in spans_of(start, "gap"))


@pytest.mark.llamacpp
@needs_model
async def test_a_profile_explains_the_start_of_llama_cpp(monkeypatch, tmp_path):
    argv = [sys.executable, "-P", "-m", "glowplug.engines.llama_cpp_server", "--model", str(SMOLLM2)]
    start = await profiled(argv, monkeypatch, tmp_path)
    assert (start.engine, start.outcome) == ("llama.cpp", "ready")
    assert covered(start) >= 0.95
    assert {"process_start", "model_load", "first_token"} <= {span.phase for span in start.walk()}
    assert start.conditions["weights_cached"] is not None
