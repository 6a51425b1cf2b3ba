"""Starts an engine program as an adapter says, waits for it, asks it, and ends it."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from glowplug.config.models import ModelConfig
from glowplug.engines.base import Call, CanaryAnswer, Engine, Launch

PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Started:
    """A process in a session of its own; what it prints goes to a file, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    printed: IO[bytes]

    @property
    def output(self) -> str:
        self.printed.seek(0)
        return self.printed.read().decode()

    def end(self) -> None:
        """Kill the session, children included."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def spawned(launch: Launch) -> Iterator[Started]:
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            launch.argv,
            env={**os.environ, **launch.env},
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started = Started(process, printed)
        try:
            yield started
        finally:
            started.end()


@dataclass
class Running:
    engine: Engine
    name: str
    model: ModelConfig
    started: Started
    port: int

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.started.process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        return urllib.request.urlopen(request, timeout=PATIENCE)

    def ask(self, call: Call) -> Any:
        body = None if call.body is None else json.dumps(call.body).encode()
        with self.open(call.method, call.path, body, {"content-type": "application/json"}) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Any) -> Any:
        return self.ask(Call("POST", path, body))

    def get(self, path: str) -> Any:
        return self.ask(Call("GET", path))

    def status(self, call: Call) -> int:
        try:
            with self.open(call.method, call.path, None if call.body is None else json.dumps(call.body).encode()):
                return 200
        except urllib.error.HTTPError as error:
            return error.code

    def canary(self) -> CanaryAnswer:
        return self.engine.read_canary(self.ask(self.engine.canary(self.name, self.model)))

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def wait_until_healthy(self, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        health = self.engine.health(self.model)
        while time.monotonic() < deadline:
            try:
                if self.status(health) == 200:
                    return
            except OSError:
                pass
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"the engine ended with {code}: {self.started.output}")
            time.sleep(0.005)
        raise AssertionError("the engine did not become healthy")


@contextmanager
def running(engine: Engine, model: ModelConfig, name: str = "the-model") -> Iterator[Running]:
    engine.check(model)
    port = free_port()
    with spawned(engine.launch(name, model, port)) as started:
        server = Running(engine, name, model, started, port)
        server.wait_until_healthy()
        yield server
