"""Cold starts read back from files: JSON that Glowplug wrote, or a log."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from glowplug.coldstart.values import ColdStart, from_json
from glowplug.profiling.logfile import LogError, read_file

_UNNAMED = ""
_REPEATS = "repeats.jsonl"  # of a bench: every start it measured, while results.json has one typical start a scenario
_FILL = "fill"  # a start of the bench that only fills caches


class RecordedError(Exception):
    """No cold start can be read from a file; the text is one sentence with the remedy."""


def read(path: Path) -> Mapping[str, Sequence[ColdStart]]:
    """The cold starts in a file, by the scenario that the bench measured them in; without one, under "".

    A file that ends in .json or .jsonl and holds JSON is taken for what `profile` or `bench` wrote, a directory for the
    results of a bench, and everything else for a log.

    Raises:
        RecordedError: the file cannot be read, or no cold start is in it.
    """
    path = path / _REPEATS if path.is_dir() else path
    try:
        pairs = list(_of_document(_documents(path), _UNNAMED)) or list(_of_log(path))
    except ValueError as error:
        raise RecordedError(f"{path}: {error}; write the file anew with this version of Glowplug") from error
    if not pairs:
        raise RecordedError(f"{path}: no cold start is in it; name a log, or JSON from `glowplug profile` or `bench`")
    found: dict[str, list[ColdStart]] = {}
    for scenario, start in pairs:
        found.setdefault(scenario, []).append(start)
    return found


def _documents(path: Path) -> list[Any]:
    """The JSON documents in the file; none if it holds something else, for engines can log to files of any name."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".jsonl"):
        return []
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordedError(f"{path} cannot be read: {error.strerror or error}") from error
    documents: list[Any] = []
    for part in content.splitlines() if suffix == ".jsonl" else [content]:
        # A bench that was killed may have left half a line, which does not count.
        with suppress(ValueError, RecursionError):
            documents.append(json.loads(part, parse_constant=_refused))
    return documents


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _of_log(path: Path) -> Iterator[tuple[str, ColdStart]]:
    try:
        report = read_file(str(path))
    except LogError as error:
        raise RecordedError(str(error)) from error
    for start in report.starts:
        yield _UNNAMED, start


def _of_document(document: Any, scenario: str) -> Iterator[tuple[str, ColdStart]]:
    """The cold starts in a document, however deep; one in a repeat of the bench belongs to its scenario."""
    if isinstance(document, list):
        for item in cast("list[Any]", document):
            yield from _of_document(item, scenario)
    elif isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        if "spans" in fields and "outcome" in fields:
            yield scenario, from_json(fields)
        elif fields.get("kind") != _FILL:
            name = fields.get("name" if "typical" in fields else "scenario")
            for value in fields.values():
                yield from _of_document(value, name if isinstance(name, str) else scenario)
