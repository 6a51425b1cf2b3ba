"""What compiled code depends on, looked up on this machine. Reads a few megabytes: not for the event loop."""

import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from glowplug.checkpoint.machine import this_machine
from glowplug.config.models import ModelConfig
from glowplug.engines.base import Engine, Launch
from glowplug.engines.installed import package_folders
from glowplug.tiers.cache_key import CacheFacts

_COMPILERS = ("torch", "triton", "pytorch-triton", "flashinfer-python", "apache-tvm-ffi", "numba", "tilelang")
"""Distributions that compile, beside the engine's own."""


def cache_facts(engine: Engine, model: ModelConfig, launch: Launch) -> CacheFacts:
    """The facts of a model that is started so. Raises EngineError."""
    machine = this_machine()
    return CacheFacts(
        engine=engine.name,
        version=engine.version(model),
        packages=_packages(Path(launch.argv[0]), (engine.name, f"{engine.name}-cpu", *_COMPILERS)),
        machine={
            "architecture": machine.architecture,
            "cpu": " ".join(sorted(machine.cpu_flags)),
            "gpu": machine.gpu or "",
            "driver": machine.driver or "",
        },
        model=model.model,
        arguments=model.args,
        environment=model.env,
    )


def _packages(program: Path, names: tuple[str, ...]) -> Mapping[str, str]:
    """Those installed beside `program`: version, and a digest of the list of their files and those files' digests."""
    folders = [str(folder) for folder in package_folders(program)]
    found: dict[str, str] = {}
    for name in names if folders else ():
        for distribution in importlib.metadata.distributions(name=name, path=folders):
            contents = (distribution.read_text("RECORD") or "").encode()
            found[name] = f"{distribution.version} {hashlib.sha256(contents).hexdigest()}"
    return found
