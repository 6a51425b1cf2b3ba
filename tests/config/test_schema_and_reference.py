"""What is generated from the models: JSON Schema and reference; and the example, which must keep up with them."""

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from glowplug.config.loader import load
from glowplug.config.models import (
    Config,
    Defaults,
    ModelConfig,
    NodeConfig,
    ReplicasConfig,
    ServerConfig,
    WarmupRequest,
)
from glowplug.config.reference import markdown
from glowplug.config.schema import json_schema
from glowplug.engines import registry
from tests.config.conftest import ENGINES

EXAMPLE = resources.files("glowplug.config").joinpath("example.yaml")
SECTIONS = (Config, ServerConfig, NodeConfig, Defaults, ReplicasConfig, ModelConfig, WarmupRequest)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema(ENGINES)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def accepted(validator: jsonschema.Draft202012Validator, text: str) -> bool:
    return validator.is_valid(yaml.safe_load(text))


def keys_of(value: object) -> set[str]:
    if isinstance(value, dict):
        return {str(key) for key in value}.union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_the_example_loads_and_says_what_the_defaults_are():
    with resources.as_file(EXAMPLE) as file:
        config = load(file, registry.options(), {})
    built_in = Config.model_validate({"models": {"m": {"engine": "llama.cpp"}}})
    assert config.server == built_in.server
    assert config.defaults == built_in.defaults
    assert config.node.model_copy(update={"state_dir": None}) == built_in.node.model_copy(update={"state_dir": None})


@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_holds_every_key(section):
    written = keys_of(yaml.safe_load(EXAMPLE.read_text()))
    assert set(section.model_fields) <= written


def test_the_schema_takes_the_example():
    schema = json_schema(registry.options())
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("run", "good"),
    [("serve {port}", True), (["serve", "{port}"], True), ("", False), ([], False), (3, False), ([3], False)],
)
def test_a_command_may_be_a_line_or_its_words(run, good):
    schema = json_schema(registry.options())
    file = {"models": {"m": {"engine": "command", "options": {"run": run}}}}
    assert jsonschema.Draft202012Validator(schema).is_valid(file) is good


def test_the_schema_is_json_with_dialect_and_title():
    schema = json.loads(json.dumps(json_schema(registry.options()), allow_nan=False))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "Glowplug configuration"


@pytest.mark.parametrize(
    "model",
    [
        "engine: vllm",
        "engine: command\noptions: {command: [a, b]}",
        "engine: vllm\nmemory: auto\ngpu_memory: 3GiB\nmin_active: 1m30s",
        "engine: vllm\nkeep_alive: {running: forever}\ntiers: [running, cold]",
        "engine: vllm\nenv: {A: 1, B: true, C: x}",
        "engine: ${ENGINE}\npin: ${PIN:-true}\nmin_active: ${TIME}\nreplicas: {max: '${MAX}'}",
    ],
)
def test_the_schema_takes_what_the_loader_takes(validator, load_text, model):
    text = "models:\n  m:\n" + "".join(f"    {line}\n" for line in model.splitlines())
    load_text(text, ENGINE="vllm", TIME="3s", MAX="3") if "MAX" not in model else None
    assert accepted(validator, text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "models: {}",
        "models: {'a b': {engine: vllm}}",
        "models: {m: {engine: vllm, x: 1}}",
        "models: {m: {engine: vlm}}",
        "models: {m: {engine: vllm, options: {a: 1}}}",
        "models: {m: {engine: command}}",
        "models: {m: {engine: command, options: {command: 3}}}",
        "models: {m: {engine: vllm, pin: 3}}",
        "models: {m: {engine: vllm, memory: lots}}",
        "models: {m: {engine: vllm, keep_alive: {runing: 1s}}}",
        "models: {m: {engine: vllm}}\nserver: {port: 70000}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(validator, complaints, text):
    assert complaints(text)
    assert not accepted(validator, text)


def test_the_reference_names_every_key_with_its_meaning():
    text = markdown(ENGINES)
    for section in SECTIONS[1:]:
        for name, field in section.model_fields.items():
            row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
            assert row.count("|") == 5
            assert (field.description or "See below.") in text
    assert "| `queue_timeout` | duration | `5m` |" in text
    assert "| `request_timeout` | duration | `forever` |" in text
    assert "| `max_body` | size | `32MiB` |" in text
    assert "| `memory` | `auto` or size | `auto` |" in text
    assert "| `engine` | text | needed |" in text
    assert "| `keep_page_cache` | `true` or `false` | `true` |" in text
    assert "| `command` | list of text or text | needed | Command line. |" in text


def test_a_bar_in_a_description_does_not_break_the_table():
    class Options(BaseModel):
        """Has an option."""

        choice: str = "a|b"

    Options.model_fields["choice"].description = "a | b"
    assert "a \\| b |" in markdown({"x": Options})


def test_the_reference_in_the_documentation_is_up_to_date():
    file = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert file.read_text() == markdown(registry.options()), (
        "write it again: glowplug config reference > docs/configuration.md"
    )
