"""A small real HTTP server that speaks the admin API, for the commands to talk to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import unquote, urlsplit

PREFIX = "/glowplug/v1"
MADE = {"id": "ab" * 16, "raw_bytes": 3 << 30, "stored_bytes": 1 << 30, "pause": 0.5, "seconds": 61.5}
"""What is told of a snapshot that was made."""


def replica(id: str, model: str, state: str, **more: Any) -> dict[str, Any]:
    memory = {"ram": 0, "gpu": 0, "disk": 0}
    basis = {"since": 0.0, "in_flight": 0, "address": None, "pid": None, "memory": memory}
    return {"id": id, "model": model, "state": state, **basis, **more}


def model(name: str, tier: str, *replicas: dict[str, Any], **more: Any) -> dict[str, Any]:
    basis: dict[str, Any] = {
        "engine": "llama.cpp",
        "aliases": [],
        "queued": 0,
        "in_flight": 0,
        "pin": False,
        "last_wake": None,
        "quarantine": {},
        "closed_tiers": {},
    }
    return {"name": name, "tier": tier, "replicas": list(replicas), **basis, **more}


class AdminServer:
    """Serves `models`; `key` is asked for if set; `asked` holds every request line; `lines` feeds a followed log."""

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] = []
        self.key: str | None = None
        self.asked: list[str] = []
        self.lines: Queue[str | None] = Queue()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self.lines.put(None)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                server.asked.append(f"{self.command} {self.path}")
                url = urlsplit(self.path)
                path = [unquote(part) for part in url.path.removeprefix(PREFIX).split("/")[1:]]
                if server.key is not None and self.headers["authorization"] != f"Bearer {server.key}":
                    return self._error(401, "no key")
                match self.command, path:
                    case "GET", ["models"]:
                        return self._json(200, {"models": server.models})
                    case "GET", ["replicas", id, "logs"] if url.query == "follow=true":
                        return self._follow(id)
                    case "GET", ["replicas", id, "logs"]:
                        return self._send(200, "text/plain", f"{id} says\nschöne Grüße\n".encode())
                    case "POST", ["models", name, action]:
                        return self._move(name, action, url.query)
                    case _:
                        return self._send(404, "text/html", b"<h1>what?</h1>")

            def _move(self, name: str, action: str, query: str) -> None:
                if name not in [known["name"] for known in server.models]:
                    return self._error(404, f"There is no model '{name}'; there are: a.")
                if action in ("rest", "snapshot") and name == "busy":
                    return self._error(409, "A replica of 'busy' is at work.")
                if action == "snapshot":
                    return self._json(200, {**MADE, "model": name})
                tier = {"wake": "running", "rest": query.removeprefix("tier=") or "parked"}.get(action, "cached")
                return self._json(200, {"model": name, "tier": tier, "seconds": 1.234})

            def _follow(self, id: str) -> None:
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                while (line := server.lines.get()) is not None:
                    chunk = f"{line}\n".encode()
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                if server.lines.empty():
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

            def _json(self, status: int, content: Any) -> None:
                self._send(status, "application/json", json.dumps(content).encode())

            def _error(self, status: int, message: str) -> None:
                self._json(status, {"error": {"message": message, "type": "x", "code": "y"}})

            def _send(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
