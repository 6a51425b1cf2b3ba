"""Reads a `llama-server` command line into settings, and puts settings into xllamacpp's `CommonParams`.

Standard library only, as `llama_cpp_flags.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from glowplug.engines.llama_cpp_flags import ADVICE, FLAGS, OTHER_NAMES, SHORT_NAMES, Assignments, Flag
from glowplug.engines.llama_cpp_values import Lora, Member


class FlagError(Exception):
    """A flag is unknown or its value is. The text is one sentence for the user, with the remedy."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A flag, by its main name, and what it sets in CommonParams."""

    name: str
    flag: Flag
    assignments: Assignments


def long_name(flag: str) -> str:
    """The name that goes with two dashes, of a flag written without dashes."""
    spelled = flag.replace("_", "-")
    return SHORT_NAMES.get(spelled, spelled)


def main_name(flag: str) -> str:
    """The name in the table of a flag written without dashes, or the flag itself if it is not in the table."""
    spelled = long_name(flag)
    return OTHER_NAMES.get(spelled, spelled)


def read(words: Sequence[str]) -> list[Setting]:
    """The settings in a command line such as `--ctx-size 2048 --no-warmup`.

    Raises:
        FlagError: a flag is unknown, has no value, or has one that it cannot take.
    """
    return list(_settings(iter(words)))


def _settings(words: Iterator[str]) -> Iterator[Setting]:
    for word in words:
        if not word.startswith("-"):
            raise FlagError(f'"{word}" is not a flag of llama-server; flags begin with --')
        name = main_name(word.lstrip("-"))
        if name in FLAGS and FLAGS[name].switch:
            yield _setting(name, "true")
        elif name in FLAGS:
            if (text := next(words, None)) is None:
                raise FlagError(f'"{name}" needs a value')
            yield _setting(name, text)
        elif name not in ADVICE and _is_switch(positive := main_name(name.removeprefix("no-"))):
            yield _setting(positive, "false")
        else:
            raise FlagError(f'llama.cpp has no flag "{name}" here{_remedy(name)}')


def _is_switch(name: str) -> bool:
    return name in FLAGS and FLAGS[name].switch


def _setting(name: str, text: str) -> Setting:
    flag = FLAGS[name]
    try:
        return Setting(name, flag, flag.assign(text))
    except (ValueError, OSError) as error:
        raise FlagError(f'"{name}" cannot be "{text}": {error}') from error


def _remedy(name: str) -> str:
    if name in ADVICE:
        return f"; {ADVICE[name]}"
    from glowplug.config.suggest import remedy  # only for a mistake, to keep the server's start short

    return remedy(name, FLAGS)


def apply(settings: Sequence[Setting], params: Any, xllamacpp: Any) -> None:
    """Set them in a `CommonParams`. Lists of LoRA adapters and template values add up; anything else is replaced."""
    for setting in settings:
        for path, value in setting.assignments.items():
            owner, attribute = _resolve(params, path)
            setattr(owner, attribute, _native(getattr(owner, attribute), value, xllamacpp))
        if setting.flag.sampling:
            mark = xllamacpp.common_params_sampling_config[f"COMMON_PARAMS_SAMPLING_CONFIG_{setting.flag.sampling}"]
            params.sampling.user_sampling_config |= int(mark.value)


def _resolve(owner: Any, path: str) -> tuple[Any, str]:
    *parents, attribute = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, attribute


def _native(current: Any, value: object, xllamacpp: Any) -> Any:
    if isinstance(value, Member):
        return getattr(xllamacpp, value.enum)[value.name]
    if isinstance(value, dict):
        return {**current, **cast("dict[str, str]", value)}
    if isinstance(value, list):
        items = cast("list[object]", value)
        if items and isinstance(items[0], Lora):
            adapters = cast("list[Lora]", items)
            return [*current, *(xllamacpp.CommonAdapterLoraInfo(lora.path, lora.scale) for lora in adapters)]
        return [_native(None, item, xllamacpp) for item in items]
    return value
