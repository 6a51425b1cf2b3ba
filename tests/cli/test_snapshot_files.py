"""`glowplug snapshot export` and `import`: a snapshot goes to another machine as one file."""

import shutil
from pathlib import Path

import pytest

from glowplug.artifacts.store import ArtifactStore
from tests.node.stored_snapshots import CONTENT, stored

pytestmark = pytest.mark.slow


@pytest.fixture
def exported(tmp_path, glowplug) -> Path:
    """A file with the only snapshot of the state directory `here`."""
    manifest = stored(tmp_path / "here")
    file = tmp_path / "m.snapshot"
    result = glowplug("snapshot", "export", manifest.id[:8], str(file), "--state-dir", str(tmp_path / "here"))
    assert (result.exit_code, result.stdout) == (0, f"{manifest.id} (m) is in {file}\n")
    return file


def test_a_strangers_snapshot_is_refused_until_the_key_was_put_there_by_hand(tmp_path, exported, glowplug):
    (manifest,) = ArtifactStore(tmp_path / "here" / "artifacts").list()
    there = tmp_path / "there"
    result = glowplug("snapshot", "import", str(exported), "--state-dir", str(there))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "which is not trusted here" in result.stderr
    assert f"put its public key (key.pub in the folder of their store) into {there / 'artifacts' / 'trusted'}" in (
        result.stderr
    )
    assert glowplug("snapshot", "ls", "--state-dir", str(there)).stdout == f"There are no snapshots in {there}.\n"
    assert (there.stat().st_mode & 0o777) == 0o700
    shutil.copy(tmp_path / "here" / "artifacts" / "key.pub", there / "artifacts" / "trusted" / "here.pub")
    result = glowplug("snapshot", "import", str(exported), "--state-dir", str(there))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{manifest.id} (m) is here, made 20")
    target = tmp_path / "target"
    target.mkdir()
    with ArtifactStore(there / "artifacts").reading(manifest.id) as reader:
        reader.materialise(target)
    assert (target / "images" / "pages-1.img").read_bytes() == CONTENT
    (there / "artifacts" / "trusted" / "here.pub").unlink()
    listing = glowplug("snapshot", "ls", "--state-dir", str(there)).stdout
    assert f"{manifest.id[:8]} is not used: " in listing
    assert "is not trusted here" in listing


def test_what_was_removed_comes_back_from_its_file(tmp_path, exported, glowplug):
    place = ("--state-dir", str(tmp_path / "here"))
    (manifest,) = ArtifactStore(tmp_path / "here" / "artifacts").list()
    assert glowplug("snapshot", "rm", manifest.id, *place).exit_code == 0
    assert glowplug("snapshot", "import", str(exported), *place).exit_code == 0
    assert glowplug("snapshot", "verify", manifest.id, *place).exit_code == 0


def test_a_file_that_is_damaged_or_none_is_refused_and_leaves_nothing(tmp_path, exported, glowplug):
    whole = exported.read_bytes()
    changed = bytearray(whole)
    changed[-7] ^= 1
    place = ("--state-dir", str(tmp_path / "here"))
    (manifest,) = ArtifactStore(tmp_path / "here" / "artifacts").list()
    assert glowplug("snapshot", "rm", manifest.id, *place).exit_code == 0
    for content in (bytes(changed), whole[:-1], b"", b"hello"):
        exported.write_bytes(content)
        result = glowplug("snapshot", "import", str(exported), *place)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: ")
        assert "Traceback" not in result.stderr
    assert ArtifactStore(tmp_path / "here" / "artifacts").list() == []
    assert [*(tmp_path / "here" / "artifacts" / "chunks").iterdir()] == []


def test_an_export_to_nowhere_is_one_sentence(tmp_path, glowplug):
    manifest = stored(tmp_path)
    file = tmp_path / "missing" / "m.snapshot"
    result = glowplug("snapshot", "export", manifest.id, str(file), "--state-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert str(file) in result.stderr
    assert result.stderr.count("\n") == 1
