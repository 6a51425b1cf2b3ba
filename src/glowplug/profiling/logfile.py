"""A log file, or standard input, as a report on the starts in it."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from glowplug.coldstart.order import is_newest_first, renumbered, reversed_lines
from glowplug.coldstart.reading import Reading, read_starts
from glowplug.coldstart.values import ColdStart, LogReport
from glowplug.engines.logs import GRAMMARS

STDIN = "-"
_CHUNK = 1 << 20
_BEGINNING = 256 * 1024
_PACKED = {
    b"\x1f\x8b": "gzip -dc",
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"BZh": "bzip2 -dc",
    b"\xfd7zXZ": "xz -dc",
    b"\x04\x22\x4d\x18": "lz4 -dc",
    b"PK\x03\x04": "unzip -p",
}
"""The first bytes of packed files, and what unpacks them."""


class LogError(Exception):
    """The log cannot be used. The text is one sentence for the user, with the remedy."""


def read_file(path: str) -> LogReport:
    """The report on the log at `path`; `-` is standard input. Memory does not grow with the log.

    Raises:
        LogError: it cannot be read, or no start of a known engine is in it.
    """
    name = "standard input" if path == STDIN else path
    try:
        with _opened(path) as stream:
            return read_stream(stream, name)
    except FileNotFoundError as error:
        raise LogError(f"there is no file {name}") from error
    except IsADirectoryError as error:
        raise LogError(f"{name} is a directory; name the log file in it") from error
    except OSError as error:
        raise LogError(f"{name} cannot be read: {error.strerror or error}") from error


def _opened(path: str) -> AbstractContextManager[BinaryIO]:
    if path == STDIN:
        # Python has no object for a standard input that was closed.
        if (standard := cast("TextIO | None", sys.stdin)) is None:
            raise LogError("standard input is closed; name a file, or pipe the log in")
        return nullcontext(standard.buffer)
    try:
        return Path(path).open("rb")
    except ValueError as error:
        raise LogError(f"{path!r} is no name of a file: {error}") from error


def read_stream(stream: BinaryIO, name: str) -> LogReport:
    """The report on a log that is called `name`. Raises LogError if no start of a known engine is in it."""
    begin = stream.tell() if stream.seekable() else None
    beginning = _read_beginning(stream)
    _refuse_packed(beginning, name)
    newest_first = is_newest_first(beginning)
    if newest_first:
        reading = _read_reversed(stream, beginning, begin)
    else:
        reading = read_starts(chain((beginning,), _chunks(stream)), GRAMMARS)
    if not reading.starts:
        raise LogError(_why_nothing(beginning, name, reading))
    notes: list[str] = []
    if newest_first:
        notes.append("The log is newest line first; it was read from its end.")
    if reading.dropped:
        earlier = "1 earlier start is" if reading.dropped == 1 else f"{reading.dropped} earlier starts are"
        notes.append(f"{earlier} left out.")
    starts = _subject_last(reading.starts)
    return LogReport(name, starts[-1].engine, starts, tuple(notes))


def _read_beginning(stream: BinaryIO) -> bytes:
    """Enough of the stream to tell its order; pipes give it in pieces."""
    pieces: list[bytes] = []
    size = 0
    while size < _BEGINNING and (piece := stream.read(_BEGINNING - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _read_reversed(stream: BinaryIO, beginning: bytes, begin: int | None) -> Reading:
    """Read from the end back to `begin`; a pipe, which has no position and cannot be read so, goes to disk first."""
    if begin is not None:
        reading = read_starts(reversed_lines(stream, begin), GRAMMARS)
    else:
        try:
            with tempfile.TemporaryFile() as copy:
                copy.writelines(chain((beginning,), _chunks(stream)))
                reading = read_starts(reversed_lines(copy), GRAMMARS)
        except OSError as error:
            raise LogError(
                "a log that comes newest line first through a pipe needs room for a temporary file "
                f"({error.strerror or error}); save it as a file and name that, or set TMPDIR"
            ) from error
    starts = tuple(renumbered(start, reading.lines) for start in reading.starts)
    return Reading(starts, reading.dropped, reading.lines)


def _subject_last(starts: tuple[ColdStart, ...]) -> tuple[ColdStart, ...]:
    """The last start that became ready is what a file is about; without one, the last start."""
    ready = [place for place, start in enumerate(starts) if start.outcome == "ready"]
    if not ready:
        return starts
    subject = ready[-1]
    return (*starts[:subject], *starts[subject + 1 :], starts[subject])


def _refuse_packed(beginning: bytes, name: str) -> None:
    file = "FILE" if name == "standard input" else name
    for magic, command in _PACKED.items():
        if beginning.startswith(magic):
            raise LogError(f"{name} is packed; unpack it: {command} {file} | glowplug profile -")
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise LogError(f"{name} is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {file} | glowplug profile -")


def _why_nothing(beginning: bytes, name: str, reading: Reading) -> str:
    if not beginning:
        return f"{name} is empty; give the output of an engine's start"
    if b"\x00" in beginning:
        return f"{name} is a binary file and holds no start of an engine; give the text that the engine printed"
    engines = ", ".join(dict.fromkeys(grammar.engine for grammar in GRAMMARS))
    lines = "1 line" if reading.lines <= 1 else f"{reading.lines} lines"
    return (
        f"no start of an engine was found in {name} ({lines}); known are {engines}: "
        "give their output from the beginning, at log level INFO"
    )
