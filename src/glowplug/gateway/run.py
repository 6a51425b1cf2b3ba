"""Assembles a server from a configuration file: engines, node, cluster and gateway, in that order."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from glowplug.cluster.local import LocalCluster
from glowplug.config.apikeys import KeyEntry, load_keys
from glowplug.config.errors import ConfigError
from glowplug.config.loader import load
from glowplug.config.models import Config
from glowplug.engines import registry
from glowplug.engines.base import EngineError
from glowplug.gateway.listening import CannotListen, listen
from glowplug.gateway.server import serve
from glowplug.node.state_lock import StateDirError

log = logging.getLogger("glowplug")


class CannotServe(Exception):
    """The server cannot start. The text is one sentence per problem, with the remedy."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told what the server does: the URL once it takes requests, and every event of the cluster."""

    ready: Callable[[str, Config], None]
    event: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the file."""

    host: str | None = None
    port: int | None = None
    state_dir: Path | None = None

    def apply(self, config: Config) -> Config:
        """`config` with these settings."""
        server = {name: value for name, value in (("host", self.host), ("port", self.port)) if value is not None}
        node = {} if self.state_dir is None else {"state_dir": self.state_dir.absolute()}
        return config.model_copy(
            update={"server": config.server.model_copy(update=server), "node": config.node.model_copy(update=node)}
        )


def run(path: Path, overrides: Overrides, watcher: Watcher) -> None:
    """Serve until SIGINT or SIGTERM. SIGHUP reads the file again.

    Raises:
        CannotServe: the file, a model, the port or the state directory cannot be used.
    """
    try:
        config = _read(path, overrides)
        keys = None if config.server.api_keys_file is None else load_keys(config.server.api_keys_file)
        listener = listen(config.server.host, config.server.port)
    except (ConfigError, CannotListen) as error:
        raise CannotServe(str(error)) from None
    try:
        uvloop.run(_serve(path, overrides, config, keys, listener, watcher))
    except StateDirError as error:
        raise CannotServe(str(error)) from None
    finally:
        listener.close()


def _read(path: Path, overrides: Overrides) -> Config:
    """The configuration, with every model checked by its engine."""
    config = load(path, registry.options())
    problems: list[str] = []
    for name, model in config.models.items():
        try:
            registry.get(model.engine).check(model)
        except EngineError as error:
            problems.append(f"{path}: model {name!r}: {error}")
    if problems:
        raise CannotServe("\n".join(problems))
    return overrides.apply(config)


async def _serve(
    path: Path,
    overrides: Overrides,
    config: Config,
    keys: Mapping[bytes, KeyEntry] | None,
    listener: socket.socket,
    watcher: Watcher,
) -> None:
    shares = {key.name: key.queue_share for key in (keys or {}).values() if key.queue_share is not None}
    cluster = LocalCluster(config, shares)
    events = cluster.events()

    async def watch() -> None:
        async for event in events:
            watcher.event(event)

    async def reload() -> None:
        try:
            await cluster.reload(_read(path, overrides))
        except (ConfigError, CannotServe) as error:
            log.error("the configuration was not changed:\n%s", error)

    reloads: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = asyncio.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
    watching = asyncio.create_task(watch())
    await serve(config.server, cluster, listener, keys, lambda url: watcher.ready(url, config))
    await watching
