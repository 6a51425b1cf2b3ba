"""What an engine adapter is: how to start one engine program, know that it answers, and put it to sleep.

An adapter is stateless and does no I/O on the event loop except through the client it is handed. One file per engine,
one line in `registry.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from glowplug.config.models import ModelConfig

LOOPBACK = "127.0.0.1"
"""Where engines listen that share the network of the host."""

EVERYWHERE = "0.0.0.0"  # noqa: S104 - only ever inside a network namespace that has nothing but a loopback
"""Where engines listen that have a network of their own."""


class EngineError(Exception):
    """The engine cannot be used as configured. The text is one sentence for the user, with the remedy."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start.

    For one that gets private surroundings: `network` gives it a way out to other machines, and `kept_tmp` are names of
    directories in /tmp that it shares with later starts, because it looks there for what it has made before.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    cwd: Path | None = None
    network: bool = False
    kept_tmp: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to a running engine. `body` is JSON, or None for no body."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Run:
    """A program to run beside a running engine; exit status 0 means that it did what it was for."""

    argv: Sequence[str]


Step = Call | Run
"""One thing to do to an engine, or to ask it."""


@dataclass(frozen=True, slots=True)
class CanaryAnswer:
    """Tokens of the canary and their log-probabilities, as far as the engine tells them.

    `logprobs` is empty for engines that report none; otherwise one natural logarithm per token.
    `vector` is the answer of a model that gives numbers instead of tokens: an embedding, or the scores of a reranker.
    """

    tokens: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()
    vector: tuple[float, ...] = ()


class Engine(Protocol):
    """One engine program.

    Attributes:
        name: the word used in the configuration file.
        options: pydantic model of the `options:` mapping of a model with this engine.
    """

    name: ClassVar[str]
    options: ClassVar[type[BaseModel]]

    def check(self, model: ModelConfig) -> None:
        """Raise EngineError if the model cannot possibly start here: package, program or weights missing."""
        ...

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """The process that serves `model` under `name` (and its aliases) on `host`:`port`."""
        ...

    def version(self, model: ModelConfig) -> str | None:
        """The engine's version as its installation tells it, without starting it; None if nothing does."""
        ...

    def memory(self, model: ModelConfig) -> int:
        """Bytes of host RAM that a running replica is believed to hold, before it is measured."""
        ...

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """Local weight files, for the page cache and for telling `cached` from `cold`. Empty if unknown."""
        ...

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """Environment that keeps what the engine compiles while it starts below `folder`; empty if it compiles nothing.

        Without what the user has set already. Downloaded weights are no such cache. Raises EngineError.
        """
        ...

    def health(self, model: ModelConfig) -> Call:
        """A cheap call that answers 200 once the engine is worth asking for a real answer."""
        ...

    def canary(self, name: str, model: ModelConfig) -> Call:
        """The fixed greedy request. It must not depend on, or fill, a prompt cache."""
        ...

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """Tokens out of the parsed JSON answer to `canary`. Raises ValueError if it is no completion."""
        ...

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """The configured warm-up requests, in this engine's form."""
        ...

    def alive(self, name: str, model: ModelConfig, port: int) -> Step | None:
        """A cheap question that a healthy running engine answers (2xx, exit status 0); None to trust the process."""
        ...

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Step]:
        """Steps that let the running engine give back what it can, in order; empty if it cannot."""
        ...

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Step]:
        """Steps that undo `sleep`, in order."""
        ...

    def snapshottable(self, model: ModelConfig) -> str | None:
        """None if the process tree may be dumped to disk and restored, else why not."""
        ...

    def parkable(self, model: ModelConfig) -> str | None:
        """None if freezing the process tree is safe, else why not."""
        ...
