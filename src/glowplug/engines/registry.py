"""The engines that Glowplug knows: one line each."""

from collections.abc import Mapping

from pydantic import BaseModel

from glowplug.config.suggest import remedy
from glowplug.engines.base import Engine, EngineError
from glowplug.engines.command import Command
from glowplug.engines.fake import Fake
from glowplug.engines.llama_cpp import LlamaCpp
from glowplug.engines.sglang import Sglang
from glowplug.engines.transformers import Transformers
from glowplug.engines.vllm import Vllm

_ENGINES: tuple[Engine, ...] = (
    LlamaCpp(),
    Vllm(),
    Sglang(),
    Transformers(),
    Command(),
    Fake(),
)

ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in _ENGINES}


def get(name: str) -> Engine:
    """The adapter with this name. Raises EngineError with the nearest known name."""
    if name not in ENGINES:
        raise EngineError(f'unknown engine "{name}"{remedy(name, ENGINES)} (known: {", ".join(ENGINES)})')
    return ENGINES[name]


def options() -> Mapping[str, type[BaseModel]]:
    """The model of the `options:` mapping of each engine, by the engine's name."""
    return {name: engine.options for name, engine in ENGINES.items()}
