"""The client's side of a connection: uvicorn's HTTP/1.1 protocol with limits on size and slowness.

It adds to `HttpToolsProtocol`: a limit on the size of the head (431), a limit on how long a client may take to send a
request (408), to stay idle or to stop reading, and a hook that cancels the task of a request the moment its client
leaves. uvicorn alone offers `receive()` for the latter, which would cost a second task per request.

All limits have the same length, so one timer per connection is enough, and no request has to touch it: whatever began
last ends last, and the timer looks only when it fires.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from glowplug.gateway.errors import ApiError, dialect_of

CONNECTION = "glowplug.connection"
_UPGRADE_TOKENS = frozenset((b"upgrade", b"http2-settings"))


def connection_of(scope: Any) -> "ClientConnection":
    """The connection that an ASGI request came in on."""
    return scope["extensions"][CONNECTION]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of a connection.

    Attributes:
        max_head: bytes that request line and headers may have together.
        client_timeout: seconds a client may take to send a request, to stay idle, or to read nothing.
    """

    max_head: int
    client_timeout: float


class ClientConnection(HttpToolsProtocol):
    """One client connection. Requests on it are served one after the other.

    Attributes:
        lost: the client left.
    """

    # A class without them would push the instance's dict over the size up to which instances share their keys, and
    # cost every connection 1 KiB.
    __slots__ = (
        "_extensions",
        "_head_is_new",
        "_head_size",
        "_idle_since",
        "_in_head",
        "_limits",
        "_receiving_since",
        "_refused",
        "_stalled_since",
        "_task",
        "_timer",
        "lost",
    )

    def __init__(self, config: Config, server_state: ServerState, limits: Limits) -> None:
        super().__init__(config, server_state, app_state={})
        self.lost = False
        self._limits = limits
        self._task: asyncio.Task[Any] | None = None
        self._extensions: dict[str, Any] = {CONNECTION: self}
        self._in_head = False
        self._head_is_new = False
        self._head_size = 0
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None
        # When each thing that may not last longer than `client_timeout` began.
        self._receiving_since: float | None = None
        self._idle_since: float | None = None
        self._stalled_since: float | None = None

    # What the application uses.

    def watch(self, task: "asyncio.Task[Any]") -> None:
        """Cancel `task` if the client leaves before `unwatch`."""
        if self.lost:
            task.cancel()
        self._task = task

    def unwatch(self) -> None:
        """The request that was watched is over."""
        self._task = None

    def break_off(self) -> None:
        """Close the connection so that the client can tell that the answer is not complete."""
        cycle: Any = self.cycle
        cycle.disconnected = True
        self.transport.close()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._idle_since = self.loop.time()
        self._timer = self.loop.call_later(self._limits.client_timeout, self._check_limits)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._head_is_new = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            # An ApiError comes from a callback below.
            cause = error.__context__
            if isinstance(cause, ApiError):
                self._refuse(cause)
            else:
                self._refuse(ApiError(400, "invalid_http", "The request is not valid HTTP/1.1."))
            return
        # What a head begins in may hold a body before it, which the parser does not tell apart. It is one read at most,
        # and `on_headers_complete` looks at the whole.
        if self._in_head and not self._head_is_new:
            self._head_size += len(data)
            if self._head_size > self._limits.max_head:
                self._refuse(self._head_too_large())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self._begin()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(Any, self.scope)["extensions"] = self._extensions
        self._in_head = True
        self._head_is_new = True
        self._head_size = 0
        self._idle_since = None
        self._receiving_since = self._begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Fields that come after the body are trailers; nothing in them may pass for a header.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the parser stops here; see `_decline_upgrade`
        size = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
        if size > self._limits.max_head:
            raise self._head_too_large()
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._in_head:
            return  # a declined upgrade
        self._receiving_since = None
        super().on_message_complete()
        # A large body leaves reading paused, and then nobody would see the client leave.
        if not self.pipeline:
            self.flow.resume_reading()

    # What uvicorn's request cycle calls.

    def on_response_complete(self) -> None:
        # Instead of uvicorn's, which starts and cancels a keep-alive timer for every request.
        self.server_state.total_requests += 1
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()
            if self._receiving_since is not None:
                self._receiving_since = self._begin()  # reading was paused by us
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self._begin()
        if self._refused:
            self.transport.close()
        elif not self.transport.is_closing():
            self.flow.resume_reading()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on as if the client had not offered another protocol (RFC 9110, section 7.8, lets a server do that).

        The parser takes a body that follows for that other protocol, so a fresh one gets the same request without the
        offer. Java's HTTP client, for one, offers HTTP/2 with its first request.
        """
        parser = cast(httptools.HttpRequestParser, self.parser)
        if parser.get_method() == b"CONNECT":
            self._refuse(ApiError(405, "method_not_allowed", "This server is no proxy; it does not take CONNECT."))
            return
        head = [parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                value = b",".join(token for token in value.split(b",") if token.strip().lower() not in _UPGRADE_TOKENS)
            if name not in _UPGRADE_TOKENS and value:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn's constructor
        self.data_received(b"".join((*head, b"\r\n", rest)))

    def _begin(self) -> float:
        if self._timer is None and not self.lost:
            self._timer = self.loop.call_later(self._limits.client_timeout, self._check_limits)
        return self.loop.time()

    def _check_limits(self) -> None:
        self._timer = None
        receiving = None if self.pipeline else self._receiving_since
        begun = [since for since in (receiving, self._idle_since, self._stalled_since) if since is not None]
        if not begun:
            return
        oldest = min(begun)
        if oldest + self._limits.client_timeout > self.loop.time():
            self._timer = self.loop.call_at(oldest + self._limits.client_timeout, self._check_limits)
        elif oldest == self._stalled_since or self.transport.is_closing():
            self.transport.abort()
        elif oldest == receiving:
            self._refuse(ApiError(408, "client_timeout", "The request was not sent completely in time."))
        else:
            self.transport.close()
            self._idle_since = self._begin()  # bounds the wait for the client to read what is left

    def _head_too_large(self) -> ApiError:
        return ApiError(
            431, "headers_too_large", f"The request line and headers are larger than {self._limits.max_head} bytes."
        )

    def _refuse(self, error: ApiError) -> None:
        """Answer what is being received with `error`, without the application, and close the connection."""
        self._refused = True
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._in_head:
                return  # an earlier request is still being answered; `on_response_complete` closes
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or self._in_head or not cycle.response_started:
            body = error.body(dialect_of(self.url.partition(b"?")[0]))
            head = [STATUS_LINE[error.status], b"connection: close\r\n"]
            for name, value in error.headers(body):
                head += [name, b": ", value, b"\r\n"]
            self.transport.write(b"".join((*head, b"\r\n", body)))
        self._idle_since = self._begin()
        self.transport.close()
