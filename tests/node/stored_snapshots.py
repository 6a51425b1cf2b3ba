"""Snapshots in a store that were never processes, and a CRIU that only knows its version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from glowplug.artifacts.digests import Digests
from glowplug.artifacts.manifest import Manifest
from glowplug.artifacts.store import ArtifactStore
from glowplug.checkpoint.criu_binary import find
from glowplug.config.models import Config
from glowplug.engines import registry
from glowplug.tiers.identity import identity_of
from glowplug.tiers.sandboxed import sandboxed_launch

CONTENT = b"pages of a process " * 10_000


def versioned_criu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that answers as CRIU 4.2.1 does when it is asked for its version."""
    program = folder / "criu"
    program.write_text("#!/bin/sh\necho 'Version: 4.2.1'\n")
    program.chmod(0o700)
    monkeypatch.setenv("GLOWPLUG_CRIU", str(program))


def stored(
    state_dir: Path, model: str = "m", content: bytes = CONTENT, identity: Mapping[str, Any] | None = None
) -> Manifest:
    """A snapshot of one file. `identity` is what it was made of, by default hardly anything."""
    source = state_dir / "source"
    (source / "images").mkdir(parents=True, exist_ok=True)
    (source / "images" / "pages-1.img").write_bytes(content)
    (source / "images" / "pages-1.img").chmod(0o640)
    about = {"engine": "vllm", "engine_version": "0.32.0"} if identity is None else identity
    return ArtifactStore(state_dir / "artifacts").add("snapshot", model, source, about, {"pause": 0.4567})


def stored_as_configured(state_dir: Path, config: Config, model: str) -> Manifest:
    """A snapshot that fits what the model would be started with now."""
    criu, configured = find(), config.models[model]
    assert criu is not None
    engine = registry.get(configured.engine)
    launch = sandboxed_launch(model, configured, engine)
    digests = Digests(state_dir / "digests")
    identity = identity_of(model, configured, engine, launch, criu, digests)
    return stored(state_dir, model, identity=identity.as_json())
