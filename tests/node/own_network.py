"""An internet of one address: a network namespace for the server of a test, in which nothing leads to the real one."""

import asyncio
import ctypes
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from glowplug.checkpoint.sandbox_init import CLONE_NEWNET
from glowplug.node.supervisor import Supervisor

FAR = "198.51.100.1"
"""An address for documentation (RFC 5737); in the namespace it is one of the loopback device."""

_TIMEOUT = 100.0


def within(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario in an event loop whose thread, and all threads and processes that it starts, are in there."""

    def run() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "no network namespace")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "address", "add", f"{FAR}/32", "dev", "lo"], check=True)
        asyncio.run(asyncio.wait_for(_as_coroutine(scenario), _TIMEOUT))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


async def _as_coroutine(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


@asynccontextmanager
async def supervising(folder: Path) -> AsyncIterator[Supervisor]:
    """A started supervisor; what it started ends with the block."""
    supervisor = Supervisor(folder / "state")
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.close(0)


class Far:
    """A server far away. It answers `/` by what it got, and echoes what comes after `ECHO` until the end."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.open = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Its port."""
        server = await asyncio.start_server(self._answer, FAR, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            first = await reader.readuntil(b"\n")
            if first == b"ECHO\n":
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                writer.write(b"<end>")
            else:
                head = first + await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (line for line in head.lower().splitlines() if line.startswith(b"content-length:")), b":0"
                )
                body = await reader.readexactly(int(length.partition(b":")[2]))
                self.got.append(head + body)
                # An answer that does not care for `Connection: close`, as some servers give.
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello")
                await writer.drain()
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
