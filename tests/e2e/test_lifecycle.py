"""A served model through its life: cold, running, parked, woken, cached, with clients that notice nothing."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import yaml

from glowplug.config.apikeys import add_key
from tests.e2e.server import PATIENCE, alive, begin, fake, serving

pytestmark = pytest.mark.slow


async def test_a_model_wakes_for_a_request_parks_itself_and_wakes_again(tmp_path):
    models = {"fake": fake(keep_alive={"running": "100ms", "parked": "1h"})}
    async with serving(tmp_path, {"models": models}) as server, server.events() as events:
        status, answer, headers = await server.ask()
        assert status == 200
        assert answer["choices"][0]["message"]["content"].startswith("tok0")
        assert headers["x-glowplug-model"] == "fake"
        assert headers["x-glowplug-woke-from"] == "cached"
        assert int(headers["x-glowplug-wait-ms"]) > 0
        await events.tier("parked")
        pid = await server.engine_pid()
        _, again, headers = await server.ask()
        assert headers["x-glowplug-woke-from"] == "parked"
        assert again["choices"] == answer["choices"]
        assert await server.engine_pid() == pid
        line = await server.printed("parked → running")
        assert "fake-0" in line
        assert line.rstrip().endswith(" s")


async def test_an_idle_model_gives_its_process_back_and_starts_anew(tmp_path):
    models = {"fake": fake(keep_alive={"running": 0, "parked": 0})}
    async with serving(tmp_path, {"models": models}) as server, server.events() as events:
        await server.ask()
        pid = await server.engine_pid()
        await events.tier("cached")
        assert pid is None or not alive(pid)
        _, _, headers = await server.ask()
        assert headers["x-glowplug-woke-from"] in ("cached", "parked")


async def test_a_thousand_requests_at_a_cold_model_are_all_answered_after_one_wake(tmp_path):
    models = {"fake": fake(phases=[{"phase": "weights_load", "seconds": "300ms"}])}
    async with serving(tmp_path, {"models": models}) as server:
        answers = await asyncio.gather(*(server.ask(max_tokens=4) for _ in range(1000)))
        assert {status for status, _, _ in answers} == {200}
        starts = await server.get("/glowplug/v1/cold-starts")
        assert len(starts["cold_starts"]) == 1
        assert (await server.model())["replicas"][0]["in_flight"] == 0


async def test_ctrl_c_lets_a_running_request_finish_and_leaves_no_process(tmp_path):
    models = {"fake": fake(tokens=20, tokens_per_second=40)}
    async with serving(tmp_path, {"models": models}) as server:
        await server.ask(max_tokens=1)
        pid = await server.engine_pid()
        async with server.session.post(
            f"{server.url}/v1/chat/completions",
            json={"model": "fake", "stream": True, "messages": [{"role": "user", "content": "x"}]},
        ) as response:
            await response.content.readany()
            server.process.send_signal(signal.SIGINT)
            rest = await response.content.read()
        assert rest.endswith(b"data: [DONE]\n\n")
        assert await server.stop() == 0
        assert not alive(pid)


async def test_ctrl_c_while_a_model_wakes_does_not_wait_for_the_wake(tmp_path):
    models = {"fake": fake(phases=[{"phase": "weights_load", "seconds": "5m"}])}
    async with serving(tmp_path, {"models": models}) as server, server.events() as events:
        asking = asyncio.create_task(server.ask())
        await events.tier("waking:cached")
        assert await server.stop() == 0
        status, answer, _ = await asking
        assert status == 503
        assert "shutting down" in answer["error"]["message"]


async def test_sighup_lets_new_keys_in_and_old_ones_out_and_names_what_needs_a_restart(tmp_path):
    keys = tmp_path / "keys.yaml"
    old = add_key(keys, "old")
    settings = {"server": {"api_keys_file": str(keys)}, "models": {"fake": fake()}}
    async with serving(tmp_path, settings) as server:

        async def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            async with server.session.get(f"{server.url}/v1/models", headers=headers) as response:
                return response.status

        assert await status(old) == 200
        keys.unlink()
        new = add_key(keys, "new")
        document = yaml.safe_load(server.config.read_text())
        document["server"]["max_body"] = "1MiB"
        server.config.write_text(yaml.safe_dump(document))
        os.kill(server.pid, signal.SIGHUP)
        await server.printed("server.max_body")
        assert (await status(old), await status(new)) == (401, 200)


async def test_an_operator_wakes_rests_and_restarts_a_model(tmp_path):
    async with serving(tmp_path, {"models": {"fake": fake()}}) as server:
        status, woken = await server.post("/glowplug/v1/models/fake/wake")
        assert (status, woken["tier"]) == (200, "running")
        pid = await server.engine_pid()
        status, _ = await server.post("/glowplug/v1/models/fake/rest?tier=parked")
        assert status == 200
        assert (await server.model())["tier"] == "parked"
        status, _ = await server.post("/glowplug/v1/models/fake/restart")
        assert status == 200
        assert not alive(pid)
        status, refused = await server.post("/glowplug/v1/models/fake/rest?tier=snapshot")
        assert status == 409
        assert "cannot rest in snapshot" in refused["error"]["message"]


async def test_two_models_that_do_not_fit_together_take_turns(tmp_path):
    models = {name: fake(memory="64MiB", min_active=0) for name in ("a", "b")}
    async with serving(
        tmp_path, {"node": {"memory": "130MiB", "state_dir": str(tmp_path)}, "models": models}
    ) as server:
        for _ in range(3):
            for name in ("a", "b"):
                status, _, _ = await server.ask(name)
                assert status == 200
                tiers = {m["name"]: m["tier"] for m in (await server.get("/glowplug/v1/models"))["models"]}
                assert list(tiers.values()).count("running") == 1, tiers


async def test_a_canary_that_differs_after_parking_leads_to_a_fresh_start_for_the_same_request(tmp_path):
    models = {"fake": fake(answers_change_at="request:3", keep_alive={"running": "50ms"})}
    async with serving(tmp_path, {"models": models}) as server, server.events() as events:
        await server.ask()
        await events.tier("parked")
        status, answer, headers = await server.ask()
        assert status == 200
        assert answer["choices"][0]["message"]["content"].startswith("tok0")
        assert headers["x-glowplug-woke-from"] == "cached"
        await server.printed("canary")


async def test_sighup_reads_the_file_again_and_a_broken_file_changes_nothing(tmp_path):
    async with serving(tmp_path, {"models": {"fake": fake()}}) as server:
        await server.ask()
        pid = await server.engine_pid()
        settings = yaml.safe_load(server.config.read_text())
        server.config.write_text("models: {fake: {engine: faek}}")
        os.kill(server.pid, signal.SIGHUP)
        await server.printed('did you mean "fake"')
        assert (await server.ask())[0] == 200
        settings["models"]["second"] = fake()
        server.config.write_text(yaml.safe_dump(settings))
        async with server.events() as events:
            os.kill(server.pid, signal.SIGHUP)
            await events.until(lambda event: event["type"] == "reload")
        assert (await server.ask("second"))[0] == 200
        assert await server.engine_pid() == pid
        del settings["models"]["second"]
        server.config.write_text(yaml.safe_dump(settings))
        async with server.events() as events:
            os.kill(server.pid, signal.SIGHUP)
            await events.until(lambda event: event["type"] == "reload")
        status, answer, _ = await server.ask("second")
        assert status == 404
        assert "fake" in answer["error"]["message"]


async def test_what_was_measured_survives_a_restart_of_the_server(tmp_path):
    models = {"fake": fake(phases=[{"phase": "weights_load", "seconds": "100ms"}])}
    async with serving(tmp_path, {"models": models}) as server:
        await server.ask()
        await server.stop()
    async with serving(tmp_path, {"models": models}) as server:
        (start,) = (await server.get("/glowplug/v1/cold-starts"))["cold_starts"]
        assert start["outcome"] == "ready"
        assert start["total"] >= 0.1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: {m: {engine: lama.cpp}}", 'did you mean "llama.cpp"'),
        ("models: {m: {engine: llama.cpp, model: /nowhere/x.gguf}}", "/nowhere/x.gguf"),
        ("models: {m: {engine: command, options: {run: 'no-such-program --port {port}'}}}", "no-such-program"),
        ("modles: {}", 'did you mean "models"'),
    ],
)
async def test_a_configuration_that_cannot_work_is_one_sentence_and_exit_1(tmp_path, text, expected):
    config = tmp_path / "glowplug.yaml"
    config.write_text(text)
    output, status = await _run(config)
    assert status == 1
    assert expected in output
    assert "Traceback" not in output


async def test_a_port_in_use_and_a_state_directory_in_use_are_one_sentence_and_exit_1(tmp_path):
    async with serving(tmp_path, {"models": {"fake": fake()}}) as server:
        port = server.url.rsplit(":", 1)[1]
        output, status = await _run(server.config, "--port", port)
        assert (status, output.count("\n")) == (1, 1)
        assert f"Port {port}" in output
        output, status = await _run(server.config)
        assert (status, output.count("\n")) == (1, 1)
        assert "state" in output


async def _run(config: Path, *arguments: str) -> tuple[str, int]:
    process = await begin(config, *arguments)
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return output.decode(), process.returncode
