"""`glowplug snapshot export` and `import` with an object store, here a folder by its URL."""

import shutil
import sys

from glowplug import artifacts
from glowplug.artifacts.store import ArtifactStore
from tests.node.stored_snapshots import stored


def test_a_snapshot_goes_through_an_object_store_to_a_machine_that_trusts_its_key(tmp_path, glowplug):
    manifest = stored(tmp_path / "here")
    url = f"file://{tmp_path / 'shared'}"
    result = glowplug("snapshot", "export", manifest.id[:8], url, "--state-dir", str(tmp_path / "here"))
    assert (result.exit_code, result.stdout) == (0, f"{manifest.id} (m) is in {url}\n")
    there = ("--state-dir", str(tmp_path / "there"))
    refused = glowplug("snapshot", "import", url, "m", *there)
    assert refused.exit_code == 1
    assert "which is not trusted here" in refused.stderr
    key = tmp_path / "here" / "artifacts" / "key.pub"
    shutil.copy(key, tmp_path / "there" / "artifacts" / "trusted" / "here.pub")
    taken = glowplug("snapshot", "import", url, "m", *there)
    assert taken.stdout.startswith(f"{manifest.id} (m) is here, made 20"), taken.stderr
    ArtifactStore(tmp_path / "there" / "artifacts").verify(manifest.id)


def test_an_object_store_is_asked_for_a_model_and_a_file_for_none(tmp_path, glowplug):
    for words in (["file:///nowhere"], [str(tmp_path / "m.snapshot"), "m"]):
        result = glowplug("snapshot", "import", *words, "--state-dir", str(tmp_path))
        assert result.exit_code == 2
        assert "an object store needs a MODEL or an ID, and a file none" in result.stderr


def test_what_is_not_in_the_object_store_is_one_sentence(tmp_path, glowplug):
    (tmp_path / "shared").mkdir()
    result = glowplug("snapshot", "import", f"file://{tmp_path / 'shared'}", "m", "--state-dir", str(tmp_path / "s"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_without_obstore_the_remedy_is_named(tmp_path, glowplug, monkeypatch):
    manifest = stored(tmp_path)
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "glowplug.artifacts.remote", raising=False)
    monkeypatch.delattr(artifacts, "remote", raising=False)
    result = glowplug("snapshot", "export", manifest.id, "s3://bucket/folder", "--state-dir", str(tmp_path))
    assert (result.exit_code, result.stderr) == (1, "Error: object stores need obstore; install glowplug[remote]\n")
