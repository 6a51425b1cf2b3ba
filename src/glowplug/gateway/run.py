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
from glowplug.gateway.auth import KeyRing
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


@dataclass(frozen=True, slots=True)
class Setup:
    """What the files say: the configuration, and the API keys by digest if there are any."""

    config: Config
    keys: Mapping[bytes, KeyEntry] | None

    @property
    def key_shares(self) -> Mapping[str, float]:
        """The parts of a queue that keys with a share of their own may fill, by the key's name."""
        return {key.name: key.queue_share for key in (self.keys or {}).values() if key.queue_share is not None}


def run(path: Path, overrides: Overrides, watcher: Watcher) -> None:
    """Serve until SIGINT or SIGTERM. SIGHUP reads the file and the API keys again.

    Raises:
        CannotServe: the file, a model, the port or the state directory cannot be used.
    """
    try:
        setup = _read(path, overrides)
        listener = listen(setup.config.server.host, setup.config.server.port)
    except (ConfigError, CannotListen) as error:
        raise CannotServe(str(error)) from None
    try:
        uvloop.run(_serve(path, overrides, setup, listener, watcher))
    except StateDirError as error:
        raise CannotServe(str(error)) from None
    finally:
        listener.close()


def _read(path: Path, overrides: Overrides) -> Setup:
    """The files, with every model checked by its engine. Raises ConfigError, CannotServe."""
    config = load(path, registry.options())
    problems: list[str] = []
    for name, model in config.models.items():
        try:
            registry.get(model.engine).check(model)
        except EngineError as error:
            problems.append(f"{path}: model {name!r}: {error}")
    if problems:
        raise CannotServe("\n".join(problems))
    keys = None if config.server.api_keys_file is None else load_keys(config.server.api_keys_file)
    return Setup(overrides.apply(config), keys)


async def _serve(path: Path, overrides: Overrides, setup: Setup, listener: socket.socket, watcher: Watcher) -> None:
    cluster = LocalCluster(setup.config, setup.key_shares)
    ring = None if setup.keys is None else KeyRing(setup.keys)
    events = cluster.events()

    async def watch() -> None:
        async for event in events:
            watcher.event(event)

    started = asyncio.Event()

    async def reload() -> None:
        await started.wait()
        try:
            new = _read(path, overrides)
        except (ConfigError, CannotServe) as error:
            log.error("the configuration was not changed:\n%s", error)
            return
        if ring is not None and new.keys is not None:
            ring.replace(new.keys)
        await cluster.reload(new.config, new.key_shares)
        left = _changed(setup.config, new.config) - _TAKEN_OVER
        if ring is not None and new.keys is not None:
            left.discard("server.api_keys_file")
        if left:
            log.warning("these settings take effect when the server is started again: %s", ", ".join(sorted(left)))

    reloads: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = asyncio.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
    watching = asyncio.create_task(watch())

    def ready(url: str) -> None:
        started.set()
        watcher.ready(url, setup.config)

    await serve(setup.config.server, cluster, listener, ring, ready)
    await watching


# What the cluster takes over with the models.
_TAKEN_OVER = frozenset(("server.max_queue", "server.key_share"))


def _changed(running: Config, read: Config) -> set[str]:
    """The settings of the server and the node that differ from what runs."""
    return {
        f"{section}.{field}"
        for section in ("server", "node")
        for field, value in getattr(running, section)
        if getattr(getattr(read, section), field) != value
    }
