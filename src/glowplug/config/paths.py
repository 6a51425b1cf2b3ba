"""Paths in the file: `~` is the home directory, and a relative path begins at the folder of the file.

So a configuration means the same wherever the server is started. `model` is a path only if it looks like one (it begins
with `/`, `~`, `./` or `../`) or if such a file or folder exists beside the configuration; otherwise it is a hub name
and left alone. `args`, `env` and `options` go to the engine as they are.
"""

from pathlib import Path
from typing import TypeVar

from glowplug.config.models import Config, ModelConfig

_PATH_STARTS = ("/", "~", "./", "../")

Shape = TypeVar("Shape", bound=Config)


def absolute(path: Path, folder: Path) -> Path:
    """`path` without `~` and not relative; what is relative begins at `folder`. A `~name` of nobody stays as it is."""
    try:
        path = path.expanduser()
    except RuntimeError:  # no such user, or no home directory: the one who opens the path reports it
        return folder / path
    return folder / path


def with_absolute_paths(config: Shape, folder: Path) -> Shape:
    """`config` with every path in it absolute."""
    folder = folder.absolute()
    keys = config.server.api_keys_file
    server = config.server.model_copy(update={"api_keys_file": absolute(keys, folder)}) if keys else config.server
    node = config.node.model_copy(update={"state_dir": absolute(config.node.state_dir, folder)})
    models = {name: _with_absolute_weights(model, folder) for name, model in config.models.items()}
    return config.model_copy(update={"server": server, "node": node, "models": models})


def _with_absolute_weights(model: ModelConfig, folder: Path) -> ModelConfig:
    if not model.model:
        return model
    path = absolute(Path(model.model), folder)
    if model.model.startswith(_PATH_STARTS) or _exists(path):
        return model.model_copy(update={"model": str(path)})
    return model


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # for example a name that is too long for a file
        return False
