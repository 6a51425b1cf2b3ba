"""The result directory: what is measured and on what machine, and one line for every finished repeat.

    bench.json      definitions of the scenarios, machine, software, seed
    repeats.jsonl   one JSON line for each finished repeat, on disk before the next one begins
    logs/           what the engine and the server printed, two files for each repeat
    work/           caches and state while the bench runs; gone when everything is done

A line is complete or does not count, so a bench that is killed at any moment loses at most the repeat that ran.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from glowplug.profiling.bench.conditions import Conditions
from glowplug.profiling.bench.repeat import Repeat, from_json, to_json

FORMAT = 1

_OURS = frozenset(("lock", "logs", "work", "repeats.jsonl", "bench.json.new"))
"""What a bench that was killed at its very beginning may have left without a bench.json."""


class JournalError(Exception):
    """The result directory cannot be used. The text is one sentence for the user, with the remedy."""


class Journal:
    """A result directory that is held for this process until `close` or its end."""

    def __init__(self, directory: Path) -> None:
        """Make or take the directory. Raises JournalError."""
        self.directory = directory.absolute()
        self.work = self.directory / "work"
        self.logs = self.directory / "logs"
        self._lines = self.directory / "repeats.jsonl"
        try:
            self._require_ours()
            self.logs.mkdir(parents=True, exist_ok=True)
            self.work.mkdir(mode=0o700, exist_ok=True)
            self._lock = (self.directory / "lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.repeats = self._read()
        except BlockingIOError:
            raise JournalError(f"another glowplug bench works in {directory}; wait for it, or give --out") from None
        except OSError as error:
            raise JournalError(f"the directory {directory} cannot be used ({error.strerror}); give --out") from error

    def agree(self, definitions: Mapping[str, Any], conditions: Conditions, seed: int) -> None:
        """Make sure that new repeats may stand beside the old ones, and note the scenarios that are new.

        Raises:
            JournalError: the directory holds repeats of another machine, other software or another definition.
        """
        file = self.directory / "bench.json"
        known: dict[str, Any] = _load(file) if file.exists() else {}
        if known:
            self._compare("machine", known["machine"], conditions.machine)
            self._compare("software", known["software"], conditions.software)
            self._compare("bench", {"seed": known["seed"]}, {"seed": seed})
            for name, definition in definitions.items():
                if name in known["scenarios"]:
                    self._compare(f"scenario {name}", known["scenarios"][name], definition)
        scenarios = {**known.get("scenarios", {}), **definitions}
        document = {"format": FORMAT, **asdict(conditions), "seed": seed, "scenarios": scenarios}
        write_whole(file, json.dumps(document, indent=2) + "\n")

    @property
    def about(self) -> Mapping[str, Any]:
        """What `agree` has noted."""
        return _load(self.directory / "bench.json")

    def finished(self) -> Mapping[str, int]:
        """How many measured repeats of each scenario are done, failed ones included."""
        counts: dict[str, int] = {}
        for repeat in self.repeats:
            if repeat.kind == "measured":
                counts[repeat.scenario] = counts.get(repeat.scenario, 0) + 1
        return counts

    def next_id(self, scenario: str) -> str:
        """An id for the next repeat of a scenario, good for file names."""
        word = "".join(character if character.isalnum() or character in "-.+" else "_" for character in scenario)
        return f"{len(self.repeats) + 1:04}-{word}"

    def add(self, repeat: Repeat) -> None:
        """Write a finished repeat down; it is on disk when this returns. Raises OSError."""
        line = json.dumps(to_json(repeat), ensure_ascii=False).encode() + b"\n"
        descriptor = os.open(self._lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "wb", buffering=0, closefd=False) as file:
                file.write(line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.repeats.append(repeat)

    def clear_work(self) -> None:
        """Everything is done: caches and state are not needed any more."""
        shutil.rmtree(self.work, ignore_errors=True)

    def close(self) -> None:
        """Let another bench work in the directory."""
        self._lock.close()

    def _require_ours(self) -> None:
        if not self.directory.is_dir() or (self.directory / "bench.json").exists():
            return
        if any(entry.name not in _OURS for entry in self.directory.iterdir()):
            raise JournalError(f"{self.directory} holds other files; give --out a new directory")

    def _read(self) -> list[Repeat]:
        """All complete lines. An incomplete last one, of a bench that was killed while writing, is cut off."""
        if not self._lines.exists():
            return []
        content = self._lines.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._lines, whole)
        repeats: list[Repeat] = []
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                repeats.append(from_json(json.loads(line)))
            except ValueError as error:
                raise JournalError(
                    f"line {number} of {self._lines} cannot be read ({error}); remove the line, or give --out"
                ) from error
        return repeats

    def _compare(self, what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for path, old, new in differences(before, now):
            name = ".".join([what, *path])
            raise JournalError(
                f"{self.directory} holds repeats with another {name} ({_shown(old)}, now {_shown(new)}); "
                "what is compared must be the same, so give --out a new directory"
            )


def differences(before: Any, now: Any, path: Sequence[str] = ()) -> list[tuple[Sequence[str], Any, Any]]:
    """Where two JSON documents differ: path, old and new value of the innermost places."""
    if isinstance(before, dict) and isinstance(now, dict):
        old, new = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", now)
        keys = [*old, *(key for key in new if key not in old)]
        return [found for key in keys for found in differences(old.get(key), new.get(key), (*path, key))]
    return [] if before == now else [(path, before, now)]


def write_whole(file: Path, text: str) -> None:
    """Replace a file so that nobody ever sees half of it."""
    temporary = file.with_name(f"{file.name}.new")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(file)


def _load(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JournalError(f"{file} cannot be read ({error}); give --out another directory") from error
    if not isinstance(document, dict) or cast("dict[str, Any]", document).get("format") != FORMAT:
        raise JournalError(f"{file} is not of this version of Glowplug; give --out another directory")
    return cast("dict[str, Any]", document)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
