"""`args:` of a model as a command line."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from glowplug.engines.base import EngineError


def command_line(args: Mapping[str, Any]) -> list[str]:
    """Flags without dashes, and their values, as the words of a command line.

    `{"ctx-size": 2048}` becomes `--ctx-size 2048`. True gives the bare flag; False gives `--no-flag`, so that a wish
    to turn something off is never dropped silently: an engine without that flag refuses to start and says so. None
    leaves the flag out. A list repeats the flag, a mapping is written as JSON, and a one-letter flag gets one dash.
    """
    words: list[str] = []
    for flag, value in args.items():
        for item in _items(value):
            words += _flag(flag, item)
    return words


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return cast("Sequence[Any]", value)
    return () if value is None else (value,)


def _flag(flag: str, value: Any) -> list[str]:
    dashed = f"-{flag}" if len(flag) == 1 else f"--{flag}"
    if value is True:
        return [dashed]
    if value is False:
        return [f"--{flag.removeprefix('no-')}" if flag.startswith("no-") else f"--no-{flag}"]
    return [dashed, json.dumps(value) if isinstance(value, Mapping) else str(value)]


def argparse_line(args: Mapping[str, Any]) -> list[str]:
    """As `command_line`, but a list gives the flag once, followed by all its items.

    So servers built on argparse want it (`--cuda-graph-bs 1 2 4`): of a repeated flag they take the last.
    """
    words: list[str] = []
    for flag, value in args.items():
        if isinstance(value, list | tuple) and (items := _items(cast("Sequence[Any]", value))):
            words += [*_flag(flag, True), *(str(item) for item in items)]
        else:
            words += command_line({flag: value})
    return words


def given(args: Mapping[str, Any], flag: str) -> Any:
    """The value of a flag, written with dashes or underscores, or None."""
    return next((value for name, value in args.items() if spelled(name) == flag), None)


def spelled(flag: str) -> str:
    """A flag as documentation writes it: argparse servers take `max_model_len` for `max-model-len`."""
    return flag.replace("_", "-")


def refuse(args: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    """Raise EngineError for a flag that the adapter sets itself; `reasons` tells why, by the flag's name."""
    for flag in args:
        if (reason := reasons.get(spelled(flag))) is not None:
            raise EngineError(f'"{flag}" cannot be given in args: {reason}')


OURS: Mapping[str, str] = {
    "host": "engines listen on 127.0.0.1",
    "port": "Glowplug chooses it",
    "api-key": "Glowplug checks API keys itself: see server.api_keys_file",
    "ssl-keyfile": "Glowplug speaks plain HTTP with its engines",
    "ssl-certfile": "Glowplug speaks plain HTTP with its engines",
}
"""Flags that the adapters of most servers set, or that would lock Glowplug out."""
