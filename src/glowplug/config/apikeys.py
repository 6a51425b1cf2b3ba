"""API keys: a file that holds only their hashes, how a key gets into it, and how it is read.

```yaml
keys:
  alice: {hash: "sha256:9f86d0…", queue_share: 0.5}
```

A key is 32 random bytes, so its plain SHA-256 tells nothing about it: there is no dictionary to try, and guessing 256
bits is hopeless at any speed. The slow, salted hashes that passwords need would cost every request milliseconds for
nothing.
"""

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field

from glowplug.config.document import Document, read_document
from glowplug.config.errors import ConfigError, Problem
from glowplug.config.models import Section
from glowplug.config.validation import validate

_MISSING = "make one with: glowplug config add-key NAME FILE"
_HEADER = "# API keys of Glowplug, as SHA-256. Add one with: glowplug config add-key NAME FILE\n"
_PREFIX = "sha256:"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """Who a key belongs to. `queue_share` is the part of a model's queue that it may fill; None: the server's rule."""

    name: str
    queue_share: float | None = None


def _check_hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError("a hash is sha256: and 64 hexadecimal digits; let glowplug config add-key write it")
    return text


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f'the name "{text[:40]}" must begin with a letter or digit and hold only those and ._@+-')
    return text


class StoredKey(Section):
    """One entry of the file."""

    hash: Annotated[str, AfterValidator(_check_hash)] = Field(description="SHA-256 of the key.")
    queue_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Part of a model's queue that this key may fill; server.key_share if unset.",
    )


class KeyFile(Section):
    """The whole file."""

    keys: dict[Annotated[str, AfterValidator(_check_name)], StoredKey]


def digest(key: str) -> bytes:
    """The SHA-256 of a key, 32 bytes: what is stored and compared."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def load_keys(path: Path) -> Mapping[bytes, KeyEntry]:
    """Read a key file.

    Returns:
        The owners, by the digest of their key.

    Raises:
        ConfigError: the file cannot be used; it holds every problem with line and column.
    """
    document, file = _read(path)
    entries: dict[bytes, KeyEntry] = {}
    for name, stored in file.keys.items():
        found = bytes.fromhex(stored.hash.removeprefix(_PREFIX))
        if found in entries:
            position = document.value_at(("keys", name, "hash"))
            message = f'"{name}" has the same key as "{entries[found].name}"; give each one its own'
            document.complain(position, message)
        else:
            entries[found] = KeyEntry(name, stored.queue_share)
    if document.problems:
        raise ConfigError(document.problems)
    return entries


def add_key(path: Path, name: str, queue_share: float | None = None) -> str:
    """Make a new key for `name` and store its hash. The file is made if there is none; comments in it are not kept.

    Returns:
        The key, which is stored nowhere.

    Raises:
        ConfigError: the file cannot be used or written, or `name` is no name or has a key already.
    """

    def fail(message: str) -> ConfigError:
        return ConfigError([Problem(str(path), None, message)])

    path = path.expanduser().resolve()  # so that a symbolic link stays one
    keys = dict(_read(path)[1].keys) if path.exists() else {}
    try:
        _check_name(name)
    except ValueError as error:
        raise fail(str(error)) from None
    if queue_share is not None and not 0 < queue_share <= 1:
        raise fail("queue_share must be more than 0 and at most 1")
    if name in keys:
        raise fail(f'"{name}" has a key already; remove the entry first, or choose another name')
    key = f"gp-{secrets.token_urlsafe(32)}"
    keys[name] = StoredKey(hash=_PREFIX + digest(key).hex(), queue_share=queue_share)
    content = {"keys": {owner: stored.model_dump(exclude_none=True) for owner, stored in keys.items()}}
    try:
        _replace(path, _HEADER + yaml.safe_dump(content, sort_keys=False))
    except OSError as error:
        raise fail(f"the file cannot be written ({error.strerror}); check the folder and its permissions") from None
    return key


def _read(path: Path) -> tuple[Document, KeyFile]:
    document = read_document(path, os.environ, missing=_MISSING)
    file = validate(document, KeyFile, document.data)
    if file is None or document.problems:
        raise ConfigError(document.problems)
    return document, file


def _replace(path: Path, text: str) -> None:
    """Write the file whole or not at all, readable by its owner alone, who stays the same."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # has mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if path.exists():
                status = path.stat()
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
