"""A server process for tests of its start and end: `python -m tests.gateway.serving HOST PORT UPSTREAM [KEY=VALUE]`."""

import asyncio
import sys

import uvloop

from glowplug.config.models import ServerConfig
from glowplug.gateway.listening import CannotListen, listen
from glowplug.gateway.server import serve
from tests.gateway.fleet import Fleet


class ManagedFleet(Fleet):
    """A cluster that is drained once all leases have ended."""

    async def start(self) -> None:
        print("cluster starts", flush=True)

    async def drain(self, timeout: float) -> None:
        print("cluster drains", flush=True)
        try:
            async with asyncio.timeout(timeout):
                for record in self.records:
                    await record.ended.wait()
        except TimeoutError:
            print("cluster gives up", flush=True)

    async def close(self) -> None:
        print("cluster closed", flush=True)


def main(host: str, port: str, upstream: str, *settings: str) -> None:
    config = ServerConfig(**dict(setting.split("=") for setting in settings))  # type: ignore[arg-type]
    try:
        listener = listen(host, int(port))
    except CannotListen as error:
        sys.exit(str(error))
    uvloop.run(serve(config, ManagedFleet([upstream]), listener, None, lambda url: print(url, flush=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
