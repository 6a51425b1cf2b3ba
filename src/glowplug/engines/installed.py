"""Where the program of an engine is installed."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from glowplug import inside
from glowplug.config.models import ModelConfig
from glowplug.engines.base import EngineError

SERVER_DESCRIPTION = (
    "Path of the program, or auto: the one beside the Python that runs Glowplug, else on the PATH, "
    "else in .engines under the working directory."
)


def find(program: str, server: str, model: ModelConfig, install: str) -> Path:
    """The program to start, as an absolute path.

    Args:
        program: its name, for example `vllm`.
        server: `options.server` of the model: a path, or auto.
        model: whose `env` may set another PATH.
        install: what to run to have it, for the error message.

    Raises:
        EngineError: it is not there, or cannot be executed.
    """
    if server != "auto":
        if (found := shutil.which(str(Path(server).expanduser()), path=_search_path(model))) is None:
            raise EngineError(f"the program {server} was not found; install it, or correct options.server")
        return Path(found).absolute()
    beside, in_engines = Path(sys.executable).parent, Path(".engines") / program / "bin"
    for path in (str(beside), _search_path(model), str(in_engines.absolute())):
        if (found := shutil.which(program, path=path)) is not None:
            return Path(found).absolute()
    raise EngineError(f"the program {program} was not found; run: {install}, or give its path in options.server")


def version_of(program: Path, package: str) -> str | None:
    """The version of the Python package that brought `program`, by the metadata beside it; None if there is none."""
    folders = [str(path) for path in package_folders(program)]
    for found in importlib.metadata.distributions(name=package, path=folders):
        return found.version
    return None


def package_folders(program: Path) -> Sequence[Path]:
    """The folders of Python packages that belong to `program`."""
    return sorted(program.resolve().parent.parent.glob("lib/python3*/*-packages"))


def environment(program: Path, model: ModelConfig, shims: Sequence[str] = ()) -> Mapping[str, str]:
    """The model's `env`, with a PATH that begins at the program's folder.

    That is what activating its virtual environment does: engines compile kernels with tools (ninja) that are
    installed beside them, and find them by name.

    `shims` are modules of `inside/glowplug_shims` for the program's Python processes; whoever sets the variable that
    names them in the model's `env` has decided.
    """
    env = {**model.env, "PATH": os.pathsep.join([str(program.parent), _search_path(model)])}
    if not shims or inside.SHIMS in model.env:
        return env
    inherited = {"PYTHONPATH": path} if (path := os.environ.get("PYTHONPATH")) else {}
    return inside.environment({**inherited, **env}, shims=shims)


def _search_path(model: ModelConfig) -> str:
    return model.env.get("PATH") or os.environ.get("PATH") or os.defpath
