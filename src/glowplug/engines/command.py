"""Any server that speaks the OpenAI API, given as a command line."""

import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.engines.accelerators import DUMPED_GPU, has_gpu
from glowplug.engines.arguments import command_line
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, EngineError, Launch, Run, Step
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

_PLACEHOLDER = re.compile(r"\{(port|host|model|name)\}")
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
_CALL = re.compile(rf"(?P<method>{'|'.join(_METHODS)}) +(?P<path>/\S*)(?: +(?P<body>\S.*))?", re.DOTALL)


def _split(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


def parse_step(text: str) -> Step:
    """`POST /sleep?level=1` or `POST /wake {"tags": ["weights"]}` as a call, anything else as a command line.

    Raises:
        ValueError: it begins like a call and is none, or is no command line.
    """
    if text.split(" ")[0] not in _METHODS:
        if not (words := shlex.split(text)):
            raise ValueError("an empty command line does nothing; leave it out")
        return Run(words)
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not an HTTP call; write a method and a path, such as POST /sleep?level=1')
    try:
        body = json.loads(match["body"]) if match["body"] else None
    except ValueError:
        raise ValueError(f'what follows the path in "{text}" is not JSON') from None
    return Call(match["method"], match["path"], body)


def _a_step(text: str) -> str:
    parse_step(text)
    return text


Line = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[str, ...], Field(min_length=1)]
StepText = Annotated[str, AfterValidator(_a_step)]


class CommandOptions(BaseModel):
    """Settings under `options:` of a model with engine command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Annotated[Words, BeforeValidator(_split, json_schema_input_type=Line | Words)] = Field(
        description="The command line, or its words. {port}, {host}, {model} and {name} are filled in; "
        "no shell is involved.",
    )
    cwd: Path | None = Field(default=None, description="Working directory of the server.")
    health: str = Field(
        default="/health", pattern="^/", description="Path that answers 200 once the server has loaded."
    )
    canary: Literal["completions", "chat", "embeddings", "off"] = Field(
        default="completions",
        description="The API that readiness and wakes are checked with; off: listing the models must do.",
    )
    alive: StepText = Field(
        default="health",
        description="What a healthy server answers: an HTTP call such as GET /live, or a command line that exits "
        "with 0; health: the health path; off: trust the process.",
    )
    rest: tuple[StepText, ...] = Field(
        default=(),
        description="HTTP calls or command lines that let the server give back what it can, before it is parked.",
    )
    wake: tuple[StepText, ...] = Field(default=(), description="HTTP calls or command lines that undo `rest`.")


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
        if bool(options.rest) != bool(options.wake):
            raise EngineError("options.rest and options.wake go together; give both or neither")

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """The command line with its placeholders filled in, followed by `args`."""
        options = _options(model)
        words = [*options.run, *command_line(model.args)]
        program, *rest = (_fill(word, name, model, port, host) for word in words)
        return Launch(
            argv=[str(Path(program).expanduser()), *rest],
            env={key: _fill(value, name, model, port, host) for key, value in model.env.items()},
            cwd=options.cwd.expanduser() if options.cwd is not None else None,
        )

    def version(self, model: ModelConfig) -> str | None:
        """Unknown."""
        return None

    def memory(self, model: ModelConfig) -> int:
        """Local weights with a fifth for caches, and working space."""
        return total_size(self.weights(model)) * 6 // 5 + WORKING_SPACE

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """The files behind `model:` if it is a path."""
        return local_weights(model.model)

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """None that is known; `env` of the model may name them."""
        return {}

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

    def alive(self, name: str, model: ModelConfig, port: int) -> Step | None:
        """The configured question; without one, the health path."""
        alive = _options(model).alive
        if alive == "off":
            return None
        return self.health(model) if alive == "health" else _step(alive, name, model, port)

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Step]:
        """The configured steps."""
        return [_step(text, name, model, port) for text in _options(model).rest]

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Step]:
        """The configured steps."""
        return [_step(text, name, model, port) for text in _options(model).wake]

    def snapshottable(self, model: ModelConfig) -> str | None:
        """Whatever it is, it has to listen where it is told to, and to be told what to do without a command line."""
        options = _options(model)
        if has_gpu():
            return DUMPED_GPU
        if not any("{host}" in word for word in [*options.run, *model.env.values(), *map(str, model.args.values())]):
            return "options.run does not contain {host}; add it where the server takes the address to listen on"
        steps = [options.alive] if options.alive not in ("health", "off") else []
        if any(isinstance(parse_step(text), Run) for text in [*steps, *options.rest, *options.wake]):
            return "its command lines (options.alive, rest, wake) do not reach into a sandbox; use HTTP calls"
        return None

    def parkable(self, model: ModelConfig) -> str | None:
        """Freezing is verified on the process tree, whatever it is."""
        return None


def _options(model: ModelConfig) -> CommandOptions:
    return CommandOptions.model_validate(model.options)


def _step(text: str, name: str, model: ModelConfig, port: int) -> Step:
    step = parse_step(text)
    return Run([_fill(word, name, model, port) for word in step.argv]) if isinstance(step, Run) else step


def _cwd(options: CommandOptions) -> Path:
    return options.cwd.expanduser() if options.cwd is not None else Path.cwd()


def _fill(text: str, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> str:
    """Fill in the placeholders; other braces, as in JSON, are left alone."""
    values = {"port": str(port), "host": host, "model": model.model or "", "name": name}
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
