"""Real engines on a CPU, restored instead of started: what users of the snapshot tier see, from the first start on.

Each engine is started once for all of it; vLLM a second time, from what the first start compiled.
"""

import asyncio
import os
import shutil
import signal
from typing import Any

import openai
import pytest
import yaml

from glowplug.checkpoint import criu_binary
from glowplug.checkpoint.sandbox import sandbox_closed
from glowplug.node import pagecache
from tests.docs.examples import ROOT
from tests.e2e.server import Server, serving

EXAMPLE = ROOT / "examples" / "cpu-engines.yaml"
GGUF = ROOT / ".models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS = ROOT / ".models" / "SmolLM2-135M-Instruct"
PATIENCE = 400.0
RESTORES = 5
CLONES = 3
QUESTION = [{"role": "user", "content": "Tell me a long story about a glow plug."}]

CLOSED = criu_binary.criu_closed() or sandbox_closed()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.timeout(2 * PATIENCE),
    pytest.mark.skipif(CLOSED is not None, reason=str(CLOSED)),
]


def engine(name: str, mark: str, missing: bool):
    skip = pytest.mark.skipif(missing, reason=f"{name} or its model is not installed; run: make test")
    return pytest.param(name, marks=[getattr(pytest.mark, mark), skip])


def installed(name: str):
    return engine(name, name, not (ROOT / ".engines" / name / "installed").is_file() or not WEIGHTS.is_dir())


ENGINES = [
    engine("llama-cpp", "llamacpp", not GGUF.exists()),
    installed("transformers"),
    installed("sglang"),
    installed("vllm"),
]


def settings(name: str) -> dict[str, Any]:
    """The example's model with this engine, which may have three replicas; vLLM compiles, unlike there."""
    model = yaml.safe_load(EXAMPLE.read_text())["models"][name]
    model["model"] = str(GGUF if name == "llama-cpp" else WEIGHTS)
    if name != "llama-cpp":
        model["options"] = {"server": str(ROOT / ".engines" / name / "bin" / name)}
    model["args"].pop("enforce-eager", None)
    model |= {"snapshot": "always", "keep_alive": {"running": "1h"}, "min_active": "0s"}
    model["replicas"] = {"max": CLONES, "target_concurrency": 1}
    return {"models": {"m": model}, "node": {"snapshot_memory": "6GiB"}, "server": {"queue_timeout": PATIENCE}}


def server_in(folder, config):
    node = {"state_dir": str(folder / "state"), **config["node"]}
    return serving(folder, {**config, "node": node})


async def answer(server: Server) -> tuple[str, str]:
    """The text of a greedy answer, and the tier that the replica was woken from."""
    client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=PATIENCE)
    async with client as api:
        raw = await api.chat.completions.with_raw_response.create(
            model="m", messages=QUESTION, temperature=0, max_tokens=16
        )
        return raw.parse().choices[0].message.content, raw.headers["x-glowplug-woke-from"]


async def rest(server: Server, tier: str) -> None:
    status, told = await server.post(f"/glowplug/v1/models/m/rest?tier={tier}")
    assert status == 200, told


async def running(server: Server) -> set[int]:
    """The main processes of all replicas that run."""
    return {each["pid"] for each in (await server.model("m"))["replicas"] if each["pid"] is not None}


@pytest.mark.parametrize("name", ENGINES)
async def test_an_engine_is_started_once_and_restored_from_then_on(name, tmp_path):
    async with server_in(tmp_path, settings(name)) as server:
        async with server.events() as events:
            text, woke_from = await answer(server)
            assert woke_from == "cached"
            made = await events.until(lambda event: event["type"] == "snapshot")
        assert made["ready"], made
        for _ in range(RESTORES):
            await rest(server, "snapshot")
            assert await answer(server) == (text, "snapshot")

        await rest(server, "snapshot")
        answers = await asyncio.gather(*(answer(server) for _ in range(CLONES)))
        assert {said for said, _ in answers} == {text}
        assert "snapshot" in {woke_from for _, woke_from in answers} <= {"snapshot", "running"}
        first = await running(server)
        assert first
        os.kill(server.pid, signal.SIGKILL)
        await server.process.wait()

    async with server_in(tmp_path, settings(name)) as server:
        # Nothing of it is in memory now, and nothing in the page cache: the image comes from the disk.
        pagecache.drop(path for path in (tmp_path / "state" / "artifacts").rglob("*") if path.is_file())
        assert await answer(server) == (text, "snapshot")
        assert not first & await running(server)
        await server.stop()

    if name == "vllm":
        await caches_of_the_first_start_are_used(tmp_path, text)


async def caches_of_the_first_start_are_used(folder, text: str) -> None:
    """A start without a snapshot loads what the first one compiled, out of the store if its folder is gone."""
    shutil.rmtree(folder / "state" / "caches")
    async with server_in(folder, settings("vllm")) as server:
        await rest(server, "cached")
        assert await answer(server) == (text, "cached")
        async with server.session.get(f"{server.url}/glowplug/v1/replicas/m-0/logs") as response:
            log = await response.text()
    assert "Directly load AOT compilation from path" in log
    assert "Compiling model again" not in log
