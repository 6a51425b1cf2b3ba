"""`args:` of a model as a command line."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast


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
