"""An engine that costs almost nothing: answers are prepared bytes, so what is measured is what stands in front of it.

Run as `python -m benchmarks.load.upstream PORT`; it prints `ready` once it listens. Paths, whatever the method:
`.../stream?chunks=N&rate=R` is SSE of N chunks at R per second, each holding the sender's monotonic clock in ns;
`.../idle` sends one SSE chunk and then nothing until the client leaves; any other path answers 950 bytes of JSON.
"""

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import parse_qs

import httptools
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
DELTA = (
    b'{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","model":"bench",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]'
)
SSE_HEAD = HEAD % b"text/event-stream" + b"transfer-encoding: chunked\r\n\r\n"


def answer_body(size: int = 950) -> bytes:
    """A chat completion of exactly `size` bytes of JSON."""
    empty = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200},
    }
    return (
        json.dumps(empty).replace('"content": ""', '"content": "%s"' % ("x" * (size - len(json.dumps(empty))))).encode()
    )


def chunk(data: bytes) -> bytes:
    """One chunk of chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class UpstreamProtocol(asyncio.Protocol):
    """One connection; requests one after the other."""

    answer = b""
    open_streams = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_message_complete(self) -> None:
        parsed = httptools.parse_url(self.url)
        self.url = b""
        if parsed.path.endswith(b"/stream"):
            query = parse_qs((parsed.query or b"").decode())
            self.transport.write(SSE_HEAD)
            self.remaining = int(query["chunks"][0])
            self.period = 1 / float(query["rate"][0])
            self.next_at = asyncio.get_running_loop().time() + self.period
            self._schedule()
        elif parsed.path.endswith(b"/idle"):
            self.transport.write(SSE_HEAD + chunk(b"data: {}\n\n"))
        else:
            self.transport.write(self.answer)

    def _schedule(self) -> None:
        self.timer = asyncio.get_running_loop().call_at(self.next_at, self._send_chunk)

    def _send_chunk(self) -> None:
        self.transport.write(chunk(b'data: %b,"sent":%d}\n\n' % (DELTA, time.monotonic_ns())))
        self.remaining -= 1
        self.next_at += self.period
        if self.remaining:
            self._schedule()
        else:
            self.transport.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def serve(port: int) -> None:
    """Listen on 127.0.0.1:`port` until cancelled."""
    body = answer_body()
    UpstreamProtocol.answer = HEAD % b"application/json" + b"content-length: %d\r\n\r\n" % len(body) + body
    server = await asyncio.get_running_loop().create_server(UpstreamProtocol, "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
