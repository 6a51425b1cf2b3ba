"""Transparent huge pages while a snapshot is restored.

The restore of gigabytes is a first touch of every page, and the kernel can make many pages present at one touch. CRIU
cannot ask for that for the memory that it fills, and there is no setting for a single process, so the host's own is
changed for as long as the restore takes. Source: https://docs.kernel.org/admin-guide/mm/transhuge.html.
"""

import json
import logging
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_FOLDER = Path("/sys/kernel/mm/transparent_hugepage")
_RECORD = "huge-pages.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_VALUES = frozenset({"always", "inherit", "madvise", "never"})

log = logging.getLogger(__name__)


def host_setting() -> Path:
    """The file of the setting to change: for pages of 64 KiB (Linux 6.8), else for those of 2 MiB.

    Measured with a vLLM of 1.95 GB (Linux 6.18, 2 cores, five restores each, by turns): 1.05 s without, 0.45 s with
    64 KiB, 0.44 to 3.9 s with 2 MiB, for which a machine in use seldom has memory ready. Pages of 2 MiB also bring back
    the zero pages that compaction left out: a process with 1 GiB of data in runs of some 100 pages took 2.0 GiB with
    them, 1.16 GiB with 64 KiB.
    """
    small = _FOLDER / "hugepages-64kB" / "enabled"
    return small if small.exists() else _FOLDER / "enabled"


class HugePages:
    """Switches the host's setting; one object for each state directory, for use from any thread."""

    def __init__(self, state_dir: Path, setting: Path | None = None) -> None:
        """`setting` is the file of the kernel's, None for `host_setting()`."""
        self._record = state_dir / _RECORD
        self._setting = setting or host_setting()
        self._lock = threading.Lock()
        self._inside = 0
        self._before: str | None = None  # what is to be put back
        self._refused = False

    @contextmanager
    def always(self) -> Generator[None]:
        """`always` while anybody is inside; the last one who leaves puts back what was there.

        Where the setting cannot be changed, the log says so once and nothing else happens. A setting that somebody
        else changed meanwhile stays.
        """
        with self._lock:
            if self._inside == 0:
                self._enter()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._leave()

    def _enter(self) -> None:
        try:
            value = read(self._setting)
            if value == "always":
                return
            # First the note, so that there is no moment in which a killed server leaves the setting without it.
            _write_note(self._record, value)
            self._setting.write_text("always")
            self._before = value
        except OSError as error:
            self._record.unlink(missing_ok=True)
            if not self._refused:
                self._refused = True
                log.warning(
                    "Huge pages cannot be switched on while snapshots are restored (%s); restores take longer. "
                    "Set node.huge_pages to false, or let an administrator write `always` to %s.",
                    error.strerror,
                    self._setting,
                )

    def _leave(self) -> None:
        value, self._before = self._before, None
        if value is not None:
            _restore(self._setting, value, self._record)


def read(setting: Path) -> str:
    """What a setting is: always, inherit, madvise or never. Raises OSError."""
    found = re.search(r"\[(\w+)\]", setting.read_text())
    if found is None or found[1] not in _VALUES:
        raise OSError(None, f"{setting} has an unknown form")
    return found[1]


def put_back(state_dir: Path) -> None:
    """Undo what a server that was killed during a restore left; for the start of the next one in the directory.

    Nothing happens if the machine was started since, or if somebody changed the setting.
    """
    record = state_dir / _RECORD
    try:
        note = json.loads(record.read_bytes())
        value, boot = note["before"], note["boot"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("The file %s cannot be read; the setting of huge pages stays as it is.", record)
        return
    if value in _VALUES and boot == _boot():
        _restore(host_setting(), value, record)
    else:
        record.unlink(missing_ok=True)


def _restore(setting: Path, value: str, record: Path) -> None:
    try:
        if read(setting) == "always":
            setting.write_text(value)
    except OSError as error:
        log.warning("The setting of huge pages could not be put back to %s: %s.", value, error.strerror)
        return  # the note stays for the next start
    record.unlink(missing_ok=True)


def _write_note(record: Path, value: str) -> None:
    new = record.with_suffix(".new")
    new.write_text(json.dumps({"before": value, "boot": _boot()}))
    new.replace(record)


def _boot() -> str:
    return _BOOT.read_text().strip()
