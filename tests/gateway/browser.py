"""A real browser without a window, driven through the Chrome DevTools Protocol."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Page:
    """The one tab of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        await self._command("Page.enable")
        await self._command("Page.navigate", url=url)
        async with asyncio.timeout(PATIENCE):
            while (await self._socket.receive_json()).get("method") != "Page.loadEventFired":
                pass

    async def run(self, script: str) -> Any:
        """What the body of an async function returns in the page; what it throws is a RuntimeError."""
        answer = await self._command(
            "Runtime.evaluate", expression=f"(async () => {{ {script} }})()", awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    async def _command(self, method: str, **params: Any) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            while (message := await self._socket.receive_json()).get("id") != self._number:
                pass
        assert "error" not in message, message
        return message["result"]


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Page]:
    """A browser with a new profile in `profile`; it ends with the block."""
    assert PROGRAM is not None
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *_FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    reading: asyncio.Task[bytes] | None = None
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(rb"listening on ws://([^/]+)", line := await process.stderr.readline())):
                assert line, "the browser ended before it listened"
        reading = asyncio.create_task(process.stderr.read())  # so that it never waits for a reader
        async with aiohttp.ClientSession(f"http://{found[1].decode()}") as session:
            async with session.get("/json/list") as answer:
                tab = next(target for target in await answer.json() if target["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if reading is not None:
            await reading
