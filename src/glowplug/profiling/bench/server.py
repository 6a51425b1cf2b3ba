"""A real `glowplug serve` for one repeat, as users start it, and what its admin API is asked.

The bench could hold a cluster in its own process. It starts the whole server instead, because what counts is what a
client gets: its time includes the gateway, and the client's own work does not slow the server's event loop. A server
for each repeat starts from the same state every time, with nothing learned from the repeat before.
"""

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from glowplug.checkpoint import processes
from glowplug.profiling.bench.scenario import Scenario
from glowplug.scheduler.values import Tier
from glowplug.tiers.worth import ImageAt

_LIFELINE = Path(__file__).with_name("lifeline.py")
_READY = "Glowplug serves"
_START_TIMEOUT = 60.0
"""Seconds for the server itself; it starts no engine before it is asked for one."""

_STOP_TIMEOUT = 60.0
"""Seconds for the server to end its engine, which may need 10 of them."""

_IN_ORDER = (signal.SIGINT,)
_AT_ONCE = (signal.SIGINT, signal.SIGTERM)
"""The second signal makes the server end everything at once. It is another one because two equal ones may merge."""

_RECORD_TIMEOUT = 10.0
_CLOCK_STEP = timedelta(milliseconds=1)  # records carry whole milliseconds
_RECORD_PAUSE = 0.05
"""Seconds. A thread that nobody waits for writes the record of a wake, within milliseconds; no event tells of it."""


_NOT_RESIDENT: Mapping[str, int] = {"snapshot_memory": 0}


class ServerFailed(Exception):
    """The server did not do what the repeat needs. The text is one sentence."""


class Server:
    """A running server with one model."""

    def __init__(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession, model: str) -> None:
        self._process = process
        self._model = model
        self.session = session
        self.url = ""

    @property
    def _path(self) -> str:
        return f"{self.url}/glowplug/v1/models/{quote(self._model, safe='')}"

    async def wake(self) -> None:
        """Start the engine without a request. Raises ServerFailed."""
        await self._post(f"{self._path}/wake")

    async def rest(self, tier: Tier) -> None:
        """Rest the replica to a tier and make sure that it is there. Raises ServerFailed."""
        landed = await self._post(f"{self._path}/rest?tier={tier.value}")
        if landed.get("tier") != tier.value:
            raise ServerFailed(f"the replica was to be rested to {tier.value} and is in tier {landed.get('tier')}")

    async def make_snapshot(self) -> Mapping[str, Any]:
        """Start the engine and wait until its process image is published; what it is. Raises ServerFailed."""
        return await self._post(f"{self._path}/snapshot")

    async def memory(self) -> int | None:
        """Bytes of host RAM that the replica holds; None if nothing runs."""
        replicas: list[Mapping[str, Any]] = (await self._get(self._path))["replicas"]
        return int(replicas[0]["memory"]["ram"]) if replicas else None

    async def cold_start(self, woke_from: str, since: datetime) -> Mapping[str, Any] | None:
        """The newest record of a wake from a tier that began after `since`, once it is written."""
        deadline = asyncio.get_running_loop().time() + _RECORD_TIMEOUT
        while True:
            for record in await self.cold_starts():
                began = datetime.fromisoformat(record["started_at"])
                if record["woke_from"] == woke_from and began >= since - _CLOCK_STEP:
                    return record
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(_RECORD_PAUSE)

    async def cold_starts(self) -> list[Mapping[str, Any]]:
        """The last few recorded wakes, newest first."""
        return (await self._get(f"{self.url}/glowplug/v1/cold-starts?limit=10"))["cold_starts"]

    async def engine_log(self) -> str:
        """Everything that the engine printed, as far as the server keeps it."""
        replicas: list[Mapping[str, Any]] = (await self._get(self._path))["replicas"]
        texts: list[str] = []
        for replica in replicas:
            async with self.session.get(f"{self.url}/glowplug/v1/replicas/{quote(replica['id'], safe='')}/logs") as log:
                texts.append(await log.text(errors="replace"))
        return "".join(texts)

    def processes(self) -> dict[int, int]:
        """Everything that the server has started, by pid, with the time it was started at."""
        stats = map(processes.read_stat, processes.descendants(self._process.pid))
        return {stat.pid: stat.start_time for stat in stats if stat is not None}

    async def _get(self, url: str) -> Any:
        async with self.session.get(url) as response:
            return _checked(response, await response.json())

    async def _post(self, url: str) -> Mapping[str, Any]:
        async with self.session.post(url) as response:
            return _checked(response, await response.json())


