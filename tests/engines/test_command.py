import json
import sys

import pytest
from pydantic import ValidationError

from glowplug.config.models import ModelConfig, WarmupRequest
from glowplug.engines.base import Call, CanaryAnswer, EngineError
from glowplug.engines.command import Command, CommandOptions, parse_step
from glowplug.engines.weights import WORKING_SPACE
from tests.engines.running import running

ENGINE = Command()


def config(run="sh -c {port}", model=None, **rest):
    outer = {key: rest.pop(key) for key in ("args", "env", "warmup") if key in rest}
    return ModelConfig(engine="command", model=model, options={"run": run, **rest}, **outer)


def argv(model):
    return list(ENGINE.launch("the-model", model, 1234).argv)


def test_a_command_line_is_split_like_a_shell_does_without_a_shell():
    assert argv(config("serve 'a b' --port {port} $HOME")) == ["serve", "a b", "--port", "1234", "$HOME"]


def test_values_with_spaces_stay_one_word():
    assert argv(config("serve {model} {port}", model="/my models/a b.gguf")) == ["serve", "/my models/a b.gguf", "1234"]


def test_placeholders_are_filled_inside_words_and_other_braces_left_alone():
    words = ["serve", "--url=http://127.0.0.1:{port}/{name}", '{"a": {"b": 1}}', "{other}"]
    assert argv(config(words))[1:] == ["--url=http://127.0.0.1:1234/the-model", '{"a": {"b": 1}}', "{other}"]


def test_args_follow_the_command_line():
    assert argv(config("serve {port}", args={"max-len": 5, "served-model-name": "{name}"}))[2:] == [
        "--max-len", "5", "--served-model-name", "the-model",
    ]  # fmt: skip


def test_the_environment_is_filled_in_too():
    assert ENGINE.launch("m", config("serve", env={"PORT": "{port}"}), 99).env == {"PORT": "99"}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (config("no-such-program {port}"), "the program no-such-program was not found"),
        (config("./no-such-program {port}"), "the program ./no-such-program was not found"),
        (config("sh -c true"), "does not contain {port}"),
        (config("sh {model} {port}"), "`model:` is missing"),
        (config(cwd="/nonexistent"), "the working directory /nonexistent does not exist"),
        (config(rest=["POST /sleep"]), "go together"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(model, sentence):
    with pytest.raises(EngineError) as caught:
        ENGINE.check(model)
    assert sentence in str(caught.value)


def test_a_program_may_be_given_relative_to_its_directory(tmp_path):
    program = tmp_path / "serve.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    ENGINE.check(config("./serve.sh {port}", cwd=str(tmp_path)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"run": ""},
        {"run": "serve 'a"},
        {"run": "serve", "health": "health"},
        {"run": "serve", "rest": ["GET"]},
        {"run": "serve", "rest": ["POST sleep"]},
        {"run": "serve", "wake": ["POST /wake {"]},
        {"run": "serve", "alive": "GET live"},
        {"run": "serve", "canary": "speech"},
        {"run": "serve", "runs": "x"},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        CommandOptions.model_validate(options)


def test_calls_are_read_with_query_and_body():
    assert parse_step("POST /sleep?level=1") == Call("POST", "/sleep?level=1")
    assert parse_step('POST /wake {"tags": ["weights"]}') == Call("POST", "/wake", {"tags": ["weights"]})


def test_sleep_and_wake_are_the_configured_calls():
    model = config(rest=["POST /pause", "POST /sleep"], wake=["POST /wake_up"])
    assert ENGINE.sleep("m", model, 1) == [Call("POST", "/pause"), Call("POST", "/sleep")]
    assert ENGINE.wake("m", model, 1) == [Call("POST", "/wake_up")]
    assert ENGINE.sleep("m", config(), 1) == []


def test_liveness_is_the_health_path_unless_told_otherwise():
    assert ENGINE.alive("m", config(health="/ready"), 1) == Call("GET", "/ready")
    assert ENGINE.alive("m", config(alive="GET /live"), 1) == Call("GET", "/live")
    assert ENGINE.alive("m", config(alive="off"), 1) is None


@pytest.mark.parametrize(
    ("canary", "canary_path", "warmup_path"),
    [
        ("completions", "/v1/completions", "/v1/completions"),
        ("chat", "/v1/chat/completions", "/v1/chat/completions"),
        ("embeddings", "/v1/embeddings", "/v1/embeddings"),
        ("off", "/v1/models", "/v1/completions"),
    ],
)
def test_the_canary_is_of_the_configured_kind(canary, canary_path, warmup_path):
    model = config(canary=canary, warmup=(WarmupRequest(prompt="Hi"),))
    assert ENGINE.canary("m", model).path == canary_path
    assert [call.path for call in ENGINE.warmup("m", model)] == [warmup_path]


def test_memory_is_guessed_from_local_weights(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"0" * 1000)
    assert ENGINE.memory(config(model=str(tmp_path))) == 1200 + WORKING_SPACE
    assert ENGINE.memory(config(model="hub/name")) == WORKING_SPACE


FAKE = [sys.executable, "-m", "glowplug.engines.fake_server", '{"port": {port}, "name": "{name}"}']


@pytest.mark.parametrize(
    ("canary", "answer"),
    [
        ("completions", CanaryAnswer(("tok0", "tok1"), (-0.125, -0.25))),
        ("chat", CanaryAnswer(("tok0", "tok1"), (-0.125, -0.25))),
        ("embeddings", CanaryAnswer(vector=tuple((5 + place) % 8 / 8 + 0.125 for place in range(8)))),
        ("off", CanaryAnswer(("the-model",))),
    ],
)
def test_a_real_server_answers_every_kind_of_canary(canary, answer):
    model = config(FAKE, canary=canary, rest=["POST /sleep"], wake=["POST /wake_up"])
    with running(ENGINE, model) as server:
        assert server.canary() == answer
        alive = ENGINE.alive("m", model, 1)
        assert alive is not None
        assert server.status(alive) == 200


def test_a_real_server_sleeps_and_wakes(tmp_path):
    model = config([*FAKE], rest=["POST /sleep?level=2"], wake=["POST /wake_up"], cwd=str(tmp_path))
    with running(ENGINE, model) as server:
        before = server.canary()
        assert [server.ask(call) for call in ENGINE.sleep("m", model, 1)] == [{"status": "sleeping", "level": 2}]
        assert server.status(ENGINE.canary("m", model)) == 503
        assert [server.status(call) for call in ENGINE.wake("m", model, 1)] == [200]
        assert server.canary() == before
        with open(f"/proc/{server.process.pid}/cmdline") as cmdline:
            words = cmdline.read().split("\0")
        assert json.loads(words[3]) == {"port": server.port, "name": "the-model"}
