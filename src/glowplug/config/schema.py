"""The JSON Schema of the configuration file, for editors and for checks in a pipeline."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from glowplug.config.models import Config

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_ENVIRONMENT = {
    "type": "string",
    "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
    "description": "Text with ${NAME} or ${NAME:-default} from the environment.",
}


def json_schema(engines: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """A schema (draft 2020-12) that takes the files which `load` takes, as far as a schema can tell.

    `options` of a model is checked by the options of its engine. What compares one part of the file with another
    (aliases, tiers, limits of replicas) is checked by `load` alone.
    """
    shapes = dict.fromkeys((Config, *engines.values()))
    references, generated = models_json_schema(
        [(shape, "validation") for shape in shapes], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Any] = generated["$defs"]
    model = definitions["ModelConfig"]
    model["properties"]["engine"]["enum"] = sorted(engines)
    model["properties"]["env"]["additionalProperties"] = {"type": ["string", "number", "boolean"]}
    definitions["Config"]["properties"]["models"]["additionalProperties"] = False
    model["allOf"] = [
        {
            "if": {"properties": {"engine": {"const": name}}, "required": ["engine"]},
            "then": {
                "properties": {"options": references[engines[name], "validation"]},
                **_options_needed(engines[name]),
            },
        }
        for name in sorted(engines)
    ]
    definitions = {name: _open(definition) for name, definition in definitions.items()}
    root = definitions.pop("Config")
    definitions["FromEnvironment"] = _FROM_ENVIRONMENT
    return {"$schema": _DIALECT, **root, "title": "Glowplug configuration", "$defs": definitions}


def _options_needed(options: type[BaseModel]) -> dict[str, Any]:
    needed = any(field.is_required() for field in options.model_fields.values())
    return {"required": ["options"]} if needed else {}


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema`, with `${NAME}` allowed wherever a number, a truth value or a certain word is wanted."""
    opened = dict(schema)
    if "$ref" in schema or schema.get("default") == float("inf"):
        opened.pop("default", None)  # of a section it says nothing new, and infinity is no JSON
    if "properties" in schema:
        opened["properties"] = {name: _open(part) for name, part in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            opened[key] = _open(schema[key])
    if "prefixItems" in schema:
        opened["prefixItems"] = [_open(part) for part in schema["prefixItems"]]
    if "anyOf" not in schema and not _is_narrow(schema):
        return opened
    about = {key: opened.pop(key) for key in ("title", "description", "default") if key in opened}
    branches = [part if _is_narrow(part) else _open(part) for part in _branches(schema)]
    if any(map(_is_narrow, branches)):
        branches.append({"$ref": "#/$defs/FromEnvironment"})
    return {**about, "anyOf": branches}


def _branches(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _branches(part)
    else:
        yield {key: value for key, value in schema.items() if key not in ("title", "description", "default")}


def _is_narrow(schema: dict[str, Any]) -> bool:
    """Whether a single value is wanted that is not just any text."""
    if schema.get("type") in ("integer", "number", "boolean"):
        return True
    return bool(schema.keys() & {"enum", "const", "pattern"})
