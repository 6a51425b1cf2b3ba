"""From a file to a `Config`, or to everything that is wrong with it at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from glowplug.config.checks import check
from glowplug.config.document import Document, read_document
from glowplug.config.errors import ConfigError, Problem
from glowplug.config.models import Config
from glowplug.config.paths import with_absolute_paths
from glowplug.config.validation import validate

_MISSING = "write one, or begin with: glowplug config example > glowplug.yaml"

Shape = TypeVar("Shape", bound=Config)


def load(path: Path, engines: Mapping[str, type[BaseModel]], environment: Mapping[str, str] | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: the YAML file.
        engines: the known engines, each with the model of its `options`.
        environment: variables for `${NAME}`; the process's own if None.

    Raises:
        ConfigError: the file cannot be used; it holds every problem with line and column.
    """
    return load_as(Config, path, engines, environment)


def load_as(
    shape: type[Shape],
    path: Path,
    engines: Mapping[str, type[BaseModel]],
    environment: Mapping[str, str] | None = None,
) -> Shape:
    """As `load`, for files with more keys than a configuration has: `shape` adds them to `Config`."""
    document = read_document(path, os.environ if environment is None else environment, missing=_MISSING)
    if document.data is None and not document.problems:
        raise ConfigError([Problem(document.file, None, 'the file is empty; it needs at least one model in "models"')])
    _keep_environment_text(document)
    config = validate(document, shape, document.data)
    check(document, engines)
    if config is None or document.problems:
        raise ConfigError(document.problems)
    return with_absolute_paths(config, path.parent)


def _keep_environment_text(document: Document) -> None:
    """Environment variables are text: `OMP_NUM_THREADS: 4` and `FLAG: true` mean what is written, without quotes."""
    models = document.data.get("models") if isinstance(document.data, dict) else None
    for name, model in models.items() if isinstance(models, dict) else ():
        env = model.get("env") if isinstance(model, dict) else None
        for variable, value in env.items() if isinstance(env, dict) else ():
            if isinstance(env, dict) and isinstance(value, bool | int | float):
                env[variable] = document.texts["models", name, "env", variable]
