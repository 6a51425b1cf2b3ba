"""What a process image depends on. It is restored only where all of it is as it was."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from glowplug.artifacts.digests import DigestError, Digests
from glowplug.checkpoint.criu_binary import Criu
from glowplug.checkpoint.machine import Machine, this_machine
from glowplug.checkpoint.sandbox_environment import ENGINE_NAMES, ENGINE_PREFIXES, environment_for_sandbox
from glowplug.coldstart.secrets import without_secrets
from glowplug.config.models import ModelConfig
from glowplug.engines.base import Engine, EngineError, Launch
from glowplug.inside import FOLDER
from glowplug.tiers.model_files import model_files
from glowplug.tiers.python_packages import distribution_records, interpreter_of

FORMAT = 1
"""Of sandboxes and of this identity. A change that images of before would not survive raises it."""


class IdentityError(Exception):
    """There is no identity. The text is one sentence for the user."""


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that must be the same, compared field by field (`identity_differences`).

    Attributes:
        format: `FORMAT`.
        model: the configured name.
        engine: the engine's name in the configuration.
        engine_version: as its installation tells it.
        programs: digests of the program and of the Python that runs it, by path.
        packages: digests of the records of all distributions that this Python has, by `name-version`.
        files: digests of the model's files (`model_files`) and of our own code in the processes, by path.
        arguments: the command line. In a sandbox host and port are the same for all.
        environment: what is configured, and what engines are known to read of what they are handed.
        directory: where the engine is started; None for the server's own.
        architecture, cpu_flags, kernel, page_size, driver, gpu: as in `checkpoint.machine.Machine`.
        criu: version.
    """

    format: int
    model: str
    engine: str
    engine_version: str | None
    programs: dict[str, str]
    packages: dict[str, str]
    files: dict[str, str]
    arguments: tuple[str, ...]
    environment: dict[str, str]
    directory: str | None
    architecture: str
    cpu_flags: tuple[str, ...]
    kernel: str
    page_size: int
    criu: str
    driver: str | None
    gpu: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, as a manifest holds them."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_json(cls, content: Any) -> "Identity":
        """Read strictly: an unknown, missing or mistyped field raises IdentityError."""
        try:
            return msgspec.convert(content, cls, strict=True)
        except msgspec.ValidationError as error:
            raise IdentityError(f"The identity of the snapshot cannot be read: {error}.") from error


def identity_of(
    name: str,
    model: ModelConfig,
    engine: Engine,
    launch: Launch,
    criu: Criu,
    digests: Digests,
    *,
    ours: Mapping[str, str] = os.environ,
    machine: Machine | None = None,
) -> Identity:
    """The identity of `model` as it would be started now, here. Reads files that are not known yet; blocking.

    Args:
        name: of the model.
        model: its configuration.
        engine: its adapter.
        launch: how it is started in a sandbox, where host and port never differ.
        criu: what dumps and restores it.
        digests: of files.
        ours: the server's environment, of which the engine gets its part.
        machine: None for this one.

    Raises:
        IdentityError: a file cannot be read, or the engine is not here.
    """
    machine = machine or this_machine()
    env = environment_for_sandbox(ours, launch.env)
    home = Path(env["HOME"]) if "HOME" in env else None
    search_path = env.get("PATH", os.defpath)
    programs = dict.fromkeys([_program(launch, search_path)])
    records: dict[str, Path] = {}
    for program, interpreter in _interpreted([*programs, *_named(launch)], search_path):
        programs |= {program: None, interpreter: None}
        records = {**distribution_records(interpreter, home), **records}
    try:
        named = model_files(engine.weights(model), launch)
        files = [path for path in (*named, *_ours_within(env)) if path not in programs]
        known = digests.file_digests([*programs, *records.values(), *files])
        version = engine.version(model)
    except (DigestError, EngineError) as error:
        raise IdentityError(str(error)) from error
    return Identity(
        format=FORMAT,
        model=name,
        engine=engine.name,
        engine_version=version,
        programs={str(path): known[path] for path in programs},
        packages={package: known[path] for package, path in sorted(records.items())},
        files={str(path): known[path] for path in files},
        arguments=tuple(without_secrets(word) for word in launch.argv),
        environment={key: env[key] for key in sorted(env) if _matters(key, model, launch)},
        directory=None if launch.cwd is None else str(launch.cwd),
        architecture=machine.architecture,
        cpu_flags=tuple(sorted(machine.cpu_flags)),
        kernel=machine.kernel,
        page_size=machine.page_size,
        criu=criu.version_text,
        driver=machine.driver,
        gpu=machine.gpu,
    )


def _program(launch: Launch, search_path: str) -> Path:
    program = launch.argv[0]
    found = str((launch.cwd or Path.cwd()) / program) if "/" in program else shutil.which(program, path=search_path)
    if found is None:
        raise IdentityError(f"The program {program} was not found; install it.")
    return Path(found)


def _named(launch: Launch) -> Iterator[Path]:
    """Programs that the program is to start, as in `numactl -N 0 /opt/engine/bin/serve`."""
    for word in launch.argv[1:]:
        if "/" in word and not word.startswith("-"):
            path = (launch.cwd or Path.cwd()) / word
            if os.access(path, os.X_OK) and path.is_file():
                yield path


def _interpreted(programs: Sequence[Path], search_path: str) -> Iterator[tuple[Path, Path]]:
    """Those of the programs that a Python runs, each with it."""
    for program in programs:
        if (interpreter := interpreter_of(program, search_path)) is not None:
            yield program, interpreter


def _ours_within(env: Mapping[str, str]) -> Sequence[Path]:
    """Our modules, if the engine's processes run them: the hooks in an image are those of when it was made."""
    if str(FOLDER) not in env.get("PYTHONPATH", "").split(os.pathsep):
        return ()
    return sorted(FOLDER.rglob("*.py"))


def _matters(name: str, model: ModelConfig, launch: Launch) -> bool:
    """The PATH that adapters add to the server's differs from login to login, and nothing is looked up in it again."""
    if name == "PATH":
        return name in model.env
    return name in launch.env or name in ENGINE_NAMES or name.startswith(ENGINE_PREFIXES)
