"""The file of API keys: what is stored, who can read it, and what is wrong with one."""

import hashlib
import os
import stat

import pytest
import yaml

from glowplug.config.apikeys import KeyEntry, add_key, digest, load_keys
from glowplug.config.errors import ConfigError


def problems(file) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_keys(file)
    return [str(problem).removeprefix(f"{file}:").strip() for problem in caught.value.problems]


def test_a_new_key_is_found_by_its_digest(tmp_path):
    file = tmp_path / "keys.yaml"
    alice = add_key(file, "alice", 0.25)
    bob = add_key(file, "bob")
    assert load_keys(file) == {
        hashlib.sha256(alice.encode()).digest(): KeyEntry("alice", 0.25),
        digest(bob): KeyEntry("bob", None),
    }


def test_a_key_is_random_and_stored_nowhere(tmp_path):
    file = tmp_path / "keys.yaml"
    keys = {add_key(file, f"user{number}") for number in range(20)}
    assert len(keys) == 20
    for key in keys:
        assert key.startswith("gp-")
        assert len(key) == len("gp-") + 43  # 32 bytes in URL-safe base64 without padding
        assert key.removeprefix("gp-") not in file.read_text()


def test_only_the_owner_can_read_the_file_and_nothing_else_is_left_beside_it(tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text("keys: {}\n")
    file.chmod(0o644)
    add_key(file, "alice")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_to_the_file_stays_a_link(tmp_path):
    file, link = tmp_path / "keys.yaml", tmp_path / "link.yaml"
    add_key(file, "alice")
    link.symlink_to(file)
    add_key(link, "bob")
    assert link.is_symlink()
    assert {entry.name for entry in load_keys(file).values()} == {"alice", "bob"}


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "keys.yaml"
    add_key(file, "alice")
    before = file.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\)"):
        add_key(file, "bob")
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="the file cannot be written"):
        add_key(tmp_path / "nowhere" / "keys.yaml", "alice")


def test_a_name_has_one_key(tmp_path):
    file = tmp_path / "keys.yaml"
    add_key(file, "alice")
    with pytest.raises(ConfigError, match='"alice" has a key already'):
        add_key(file, "alice")


@pytest.mark.parametrize("name", ["", "a b", "-x", "a\n", "ä", "x" * 101])
def test_what_is_no_name(tmp_path, name):
    file = tmp_path / "keys.yaml"
    with pytest.raises(ConfigError, match="must begin with a letter or digit"):
        add_key(file, name)
    assert not file.exists()


def test_a_share_is_a_part_of_one(tmp_path):
    with pytest.raises(ConfigError, match="queue_share must be more than 0 and at most 1"):
        add_key(tmp_path / "keys.yaml", "alice", 1.5)


def test_everything_wrong_with_a_file_is_said_with_its_place(tmp_path):
    file = tmp_path / "keys.yaml"
    good = "sha256:" + "0" * 64
    file.write_text(
        "keys:\n"
        f"  a: {{hash: '{good}', share: 1}}\n"
        "  b: {hash: gp-secret}\n"
        "  c: {queue_share: 2}\n"
        "  'd e':\n"
        f"    hash: '{good}'\n"
        "key: 1\n"
    )
    assert problems(file) == [
        '2:88: unknown key "share"; did you mean "queue_share"?',
        "3:13: a hash is sha256: and 64 hexadecimal digits; let glowplug config add-key write it",
        '4:3: "hash" is missing; add it to "c"',
        '4:20: "queue_share" must be at most 1, not 2',
        '5:3: the name "d e" must begin with a letter or digit and hold only those and ._@+-',
        '7:1: unknown key "key"; did you mean "keys"?',
    ]


def test_two_names_with_one_key_are_refused(tmp_path):
    file = tmp_path / "keys.yaml"
    entry = {"hash": "sha256:" + "0" * 64}
    file.write_text(yaml.safe_dump({"keys": {"a": entry, "b": dict(entry)}}))
    assert problems(file) == ['5:11: "b" has the same key as "a"; give each one its own']


def test_a_missing_file_says_how_to_make_one(tmp_path):
    assert problems(tmp_path / "keys.yaml") == [
        "there is no such file; make one with: glowplug config add-key NAME FILE"
    ]


def test_a_file_without_keys_lets_nobody_in(tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text("keys: {}")
    assert load_keys(file) == {}
