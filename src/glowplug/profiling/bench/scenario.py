"""A scenario: one model on one start path, and everything that its numbers depend on."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from glowplug.config.models import ModelConfig
from glowplug.config.resolve import start_timeout_of
from glowplug.config.suggest import remedy
from glowplug.profiling.bench.bench_file import BenchFile, RequestSection
from glowplug.profiling.bench.paths import StartPath, parse_path

_SECRET = re.compile(r"(^|[-_])(api[-_]?key|key|token|secret|password|credentials?)$", re.IGNORECASE)
_HIDDEN = "(hidden)"

DEFAULT_WARMUP = {"prompt": "Hello", "max_tokens": 16}
"""Sent on a path with warm-up if the model names no warm-up requests of its own."""


class UnknownModel(ValueError):
    """There is no such model in the bench file. The text is one sentence with the nearest name."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is measured `repeats` times. `name` is `MODEL/PATH`; times are in seconds."""

    model: str
    config: ModelConfig
    path: StartPath
    request: RequestSection
    repeats: int
    start_timeout: float
    idle: float
    page_cache: str

    @property
    def name(self) -> str:
        """The name under which its results stand."""
        return f"{self.model}/{self.path.name}"

    @property
    def warmup(self) -> Sequence[Mapping[str, Any]]:
        """The warm-up requests, as in the configuration file."""
        if not self.path.warmup:
            return ()
        return [request.model_dump() for request in self.config.warmup] or [DEFAULT_WARMUP]

    def definition(self) -> dict[str, Any]:
        """Everything that makes two repeats comparable, as JSON, without secrets. The number of repeats does not."""
        config = self.config.model_dump(mode="json", include={"engine", "model", "args", "env", "options"})
        return {
            "model": self.model,
            "path": self.path.name,
            "config": _without_secrets(config),
            "warmup": list(self.warmup),
            "request": self.request.model_dump(mode="json"),
            "idle": self.idle if self.path.tier is not None else 0.0,
            "page_cache": self.page_cache,
        }


def scenarios(
    file: BenchFile, *, paths: Sequence[str] | None, repeats: int | None, only: Collection[str]
) -> list[Scenario]:
    """All scenarios of a file, in its order.

    Args:
        file: the bench file.
        paths: start paths instead of those in the file, for every model.
        repeats: repeats instead of those in the file, for every model.
        only: models to keep; empty for all.

    Raises:
        UnknownPath: there is no start path of that name.
        UnknownModel: `only` names a model that is not in the file.
    """
    for name in only:
        if name not in file.models:
            raise UnknownModel(f'there is no model "{name}" in the bench file{remedy(name, file.models)}')
    found: list[Scenario] = []
    for name, config in file.models.items():
        if only and name not in only:
            continue
        own = file.bench.models.get(name)
        names = paths or (own.paths if own and own.paths else file.bench.paths)
        found += [
            Scenario(
                model=name,
                config=config,
                path=parse_path(path),
                request=file.bench.request,
                repeats=repeats or file.bench.repeats_of(name, path),
                start_timeout=start_timeout_of(file, config),
                idle=file.bench.idle,
                page_cache=file.bench.page_cache,
            )
            for path in dict.fromkeys(names)
        ]
    return found


def _without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(inner, key) for key, inner in cast("Mapping[str, Any]", value).items()}
    return _HIDDEN if isinstance(value, str) and _SECRET.search(name) else value
