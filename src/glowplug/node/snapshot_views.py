"""Snapshots for display: what each is, and whether it could be restored now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from glowplug.artifacts.catalog import Problem
from glowplug.artifacts.digests import Digests
from glowplug.artifacts.manifest import Manifest
from glowplug.artifacts.store import ArtifactStore
from glowplug.checkpoint import criu_binary
from glowplug.config.models import ModelConfig
from glowplug.engines import registry
from glowplug.engines.base import EngineError
from glowplug.tiers.identity import Identity, IdentityError, identity_of
from glowplug.tiers.identity_differences import differences
from glowplug.tiers.sandboxed import sandboxed_launch

KIND = "snapshot"
"""What the artifacts are called that hold process images."""


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """One snapshot. Bytes before and after compression; `created_at` in UTC, ISO 8601; `pause` in seconds.

    `fits` is None if that cannot be told. `why` says what differs, or why it cannot be told.
    """

    id: str
    model: str
    created_at: str
    raw_bytes: int
    stored_bytes: int
    engine: str | None
    engine_version: str | None
    pause: float | None
    fits: bool | None
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotListing:
    """All snapshots, newest first, and what lies in the store and is not used, with the reason."""

    snapshots: tuple[SnapshotView, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class SnapshotMade:
    """A snapshot that was asked for. `pause`: seconds that the engine stood still; `seconds`: all of it."""

    model: str
    id: str
    raw_bytes: int
    stored_bytes: int
    pause: float | None
    seconds: float

    @classmethod
    def of(cls, manifest: Manifest, seconds: float) -> "SnapshotMade":
        """From what was published."""
        return cls(
            manifest.model,
            manifest.id,
            manifest.raw_bytes,
            manifest.stored_bytes,
            _number(manifest.facts.get("pause")),
            round(seconds, 3),
        )


class Views:
    """Looks at manifests with the eyes of a configuration. Blocking: files of models that are not known are read."""

    def __init__(self, models: Mapping[str, ModelConfig], digests: Digests) -> None:
        self._models = models
        self._digests = digests
        self._identities: dict[str, Identity | str] = {}

    def listing(self, store: ArtifactStore) -> SnapshotListing:
        """Everything in a store. Raises StoreError."""
        return SnapshotListing(tuple(map(self.view, store.list(KIND))), tuple(store.problems()))

    def view(self, manifest: Manifest) -> SnapshotView:
        """One snapshot."""
        now = self._identity(manifest.model)
        why = (now,) if isinstance(now, str) else tuple(differences(manifest.identity, now))
        return SnapshotView(
            id=manifest.id,
            model=manifest.model,
            created_at=datetime.fromtimestamp(manifest.created_at, UTC).isoformat(timespec="seconds"),
            raw_bytes=manifest.raw_bytes,
            stored_bytes=manifest.stored_bytes,
            engine=_text(manifest.identity.get("engine")),
            engine_version=_text(manifest.identity.get("engine_version")),
            pause=_number(manifest.facts.get("pause")),
            fits=None if isinstance(now, str) else not why,
            why=why,
        )

    def _identity(self, name: str) -> Identity | str:
        """What would be started now, or why that is not known."""
        if name not in self._identities:
            self._identities[name] = self._find_identity(name)
        return self._identities[name]

    def _find_identity(self, name: str) -> Identity | str:
        model = self._models.get(name)
        if model is None:
            return "no such model is configured"
        criu = criu_binary.find()
        if criu is None:
            return criu_binary.criu_closed() or "CRIU was not found"
        try:
            engine = registry.get(model.engine)
            launch = sandboxed_launch(name, model, engine)
            return identity_of(name, model, engine, launch, criu, self._digests)
        except (EngineError, IdentityError) as error:
            return str(error)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
