"""What tiers may ask of this machine."""

import asyncio
import errno
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from glowplug.checkpoint.sandbox import Sandbox
from glowplug.checkpoint.sandbox_addresses import socket_for
from glowplug.engines.base import Call, Launch
from glowplug.node import pagecache
from glowplug.node.ports import NoPort, PortPool, taken
from glowplug.node.process_tree import GuardedTree
from glowplug.node.snapshots import Snapshots
from glowplug.node.start_watch import StartWatch
from glowplug.node.supervisor import Supervisor
from glowplug.tiers.base import TierError
from glowplug.tiers.caches import CompileCaches


class LocalHost:
    """Implements `tiers.base.Host`."""

    def __init__(self, supervisor: Supervisor, ports: PortPool, state_dir: Path) -> None:
        self._supervisor = supervisor
        self._ports = ports
        self._state_dir = state_dir
        self._given: dict[str, int] = {}
        self._watches: dict[str, StartWatch] = {}
        self._session: aiohttp.ClientSession | None = None
        self.snapshots: Snapshots | None = None
        self.caches: CompileCaches | None = None

    async def spawn(self, replica_id: str, launch: Launch, sandbox: Sandbox | None = None) -> GuardedTree:
        """See `Host.spawn`."""
        tree = await self._supervisor.spawn(replica_id, launch, sandbox)
        if (watch := self._watches.get(replica_id)) is not None:
            watch.watch(tree.root)
        return tree

    @contextmanager
    def watching(self, replica_id: str, origin: float) -> Generator[StartWatch, None, None]:
        """Look on while the engine of a replica starts inside the block; `origin` as in `StartWatch`."""
        watch = self._watches[replica_id] = StartWatch(origin)
        ring = self._supervisor.ring(replica_id)
        ring.listen(watch.feed)
        try:
            yield watch
        finally:
            ring.unlisten(watch.feed)
            watch.stop()
            del self._watches[replica_id]

    async def free_port(self, replica_id: str) -> int:
        """See `Host.free_port`. The one it had before is given back."""
        self.give_back_port(replica_id)
        try:
            port = self._ports.take()
        except NoPort as error:
            raise TierError(str(error)) from error
        self._given[replica_id] = port
        return port

    def give_back_port(self, replica_id: str) -> None:
        """The replica has no process any more."""
        if (port := self._given.pop(replica_id, None)) is not None:
            self._ports.give_back(port)

    def port_was_taken(self, replica_id: str) -> bool:
        """Whether somebody else listens on the port of a replica whose process has ended."""
        port = self._given.get(replica_id)
        return port is not None and taken(port)

    async def call(self, address: str, call: Call, timeout: float) -> tuple[int, Any]:
        """See `Host.call`."""
        if self._session is None:
            # A connection of its own each time: one that was kept while the engine was frozen may be past its time.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0, socket_factory=socket_for)
            )
        url = f"{address}{call.path}"
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(call.method, url, json=call.body, allow_redirects=False) as response,
            ):
                return response.status, _parsed(await response.text(errors="replace"))
        except TimeoutError:
            raise
        except (aiohttp.ClientError, ValueError) as error:
            raise ConnectionError(_failure(error)) from error

    async def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """See `Host.run`."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(timeout):
                output, _ = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace").strip()

    @property
    def images(self) -> Snapshots:
        """See `Host.images`."""
        if self.snapshots is None:
            raise TierError("There are no snapshots on this machine.")
        return self.snapshots

    async def drop_page_cache(self, files: Sequence[Path]) -> None:
        """See `Host.drop_page_cache`."""
        await asyncio.to_thread(pagecache.drop, files)

    def state_dir(self, replica_id: str) -> Path:
        """See `Host.state_dir`."""
        directory = self._state_dir / "replicas" / quote(replica_id, safe="")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory

    async def close(self) -> None:
        """Close what is open to engines, and finish what is being saved."""
        if self.caches is not None:
            await asyncio.to_thread(self.caches.close)
        if self._session is not None:
            await self._session.close()


def _failure(error: aiohttp.ClientError | ValueError) -> str:
    """Why there is no answer, as the end of a sentence."""
    if isinstance(error, aiohttp.ClientConnectorError):
        if error.errno == errno.ECONNREFUSED:
            return "the engine refused the connection"
        return f"the engine cannot be reached ({os.strerror(error.errno or 0)})"
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return "the engine closed the connection"
    return "the engine's answer is not valid HTTP"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
