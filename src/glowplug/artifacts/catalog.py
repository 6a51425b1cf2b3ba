"""The manifests of a store: which artifacts exist, and what is wrong with the others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from glowplug.artifacts.errors import ManifestError, NotFound, StoreError
from glowplug.artifacts.layout import Layout
from glowplug.artifacts.manifest import MAX_MANIFEST, Manifest, decode
from glowplug.artifacts.private_files import names_in, open_file, read_file, read_whole
from glowplug.artifacts.signing import Keys, Sealed, unseal

REASON = ".reason"
_REASON_LIMIT = 64 << 10
"""Bytes; reasons are sentences."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the store that is not used: `name` is an artifact's id or a file, `reason` says why."""

    name: str
    reason: str
    quarantined: bool = False


class Catalog:
    """Reads manifests; one that was read is not parsed again until its file changes."""

    def __init__(self, layout: Layout, keys: Keys) -> None:
        self._layout = layout
        self._keys = keys
        self._parsed: dict[str, tuple[tuple[int, ...], Sealed, Manifest]] = {}

    def published(self) -> Sequence[Manifest]:
        """All that may be used, newest first. Raises OSError."""
        return self._survey()[0]

    def problems(self) -> Sequence[Problem]:
        """What is not used: unreadable, untrusted and quarantined manifests, files that are no keys. Raises OSError."""
        keys = [Problem(self._layout.shown("trusted", name), fault) for name, fault in self._keys.faults().items()]
        return [*keys, *self._survey()[1], *self._quarantined()]

    def find(self, name: str) -> Manifest:
        """The artifact of that id, or the only one whose id begins so. Raises NotFound, StoreError, OSError."""
        return self.read(self.complete(name))

    def complete(self, name: str) -> str:
        """The id of a published artifact, usable or not, that begins so. Raises NotFound, OSError."""
        names = [found for found in names_in(self._layout.manifests) if name and found.startswith(name)]
        if not names:
            raise NotFound(f"There is no artifact {name!r} in {self._layout.directory}.")
        if len(names) > 1:
            raise NotFound(f"{len(names)} artifacts begin with {name!r}; give more of the id.")
        return names[0]

    def read(self, name: str) -> Manifest:
        """The artifact of exactly that id. Raises NotFound, Untrusted, StoreError, OSError."""
        try:
            return self._checked(name, self._keys.trusted())
        except FileNotFoundError:
            raise NotFound(f"There is no artifact {name!r} in {self._layout.directory}.") from None

    def usable(self, name: str) -> bool:
        """Whether there is a published artifact of that id, and nothing wrong with its manifest. Raises OSError."""
        try:
            self.read(name)
        except StoreError:
            return False
        return True

    def sealed(self, name: str) -> bytes:
        """The signed manifest as it lies on the disk. Raises StoreError, OSError."""
        return read_file(name, self._layout.manifests, self._layout.shown("manifests", name), MAX_MANIFEST)

    def check(self, contents: bytes, shown: str) -> Manifest:
        """What a signed manifest from elsewhere says. Raises Untrusted, ManifestError."""
        sealed = unseal(contents, shown)
        self._keys.check(sealed, self._keys.trusted(), shown)  # before anything of it is parsed
        return decode(sealed.text)

    def _survey(self) -> tuple[list[Manifest], list[Problem]]:
        manifests: list[Manifest] = []
        problems: list[Problem] = []
        trusted = self._keys.trusted()
        names = names_in(self._layout.manifests)
        self._parsed = {name: known for name, known in list(self._parsed.items()) if name in names}
        for name in names:
            try:
                manifests.append(self._checked(name, trusted))
            except FileNotFoundError:  # removed since
                continue
            except (StoreError, OSError) as error:
                problems.append(Problem(name, str(error)))
        manifests.sort(key=lambda manifest: manifest.created_at, reverse=True)
        return manifests, problems

    def _checked(self, name: str, trusted: Mapping[str, Ed25519PublicKey]) -> Manifest:
        shown = self._layout.shown("manifests", name)
        descriptor = open_file(name, self._layout.manifests, shown)
        try:
            found = os.fstat(descriptor)
            state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            known = self._parsed.get(name)
            if known is not None and known[0] == state and known[1].signer in trusted:
                return known[2]
            sealed = unseal(read_whole(descriptor, shown, MAX_MANIFEST), shown)
        finally:
            os.close(descriptor)
        self._keys.check(sealed, trusted, f"The artifact {name}")
        manifest = decode(sealed.text)
        if manifest.id != name:
            raise ManifestError(f"{shown} holds the artifact {manifest.id}, not the one it is named for; remove it.")
        self._parsed[name] = (state, sealed, manifest)
        return manifest

    def _quarantined(self) -> list[Problem]:
        problems: list[Problem] = []
        for name in names_in(self._layout.quarantine):
            if not name.endswith(REASON):
                file = name + REASON
                try:
                    text = read_file(
                        file, self._layout.quarantine, self._layout.shown("quarantine", file), _REASON_LIMIT
                    )
                    problems.append(Problem(name, text.decode(errors="replace"), quarantined=True))
                except (StoreError, OSError) as error:
                    problems.append(Problem(name, f"Its reason cannot be read: {error}", quarantined=True))
        return problems
