"""Finding out where an engine answers while it starts."""

import re
from collections.abc import Callable, Sequence

from glowplug.profiling.command import CommandLine
from glowplug.profiling.sockets import listening_ports

_ANNOUNCED = re.compile(
    rb"(?i)(?:listening|running|starting\b.{0,60}\bserver|serving|open|bound).{0,60}?"
    rb"\bhttps?://(\[[0-9a-f:.]+\]|[\w.\-]+):(\d{2,5})"
)
_LONGEST = 4096
"""Bytes kept of a line that has not ended yet."""

_WILDCARDS = (b"0.0.0.0", b"[::]", b"localhost")


class AddressFinder:
    """Where the engine may answer, best guess first.

    What the user or the command line says comes first, then what the engine printed, then the default of the engine,
    and if nobody says anything, the ports on which the engine's main process really listens. Other processes of the
    tree listen too, on ports that are not for us and where a strange request might do harm.
    """

    def __init__(self, url: str | None, command: CommandLine, main_processes: Callable[[], Sequence[int]]) -> None:
        self._url = url
        self._command = command
        self._main_processes = main_processes
        self._announced: str | None = None
        self._begun = b""

    def read(self, chunk: bytes) -> None:
        """Look for the address in the next bytes of the engine's output."""
        lines, end, begun = (self._begun + chunk).rpartition(b"\n")
        self._begun = begun[-_LONGEST:]
        # An address at the end of what has come so far may go on in the next piece.
        if end and b"://" in lines and (match := _ANNOUNCED.search(lines)):
            host = "127.0.0.1" if match[1] in _WILDCARDS else match[1].decode()
            self._announced = f"http://{host}:{match[2].decode()}"

    def candidates(self) -> Sequence[str]:
        """Base URLs to try now. Reading the sockets takes some milliseconds of this thread."""
        if self._url is not None:
            return (self._url.rstrip("/"),)
        if self._command.address is not None and self._command.stated:
            return (self._command.address,)
        known = [address for address in (self._announced, self._command.address) if address is not None]
        return known or [f"http://127.0.0.1:{port}" for port in listening_ports(self._main_processes())]
