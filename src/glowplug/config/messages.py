"""What pydantic found wrong with one value, in words for the person who wrote it."""

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from glowplug.config.suggest import remedy

# pydantic's error types for a value of the wrong kind, and what is expected instead.
_KINDS = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
    "set_type": "a list",
    "string_type": "text",
    "tuple_type": "a list",
}
_LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_LIMIT_WORDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$": "must begin with a letter or digit and hold only letters, digits and ._:/@+-",
    r"^(\*|[a-z][a-z0-9+.-]*://[^/?#*\sA-Z]+)$": (
        "must be * or an origin as browsers write it, such as https://chat.example or http://localhost:3000: "
        "in lower case, without a path"
    ),
}
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_SHOWN = 60  # characters of a value in a message


def is_choice(error: ErrorDetails) -> bool:
    """Whether the error only says that this alternative of several was not meant."""
    return error["type"] in _KINDS or error["type"] in ("literal_error", "too_short")


def sentence(name: str, errors: Iterable[ErrorDetails]) -> str:
    """One sentence about the value called `name`. Several errors are its alternatives, none of which fits."""
    errors = list(errors)
    wanted = [words for error in errors if (words := _wanted(error))]
    others = [_said(name, error) for error in errors if not _wanted(error)]
    if others:
        return ", or ".join([others[0], *wanted])
    value: Any = errors[0]["input"]
    if value is None:
        return f'"{name}" has no value; write {_either(wanted)}, or remove the line'
    if wanted == ["text"] and isinstance(value, bool | int | float):
        return f'"{name}" must be text; put {show(value)} in quotes'
    return f'"{name}" must be {_either(wanted)}, not {show(value)}'


def show(value: object) -> str:
    """A value as it may appear in a message: short, and only its kind if it is a list or a mapping."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}…{text[-1]}"


def _either(wanted: list[str]) -> str:
    return " or ".join(dict.fromkeys(wanted))


def _choices(error: ErrorDetails) -> list[str]:
    return _QUOTED.findall(str(error.get("ctx", {}).get("expected", "")))


def _wanted(error: ErrorDetails) -> str | None:
    if error["type"] == "literal_error":
        return " or ".join(_choices(error)) or None
    return _KINDS.get(error["type"])


def _said(name: str, error: ErrorDetails) -> str:
    kind = error["type"]
    context: dict[str, Any] = error.get("ctx", {})
    value: Any = error["input"]
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    if kind == "enum":
        return f"unknown word {show(value)}{remedy(str(value), _choices(error))}"
    if kind in _LIMITS:
        limit = _LIMITS[kind]
        bound = str(context[limit]).removesuffix(".0")
        return f'"{name}" must be {_LIMIT_WORDS[limit]} {bound}, not {show(value)}'
    if kind == "string_pattern_mismatch":
        rule = _PATTERNS.get(context["pattern"], f"must match {context['pattern']}")
        return f"{show(value)} {rule}"
    if kind in ("too_short", "string_too_short"):
        return f'"{name}" is empty; it needs at least {context["min_length"]}'
    if kind in ("too_long", "string_too_long"):
        return f'"{name}" is too long; it may have at most {context["max_length"]}'
    return f'"{name}" cannot be used: {error["msg"][:1].lower()}{error["msg"][1:]}'
