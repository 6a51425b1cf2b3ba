"""A real `glowplug serve` in a process of its own, as users run it, for the tests to talk to."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

PATIENCE = 60.0
"""Seconds within which anything a test waits for must happen."""


class Server:
    """A running server. `lines` is everything it printed."""

    def __init__(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession, config: Path) -> None:
        self.process = process
        self.session = session
        self.config = config
        self.url = ""
        self.lines: list[str] = []
        self._printed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """The server's process."""
        return self.process.pid

    async def printed(self, text: str, *, after: int = 0) -> str:
        """Wait for a line with `text` among the lines from number `after` on."""

        def found() -> list[str]:
            return [line for line in self.lines[after:] if text in line]

        async with asyncio.timeout(PATIENCE), self._printed:
            await self._printed.wait_for(lambda: found() or self._reading.done())
        assert found(), f"never printed {text!r}:\n" + "\n".join(self.lines)
        return found()[0]

    async def ask(self, model: str = "fake", **body: Any) -> tuple[int, dict[str, Any], Any]:
        """One chat completion: status, parsed JSON, headers."""
        messages = [{"role": "user", "content": "hello"}]
        url = f"{self.url}/v1/chat/completions"
        async with self.session.post(url, json={"model": model, "messages": messages, **body}) as response:
            return response.status, await response.json(), response.headers

    async def get(self, path: str) -> Any:
        """Parsed JSON of an admin path."""
        async with self.session.get(f"{self.url}{path}") as response:
            return await response.json()

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed JSON of an admin call."""
        async with self.session.post(f"{self.url}{path}", json=body) as response:
            return response.status, await response.json()

    async def model(self, name: str = "fake") -> dict[str, Any]:
        """A model as the admin API shows it."""
        return await self.get(f"/glowplug/v1/models/{name}")

    async def engine_pid(self, name: str = "fake") -> int:
        """The main process of a model's first replica."""
        return (await self.model(name))["replicas"][0]["pid"]

    @asynccontextmanager
    async def events(self) -> AsyncIterator["Events"]:
        """The event stream, connected before the block begins."""
        async with self.session.get(f"{self.url}/glowplug/v1/events") as response:
            assert response.status == 200
            yield Events(response)

    async def stop(self, how: int = signal.SIGINT) -> int:
        """Stop the server as Ctrl-C does and return its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            async with self._printed:
                self.lines.append(raw.decode().rstrip("\n"))
                self._printed.notify_all()
        async with self._printed:
            self._printed.notify_all()


class Events:
    """Events as they come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Skip events up to the wanted one."""
        async with asyncio.timeout(PATIENCE):
            async for line in self._response.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if wanted(event):
                        return event
        raise AssertionError("the event stream ended")

    async def tier(self, after: str) -> dict[str, Any]:
        """Skip events until a replica's state is `after`."""
        return await self.until(lambda e: e["type"] == "tier" and e["after"] == after)


async def begin(
    config: Path, *arguments: str, env: dict[str, str] | None = None, through: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    """Start `glowplug serve CONFIG` on a free port, `through` another program."""
    return await asyncio.create_subprocess_exec(
        *through, sys.executable, "-m", "glowplug", "serve", str(config), "--port", "0", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200", **(env or {})},
    )  # fmt: skip


@asynccontextmanager
async def serving(folder: Path, settings: dict[str, Any], **options: Any) -> AsyncIterator[Server]:
    """A server with these settings, its state under `folder`, until the block ends."""
    config = folder / "glowplug.yaml"
    config.write_text(yaml.safe_dump({"node": {"state_dir": str(folder / "state")}, **settings}))
    process = await begin(config, **options)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        server = Server(process, session, config)
        try:
            line = await server.printed("Glowplug serves")
            server.url = line.split(" on ")[-1].removesuffix("/v1")
            yield server
        finally:
            if process.returncode is None:
                await server.stop()


def fake(**options: Any) -> dict[str, Any]:
    """A model with the fake engine and these options; without snapshots unless told otherwise."""
    model = {key: options.pop(key) for key in list(options) if key in MODEL_KEYS}
    return {"engine": "fake", "options": options, "snapshot": "off", **model}


MODEL_KEYS = {"keep_alive", "tiers", "replicas", "min_active", "pin", "start_timeout", "aliases", "snapshot"}


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
