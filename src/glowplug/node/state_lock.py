"""One server per state directory, and the directory's own name for what it starts."""

import fcntl
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

_MOMENT = 0.5
"""Seconds; from fork to exec it takes milliseconds, on a loaded machine tens of them."""


class StateDirError(Exception):
    """The state directory cannot be used. The text is one sentence for the user, with the remedy."""


class StateDirInUse(StateDirError):
    """Another server works in it."""


class StateLock:
    """Holds a state directory for this process until `release` or its end, however it ends.

    `instance` is a text that only this directory has; cgroups and processes that were started from it carry it.
    """

    def __init__(self, state_dir: Path) -> None:
        """Take the lock. Raises StateDirInUse, StateDirError."""
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = (state_dir / "lock").open("a+")
            self._take(state_dir)
            self.instance = _instance(state_dir / "instance")
        except OSError as error:
            raise StateDirError(
                f"The state directory {state_dir} cannot be used ({error.strerror}); set node.state_dir to another one."
            ) from error

    def release(self) -> None:
        """Let another server work in the directory."""
        self._file.close()

    def _take(self, state_dir: Path) -> None:
        try:
            self._lock()
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise StateDirInUse(
                f"Another Glowplug server (process {holder}) works in {state_dir}; "
                "stop it, or set node.state_dir to another directory."
            ) from error
        with suppress(OSError):  # the number is only for the error of the next one; a full disk is no reason to fail
            self._file.truncate(0)
            self._file.write(str(os.getpid()))
            self._file.flush()

    def _lock(self) -> None:
        """Take it, or raise BlockingIOError if its holder does not let go within a moment.

        A server that was killed in the middle of starting a process leaves a child that holds the lock until its exec.
        """
        deadline = time.monotonic() + _MOMENT
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_MOMENT / 20)


def _instance(path: Path) -> str:
    try:
        if len(text := path.read_text().strip()) == 12:
            return text
    except FileNotFoundError:
        pass
    text = uuid.uuid4().hex[:12]
    with suppress(OSError):  # without it the next server misses what escaped this one's guardians; nothing else
        path.write_text(text)
    return text
