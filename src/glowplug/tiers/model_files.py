"""Which files on this machine decide what an engine answers: weights, configuration, tokenizer, adapters, templates."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from glowplug.engines.base import Launch

_MARKS = ("config.json", "params.json", "adapter_config.json", "tokenizer_config.json", "tokenizer.json")
"""Each makes a directory that of a model, of an adapter or of a tokenizer."""

_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack")
_NOT_READ = (".md", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".gitattributes", ".log", ".lock")
"""Endings of what lies beside a model for people."""


def model_files(weights: Sequence[Path], launch: Launch) -> Sequence[Path]:
    """The weights, all that lies beside them in a directory in Hugging Face form, and what the command line names.

    What it names are files and such directories too: adapters, a tokenizer, a chat template, a server's own script.
    The program is not among them, nor are files named by an option for logs. Absolute paths, each once.
    """
    found = dict.fromkeys(path.absolute() for path in weights)
    for folder in dict.fromkeys(path.parent for path in found if path.suffix != ".gguf"):  # a GGUF has all in it
        if _is_model(folder):
            found |= dict.fromkeys(_files_in(folder))
    for path in _named(launch):
        if path.is_file():
            found[path] = None
        elif _is_model(path):
            found |= dict.fromkeys(_files_in(path))
    return list(found)


def _is_model(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in _MARKS)


def _files_in(folder: Path) -> Iterator[Path]:
    """Of sub-folders only what is not weights: they hold the same model in another form (`original/`, `onnx/`)."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            unread = name.startswith(".") or name.lower().endswith(_NOT_READ)
            if not unread and (Path(parent) == folder or not name.endswith(_WEIGHTS)):
                yield Path(parent) / name


def _named(launch: Launch) -> Iterator[Path]:
    """What could be paths on the command line, absolute."""
    cwd = launch.cwd or Path.cwd()
    option = ""
    for word in launch.argv[1:]:
        name, has_value, value = word.partition("=") if word.startswith("-") else (option, "=", word)
        option = "" if has_value else name
        if not has_value or _is_for_logs(name):
            continue
        for text in _texts(value):
            with suppress(OSError, ValueError, RuntimeError):  # too long for a path, a zero byte, the ~ of nobody
                path = cwd / Path(text).expanduser()
                if path.exists():
                    yield path


def _is_for_logs(option: str) -> bool:
    return "log" in option.replace("_", "-").split("-")


def _texts(word: str) -> Iterable[str]:
    """The word itself, what follows `name=`, the items of a list, and the texts in JSON."""
    if word.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            return list(_strings(json.loads(word)))
    parts = word.split(",")
    return dict.fromkeys([word, *parts, *(part.partition("=")[2] for part in parts)]).keys() - {""}


def _strings(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for item in cast("dict[str, Any]", content).values():
            yield from _strings(item)
    elif isinstance(content, list):
        for item in cast("list[Any]", content):
            yield from _strings(item)
