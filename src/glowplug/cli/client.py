"""A client of a running server's admin API, out of the standard library so that commands start quickly.

It follows no redirects and uses no proxy: the API key goes to the server that was named and nowhere else.
"""

import json
import ssl
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import click

_PREFIX = "/glowplug/v1"
_CONNECT_TIMEOUT = 5.0  # seconds
_READ_TIMEOUT = 30.0  # seconds for an answer from memory; waking and resting take as long as they take


class ServerError(click.ClickException):
    """There is no server, or it refused. The text is one sentence for the user; the exit code is 1."""


class NoServer(ServerError):
    """Nothing listens at the address."""


def parse_server(text: str) -> SplitResult:
    """The address of a server; `http://` may be left out.

    Raises:
        ValueError: it is no address.
    """
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
        raise ValueError("write an address such as http://127.0.0.1:8000")
    _ = url.port  # raises ValueError if it is no port
    return url


class AdminClient:
    """One server. Every method raises ServerError if it cannot be reached or refuses."""

    def __init__(self, server: SplitResult, api_key: str | None = None) -> None:
        self._server = server
        self._headers = {"accept": "application/json, text/plain"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"

    @property
    def url(self) -> str:
        """The address as a user writes it."""
        return self._server.geturl().rstrip("/")

    def at(self, server: SplitResult) -> "AdminClient":
        """The client, with the same key, of another server."""
        other = AdminClient(server)
        other._headers = self._headers
        return other

    def models(self) -> Sequence[Mapping[str, Any]]:
        """All models as the API tells them, each with its replicas."""
        models: object = self._json("GET", "/models", timeout=_READ_TIMEOUT).get("models")
        if not isinstance(models, list):
            raise self._stranger()
        return models  # pyright: ignore[reportUnknownVariableType]

    def wake(self, model: str) -> Mapping[str, Any]:
        """Wake a model and wait until it runs."""
        return self._json("POST", f"/models/{quote(model, safe='')}/wake")

    def rest(self, model: str, tier: str | None) -> Mapping[str, Any]:
        """Rest a model to a tier, or one step, and wait for it."""
        where = f"?tier={tier}" if tier else ""
        return self._json("POST", f"/models/{quote(model, safe='')}/rest{where}")

    def restart(self, model: str) -> Mapping[str, Any]:
        """End the processes of a model and wait for it."""
        return self._json("POST", f"/models/{quote(model, safe='')}/restart")

    def create_snapshot(self, model: str) -> Mapping[str, Any]:
        """Make a snapshot of a model and wait until it is published."""
        return self._json("POST", f"/models/{quote(model, safe='')}/snapshot")

    def logs(self, replica: str, *, follow: bool) -> Iterator[str]:
        """Lines that the engine of a replica printed; with `follow` also those to come."""
        path = f"/replicas/{quote(replica, safe='')}/logs{'?follow=true' if follow else ''}"
        with self._ask("GET", path, timeout=None if follow else _READ_TIMEOUT) as response:
            begun = b""
            while part := response.read1():  # readline would take a broken connection for the end
                *lines, begun = (begun + part).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
            if begun:
                yield begun.decode("utf-8", "replace")

    def _json(self, method: str, path: str, timeout: float | None = None) -> dict[str, Any]:
        with self._ask(method, path, timeout) as response:
            try:
                answer: object = json.loads(response.read())
            except ValueError:
                raise self._stranger() from None
        if not isinstance(answer, dict):
            raise self._stranger()
        return answer  # pyright: ignore[reportUnknownVariableType]

    @contextmanager
    def _ask(self, method: str, path: str, timeout: float | None) -> Generator[HTTPResponse]:
        connection = self._connect()
        try:
            assert connection.sock is not None
            connection.sock.settimeout(timeout)
            connection.request(method, self._server.path.rstrip("/") + _PREFIX + path, headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise self._refused(response)
            yield response
        except TimeoutError:
            raise ServerError(f"the server at {self.url} did not answer within {timeout:g} s") from None
        except (HTTPException, OSError):
            raise ServerError(f"the server at {self.url} broke off; look at its output") from None
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        assert self._server.hostname is not None
        kind = HTTPSConnection if self._server.scheme == "https" else HTTPConnection
        connection = kind(self._server.hostname, self._server.port, timeout=_CONNECT_TIMEOUT)
        try:
            connection.connect()
        except ssl.SSLError as error:
            raise ServerError(f"no safe connection to {self.url} is possible: {error.reason or error}") from None
        except (OSError, UnicodeError) as error:
            reason = "" if isinstance(error, ConnectionRefusedError) else f" ({error})"
            message = f"no Glowplug server answers at {self.url}{reason}; start one with: glowplug serve"
            raise NoServer(message) from None
        return connection

    def _refused(self, response: HTTPResponse) -> ServerError:
        if response.status == 401:
            return ServerError(f"the server at {self.url} wants an API key; set GLOWPLUG_API_KEY or give --api-key")
        try:
            return ServerError(str(json.loads(response.read())["error"]["message"]))
        except (ValueError, KeyError, TypeError):
            return self._stranger()

    def _stranger(self) -> ServerError:
        return ServerError(f"what answers at {self.url} is no Glowplug server; give its address with --server")
