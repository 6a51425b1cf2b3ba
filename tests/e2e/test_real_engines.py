"""vLLM, SGLang and transformers serve themselves, on a CPU, as examples/cpu-engines.yaml configures them."""

import openai
import pytest
import pytest_asyncio
import yaml

from glowplug.config.loader import load
from glowplug.engines import registry
from tests.docs.examples import ROOT
from tests.e2e.server import serving

EXAMPLE = ROOT / "examples" / "cpu-engines.yaml"
MODEL = ROOT / ".models" / "SmolLM2-135M-Instruct"
PATIENCE = 300.0
"""Seconds for one answer, the start of the engine included."""

ALIAS = "gpt-4o-mini"
QUESTION = [{"role": "user", "content": "Tell me a long story about a glow plug."}]


def installed(engine: str):
    """The engine's name as a parameter, with its marker."""
    missing = not (ROOT / ".engines" / engine / "installed").is_file() or not MODEL.is_dir()
    skip = pytest.mark.skipif(missing, reason=f"{engine} or its model is not installed; run: make engine-{engine}")
    return pytest.param(engine, marks=[getattr(pytest.mark, engine), skip])


ENGINES = [installed("transformers"), installed("sglang"), installed("vllm")]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE + 60), pytest.mark.asyncio(loop_scope="module")]


def example(engine: str, caches) -> dict:
    """The example's model with this engine, its paths absolute, and what it caches under `caches`."""
    model = yaml.safe_load(EXAMPLE.read_text())["models"][engine]
    model["model"] = str(MODEL)
    model["options"] = {"server": str(ROOT / ".engines" / engine / "bin" / engine)}
    model["env"] |= {"XDG_CACHE_HOME": str(caches), "VLLM_CACHE_ROOT": str(caches / "vllm")}
    return model


@pytest.fixture(scope="module", params=ENGINES)
def engine(request) -> str:
    return request.param


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(engine, tmp_path_factory):
    """A server with one model, named after its engine."""
    folder = tmp_path_factory.mktemp(engine)
    model = {**example(engine, folder / "caches"), "aliases": [ALIAS], "keep_alive": {"running": "1h"}}
    async with serving(folder, {"models": {engine: model}}, env={"XDG_CACHE_HOME": str(folder / "caches")}) as running:
        yield running


def client(server) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=PATIENCE)


def greedy(model: str) -> dict:
    return {"model": model, "messages": QUESTION, "temperature": 0, "max_tokens": 16}


async def test_it_answers_plain_and_streamed_under_its_name_and_its_alias(server, engine):
    async with client(server) as api:
        plain = await api.chat.completions.with_raw_response.create(**greedy(engine))
        assert plain.headers["x-glowplug-model"] == engine
        answer = plain.parse()
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 16
        stream = await api.chat.completions.create(**greedy(ALIAS), stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert len([piece for piece in pieces if piece]) > 4
        assert "".join(pieces) == answer.choices[0].message.content
        assert {model.id async for model in api.models.list()} >= {engine}


async def test_it_parks_and_comes_back_the_same(server, engine):
    async with client(server) as api:
        before = await api.chat.completions.create(**greedy(engine))
        pid = await server.engine_pid(engine)
        for _ in range(2):
            status, _ = await server.post(f"/glowplug/v1/models/{engine}/rest?tier=parked")
            assert status == 200
            answer = await api.chat.completions.with_raw_response.create(**greedy(engine))
            assert answer.headers["x-glowplug-woke-from"] == "parked"  # so the canary matched
            assert answer.parse().choices[0].message.content == before.choices[0].message.content
        assert await server.engine_pid(engine) == pid


async def test_its_memory_was_estimated_close_to_what_it_is(server, engine):
    await server.ask(engine, max_tokens=1)
    estimated = registry.get(engine).memory(load(EXAMPLE, registry.options()).models[engine])
    held = (await server.model(engine))["replicas"][0]["memory"]["ram"]
    assert 0.5 < held / estimated < 1.5


async def test_a_flag_that_it_does_not_know_is_told_in_its_own_words(engine, tmp_path):
    model = example(engine, tmp_path / "caches")
    model["args"]["no-such-flag"] = 1
    async with serving(tmp_path, {"models": {engine: model}}, env={"XDG_CACHE_HOME": str(tmp_path)}) as server:
        status, answer, _ = await server.ask(engine)
        assert status == 503
        assert "--no-such-flag" in answer["error"]["message"]
