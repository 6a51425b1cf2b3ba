"""Engines with made-up options, and a way to load a text as a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from glowplug.config.errors import ConfigError
from glowplug.config.loader import load
from glowplug.config.models import Config


class NoOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HealthOptions(NoOptions):
    path: str = "/health"
    status: int = Field(default=200, ge=100)


class CommandOptions(NoOptions):
    command: list[str] | str = Field(description="Command line.")
    health: HealthOptions = HealthOptions()


ENGINES: Mapping[str, type[BaseModel]] = {"llama.cpp": NoOptions, "vllm": NoOptions, "command": CommandOptions}

LoadText = Callable[..., Config]


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    def load_text(text: str | bytes, **environment: str) -> Config:
        file = tmp_path / "glowplug.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file, ENGINES, environment)

    return load_text


@pytest.fixture
def complaints(load_text: LoadText) -> Callable[..., list[str]]:
    """The problems of a text as `line:column: message`, without the file."""

    def complaints(text: str | bytes, **environment: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environment)
        assert all(problem.file.endswith("glowplug.yaml") for problem in caught.value.problems)
        return [str(problem).removeprefix(f"{problem.file}:").strip() for problem in caught.value.problems]

    return complaints
