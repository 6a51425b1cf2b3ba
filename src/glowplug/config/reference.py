"""The configuration reference in Markdown, out of the descriptions in the models, so that it is never out of date."""

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from glowplug.config.models import Config, ModelConfig, ReplicasConfig, WarmupRequest
from glowplug.config.units import Duration, Size

_INTRODUCTION = """\
# Configuration

One YAML file, by default `glowplug.yaml`, says which models there are. Only `models` is needed. `glowplug config
example` prints a file with every key, `glowplug config check FILE` names everything that is wrong with one, by line and
column, and `glowplug config schema` prints a JSON Schema for your editor.

**Values.** A duration is `500ms`, `30s`, `10m`, `1h30m`, `7d` or `forever`; a bare number is seconds. A size is
`512MiB`, `16GiB` or `1.5GB`; a bare number is bytes. Plain values mean what YAML 1.2 says: `no` is text, `12:30` is
text, `1e-5` is a number. Anchors, aliases and merge keys (`<<`) work.

**Environment.** `${NAME}` is replaced by that variable of the server's environment, and `${NAME:-default}` has a
default for a variable that is unset or empty; `$${` is a plain `${`. Without quotes the result is read as if it stood
in the file (`port: ${PORT}` is a number), in quotes it stays text. Inside `{ }` and `[ ]` quotes are needed.

**Paths.** `~` is the home directory, and a relative path begins at the folder of the file. `model` is a path if it
begins with `/`, `~`, `./` or `../`, or if such a file or folder lies beside the configuration; otherwise it is a hub
name. `args`, `env` and `options` go to the engine as they are.

**What holds for a model.** What it says itself, else `defaults`, else what is built in: for `keep_alive` tier by tier,
for `replicas` key by key. A model with `keep_alive: auto` takes what is built in: running 5m, asleep 15m, parked 1h,
and snapshot, cached and cold forever.
"""

_SCALARS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    Any: "anything",
}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def markdown(engines: Mapping[str, type[BaseModel]]) -> str:
    """The whole reference, with the `options` of each engine."""
    parts = [_INTRODUCTION]
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts.append(_section(f"`{name}`", field.annotation))
    parts.append(_section("`replicas` in `defaults` and in a model", ReplicasConfig))
    parts.append(_section("Each of `models`", ModelConfig))
    parts.append(_section("Each of `warmup` in a model", WarmupRequest))
    for name, options in sorted(engines.items()):
        if options.model_fields:
            parts.append(_section(f"`options` of the engine `{name}`", options))
        for key, field in options.model_fields.items():
            parts += [_section(f"`{key}` in these options", shape) for shape in _models_in(field.annotation)]
    return "\n".join(parts)


def _section(title: str, shape: type[BaseModel]) -> str:
    hints = get_type_hints(shape, include_extras=True)
    lines = [f"## {title}", "", "| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in shape.model_fields.items():
        hint = hints[name]
        meaning = " ".join((field.description or "See below.").split()).replace("|", r"\|")
        lines.append(f"| `{name}` | {_words(hint)} | {_default(hint, field)} | {meaning} |")
    return "\n".join([*lines, ""])


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _words(hint: Any) -> str:
    return " or ".join(dict.fromkeys(_kinds(hint)))


def _kinds(hint: Any) -> Iterator[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint == Duration:
        yield "duration"
    elif hint == Size:
        yield "size"
    elif origin is Annotated:
        yield from _kinds(arguments[0])
    elif origin in (Union, UnionType):
        for part in arguments:
            yield from _kinds(part)
    elif origin is Literal:
        yield from (f"`{word}`" for word in arguments)
    elif origin is dict:
        yield f"mapping of {_words(arguments[0])} to {_words(arguments[1])}"
    elif origin is tuple and Ellipsis not in arguments:
        yield f"list of {len(arguments)}: {', '.join(map(_words, arguments))}"
    elif origin in (tuple, list):
        yield f"list of {_words(arguments[0])}"
    elif isinstance(hint, type) and issubclass(hint, StrEnum):
        yield hint.__name__.lower()
    elif isinstance(hint, type) and issubclass(hint, BaseModel):
        yield "mapping"
    elif hint is not NoneType:
        yield _SCALARS.get(hint, str(hint))  # pyright: ignore[reportUnknownArgumentType]


def _default(hint: Any, field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ({}, (), [], "") or isinstance(value, BaseModel):
        return "–"
    kinds = list(_kinds(hint))
    if "duration" in kinds and isinstance(value, float):
        return f"`{_duration(value)}`"
    if "size" in kinds and isinstance(value, int):
        return f"`{_size(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"  # pyright: ignore[reportUnknownArgumentType]
    return f"`{value}`"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "forever"
    unit, length = next(((u, n) for u, n in _UNITS if seconds >= n and seconds % n == 0), ("s", 1))
    return f"{seconds / length:g}{unit}"


def _size(size: int) -> str:
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)
