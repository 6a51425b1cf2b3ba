"""Snapshots under `glowplug serve`: made by themselves, restored for requests, by one server and the next."""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import openai
import pytest
import yaml

from glowplug.artifacts.store import ArtifactStore
from glowplug.checkpoint.criu_binary import criu_closed
from glowplug.config.apikeys import add_key
from glowplug.node import pagecache
from tests.e2e.server import PATIENCE, alive, fake, serving

pytestmark = [
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.slow,
    pytest.mark.skipif(criu_closed() is not None, reason=str(criu_closed())),
]


@pytest.fixture
def nobodys_folder():
    """A folder of a user without privileges; pytest's own is closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        yield Path(folder)


QUESTION = [{"role": "user", "content": "hello"}]


def dumped(**options):
    """A fake model that is dumped at its first start."""
    return {"fake": fake(**{"snapshot": "always", **options})}


async def asked(server, key="unused"):
    """The answer to a greedy request of the openai client, and what it was woken from."""
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=PATIENCE) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="fake", messages=QUESTION, temperature=0, max_tokens=8
        )
    return raw.parse().choices[0].message.content, raw.headers["x-glowplug-woke-from"]


async def ready(events):
    """Wait until a snapshot is published."""
    return await events.until(lambda event: event["type"] == "snapshot" and event["ready"])


async def rest(server, tier="snapshot"):
    """Rest the model."""
    status, answer = await server.post(f"/glowplug/v1/models/fake/rest?tier={tier}")
    assert status == 200, answer


async def test_a_model_is_dumped_after_its_first_start_and_answers_from_its_snapshot_ever_after(tmp_path):
    async with serving(tmp_path, {"models": dumped()}) as server, server.events() as events:
        text, woke_from = await asked(server)
        assert woke_from == "cached"
        assert (await ready(events))["disk"] > 0
        assert (await server.model())["snapshot"]["disk"] > 0
        for _ in range(5):
            await rest(server)
            view = await server.model()
            assert (view["tier"], view["replicas"][0]["pid"]) == ("snapshot", None)
            assert await asked(server) == (text, "snapshot")
        records = (await server.get("/glowplug/v1/cold-starts"))["cold_starts"]
        assert [record["woke_from"] for record in records] == ["snapshot"] * 5 + ["cached"]
        phases = [span["phase"] for span in records[0]["spans"] if span["phase"] != "gap"]
        assert phases == ["restore_read", "restore_pages", "wake", "canary"]
        assert "snapshot" in await _ps(server)


async def test_three_requests_at_once_are_answered_by_three_clones(tmp_path):
    models = dumped(
        replicas={"min": 0, "max": 3, "target_concurrency": 1, "max_concurrency": 1}, tokens=20, tokens_per_second=10
    )
    async with serving(tmp_path, {"models": models}) as server, server.events() as events:
        await server.ask(max_tokens=1)
        await ready(events)
        await rest(server)
        answers = await asyncio.gather(*(server.ask(max_tokens=20) for _ in range(3)))
        assert [status for status, _, _ in answers] == [200] * 3
        assert len({answer["choices"][0]["message"]["content"] for _, answer, _ in answers}) == 1
        assert {headers["x-glowplug-woke-from"] for _, _, headers in answers} <= {"snapshot", "running"}
        replicas = (await server.model())["replicas"]
        assert len({replica["pid"] for replica in replicas if replica["pid"]}) == 3


async def test_the_next_server_restores_what_one_killed_with_9_left(tmp_path):
    async with serving(tmp_path, {"models": dumped()}) as server, server.events() as events:
        text, _ = await asked(server)
        await ready(events)
        await rest(server)
        await asked(server)
        pid = await server.engine_pid()
        await server.stop(signal.SIGKILL)
    for chunk in (tmp_path / "state" / "artifacts" / "chunks").iterdir():
        pagecache.drop([chunk])
    async with serving(tmp_path, {"models": dumped()}) as server:
        assert not alive(pid)
        assert (await server.model())["tier"] == "snapshot"
        assert await asked(server) == (text, "snapshot")
        assert _mounts(tmp_path) == []


async def test_a_pinned_model_comes_out_of_its_snapshot_when_the_server_starts(tmp_path):
    async with serving(tmp_path, {"models": dumped(pin=True)}) as server, server.events() as events:
        await ready(events)
        assert (await asked(server))[1] == "running"
    async with serving(tmp_path, {"models": dumped(pin=True)}) as server:
        assert (await asked(server))[1] in ("running", "snapshot")
        assert (await server.model())["last_wake"]["from"] == "snapshot"


async def test_ctrl_c_lets_a_restored_engine_finish_and_leaves_nothing(tmp_path):
    models = dumped(tokens=10, tokens_per_second=20)
    async with serving(tmp_path, {"models": models}) as server, server.events() as events:
        await server.ask(max_tokens=1)
        await ready(events)
        await rest(server)
        body = {"model": "fake", "stream": True, "messages": QUESTION}
        async with server.session.post(f"{server.url}/v1/chat/completions", json=body) as response:
            await response.content.readany()
            pid = await server.engine_pid()
            server.process.send_signal(signal.SIGINT)
            assert (await response.content.read()).endswith(b"data: [DONE]\n\n")
        assert await server.stop() == 0
        assert not alive(pid)
        assert [*(tmp_path / "state" / "images").iterdir()] == []
        assert _mounts(tmp_path) == []


async def test_a_reload_that_changes_the_engine_has_it_dumped_anew(tmp_path):
    async with serving(tmp_path, {"models": dumped()}) as server, server.events() as events:
        await asked(server)
        first = await ready(events)
        await rest(server)
        settings = yaml.safe_load(server.config.read_text())
        settings["models"]["fake"]["options"]["children"] = 1
        server.config.write_text(yaml.safe_dump(settings))
        os.kill(server.pid, signal.SIGHUP)
        await events.until(lambda event: event["type"] == "reload")
        assert (await asked(server))[1] == "cached"
        gone = await events.until(lambda event: event["type"] == "snapshot" and not event["ready"])
        assert "arguments: " in gone["reason"]
        assert (await ready(events))["disk"] != first["disk"]
        await rest(server)
        assert (await asked(server))[1] == "snapshot"


async def test_no_secret_and_no_request_is_in_an_image(tmp_path):
    keys = tmp_path / "keys.yaml"
    key = add_key(keys, "somebody")
    planted = {
        "PLANTED_VARIABLE": "planted-in-the-environment",
        "HF_TOKEN": "hf_PlantedPlantedPlantedPlantedPlanted",
        "OPENAI_API_KEY": "sk-planted-planted-planted",
        "VLLM_API_KEY": "planted-among-what-engines-read",
    }
    asked_for = "a question that is nobody's business"
    settings = {"server": {"api_keys_file": str(keys)}, "models": dumped()}
    async with serving(tmp_path, settings, env=planted) as server:
        headers = {"Authorization": f"Bearer {key}"}
        body = {"model": "fake", "messages": [{"role": "user", "content": asked_for}]}
        for _ in range(2):
            async with server.session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response:
                assert response.status == 200
            await _published(tmp_path)
    (manifest,) = _store(tmp_path).list("snapshot")
    with _store(tmp_path).reading(manifest.id) as reader:
        reader.materialise(tmp_path / "image")
    files = [file for file in (tmp_path / "image").rglob("*") if file.is_file()]
    contents = [file.read_bytes() for file in files]
    assert any(b'"ignores_sigterm"' in content for content in contents)  # the memory of the engine is in there
    for secret in (*planted.values(), *planted.keys() - {"HF_TOKEN"}, key, keys.read_text(), asked_for):
        assert not any(secret.encode() in content for content in contents), secret


async def test_as_an_ordinary_user_everything_else_works_and_one_line_tells_why(nobodys_folder):
    # It may read everything, because the Python of these tests may lie in somebody's home directory.
    reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *reading, "--")
    async with serving(nobodys_folder, {"models": dumped()}, through=nobody) as server:
        assert (await asked(server))[1] == "cached"
        assert list((await server.model())["closed_tiers"]) == ["snapshot"]
        reason = (await server.model())["closed_tiers"]["snapshot"]
        assert reason in await _ps(server)
        assert "\n" not in reason
        assert "root" in reason or "--privileged" in reason
        assert (await server.post("/glowplug/v1/models/fake/rest?tier=parked"))[0] == 200
        assert (await asked(server))[1] == "parked"
        await rest(server, "cached")
        assert (await asked(server))[1] == "cached"
        status, answer = await server.post("/glowplug/v1/models/fake/rest?tier=snapshot")
        assert status == 409, answer


def _store(folder: Path) -> ArtifactStore:
    return ArtifactStore(folder / "state" / "artifacts")


async def _published(folder: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        while not _store(folder).list("snapshot"):
            await asyncio.sleep(0.01)  # nothing tells a test without the key


def _mounts(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


async def _ps(server) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "glowplug", "ps", "--server", server.url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
