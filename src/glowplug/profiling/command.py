"""What the command line of an engine tells: where it will listen, and under which name it serves its model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

_PORT = re.compile(r"\d{1,5}")
_ELSEWHERE = frozenset({"docker", "podman", "nerdctl", "kubectl", "srun", "ssh", "oc", "ray"})
_WILDCARDS = frozenset({"", "0.0.0.0", "::", "[::]", "*"})  # noqa: S104 - compared with, not bound
_DEFAULTS = (
    (re.compile(r"sglang"), 30000),
    (re.compile(r"lmdeploy"), 23333),
    (re.compile(r"llama-server|llama_cpp|llama\.cpp"), 8080),
    (re.compile(r"text-generation-launcher"), 3000),
    (re.compile(r"vllm|transformers"), 8000),
)
"""Ports that engines listen on if nobody names one, by what their commands contain."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What `argv` says.

    Attributes:
        address: where the server can be reached from here, as a base URL, or None.
        stated: whether `address` stands in the command; otherwise it is the default of the engine.
        model: name by which to ask for the model, or None.
        serves_any: whether the engine loads whatever model is asked for, so that `model` counts, and not its list.
        elsewhere: program that runs the engine outside the process tree of this command, such as `docker`; or None.
    """

    address: str | None
    stated: bool
    model: str | None
    serves_any: bool
    elsewhere: str | None


def read_command(argv: Sequence[str], env: Mapping[str, str]) -> CommandLine:
    """Read the command line of an engine as far as it says something."""
    program = PurePath(argv[0]).name
    port, stated = _port(argv, env)
    host = _option(argv, "--host") or _option(argv, "--server-name") or _option(argv, "--hostname") or ""
    return CommandLine(
        address=None if port is None else f"http://{_reachable(host)}:{port}",
        stated=stated,
        model=_model(argv),
        serves_any=_serves_any(argv),
        elsewhere=program if program in _ELSEWHERE else None,
    )


def _port(argv: Sequence[str], env: Mapping[str, str]) -> tuple[int | None, bool]:
    for text in (_option(argv, "--port"), _option(argv, "--server-port")):
        if text is not None and _PORT.fullmatch(text) and 0 < int(text) < 65536:
            return int(text), True
    for name in ("LLAMA_ARG_PORT", "PORT"):
        if _PORT.fullmatch(text := env.get(name, "")) and any(word in " ".join(argv) for word in _USERS_OF[name]):
            return int(text), True
    words = " ".join(argv[:4])  # the program, and what a Python or a shell is told to run
    return next((port for pattern, port in _DEFAULTS if pattern.search(words)), None), False


_USERS_OF = {"LLAMA_ARG_PORT": ("llama",), "PORT": ("text-generation-launcher",)}


def _model(argv: Sequence[str]) -> str | None:
    for name in ("--served-model-name", "--alias", "--model-name"):
        if value := _option(argv, name):
            return value
    return _option(argv, "--force-model") or _after(argv, "serve") if _serves_any(argv) else None


def _serves_any(argv: Sequence[str]) -> bool:
    """`transformers serve`, as a program or a module."""
    if "serve" not in argv:
        return False
    return any(PurePath(word).name == "transformers" for word in argv[: argv.index("serve")])


def _after(argv: Sequence[str], word: str) -> str | None:
    """The argument right after a subcommand, if it is no option."""
    if word not in argv[:-1]:
        return None
    value = argv[argv.index(word) + 1]
    return None if value.startswith("-") else value


def _option(argv: Sequence[str], name: str) -> str | None:
    """The last value of an option in the forms `--name value` and `--name=value`."""
    found = None
    for position, word in enumerate(argv):
        if word == name and position + 1 < len(argv):
            found = argv[position + 1]
        elif word.startswith(f"{name}="):
            found = word.removeprefix(f"{name}=")
    return found


def _reachable(host: str) -> str:
    """The address under which a server that listens on `host` is reached from this machine."""
    if host in _WILDCARDS:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
