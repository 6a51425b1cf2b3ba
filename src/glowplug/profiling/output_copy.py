"""A copy of an engine's output, in a file or on the terminal."""

import sys
from pathlib import Path
from typing import BinaryIO

from glowplug.profiling.live_error import LiveError

_TERMINAL = Path("-")


class OutputCopy:
    """Writes what an engine prints to `target`: a file, `-` for standard error, None for nowhere.

    Use it as a context manager. A disk that is full ends the copy, never the engine.
    """

    def __init__(self, target: Path | None) -> None:
        self._target = target
        self._file: BinaryIO | None = None

    def __enter__(self) -> "OutputCopy":
        """Raises LiveError if the file cannot be written."""
        if self._target == _TERMINAL:
            self._file = sys.stderr.buffer
        elif self._target is not None:
            try:
                self._file = self._target.open("wb", buffering=0)
            except OSError as error:
                raise LiveError(f"{self._target} cannot be written: {error.strerror}; name another file.") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._target != _TERMINAL:
            self._file.close()
        self._file = None

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        if self._file is not None:
            try:
                self._file.write(data)
                self._file.flush()
            except OSError:
                self._file = None
