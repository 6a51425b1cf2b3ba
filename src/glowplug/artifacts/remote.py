"""Artifacts in an object store: S3, Google Cloud Storage, Azure Blob Storage, or a folder (file://).

    chunks/DIGEST             as in a local store
    manifests/MODEL/ID        signed, written last; MODEL is a digest of the name, so that any name is a key

Keys and addresses of the service come from the environment, under the names that its own tools use (AWS_ENDPOINT and
the like, see obstore's documentation). Nothing that comes from there is used unless a trusted key signed it.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from glowplug.artifacts.chunk_codec import Scratch, digest_of
from glowplug.artifacts.errors import Corrupt, NotFound, StoreError, Untrusted
from glowplug.artifacts.manifest import MAX_MANIFEST, Chunk, Manifest
from glowplug.artifacts.parallel import for_each
from glowplug.artifacts.store import ArtifactStore

_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file")

_STREAMS = 16
"""Transfers at a time: object stores give each 50 to 100 MB/s, and a 10 Gbit/s network is full at about 1 GB/s."""

_RETRY: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_CLIENT: Any = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(seconds=60)}
"""For one object; the largest is a manifest or a chunk of some megabytes."""


def push(store: ArtifactStore, name: str, url: str) -> Manifest:
    """Copy an artifact to an object store; chunks that are there are not sent, so a broken push goes on where it was.

    `name` is its id or the beginning of it. Raises NotFound, Untrusted, Corrupt, StoreError.
    """
    with store.sealed(store.get(name).id) as (contents, manifest), _errors(url):
        remote = _open(url, make=True)

        def send(scratch: Scratch, chunk: Chunk) -> None:
            key = f"chunks/{chunk.digest}"
            if not _has(remote, key, chunk):
                obstore.put(remote, key, store.stored(chunk, scratch), use_multipart=False)

        for_each(manifest.distinct_chunks(), send, Scratch, _STREAMS)
        obstore.put(remote, f"{_folder(manifest.model)}/{manifest.id}", contents)
    return manifest


def pull(store: ArtifactStore, name: str, url: str, *, kind: str = "snapshot") -> Manifest:
    """Copy an artifact from an object store and publish it; chunks that the store has are not fetched again.

    `name` is its id, the beginning of it, or a model, of which the newest artifact of `kind` is taken. Raises NotFound,
    Untrusted, Corrupt, StoreError.
    """
    with _errors(url):
        remote = _open(url, make=False)
        contents = _find(store, remote, name, kind, url)

        def fetch(chunk: Chunk, into: memoryview) -> int:
            try:
                stored = _get(remote, f"chunks/{chunk.digest}", chunk.length)
            except FileNotFoundError:
                raise Corrupt(f"The chunk {chunk.digest} is missing in {url}; push the artifact again.") from None
            into[: len(stored)] = stored
            return len(stored)

        return store.receive(contents, url, fetch, _STREAMS)


def _find(store: ArtifactStore, remote: ObjectStore, name: str, kind: str, url: str) -> bytes:
    """The signed manifest that is meant."""
    listing = obstore.list(remote, "manifests")  # pyright: ignore[reportUnknownMemberType]
    keys = [entry["path"] for batch in listing for entry in batch]
    named = [key for key in keys if name and key.rpartition("/")[2].startswith(name)]
    if len(named) > 1:
        raise NotFound(f"{len(named)} artifacts in {url} begin with {name!r}; give more of the id.")
    if named:
        return _signed(store, remote, named[0], url)[0]
    found: list[tuple[bytes, Manifest]] = []
    refused: Untrusted | None = None
    for key in keys:
        if key.startswith(f"{_folder(name)}/"):
            try:
                found.append(_signed(store, remote, key, url))
            except Untrusted as error:
                refused = error
    usable = [each for each in found if (each[1].model, each[1].kind) == (name, kind)]
    if usable:
        return max(usable, key=lambda each: each[1].created_at)[0]
    raise refused or NotFound(f"There is no {kind} of {name!r} in {url}, and no artifact of that id.")


def _signed(store: ArtifactStore, remote: ObjectStore, key: str, url: str) -> tuple[bytes, Manifest]:
    """A manifest that a trusted key signed and that is the one it is named for."""
    contents = bytes(_get(remote, key, MAX_MANIFEST))
    shown = f"The artifact {key.rpartition('/')[2]} in {url}"
    manifest = store.check(contents, shown)
    if f"{_folder(manifest.model)}/{manifest.id}" != key:
        raise Untrusted(f"{shown} is another one than its name says; remove it there and push it again.")
    return contents, manifest


def _has(remote: ObjectStore, key: str, chunk: Chunk) -> bool:
    try:
        return 0 < obstore.head(remote, key)["size"] <= chunk.length
    except FileNotFoundError:
        return False


def _get(remote: ObjectStore, key: str, limit: int) -> memoryview:
    """The contents of an object of at most `limit` bytes. Raises FileNotFoundError, Corrupt."""
    answer = obstore.get(remote, key)
    size = answer.meta["size"]
    if size > limit:  # before a byte of it is fetched
        raise Corrupt(f"{key} has {size} bytes in the object store, more than it can have; remove it and push again.")
    return memoryview(answer.bytes())


def _folder(model: str) -> str:
    return f"manifests/{digest_of(model.encode())[:32]}"


def _open(url: str, *, make: bool) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise StoreError(f"{url} is no object store; give s3://BUCKET/PATH, gs://…, az://… or file:///FOLDER.")
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)), mkdir=make)
    plain = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")  # obstore reads it unless options are given
    options: Any = {**_CLIENT, "allow_http": plain}
    return from_url(url, client_options=options, retry_config=_RETRY)


@contextmanager
def _errors(url: str) -> Generator[None]:
    try:
        yield
    except (BaseError, ValueError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise StoreError(f"The object store {url} cannot be used: {reason}") from error
