"""The files under examples/ can be used as they are."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from glowplug.cli import main
from glowplug.config.loader import load
from glowplug.engines import registry
from tests.docs.examples import ROOT
from tests.e2e.server import PATIENCE, Server, serving

EXAMPLES = sorted(file for file in (ROOT / "examples").glob("*.yaml") if not file.name.startswith("bench-"))
SERVICE = ROOT / "examples" / "glowplug.service"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_config_check_finds_nothing_wrong(file, monkeypatch):
    monkeypatch.delenv("GLOWPLUG_MODEL", raising=False)
    result = CliRunner().invoke(main, ["config", "check", str(file)])
    assert result.exit_code == 0
    # vLLM, for one, need not be installed where the tests run.
    assert all("cannot start on this machine" in line for line in result.stderr.splitlines())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_readme_names_it(file):
    assert f"examples/{file.name}" in (ROOT / "README.md").read_text()


def test_of_the_several_models_only_two_fit_at_a_time():
    config = load(ROOT / "examples" / "several-models.yaml", registry.options())
    needs = sorted(model.memory for model in config.models.values())
    assert sum(needs[:2]) <= config.node.memory < sum(needs)
    assert [name for name, model in config.models.items() if model.pin] == ["assistant"]


def test_the_command_engine_starts_what_the_file_says():
    model = load(ROOT / "examples" / "command-engine.yaml", registry.options()).models["qwen3-8b"]
    launch = registry.get(model.engine).launch("qwen3-8b", model, 20000)
    assert shlex.join(launch.argv) == (
        "vllm serve Qwen/Qwen3-8B --served-model-name qwen3-8b --host 127.0.0.1 --port 20000 "
        "--max-model-len 8192 --gpu-memory-utilization 0.85"
    )


@pytest.fixture
async def ci_server(tmp_path):
    """The fake engine's file, served with its state under `tmp_path`."""
    settings = yaml.safe_load((ROOT / "examples" / "fake-for-ci.yaml").read_text())
    settings.pop("node")
    async with serving(tmp_path, settings) as server:
        yield server


async def stream(server: Server, model: str, until: str) -> str:
    """What a streaming client of a model has read when `until` came, or when the stream ended."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    read = ""
    async with server.session.post(f"{server.url}/v1/chat/completions", json=body, timeout=PATIENCE) as response:
        assert response.status == 200
        while until not in read and (data := await response.content.readany()):
            read += data.decode()
    return read


@pytest.mark.slow
async def test_the_fakes_do_what_their_comments_say(ci_server):
    status, answer, headers = await ci_server.ask("gpt-4o-mini")
    assert status == 200
    assert headers["x-glowplug-model"] == "assistant"
    assert answer["choices"][0]["message"]["content"] == "".join(f"tok{n}" for n in range(12))
    broken_off = await stream(ci_server, "breaks-off", until='"error"')
    assert "tok4" in broken_off
    assert "tok5" not in broken_off
    assert "replica_lost" in broken_off
    assert "tok2" in await stream(ci_server, "hangs", until="tok2")
    errors = [await ci_server.ask("broken") for _ in range(2)]
    assert [(status, answer["error"]["code"]) for status, answer, _ in errors] == [
        (503, "wake_failed"),
        (503, "model_quarantined"),
    ]


def test_the_service_starts_a_command_that_there_is():
    start = next(line for line in SERVICE.read_text().splitlines() if line.startswith("ExecStart="))
    program, command, *arguments = shlex.split(start.removeprefix("ExecStart="))
    context = main.commands[command].make_context(command, arguments)
    assert Path(program).name == "glowplug"
    assert context.params["state_dir"] == Path("/var/lib/glowplug")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_service(tmp_path):
    unit = tmp_path / SERVICE.name
    unit.write_text(SERVICE.read_text().replace("/opt/glowplug/.venv/bin/glowplug", "/bin/true"))
    found = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert unit.name not in found.stderr
