"""The manifest: what an artifact is, what it was made of, and the digest of every byte of it.

On disk it is JSON, read strictly: an unknown key, a wrong type or a number beyond reason is an error, not a guess. Its
id is the digest of that JSON, so a manifest cannot be changed and keep its name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from blake3 import blake3
from msgspec import Meta

from glowplug.artifacts.errors import ManifestError
from glowplug.artifacts.tree_paths import fault_of_path, fault_of_target

MAX_CHUNK = 16 << 20
"""Bytes. The largest chunk that is read; those written are smaller (`chunking.CHUNK`)."""

MAX_FILE = 1 << 44
"""Bytes, 16 TiB: the largest file of ext4."""

MAX_MANIFEST = 128 << 20
"""Bytes. About 100 per chunk, so this is enough for terabytes of images."""

MODES = 0o1777
"""The mode bits that are kept: setuid and setgid have no business in an artifact."""

ID_LENGTH = 32
"""Hexadecimal digits, 128 bits."""

_Kind = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,31}\Z")]
_Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Size = Annotated[int, Meta(ge=0, le=MAX_FILE)]


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`length` bytes of a file from `offset`; `digest` is their BLAKE3 in hexadecimal digits."""

    offset: _Size
    length: Annotated[int, Meta(ge=1, le=MAX_CHUNK)]
    digest: _Digest


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file, directory or symbolic link. What the chunks of a file do not cover is a hole and reads as zeros."""

    path: str
    kind: Literal["file", "directory", "symlink"]
    mode: Annotated[int, Meta(ge=0, le=MODES)]
    mtime_ns: Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]
    size: _Size = 0
    chunks: tuple[Chunk, ...] = ()
    target: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for what the field types cannot say."""
        if fault := fault_of_path(self.path):
            raise ValueError(f"the path {self.path!r} {fault}")
        if self.kind != "file" and (self.size or self.chunks):
            raise ValueError(f"{self.path!r} is no file and has contents")
        if (self.kind == "symlink") != (self.target is not None):
            raise ValueError(f"{self.path!r} has a link target and is no link, or the other way round")
        if self.target is not None and (fault := fault_of_target(self.path, self.target)):
            raise ValueError(f"the target {self.target!r} of the link {self.path!r} {fault}")
        end = 0
        for chunk in self.chunks:
            if chunk.offset < end:
                raise ValueError(f"the chunks of {self.path!r} overlap or are out of order")
            end = chunk.offset + chunk.length
        if end > self.size:
            raise ValueError(f"the chunks of {self.path!r} reach beyond its end")


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON document; `format` changes when older readers would misread it."""

    format: Literal[1]
    kind: _Kind
    model: Annotated[str, Meta(min_length=1, max_length=512)]
    created_at: Annotated[float, Meta(ge=0, le=1e11)]
    identity: dict[str, Any]
    facts: dict[str, Any]
    stored_bytes: _Size
    entries: Annotated[tuple[Entry, ...], Meta(max_length=1_000_000)]

    def __post_init__(self) -> None:
        kinds: dict[str, str] = {}
        for entry in self.entries:
            parent, slash, _ = entry.path.rpartition("/")
            if slash and kinds.get(parent) != "directory":
                raise ValueError(f"the directory of {entry.path!r} is not named before it")
            if entry.path in kinds:
                raise ValueError(f"{entry.path!r} is named twice")
            kinds[entry.path] = entry.kind


@dataclass(frozen=True, slots=True)
class Manifest:
    """A published artifact.

    `kind` is "snapshot" or "cache"; `created_at` seconds since 1970; `identity` says what must be the same for it to be
    used, `facts` what was measured about it, both plain JSON values; `stored_bytes` what its chunks took on the disk of
    the store that made it, each counted once.
    """

    id: str
    kind: str
    model: str
    created_at: float
    identity: Mapping[str, Any]
    facts: Mapping[str, Any]
    stored_bytes: int
    entries: Sequence[Entry]

    @property
    def raw_bytes(self) -> int:
        """Bytes of all files without their holes: what is written when it is materialised."""
        return sum(chunk.length for chunk in self.chunks())

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of all files, in order; one that occurs twice comes twice."""
        for entry in self.entries:
            yield from entry.chunks

    def distinct_chunks(self) -> list[Chunk]:
        """The chunks in the order of their first occurrence, each once."""
        first: dict[str, Chunk] = {}
        for chunk in self.chunks():
            first.setdefault(chunk.digest, chunk)
        return list(first.values())


def encode(
    kind: str,
    model: str,
    created_at: float,
    identity: Mapping[str, Any],
    facts: Mapping[str, Any],
    stored_bytes: int,
    entries: Sequence[Entry],
) -> bytes:
    """The JSON text of a manifest. Raises ManifestError if the values are no JSON; `decode` says if they make sense."""
    document = _Document(1, kind, model, created_at, dict(identity), dict(facts), stored_bytes, tuple(entries))
    try:
        text = msgspec.json.encode(document, order="deterministic")
    except (TypeError, ValueError, RecursionError) as error:  # ValueError: a name that is not UTF-8
        raise ManifestError(f"The artifact of {model!r} cannot be described in JSON: {error}.") from error
    return text


def decode(text: bytes) -> Manifest:
    """The manifest of a JSON text. Raises ManifestError."""
    try:
        document = msgspec.json.decode(text, type=_Document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ManifestError(f"The manifest of an artifact is not valid: {error}.") from error
    return Manifest(
        blake3(text).hexdigest()[:ID_LENGTH],
        document.kind,
        document.model,
        document.created_at,
        document.identity,
        document.facts,
        document.stored_bytes,
        document.entries,
    )
