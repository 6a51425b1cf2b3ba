"""What is shown of snapshots, and whether they would fit."""

from datetime import UTC, datetime

import pytest

from glowplug.artifacts.digests import Digests
from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import Config
from glowplug.node.snapshot_views import SnapshotMade, Views
from tests.node.stored_snapshots import CONTENT, stored, stored_as_configured, versioned_criu

pytestmark = pytest.mark.slow


def config(**options) -> Config:
    return Config.model_validate({"models": {"m": {"engine": "fake", "options": options}}})


def views(tmp_path, configured: Config) -> Views:
    return Views(configured.models, Digests(tmp_path / "digests"))


def test_a_snapshot_of_what_is_configured_fits_until_the_configuration_changes(tmp_path, monkeypatch):
    versioned_criu(tmp_path, monkeypatch)
    manifest = stored_as_configured(tmp_path, config(), "m")
    view = views(tmp_path, config()).view(manifest)
    assert (view.fits, view.why) == (True, ())
    assert (view.id, view.model, view.engine, view.engine_version) == (manifest.id, "m", "fake", None)
    assert (view.raw_bytes, view.pause) == (len(CONTENT), 0.4567)
    assert datetime.fromisoformat(view.created_at) == datetime.fromtimestamp(int(manifest.created_at), UTC)
    changed = views(tmp_path, config(tokens=3)).view(manifest)
    assert changed.fits is False
    assert len(changed.why) == 1
    assert changed.why[0].startswith("arguments: ")


def test_whether_a_snapshot_of_no_configured_model_fits_is_not_known(tmp_path):
    view = views(tmp_path, config()).view(stored(tmp_path, "other"))
    assert (view.fits, view.why) == (None, ("no such model is configured",))


def test_without_criu_it_is_not_known_either(tmp_path, monkeypatch):
    manifest = stored(tmp_path)
    monkeypatch.setenv("GLOWPLUG_CRIU", "/nowhere/criu")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)  # whatever this machine has
    view = views(tmp_path, config()).view(manifest)
    assert view.fits is None
    assert "CRIU is not installed" in view.why[0]


def test_an_identity_of_another_shape_is_shown_and_does_not_fit(tmp_path, monkeypatch):
    versioned_criu(tmp_path, monkeypatch)
    view = views(tmp_path, config()).view(stored(tmp_path, identity={"engine": ["odd"], "engine_version": 7}))
    assert (view.engine, view.engine_version, view.fits) == (None, None, False)
    assert "cannot be read" in view.why[0]


def test_the_listing_has_what_is_used_the_newest_first_and_what_is_not(tmp_path):
    store = ArtifactStore(tmp_path / "artifacts")
    first, second, bad = stored(tmp_path), stored(tmp_path, content=b"2"), stored(tmp_path, content=b"3")
    store.quarantine(bad.id, "The canary differs.")
    store.add("cache", "m", tmp_path / "source", {}, {})
    listing = views(tmp_path, config()).listing(store)
    assert [view.id for view in listing.snapshots] == [second.id, first.id]
    assert [(problem.name, problem.reason, problem.quarantined) for problem in listing.problems] == [
        (bad.id, "The canary differs.", True)
    ]


def test_what_was_made_is_told_with_its_sizes(tmp_path):
    manifest = stored(tmp_path)
    made = SnapshotMade.of(manifest, 12.34567)
    assert made == SnapshotMade("m", manifest.id, len(CONTENT), manifest.stored_bytes, 0.4567, 12.346)
