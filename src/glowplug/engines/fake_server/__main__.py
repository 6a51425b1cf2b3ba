"""Starts the fake engine: children, phases, memory, then the server, until SIGTERM."""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from typing import Any, NoReturn

import uvloop

from glowplug.engines.fake_server.api import Api
from glowplug.engines.fake_server.behaviour import Behaviour
from glowplug.engines.fake_server.connection import Connection
from glowplug.engines.fake_server.process import HeldMemory, crash, start_children

_BACKLOG = 4096


def main(settings: str) -> None:
    """Run with the settings given as a JSON object of `Behaviour`'s fields."""
    behaviour = Behaviour(**json.loads(settings))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour.ignores_sigterm else signal.SIG_DFL)
    start_children(behaviour.children, behaviour.forking_child)
    if not behaviour.ignores_sigterm:
        signal.signal(signal.SIGTERM, _stop)
    for phase in behaviour.phases:
        _spend(phase["phase"], phase["seconds"], behaviour)
    memory = HeldMemory()
    memory.hold(behaviour.memory)
    api = Api(behaviour, memory)
    # A handler of the interpreter, not of the event loop: it runs before any byte that arrived meanwhile is looked at.
    signal.signal(signal.SIGCONT, lambda _signal, _frame: api.continued())
    _allow_many_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(api, behaviour.host, behaviour.port))


def _spend(phase: str, seconds: float, behaviour: Behaviour) -> None:
    print(f"fake engine: phase {phase} begins", flush=True)
    if behaviour.crash_at == f"start:{phase}":
        crash(behaviour.crash_how)
    time.sleep(seconds)
    print(f"fake engine: phase {phase} took {seconds:.3f} s", flush=True)


async def _serve(api: Api, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(api.handle), host, port, backlog=_BACKLOG)
    port = server.sockets[0].getsockname()[1]
    print(f"fake engine: listening on http://{host}:{port}", flush=True)
    await server.serve_forever()


def _stop(*_: Any) -> NoReturn:
    os._exit(0)


def _allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main(sys.argv[1])
