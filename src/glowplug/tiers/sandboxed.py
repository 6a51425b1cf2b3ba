"""How an engine is started so that its processes can be dumped, and restored under other addresses."""

from dataclasses import replace

from glowplug import inside
from glowplug.checkpoint.sandbox import PORT
from glowplug.config.models import ModelConfig
from glowplug.engines.base import EVERYWHERE, Engine, Launch


def sandboxed_launch(name: str, model: ModelConfig, engine: Engine) -> Launch:
    """The same for all replicas, in all sandboxes, and so part of the image's identity. Raises EngineError."""
    launch = engine.launch(name, model, PORT, EVERYWHERE)
    return replace(launch, env=inside.environment(launch.env, hooks=True))
