"""One request and how far its answer has come. Knows what an error must look like at each point."""

from typing import Any

from glowplug.gateway.errors import ApiError, Dialect
from glowplug.gateway.headers import Header
from glowplug.gateway.protocol import ClientConnection

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Exchange:
    """The answer to one request, written through ASGI's `send`.

    Attributes:
        started: the head of the answer was sent.
        relaying: the engine's answer began, so the request cannot be given to another replica.
        events_only: the head was sent by the gateway, as an event stream, before the engine answered.
        status: the status that was sent, or 0.
    """

    __slots__ = (
        "_connection",
        "_injectable",
        "_send",
        "_tail",
        "dialect",
        "events_only",
        "relaying",
        "started",
        "status",
    )

    def __init__(self, send: Any, connection: ClientConnection, dialect: Dialect) -> None:
        self._send = send
        self._connection = connection
        self._tail = b""
        self._injectable = False
        self.dialect = dialect
        self.started = False
        self.events_only = False
        self.relaying = False
        self.status = 0

    async def start(self, status: int, headers: list[Header]) -> None:
        """Send the head. `status` and `headers` are the engine's."""
        self.started = True
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def open_events(self, model: str) -> None:
        """Send the head of an event stream in which comments, the engine's events or an error will follow."""
        self.events_only = True
        await self.start(
            200,
            [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-glowplug-model", model.encode()),
            ],
        )

    def allow_error_event(self) -> None:
        """The answer is a plain event stream: if it breaks between two events, an error event can say why."""
        self._injectable = True

    async def write(self, data: bytes) -> None:
        """Send a part of the body; returns when the client can take more."""
        self._tail = data
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def fail(self, error: ApiError) -> None:
        """Tell the client, as clearly as is still possible.

        Before the head it is an ordinary error answer; in an event stream that the gateway opened, a last event. An
        engine's answer that is under way is broken off, without the mark of a complete body; if it is an event stream
        between two events, an error event goes first, because SDKs raise its message, and only a transport error
        otherwise.
        """
        if not self.started:
            body = error.body(self.dialect)
            await self.start(error.status, error.headers(body))
            await self.end(body)
        elif self.events_only and (not self._tail or self._tail.endswith(_EVENT_ENDS)):
            await self.end(error.sse_event(self.dialect))
        else:
            if self._injectable and self._tail.endswith(_EVENT_ENDS):
                await self.write(error.sse_event(self.dialect))
            self._connection.break_off()
