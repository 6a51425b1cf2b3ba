"""How an engine is started so that its processes can be dumped, and restored under other addresses."""

from dataclasses import replace

from glowplug import inside
from glowplug.checkpoint.sandbox import PORT, PROXY_PORT
from glowplug.config.models import ModelConfig
from glowplug.engines.base import EVERYWHERE, LOOPBACK, Engine, Launch

_PROXY = f"http://{LOOPBACK}:{PROXY_PORT}"
_WAY_OUT = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), _PROXY),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1,0.0.0.0"),
}
"""Both spellings: curl reads only `http_proxy`, other programs only capitals."""


def sandboxed_launch(name: str, model: ModelConfig, engine: Engine) -> Launch:
    """The same for all replicas, in all sandboxes, and so part of the image's identity. Raises EngineError."""
    launch = engine.launch(name, model, PORT, EVERYWHERE)
    env = inside.environment(launch.env, hooks=True)
    if model.network:
        env = {**_WAY_OUT, **env}
    return replace(launch, env=env, network=model.network)
