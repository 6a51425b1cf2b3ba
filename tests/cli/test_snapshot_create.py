"""`glowplug snapshot create`: through the server that works there, or without one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from glowplug.artifacts.store import ArtifactStore
from glowplug.checkpoint import processes
from glowplug.node.state_lock import StateLock
from glowplug.tiers.snapshot import machine_closed
from tests.cli.admin_server import MADE, model
from tests.e2e.server import alive, serving
from tests.node.programs import until

pytestmark = pytest.mark.slow

PATIENCE = 60.0

with_criu = [
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.skipif(machine_closed() is not None, reason=str(machine_closed())),
]


def write_config(folder: Path, port: int = 1, **options: Any) -> None:
    models = {"a": {"engine": "fake", "aliases": ["b"], "snapshot": "auto", "options": options}}
    settings = {"server": {"port": port}, "node": {"state_dir": "state"}, "models": models}
    (folder / "glowplug.yaml").write_text(yaml.safe_dump(settings))


def test_a_server_that_is_named_makes_it(server, glowplug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.models = [model("a", "running"), model("busy", "running")]
    result = glowplug("snapshot", "create", "a")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["ID", "MODEL", "SIZE", "STORED", "PAUSE", "TOOK"],
        [MADE["id"], "a", "3", "GiB", "1", "GiB", "0.50", "s", "61.50", "s"],
    ]
    assert result.stderr == f"the server at {server.url} starts a anew and stores its image\n"
    assert json.loads(glowplug("snapshot", "create", "a", "--format", "json").stdout) == {**MADE, "model": "a"}
    assert server.asked == ["POST /glowplug/v1/models/a/snapshot"] * 2
    result = glowplug("snapshot", "create", "busy")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("Error: A replica of 'busy' is at work.\n")


def test_the_server_that_works_in_the_state_directory_is_asked(server, glowplug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLOWPLUG_SERVER")
    server.models = [model("a", "running")]
    server.key = "gp-secret"
    write_config(tmp_path, int(server.url.rpartition(":")[2]))
    lock = StateLock(tmp_path / "state")
    result = glowplug("snapshot", "create", "b", "--api-key", "gp-secret")
    assert result.exit_code == 0, result.stderr
    assert server.asked == ["POST /glowplug/v1/models/a/snapshot"]
    write_config(tmp_path, 1)
    result = glowplug("snapshot", "create", "b")
    lock.release()
    assert result.exit_code == 1
    assert (
        f"a server works in {tmp_path / 'state'}, but none answers at http://127.0.0.1:1; "
        "name its address with --server" in result.stderr
    )


def test_a_model_that_is_not_configured(glowplug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    result = glowplug("snapshot", "create", "c")
    assert (result.exit_code, result.stderr) == (1, "Error: there is no model 'c'; configured: a\n")


def test_where_the_tier_is_closed_one_sentence_says_why(glowplug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    Path("glowplug.yaml").write_text(Path("glowplug.yaml").read_text().replace("auto", "'off'"))
    result = glowplug("snapshot", "create", "a")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: Model 'a' can have no snapshot: ")
    assert result.stderr.count("\n") == 1


@asynccontextmanager
async def creating(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process of its own, and nothing of it after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "glowplug", "snapshot", "create", *arguments,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "GLOWPLUG_SERVER"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class TestWithCriu:
    pytestmark = with_criu

    async def test_without_a_server_the_engine_is_started_dumped_and_ended(self, tmp_path):
        write_config(tmp_path)
        async with creating(tmp_path, "b", "--format", "json") as process:
            stdout, stderr = await process.communicate()
        assert process.returncode == 0, stderr
        made = json.loads(stdout)
        (manifest,) = ArtifactStore(tmp_path / "state" / "artifacts").list("snapshot")
        assert (made["id"], made["model"], made["raw_bytes"]) == (manifest.id, "a", manifest.raw_bytes)
        assert stderr.decode().splitlines()[0] == "starting a (cached)"
        StateLock(tmp_path / "state").release()

    async def test_why_it_cannot_be_made_is_one_sentence(self, tmp_path):
        write_config(tmp_path, phases=[{"phase": "weights_load", "seconds": 0}], crash_at="start:weights_load")
        async with creating(tmp_path, "a") as process:
            stdout, stderr = await process.communicate()
        assert (process.returncode, stdout) == (1, b"")
        assert stderr.decode().splitlines()[-1].startswith("Error: ")
        assert b"Traceback" not in stderr
        assert b"exited with code 1" in stderr

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    async def test_whoever_ends_it_early_leaves_nothing_behind(self, tmp_path, how):
        write_config(tmp_path, phases=[{"phase": "weights_load", "seconds": 300}])
        async with creating(tmp_path, "a") as process:
            assert process.stderr is not None
            await process.stderr.readline()
            await until(lambda: bool(engines(process.pid)))
            started = engines(process.pid)
            process.send_signal(how)
            process.send_signal(how)  # of somebody who is impatient
            _, stderr = await process.communicate()
        assert process.returncode == 1
        assert stderr.decode().split() == ["Aborted!"]
        assert not [pid for pid in started if alive(pid)]
        assert ArtifactStore(tmp_path / "state" / "artifacts").list() == []
        StateLock(tmp_path / "state").release()

    async def test_a_server_makes_one_on_demand_and_then_wakes_from_it(self, tmp_path):
        settings = {"models": {"a": {"engine": "fake", "snapshot": "auto"}}}
        async with serving(tmp_path, settings) as server:
            status, made = await server.post("/glowplug/v1/models/a/snapshot")
            assert status == 200, made
            (shown,) = (await server.get("/glowplug/v1/snapshots"))["snapshots"]
            assert (shown["id"], shown["fits"]) == (made["id"], True)
            status, again = await server.post("/glowplug/v1/models/a/snapshot")
            assert status == 200
            assert again["id"] != made["id"]
            await server.post("/glowplug/v1/models/a/rest?tier=snapshot")
            _, _, headers = await server.ask("a")
            assert headers["x-glowplug-woke-from"] == "snapshot"

    async def test_a_server_that_reads_its_configuration_again_sees_what_was_removed(self, tmp_path):
        settings = {"models": {"a": {"engine": "fake", "snapshot": "auto"}}}
        async with serving(tmp_path, settings) as server, server.events() as events:
            _, made = await server.post("/glowplug/v1/models/a/snapshot")
            assert (await server.model("a"))["snapshot"]["disk"] == made["stored_bytes"]
            ArtifactStore(tmp_path / "state" / "artifacts").remove(made["id"])
            os.kill(server.pid, signal.SIGHUP)
            gone = await events.until(lambda event: event["type"] == "snapshot" and not event["ready"])
            assert gone["reason"] == "it was removed"
            assert (await server.model("a"))["snapshot"] is None

    async def test_a_server_that_is_at_work_refuses(self, tmp_path):
        settings = {"models": {"a": {"engine": "fake", "snapshot": "auto", "options": {"tokens_per_second": 0}}}}
        async with serving(tmp_path, settings) as server:
            asking = {"model": "a", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
            async with server.session.post(f"{server.url}/v1/chat/completions", json=asking) as response:
                assert response.status == 200
                status, answer = await server.post("/glowplug/v1/models/a/snapshot")
                assert status == 409
                assert "is busy with 1 request" in answer["error"]["message"]
                assert (await server.model("a"))["tier"] == "running"


def engines(pid: int) -> list[int]:
    """The processes below a process that run the fake engine."""
    below = processes.descendants(pid)
    return [child for child in below if b"fake_server" in Path(f"/proc/{child}/cmdline").read_bytes()]
