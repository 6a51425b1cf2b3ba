"""A pretend engine for tests: no weights, no dependencies, and it fails on command."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.config.units import Duration, Size
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, Launch
from glowplug.engines.openai_api import completion_canary, completion_warmup, read_answer

_OWN_MEMORY = 48 * 1024**2  # resident size of the idle program

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class FakePhase(BaseModel):
    """A phase of the pretended start."""

    model_config = _FROZEN

    phase: str = Field(pattern="^[a-z_]+$", description="Name of the phase, as in a recorded cold start.")
    seconds: Duration = Field(description="How long it takes.")


class FakeOptions(BaseModel):
    """Settings under `options:` of a model with engine fake."""

    model_config = _FROZEN

    phases: tuple[FakePhase, ...] = Field(
        default=(), description="Phases of the start, in order; the port does not listen until they are over."
    )
    crash_at: Annotated[str, Field(pattern=r"^(start:[a-z_]+|request:\d+|token:\d+)$")] | None = Field(
        default=None,
        description="When to fail: in a phase of the start, on the Nth request (the canary counts), "
        "or after the Nth streamed token.",
    )
    crash_how: str = Field(
        default="exit:1",
        pattern=r"^(exit:\d+|signal:\d+|hang)$",
        description="How to fail: exit:CODE, signal:N or hang.",
    )
    answers_change_at: Annotated[str, Field(pattern=r"^(wake|request:\d+)$")] | None = Field(
        default=None,
        description="From when on other tokens come out: after SIGCONT or /wake_up, or on the Nth request.",
    )
    tokens: int = Field(default=16, ge=1, description="Tokens of an answer, if the request allows as many.")
    tokens_per_second: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Speed; without it as fast as possible. At 0 no token of a stream ever comes; all else at once.",
    )
    memory: Size = Field(default=0, description="Memory to hold, really allocated and touched.")
    keeps_memory_asleep: bool = Field(default=False, description="Whether /sleep fails to free that memory.")
    children: int = Field(default=0, ge=0, description="Child processes to start.")
    forking_child: bool = Field(default=False, description="Whether one more child keeps forking short-lived ones.")
    ignores_sigterm: bool = Field(default=False, description="Whether the processes ignore SIGTERM.")


class Fake:
    """Adapter for the pretend engine."""

    name: ClassVar[str] = "fake"
    options: ClassVar[type[BaseModel]] = FakeOptions

    def check(self, model: ModelConfig) -> None:
        """It needs nothing."""

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """The program with all its settings as one JSON argument."""
        settings = {**_options(model).model_dump(mode="json"), "name": name, "port": port, "host": host}
        argv = [sys.executable, "-P", "-m", "glowplug.engines.fake_server", json.dumps(settings)]
        return Launch(argv=argv, env=dict(model.env))

    def version(self, model: ModelConfig) -> str | None:
        """Unknown."""
        return None

    def memory(self, model: ModelConfig) -> int:
        """The configured memory and the program's own."""
        return _options(model).memory + _OWN_MEMORY

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """There are none."""
        return ()

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """There are none."""
        return {}

    def health(self, model: ModelConfig) -> Call:
        """Answered once all phases are over."""
        return Call("GET", "/health")

    def canary(self, name: str, model: ModelConfig) -> Call:
        """A completion of two tokens."""
        return completion_canary(name)

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """Tokens and log-probabilities."""
        return read_answer(answer)

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """Completions."""
        return completion_warmup(name, model.warmup)

    def alive(self, name: str, model: ModelConfig, port: int) -> Call | None:
        """The health call."""
        return Call("GET", "/health")

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """Frees the memory, as vLLM's sleep level 1."""
        return [Call("POST", "/sleep?level=1")]

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """Allocates the memory again."""
        return [Call("POST", "/wake_up")]

    def snapshottable(self, model: ModelConfig) -> str | None:
        """Dumping it is safe."""
        return None

    def parkable(self, model: ModelConfig) -> str | None:
        """Freezing it is safe."""
        return None


def _options(model: ModelConfig) -> FakeOptions:
    return FakeOptions.model_validate(model.options)
