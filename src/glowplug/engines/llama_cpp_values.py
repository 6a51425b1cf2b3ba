"""Turns the text of a `llama-server` flag into the value that xllamacpp's `CommonParams` takes. Standard library only.

Every parser raises ValueError with what to write instead.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

_MAX_DEVICES = 128  # length of the lists in CommonParams with one item per device
_DEFAULT_MARGIN = 1024  # MiB that --fit-target leaves free on devices it does not name

Parse = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of one of xllamacpp's enumerations, by name, so that a value can be checked without xllamacpp."""

    enum: str
    name: str


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA adapter and how strongly it is applied."""

    path: str
    scale: float = 1.0


def choice(enum: str, members: Mapping[str, str]) -> Parse:
    """A parser of words that stand for members of an enumeration."""

    def parse(text: str) -> Member:
        if text.lower() not in members:
            raise ValueError(f"use one of {', '.join(members)}")
        return Member(enum, members[text.lower()])

    return parse


def words(enum: str, prefix: str, *names: str) -> Parse:
    """A parser of words that are the members' names without their prefix, in lower case."""
    return choice(enum, {name: prefix + name.upper() for name in names})


def integer(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("use a whole number") from None


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("use a number") from None


def inverse(text: str) -> float:
    """One divided by a number."""
    if (divisor := number(text)) == 0:
        raise ValueError("use a number other than 0")
    return 1 / divisor


def seed(text: str) -> int:
    """A random seed; -1 is llama.cpp's word for a random one and is kept as an unsigned 32-bit number."""
    return integer(text) & 0xFFFFFFFF


def gpu_layers(text: str) -> int:
    """Layers to hold in GPU memory; llama.cpp writes `auto` as -1 and `all` as -2."""
    named = {"auto": -1, "all": -2}
    return named[text] if text in named else integer(text)


def true(text: str) -> bool:
    """A switch: whether it is on."""
    return text == "true"


def false(text: str) -> bool:
    """A switch whose attribute in CommonParams has the opposite meaning."""
    return text != "true"


def on_off(text: str) -> bool:
    """`on` or `off`."""
    if text not in ("on", "off"):
        raise ValueError("use one of on, off")
    return text == "on"


def comma_list(text: str) -> list[str]:
    """Texts with commas between them."""
    return text.split(",")


def comma_set(text: str) -> set[str]:
    """Texts with commas between them, without order."""
    return set(text.split(","))


def fractions(text: str) -> list[float]:
    """Parts of the model for each device, such as `3,1`."""
    given = [number(part) for part in text.split(",")]
    return (given + [0.0] * _MAX_DEVICES)[:_MAX_DEVICES]


def margins(text: str) -> list[int]:
    """Bytes to leave free on each device, from MiB; one number holds for all of them."""
    given = [integer(part) for part in text.split(",")]
    padding = given if len(given) == 1 else [_DEFAULT_MARGIN]
    return [mebibytes * 1024**2 for mebibytes in (given + padding * _MAX_DEVICES)[:_MAX_DEVICES]]


def file(text: str) -> str:
    """A file that exists."""
    if not Path(text).is_file():
        raise ValueError("use a file that exists")
    return text


def content(text: str) -> str:
    """What a file that exists says."""
    return Path(file(text)).read_text(encoding="utf-8")


def directory(text: str) -> str:
    """A directory that exists, with the slash at the end that llama.cpp expects."""
    if not Path(text).is_dir():
        raise ValueError("use a directory that exists")
    return text.rstrip("/") + "/"


def template_values(text: str) -> dict[str, str]:
    """Values for the chat template, from a JSON object; llama.cpp keeps each one as JSON text."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ValueError("use a JSON object")
    return {key: json.dumps(value) for key, value in cast("dict[str, object]", values).items()}


def loras(text: str) -> list[Lora]:
    """LoRA adapters, with commas between them."""
    return [Lora(file(path)) for path in text.split(",")]


def scaled_loras(text: str) -> list[Lora]:
    """LoRA adapters as FILE:SCALE, with commas between them."""
    pairs = [part.rpartition(":") for part in text.split(",")]
    if not all(path for path, _, _ in pairs):
        raise ValueError("use FILE:SCALE")
    return [Lora(file(path), number(scale)) for path, _, scale in pairs]
