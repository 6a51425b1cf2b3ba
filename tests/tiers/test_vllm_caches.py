"""vLLM itself, compiling once: what it saved is used by its next start, on this machine and on another.

The starts share one compilation, which takes one to three minutes on two cores.
"""

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import ModelConfig
from glowplug.engines.base import CanaryAnswer
from glowplug.engines.vllm import Vllm
from glowplug.tiers.cache_folders import fingerprint
from glowplug.tiers.caches import CompileCaches, Prepared
from tests.engines.running import Running, free_port, spawned

ROOT = Path(__file__).parents[2]
SERVER = ROOT / ".engines" / "vllm" / "bin" / "vllm"
WEIGHTS = ROOT / ".models" / "SmolLM2-135M-Instruct"
PATIENCE = 400.0

ENGINE = Vllm()
MODEL = ModelConfig(
    engine="vllm",
    model=str(WEIGHTS),
    args={"max-model-len": 512, "max-num-seqs": 2, "kv-cache-memory-bytes": "128M"},
    env={"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
    options={"server": str(SERVER)},
)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(2 * PATIENCE + 60),
    pytest.mark.skipif(
        not (SERVER.parents[1] / "installed").is_file() or not WEIGHTS.is_dir(),
        reason="vllm or its model is not installed; run: make engine-vllm",
    ),
]


@dataclass(frozen=True)
class Started:
    """One start, to the first proven answer."""

    seconds: float
    canary: CanaryAnswer
    output: str
    prepared: Prepared


@contextmanager
def caches_in(folder: Path, store: ArtifactStore):
    caches = CompileCaches(folder, store, 2**30)
    try:
        yield caches
    finally:
        caches.close()


def start(caches: CompileCaches) -> Started:
    port = free_port()
    began = time.monotonic()
    launch = ENGINE.launch("smol", MODEL, port)
    prepared = caches.prepare(ENGINE, MODEL, launch)
    with spawned(replace(launch, env={**launch.env, **prepared.environment})) as process:
        server = Running(ENGINE, "smol", MODEL, process, port)
        server.wait_until_healthy(PATIENCE)
        canary = server.canary()
        seconds = time.monotonic() - began
        caches.keep("smol", ENGINE, prepared).result(60)
        return Started(seconds, canary, process.output, prepared)


def folder_of(started: Started) -> Path:
    return Path(started.prepared.environment["VLLM_CACHE_ROOT"]).parent


def test_what_one_start_compiles_the_next_one_loads(tmp_path, capsys):
    store = ArtifactStore(tmp_path / "artifacts")
    with caches_in(tmp_path / "caches", store) as caches:
        cold = start(caches)
        assert not cold.prepared.filled
        assert "saved AOT compiled function" in cold.output
    (saved,) = store.list("cache")
    shutil.rmtree(tmp_path / "caches")

    with caches_in(tmp_path / "elsewhere", store) as caches:
        cached = start(caches)
    assert cached.prepared.filled
    assert folder_of(cached) != folder_of(cold)
    assert "Directly load AOT compilation from path" in cached.output
    assert "Compiling model again" not in cached.output
    assert cached.canary == cold.canary
    with capsys.disabled():
        print(f"\nvLLM to its first answer: {cold.seconds:.1f} s compiling, {cached.seconds:.1f} s from its caches")
    # Nothing to save: a start from the caches changes nothing in them.
    assert [manifest.id for manifest in store.list("cache")] == [saved.id]
    assert fingerprint(folder_of(cached)) == saved.facts["fingerprint"]
