"""Compiled Python of an engine's packages, kept in a folder where it cannot be kept beside the sources.

Python compiles a module when it is first imported and puts the result beside the source. Where the packages may not be
written, or PYTHONDONTWRITEBYTECODE is set as in many container images, and nobody has compiled them, every start
compiles all of them anew: 9 s of 47 for vLLM.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from glowplug.engines.installed import package_folders

_OFF = "PYTHONDONTWRITEBYTECODE"
_PLACE = "PYTHONPYCACHEPREFIX"


def below(folder: Path, program: Path, package: str, model_env: Mapping[str, str]) -> Mapping[str, str]:
    """Environment that keeps compiled Python below `folder`; empty where it is there already, or gets there by itself.

    Args:
        folder: where to keep it.
        program: of the engine.
        package: the engine's own, by which the others are judged.
        model_env: what the user has set; whoever sets either of the variables there has decided.
    """
    sources = [path / package for path in package_folders(program)]
    source = next((path for path in sources if (path / "__init__.py").is_file()), None)
    if source is None or _OFF in model_env or _PLACE in model_env or os.environ.get(_PLACE):
        return {}
    compiled = any((source / "__pycache__").glob("__init__.*.pyc"))
    if compiled or (os.access(source, os.W_OK) and not os.environ.get(_OFF)):
        return {}
    return {_PLACE: str(folder / "bytecode"), _OFF: ""}
