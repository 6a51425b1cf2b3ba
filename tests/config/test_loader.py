"""What `load` makes of a file: the values, and every problem at its line and column."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, BeforeValidator

from glowplug.config.errors import ConfigError
from glowplug.config.loader import load
from glowplug.config.models import Config
from glowplug.scheduler.values import Tier
from tests.config.conftest import ENGINES

Complaints = Callable[..., list[str]]


def model(text: str) -> str:
    """A file with one model `m` that holds the lines of `text`, which begin in line 4, column 5."""
    return "models:\n  m:\n    engine: vllm\n" + "".join(f"    {line}\n" for line in text.splitlines())


def test_a_name_and_an_engine_are_enough(load_text):
    config = load_text("models: {m: {engine: vllm}}")
    assert config == Config.model_validate({"models": {"m": {"engine": "vllm"}}}).model_copy(
        update={"node": config.node}
    )


def test_values_are_read_in_their_units(load_text):
    config = load_text(
        model(
            "keep_alive: {running: 1m30s, parked: forever}\n"
            "tiers: [running, parked, cached]\n"
            "memory: 1.5GB\n"
            "gpu_memory: 2GiB\n"
            "min_active: 4\n"
        )
    )
    found = config.models["m"]
    assert found.keep_alive == {Tier.RUNNING: 90.0, Tier.PARKED: math.inf}
    assert found.tiers == (Tier.RUNNING, Tier.PARKED, Tier.CACHED)
    assert (found.memory, found.gpu_memory, found.min_active) == (1_500_000_000, 2 * 1024**3, 4.0)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("tpyo: 3", '4:5: unknown key "tpyo"; use one of'),
        ("alises: [x]", '4:5: unknown key "alises"; did you mean "aliases"?'),
        ("replicas: {mx: 3}", '4:16: unknown key "mx"; did you mean "max"?'),
        ("warmup: [{prompt: a, tokens: 3}]", '4:26: unknown key "tokens"; did you mean "max_tokens"?'),
        ("warmup: [{max_tokens: 3}]", '4:14: "prompt" is missing; add it to "warmup"'),
        ('pin: "yes"', '4:10: "pin" must be true or false, not "yes"'),
        ("pin: 1", '4:10: "pin" must be true or false, not 1'),
        ("model: 5", '4:12: "model" must be text; put 5 in quotes'),
        ("args:", '4:10: "args" has no value; write a mapping, or remove the line'),
        ("args: [a]", '4:11: "args" must be a mapping, not a list'),
        ("env: {A: [1]}", '4:14: "A" must be text, not a list'),
        ("memory: lots", "4:13: 'lots' is not a size; write bytes or a number with KiB, MiB, GiB or TiB, such as"),
        ("memory: -1", "4:13: -1 is not a size"),
        (f"memory: {'9' * 400}TiB", "4:13: '9"),
        ("memory: {a: b}", "4:5: {'a': 'b'} is not a size"),
        ("min_active: soon", "4:17: 'soon' is not a duration; write a number with ms, s, m, h or d"),
        ("min_active: .nan", "4:17: nan is not a duration"),
        ("keep_alive: soon", '4:17: "keep_alive" must be auto or a mapping, not "soon"'),
        ("keep_alive: {runing: 1s}", '4:18: unknown word "runing"; did you mean "running"?'),
        ("keep_alive: {running: x}", "4:27: 'x' is not a duration"),
        ("tiers: [running, hot, cold]", '4:22: unknown word "hot"; use one of asleep, cached, cold, parked'),
        ("replicas: {min: 2}", "4:5: with the defaults, replicas.min (2) is larger than replicas.max (1); give both"),
        ("replicas: {min: null}", '4:21: "min" has no value; write a whole number, or remove the line'),
        ("replicas: {max: 99}", '4:21: "max" must be at most 64, not 99'),
        ("replicas: {max: 1.5}", '4:21: "max" must be a whole number, not 1.5'),
        ("replicas: {max: 99999999999999999999}", "4:21: this number is too large"),
        ('aliases: ["a b"]', '4:15: "a b" must begin with a letter or digit and hold only letters, digits and ._:/@+-'),
        ('model: "\\0"', "4:12: this holds NUL or half of a surrogate pair"),
        ('args: {"\\ud800": 1}', "4:12: this holds NUL or half of a surrogate pair"),
        ("model: !!python/name:os.system x", "4:12: the tag !!python/name:os.system is not supported"),
        ("args: {[a]: b}", "4:12: a key must be a single word"),
        ("pin: true\npin: false", '5:5: the key "pin" is already there in line 4; remove one of them'),
    ],
)
def test_one_mistake_in_a_model(complaints: Complaints, lines, expected):
    found = complaints(model(lines))
    assert len(found) == 1
    assert found[0].startswith(expected)


@pytest.mark.parametrize("origin", ["*", "https://chat.example", "http://[::1]:3000", "chrome-extension://abc"])
def test_origins_are_taken_as_browsers_write_them(load_text, origin):
    config = load_text(f"server: {{cors_origins: ['{origin}']}}\nmodels: {{m: {{engine: vllm}}}}")
    assert config.server.cors_origins == (origin,)


@pytest.mark.parametrize(
    "origin", ["https://chat.example/", "chat.example", "https://Chat.example", "null", "https://*"]
)
def test_what_no_browser_would_write_is_no_origin(complaints: Complaints, origin):
    assert complaints(f"server: {{cors_origins: ['{origin}']}}\nmodels: {{m: {{engine: vllm}}}}") == [
        f'1:25: "{origin}" must be * or an origin as browsers write it, such as https://chat.example or '
        "http://localhost:3000: in lower case, without a path"
    ]


def test_sections_and_their_limits(complaints: Complaints):
    text = (
        "server:\n  port: 99999\n  prot: 1\n"
        "node: {engine_ports: [5]}\n"
        "defaults: []\n"
        "modles: {}\n"
        "models: {m: {engine: vllm}}\n"
    )
    assert complaints(text) == [
        '2:9: "port" must be at most 65535, not 99999',
        '3:3: unknown key "prot"; did you mean "port"?',
        '4:22: "engine_ports" needs one more entry; add it',
        '5:11: "defaults" must be a mapping, not a list',
        '6:1: unknown key "modles"; did you mean "models"?',
    ]


def test_ports_out_of_order_are_reported_at_the_section(complaints: Complaints):
    text = "models: {m: {engine: vllm}}\nnode:\n  engine_ports: [3000, 2000]\n"
    assert complaints(text)[0].startswith("2:1: engine_ports must be two ports")


def test_a_file_without_models(complaints: Complaints):
    assert complaints("server: {port: 1}") == ['1:1: "models" is missing; add it']
    assert complaints("models: {}") == ['1:1: "models" is empty; it needs at least 1']
    assert complaints("models:") == ['1:8: "models" has no value; write a mapping, or remove the line']
    assert complaints("- a") == ['1:1: "the file" must be a mapping, not a list']


@pytest.mark.parametrize("text", ["", "\n# nothing but a comment\n", "---\n", "\ufeff"])
def test_an_empty_file(complaints: Complaints, text):
    assert complaints(text) == ['the file is empty; it needs at least one model in "models"']


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file(complaints: Complaints):
    text = (
        "models:\n"
        "  a:\n"
        "    engine: lama.cpp\n"
        "    options: {x: 1}\n"
        "  b:\n"
        "    pin: 3\n"
        "    engine: command\n"
        "    options: {comand: x}\n"
        "    aliases: [a]\n"
        "    model: ${NOWHERE}\n"
        "server: {port: x}\n"
    )
    assert complaints(text) == [
        '3:13: unknown engine "lama.cpp"; did you mean "llama.cpp"?',
        '6:10: "pin" must be true or false, not 3',
        '8:5: "command" is missing; add it to "options"',
        '8:15: unknown key "comand"; did you mean "command"?',
        '9:15: the alias "a" is already a model; choose another one',
        "10:12: the environment variable NOWHERE is not set; set it or write ${NOWHERE:-default}",
        '11:16: "port" must be a whole number, not "x"',
    ]


def test_the_error_text_holds_every_problem_with_file_line_and_column(tmp_path):
    file = tmp_path / "glowplug.yaml"
    file.write_text("models:\n  a: {engine: x}\n  b: {engine: y}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, ENGINES, {})
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{file}:2:15:", f"{file}:3:15:"]


def test_environment_variables_of_an_engine_are_the_text_as_written(load_text):
    config = load_text(model("env: {A: 007, B: true, C: 1e-5, D: 'x', E: ~}").replace("E: ~", 'E: ""'))
    assert config.models["m"].env == {"A": "007", "B": "true", "C": "1e-5", "D": "x", "E": ""}


def test_arguments_keep_their_types(load_text):
    config = load_text(model("args: {a: 1, b: 1e-5, c: no, d: true, e: [1, {f: null}], g: '1', h: 12:30, i: 0x10}"))
    assert config.models["m"].args == {
        "a": 1, "b": 1e-5, "c": "no", "d": True, "e": [1, {"f": None}], "g": "1", "h": "12:30", "i": 16,
    }  # fmt: skip


def test_keys_that_look_like_numbers_are_names(load_text):
    assert list(load_text("models: {3.10: {engine: vllm}, 8: {engine: vllm}}").models) == ["3.10", "8"]


def test_what_a_validator_of_an_engine_makes_of_a_value_is_left_to_it(tmp_path):
    class Options(BaseModel):
        words: Annotated[tuple[str, ...], BeforeValidator(lambda text: text.split() if isinstance(text, str) else text)]
        folder: Annotated[Path, BeforeValidator(str)]
        count: int = 0

    file = tmp_path / "glowplug.yaml"
    file.write_text("models: {m: {engine: x, options: {words: a b, folder: /x}}}")
    assert load(file, {"x": Options}, {}).models["m"].options == {"words": "a b", "folder": "/x"}
    file.write_text("models: {m: {engine: x, options: {words: [a], folder: /x, count: '3'}}}")
    with pytest.raises(ConfigError, match='1:66: "count" must be a whole number, not "3"'):
        load(file, {"x": Options}, {})
