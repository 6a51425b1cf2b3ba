"""`glowplug config`."""

import json
import stat

import jsonschema
import yaml

from glowplug.config.apikeys import KeyEntry, digest, load_keys

GOOD = "models:\n  m: {engine: fake}\n"


def test_the_example_is_right(glowplug, tmp_path):
    file = tmp_path / "glowplug.yaml"
    file.write_text(glowplug("config", "example").stdout)
    result = glowplug("config", "check", str(file))
    assert (result.exit_code, result.stdout) == (0, f"{file} is right: 2 models\n")


def test_models_that_cannot_start_here_are_noted_and_the_file_is_right_all_the_same(glowplug, tmp_path):
    file = tmp_path / "glowplug.yaml"
    file.write_text(
        "models:\n"
        "  good: {engine: fake}\n"
        "  no-file: {engine: llama.cpp, model: /nonexistent/m.gguf}\n"
        "  no-program: {engine: command, options: {run: 'no-such-program {port}'}}\n"
    )
    result = glowplug("config", "check", str(file))
    assert (result.exit_code, result.stdout) == (0, f"{file} is right: 3 models\n")
    first, second = result.stderr.splitlines()
    assert first.startswith("note: model 'no-file' cannot start on this machine: ")
    assert "/nonexistent/m.gguf" in first
    assert second == (
        "note: model 'no-program' cannot start on this machine: "
        "the program no-such-program was not found; install it, or give its full path in options.run"
    )


def test_a_wrong_file_is_told_line_by_line(glowplug, tmp_path):
    file = tmp_path / "glowplug.yaml"
    file.write_text("models:\n  m: {engine: fak}\n  n: {engine: fake, pin: 3}\n")
    result = glowplug("config", "check", str(file))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f'{file}:2:15: unknown engine "fak"; did you mean "fake"?',
        f'{file}:3:26: "pin" must be true or false, not 3',
    ]


def test_the_file_of_this_folder_is_checked_by_default(glowplug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "glowplug.yaml: there is no such file; write one" in glowplug("config", "check").stderr
    (tmp_path / "glowplug.yaml").write_text(GOOD)
    result = glowplug("config", "check")
    assert (result.stdout, result.stderr) == ("glowplug.yaml is right: 1 model\n", "")


def test_the_schema_takes_the_example(glowplug):
    schema = json.loads(glowplug("config", "schema").stdout)
    jsonschema.validate(yaml.safe_load(glowplug("config", "example").stdout), schema, jsonschema.Draft202012Validator)


def test_a_key_is_printed_once_and_only_its_hash_is_stored(glowplug, tmp_path):
    file = tmp_path / "keys.yaml"
    result = glowplug("config", "add-key", "alice", str(file), "--queue-share", "0.25")
    assert result.exit_code == 0
    key = result.stdout.strip()
    assert key not in file.read_text()
    assert load_keys(file) == {digest(key): KeyEntry("alice", 0.25)}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "cannot be shown again" in result.stderr


def test_a_second_key_for_a_name_is_refused(glowplug, tmp_path):
    file = tmp_path / "keys.yaml"
    glowplug("config", "add-key", "alice", str(file))
    before = file.read_text()
    result = glowplug("config", "add-key", "alice", str(file))
    assert result.exit_code == 1
    assert "already" in result.stderr
    assert file.read_text() == before


def test_a_share_above_one_is_bad_usage(glowplug, tmp_path):
    assert glowplug("config", "add-key", "alice", str(tmp_path / "k"), "--queue-share", "2").exit_code == 2