def _checked(response: aiohttp.ClientResponse, answer: Any) -> Any:
    if response.status != 200:
        raise ServerFailed(str(answer["error"]["message"]))
    return answer


def server_config(scenario: Scenario, environment: Mapping[str, str], node: Mapping[str, Any]) -> str:
    """The configuration file of a repeat, in JSON, which is YAML: the model alone, and nothing rests by itself."""
    rests_in = [] if scenario.path.tier is None else [scenario.path.tier]
    config = scenario.config
    model: dict[str, Any] = {
        "engine": config.engine,
        "network": config.network,
        "args": config.args,
        "env": {**config.env, **environment},
        "options": config.options,
        "tiers": [Tier.RUNNING, *rests_in, Tier.CACHED, Tier.COLD],
        "keep_alive": dict.fromkeys([Tier.RUNNING, *rests_in], "forever"),
        "start_timeout": _duration(scenario.start_timeout),
        "memory": config.memory,
        "gpu_memory": config.gpu_memory,
        "warmup": list(scenario.warmup),
    }
    if config.model is not None:
        model["model"] = config.model
    if Tier.SNAPSHOT in rests_in:
        model["snapshot"] = "always"  # what is measured here is not to be declined for what was measured before
    timeout = _duration(scenario.request.timeout)
    document = {
        "server": {"port": 0, "queue_timeout": timeout},
        "node": {**node, **_NOT_RESIDENT} if scenario.path.image in (ImageAt.PAGE_CACHE, ImageAt.DISK) else dict(node),
        "models": {scenario.model: model},
    }
    # References to the environment were filled in when the bench file was read.
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).replace("${", "$${")


@asynccontextmanager
async def serving(config: Path, output: Path, model: str) -> AsyncGenerator[Server]:
    """`glowplug serve CONFIG` until the block ends; what it prints goes to the file `output`.

    Raises:
        ServerFailed: it did not start.
    """
    serve = [sys.executable, "-P", "-m", "glowplug", "serve", str(config)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(_LIFELINE), str(os.getpid()), *serve,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # so that Ctrl-C reaches the bench alone, which ends the server in order
    )  # fmt: skip
    copying: asyncio.Task[None] | None = None
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            server = Server(process, session, model)
            server.url, printed = await _address(process)
            copying = asyncio.create_task(_copy(process, printed, output))
            yield server
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(_end(process, _AT_ONCE)))
        raise
    else:
        await _end(process, _IN_ORDER)
    finally:
        if copying is not None:
            await copying


async def _address(process: asyncio.subprocess.Process) -> tuple[str, bytes]:
    """The URL that the server names once it takes requests, and all that it printed until then."""
    assert process.stdout is not None
    printed = b""
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            async for line in process.stdout:
                printed += line
                if line.startswith(_READY.encode()):
                    return line.decode().strip().rpartition(" on ")[2].removesuffix("/v1"), printed
    except TimeoutError:
        raise ServerFailed(f"glowplug serve did not start within {_START_TIMEOUT:g} s") from None
    raise ServerFailed(f"glowplug serve did not start: {printed.decode(errors='replace').strip()}")


async def _copy(process: asyncio.subprocess.Process, printed: bytes, output: Path) -> None:
    assert process.stdout is not None
    with output.open("wb") as file:
        file.write(printed)
        while part := await process.stdout.read(1 << 16):
            file.write(part)


async def _end(process: asyncio.subprocess.Process, signals: Sequence[signal.Signals]) -> None:
    """Stop the server, which ends its engine; kill it if that takes too long."""
    if process.returncode is not None:
        return
    for number in signals:
        process.send_signal(number)
    try:
        async with asyncio.timeout(_STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _duration(seconds: float) -> float | str:
    return "forever" if math.isinf(seconds) else seconds
