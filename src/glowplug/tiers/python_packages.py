"""Which Python environment a program runs in, and which distributions are installed there."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_PYTHON = re.compile(r"python[\d.]*t?d?")
_EXEC = re.compile(r"""^'''exec' "?(?P<python>/[^"\n]*?)"? "\$0" """, re.MULTILINE)
"""The second line of scripts whose interpreter has too long a path for the first one, as pip and uv write them."""

_HEAD = 1024
_RECORDS = ("RECORD", "METADATA", "PKG-INFO")
"""Of a distribution: the hashes of all its files; without them, as system packages often are, what describes it."""


def interpreter_of(program: Path, search_path: str) -> Path | None:
    """The Python that runs the program, or that it is; None if it is something else.

    `search_path` is the PATH of the program, for scripts that look their interpreter up.
    """
    if _PYTHON.fullmatch(program.name):
        return program
    try:
        with program.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if not head.startswith(b"#!"):
        return None
    text = head.decode(errors="replace")
    words = text.partition("\n")[0].removeprefix("#!").split()
    for word in words:
        if _PYTHON.fullmatch(Path(word).name):
            found = shutil.which(word, path=search_path)
            return None if found is None else Path(found)
    if (match := _EXEC.search(text)) is not None:
        return Path(match["python"])
    beside = program.parent / "python"
    return beside if (program.parent.parent / "pyvenv.cfg").is_file() and beside.exists() else None


def distribution_records(interpreter: Path, home: Path | None) -> Mapping[str, Path]:
    """For each installed distribution, `name-version`, the file that changes when anything in it does.

    `home` is the user's, whose own packages are seen by a Python that is not in a virtual environment.
    """
    records: dict[str, Path] = {}
    for folder in _folders(interpreter, home):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                stem, dot, kind = entry.name.rpartition(".")
                if dot and kind in ("dist-info", "egg-info") and (record := _record(Path(entry.path))) is not None:
                    records.setdefault(stem, record)  # the first on the path is the one that is imported
    return records


def _record(metadata: Path) -> Path | None:
    for name in _RECORDS:
        if (path := metadata / name).is_file():
            return path
    return metadata if metadata.is_file() else None


def _folders(interpreter: Path, home: Path | None) -> Iterator[Path]:
    prefix = interpreter.absolute().parent.parent
    settings = _settings(prefix / "pyvenv.cfg")
    if settings is None:
        prefix = interpreter.resolve().parent.parent
    yield from _below(prefix)
    if settings is None and home is not None:
        yield from _below(home / ".local")
    elif settings is not None and settings.get("include-system-site-packages", "").lower() == "true":
        prefix = Path(settings.get("home", "/usr/bin")).parent
        yield from _below(prefix)
    if prefix == Path("/usr"):
        yield from _below(prefix / "local")  # where Debian's Python also looks


def _below(prefix: Path) -> Iterator[Path]:
    """`lib64` is often a link to `lib`, and then not looked into again."""
    found = [*prefix.glob("lib/python3*/*-packages"), *prefix.glob("lib64/python3*/*-packages")]
    yield from dict.fromkeys(folder.resolve() for folder in sorted(found))


def _settings(file: Path) -> Mapping[str, str] | None:
    """Of a virtual environment (PEP 405); None if the file is not there."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    pairs = (line.partition("=") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
