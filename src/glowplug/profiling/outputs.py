"""Profiles written to files; the suffix tells the form."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glowplug.coldstart.values import ColdStart
from glowplug.profiling.chrome_trace import chrome_trace
from glowplug.profiling.html import html
from glowplug.profiling.png import PngError, png
from glowplug.profiling.profile import Profile, to_json
from glowplug.profiling.waterfall import waterfall


class OutputError(Exception):
    """A file cannot be written; the text is one sentence with the remedy."""


def write(profiles: Sequence[Profile], path: Path) -> None:
    """Write the profiles to a file whose suffix is one of `SUFFIXES`, over what may be there.

    Drawings and traces show the start that each profile is about; pages and JSON hold everything.

    Raises:
        OutputError: the suffix is unknown, the file cannot be written, or a PNG cannot be made here.
    """
    try:
        path.write_bytes(_form(path)(profiles))
    except PngError as error:
        raise OutputError(f"{path} cannot be written: {error}") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def check(path: Path) -> None:
    """Find out before the work is done whether `write` knows the suffix and the folder is there. Raises OutputError."""
    _form(path)
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path} cannot be written: its folder does not exist; create it or name another one")


def as_document(profiles: Sequence[Profile]) -> Any:
    """The JSON of `--format json` and of .json files: an object for one profile, a list for several."""
    documents = [to_json(profile) for profile in profiles]
    return documents[0] if len(documents) == 1 else documents


def _form(path: Path) -> "_Form":
    for suffix, form in _FORMS.items():
        if path.name.lower().endswith(suffix):
            return form
    raise OutputError(f"{path} has no known suffix; use one of {', '.join(SUFFIXES)}")


def _json(profiles: Sequence[Profile]) -> bytes:
    return _encoded(as_document(profiles))


def _html(profiles: Sequence[Profile]) -> bytes:
    return html(profiles).encode()


def _svg(profiles: Sequence[Profile]) -> bytes:
    return waterfall(_starts(profiles)).encode()


def _png(profiles: Sequence[Profile]) -> bytes:
    return png(waterfall(_starts(profiles)))


def _trace(profiles: Sequence[Profile]) -> bytes:
    return _encoded(chrome_trace(_starts(profiles)))


def _starts(profiles: Sequence[Profile]) -> Sequence[ColdStart]:
    return [profile.start for profile in profiles if profile.start is not None]


def _encoded(document: Any) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


_Form = Callable[[Sequence[Profile]], bytes]
_FORMS: Mapping[str, _Form] = {
    ".trace.json": _trace,  # before .json, which it ends with
    ".json": _json,
    ".html": _html,
    ".svg": _svg,
    ".png": _png,
}
SUFFIXES = tuple(_FORMS)
"""What the name of a file may end with."""
