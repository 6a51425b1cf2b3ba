"""Any server that speaks the OpenAI API, given as a command line."""

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.engines.arguments import command_line
from glowplug.engines.base import Call, CanaryAnswer, EngineError, Launch
from glowplug.engines.openai_api import (
    chat_canary,
    chat_warmup,
    completion_canary,
    completion_warmup,
    embeddings_canary,
    embeddings_warmup,
    read_answer,
)
from glowplug.engines.weights import WORKING_SPACE, local_weights, total_size

_PLACEHOLDER = re.compile(r"\{(port|model|name)\}")
_CALL = re.compile(r"(?P<method>GET|POST|PUT|DELETE|PATCH) +(?P<path>/\S*)(?: +(?P<body>\S.*))?", re.DOTALL)


def _split(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


def _a_call(text: str) -> str:
    parse_call(text)
    return text


def parse_call(text: str) -> Call:
    """`POST /sleep?level=1` or `POST /wake {"tags": ["weights"]}` as a call. Raises ValueError."""
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not an HTTP call; write a method and a path, such as POST /sleep?level=1')
    try:
        body = json.loads(match["body"]) if match["body"] else None
    except ValueError:
        raise ValueError(f'what follows the path in "{text}" is not JSON') from None
    return Call(match["method"], match["path"], body)


HttpCall = Annotated[str, AfterValidator(_a_call)]


class CommandOptions(BaseModel):
    """Settings under `options:` of a model with engine command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        min_length=1,
        description="The command line, or its words. {port}, {model} and {name} are filled in; no shell is involved.",
    )
    cwd: Path | None = Field(default=None, description="Working directory of the server.")
    health: str = Field(
        default="/health", pattern="^/", description="Path that answers 200 once the server has loaded."
    )
    canary: Literal["completions", "chat", "embeddings", "off"] = Field(
        default="completions",
        description="The API that readiness and wakes are checked with; off: listing the models must do.",
    )
    alive: HttpCall | Literal["health", "off"] = Field(
        default="health", description="HTTP call that a healthy server answers with 2xx; off: trust the process."
    )
    sleep: tuple[HttpCall, ...] = Field(default=(), description="HTTP calls that put the server to sleep, in order.")
    wake: tuple[HttpCall, ...] = Field(default=(), description="HTTP calls that undo `sleep`, in order.")


class Command:
    """Adapter for servers given as a command line."""

    name: ClassVar[str] = "command"
    options: ClassVar[type[BaseModel]] = CommandOptions

    def check(self, model: ModelConfig) -> None:
        """Look for the program, the working directory and the placeholders' values."""
        options = _options(model)
        if model.model is None and any("{model}" in word for word in options.run):
            raise EngineError("options.run contains {model}, but `model:` is missing; add it")
        if not any("{port}" in word for word in [*options.run, *model.env.values(), *map(str, model.args.values())]):
            raise EngineError("options.run does not contain {port}; add it where the server takes its port")
        if options.cwd is not None and not options.cwd.expanduser().is_dir():
            raise EngineError(f"the working directory {options.cwd} does not exist; create it, or correct options.cwd")
        program = _fill(options.run[0], "", model, 0)
        at = str(_cwd(options) / Path(program).expanduser()) if "/" in program else program
        if shutil.which(at, path=model.env.get("PATH")) is None:
            raise EngineError(f"the program {program} was not found; install it, or give its full path in options.run")
        if bool(options.sleep) != bool(options.wake):
            raise EngineError("options.sleep and options.wake go together; give both or neither")

    def launch(self, name: str, model: ModelConfig, port: int) -> Launch:
        """The command line with its placeholders filled in, followed by `args`."""
        options = _options(model)
        words = [*options.run, *command_line(model.args)]
        program, *rest = (_fill(word, name, model, port) for word in words)
        return Launch(
            argv=[str(Path(program).expanduser()), *rest],
            env={key: _fill(value, name, model, port) for key, value in model.env.items()},
            cwd=options.cwd.expanduser() if options.cwd is not None else None,
        )

    def memory(self, model: ModelConfig) -> int:
        """Local weights with a fifth for caches, and working space."""
        return total_size(self.weights(model)) * 6 // 5 + WORKING_SPACE

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """The files behind `model:` if it is a path."""
        return local_weights(model.model)

    def health(self, model: ModelConfig) -> Call:
        """The configured path."""
        return Call("GET", _options(model).health)

    def canary(self, name: str, model: ModelConfig) -> Call:
        """A request of the configured kind. `off` asks for the list of models, which shows only that HTTP works."""
        match _options(model).canary:
            case "completions":
                return completion_canary(name)
            case "chat":
                return chat_canary(name)
            case "embeddings":
                return embeddings_canary(name)
            case "off":
                return Call("GET", "/v1/models")

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """Tokens and log-probabilities, an embedding, or names of models."""
        return read_answer(answer)

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """Requests to the same API as the canary; completions if that is off."""
        match _options(model).canary:
            case "chat":
                return chat_warmup(name, model.warmup)
            case "embeddings":
                return embeddings_warmup(name, model.warmup)
            case _:
                return completion_warmup(name, model.warmup)

    def alive(self, model: ModelConfig) -> Call | None:
        """The configured call; without one, the health path."""
        alive = _options(model).alive
        if alive == "off":
            return None
        return self.health(model) if alive == "health" else parse_call(alive)

    def sleep(self, model: ModelConfig) -> Sequence[Call]:
        """The configured calls."""
        return [parse_call(text) for text in _options(model).sleep]

    def wake(self, model: ModelConfig) -> Sequence[Call]:
        """The configured calls."""
        return [parse_call(text) for text in _options(model).wake]

    def parkable(self, model: ModelConfig) -> str | None:
        """Freezing is verified on the process tree, whatever it is."""
        return None


def _options(model: ModelConfig) -> CommandOptions:
    return CommandOptions.model_validate(model.options)


def _cwd(options: CommandOptions) -> Path:
    return options.cwd.expanduser() if options.cwd is not None else Path.cwd()


def _fill(text: str, name: str, model: ModelConfig, port: int) -> str:
    """Fill in the placeholders; other braces, as in JSON, are left alone."""
    values = {"port": str(port), "model": model.model or "", "name": name}
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
