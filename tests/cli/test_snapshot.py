"""`glowplug snapshot`: what is in a store, looked at, checked and removed."""

import json
from pathlib import Path

import pytest
import yaml

from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import Config
from tests.node.stored_snapshots import CONTENT, stored, stored_as_configured, versioned_criu

pytestmark = pytest.mark.slow


@pytest.fixture
def state(tmp_path, monkeypatch) -> Path:
    """A state directory that the configuration in the current directory names."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    return tmp_path / "state"


def write_config(folder: Path, name: str = "glowplug.yaml", state_dir: str = "state", **options: object) -> Config:
    settings = {"node": {"state_dir": state_dir}, "models": {"m": {"engine": "fake", "options": options}}}
    (folder / name).write_text(yaml.safe_dump(settings))
    return Config.model_validate(settings)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def store_of(state: Path) -> ArtifactStore:
    return ArtifactStore(state / "artifacts")


def chunk_of(state: Path) -> Path:
    """The only file with contents."""
    (chunk,) = (state / "artifacts" / "chunks").iterdir()
    return chunk


def test_where_nothing_is_ls_says_so_and_makes_nothing(state, glowplug):
    result = glowplug("snapshot", "ls")
    assert (result.exit_code, result.stdout) == (0, f"There are no snapshots in {state}.\n")
    assert json.loads(glowplug("snapshot", "ls", "--format", "json").stdout) == {"snapshots": [], "problems": []}
    for command in ("show", "verify", "rm"):
        result = glowplug("snapshot", command, "abc")
        assert result.exit_code == 1
        assert f"there is no artifact store in {state}; name the configuration" in result.stderr
    assert not state.exists()


def test_ls_shows_what_fits_what_does_not_and_what_is_set_aside(state, glowplug, monkeypatch):
    versioned_criu(state.parent, monkeypatch)
    bad = stored(state, content=b"bad")
    store_of(state).quarantine(bad.id, "The canary [did] not match.")
    other = stored(state, "Qwen/Qwen3-0.6B")
    fitting = stored_as_configured(state, write_config(state.parent), "m")
    result = glowplug("snapshot", "ls")
    assert result.exit_code == 0
    header, first, second, *notes = result.stdout.splitlines()
    assert header.split() == ["ID", "MODEL", "MADE", "ENGINE", "SIZE", "STORED", "PAUSE", "FITS"]
    assert first.split()[:2] == [fitting.id[:8], "m"]
    assert first.split()[4:7] == ["fake", "186", "KiB"]
    assert first.split()[-3:] == ["0.46", "s", "yes"]
    assert second.split()[:2] == [other.id[:8], "Qwen/Qwen3-0.6B"]
    assert "vllm 0.32.0" in second
    assert second.split()[-1] == "?"
    assert notes == [
        f"{other.id[:8]} (Qwen/Qwen3-0.6B) may fit or not: no such model is configured",
        f"{bad.id[:8]} is set aside: The canary [did] not match.",
    ]
    write_config(state.parent, tokens=3)
    changed = glowplug("snapshot", "ls").stdout.splitlines()
    assert changed[1].split()[-1] == "no"
    assert changed[3].startswith(f"{fitting.id[:8]} (m) does not fit now: arguments: ")


def test_ls_as_json_has_whole_ids_and_bytes(state, glowplug):
    manifest = stored(state)
    (shown,) = json.loads(glowplug("snapshot", "ls", "--format", "json").stdout)["snapshots"]
    assert (shown["id"], shown["raw_bytes"], shown["stored_bytes"], shown["pause"]) == (
        manifest.id,
        len(CONTENT),
        manifest.stored_bytes,
        0.4567,
    )


def test_the_state_directory_is_that_of_the_option_before_the_configuration(state, glowplug, tmp_path):
    here, there, elsewhere = stored(state), stored(tmp_path / "there"), stored(tmp_path / "elsewhere")
    write_config(tmp_path, "other.yaml", "there")

    def listed(*arguments: str) -> list[str]:
        shown = json.loads(glowplug("snapshot", "ls", "--format", "json", *arguments).stdout)["snapshots"]
        return [snapshot["id"] for snapshot in shown]

    assert listed() == [here.id]
    assert listed("--config", "other.yaml") == [there.id]
    assert listed("--config", "other.yaml", "--state-dir", "elsewhere") == [elsewhere.id]
    (tmp_path / "glowplug.yaml").unlink()
    assert listed("--state-dir", "state") == [here.id]


def test_a_configuration_with_a_mistake_is_told(state, glowplug):
    Path("glowplug.yaml").write_text("models: {m: {engine: nope}}")
    result = glowplug("snapshot", "ls")
    assert result.exit_code == 1
    assert "glowplug.yaml" in result.stderr
    assert "nope" in result.stderr


def test_show_tells_everything(state, glowplug):
    manifest = stored(state, identity={"engine": "vllm", "engine_version": "0.32.0", "files": {"/w": "blake3:12"}})
    text = rows(glowplug("snapshot", "show", manifest.id[:6]).stdout)
    assert ["id", manifest.id] in text
    assert ["engine", "vllm", "0.32.0"] in text
    assert ["files", "/w", "blake3:12"] in text
    assert ["pause", "0.4567"] in text
    assert ["images/pages-1.img", "file", "0640", "186", "KiB"] in text
    shown = json.loads(glowplug("snapshot", "show", manifest.id, "--format", "json").stdout)
    assert shown["identity"] == manifest.identity
    assert shown["facts"] == {"pause": 0.4567}
    assert {"path": "images/pages-1.img", "kind": "file", "mode": 0o640, "size": len(CONTENT)} in shown["files"]


def test_an_id_may_be_shortened_as_long_as_it_is_the_only_one(state, glowplug):
    manifests = [
        stored(state, content=b"%d" % number) for number in range(17)
    ]  # of 16 first digits, one is there twice
    beginnings = [manifest.id[0] for manifest in manifests]
    twice = next(digit for digit in beginnings if beginnings.count(digit) > 1)
    result = glowplug("snapshot", "show", twice)
    assert result.exit_code == 1
    assert f"{beginnings.count(twice)} snapshots begin with '{twice}'; give more of the id" in result.stderr
    for name in ("xyz", ""):
        result = glowplug("snapshot", "verify", name)
        assert (result.exit_code, result.stderr) == (
            1,
            f"Error: there is no snapshot {name!r}; glowplug snapshot ls shows those there are\n",
        )
    assert glowplug("snapshot", "verify", manifests[3].id).exit_code == 0


def test_what_is_set_aside_is_not_shown_but_its_reason_is(state, glowplug):
    manifest = stored(state)
    store_of(state).quarantine(manifest.id, "The canary differs.")
    result = glowplug("snapshot", "show", manifest.id[:7])
    assert (result.exit_code, result.stderr) == (1, f"Error: {manifest.id} is not used: The canary differs.\n")


def test_verify_reads_all_of_it_and_finds_a_single_changed_bit(state, glowplug):
    manifest = stored(state)
    result = glowplug("snapshot", "verify", manifest.id[:8])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{manifest.id} (m) is whole: 186 KiB in ")
    chunk = chunk_of(state)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    result = glowplug("snapshot", "verify", manifest.id[:8])
    assert result.exit_code == 1
    assert "is damaged" in result.stderr
    assert "images/pages-1.img" in result.stderr


def test_rm_frees_what_nothing_else_needs_and_takes_what_is_set_aside_too(state, glowplug):
    first, second = stored(state), stored(state, "other")
    assert glowplug("snapshot", "rm", first.id[:9]).stdout == f"removed {first.id}\n0 B freed\n"
    bad = stored(state, content=b"x" * 5000)
    store_of(state).quarantine(bad.id, "bad")
    result = glowplug("snapshot", "rm", second.id, bad.id[:9], bad.id)
    assert result.stdout.splitlines()[:2] == [f"removed {second.id}", f"removed {bad.id}"]
    assert result.stdout.splitlines()[2].endswith("B freed")
    assert [*(state / "artifacts" / "chunks").iterdir()] == []
    assert glowplug("snapshot", "ls").stdout == f"There are no snapshots in {state}.\n"


def test_rm_removes_nothing_if_one_of_the_names_is_wrong(state, glowplug):
    manifest = stored(state)
    assert glowplug("snapshot", "rm", manifest.id, "nope").exit_code == 1
    assert store_of(state).get(manifest.id) == manifest
    assert glowplug("snapshot", "rm").exit_code == 2


def test_rm_refuses_what_is_being_read(state, glowplug):
    manifest = stored(state)
    with store_of(state).reading(manifest.id):
        result = glowplug("snapshot", "rm", manifest.id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is being read; remove it when that is done" in result.stderr
    assert glowplug("snapshot", "rm", manifest.id).exit_code == 0


def test_a_store_that_another_could_have_written_is_refused(state, glowplug):
    stored(state)
    (state / "artifacts").chmod(0o777)
    result = glowplug("snapshot", "ls")
    assert result.exit_code == 1
    assert "chmod 700" in result.stderr
