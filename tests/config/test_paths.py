"""Which paths a configuration means."""

from pathlib import Path

import pytest

from glowplug.config.loader import load
from tests.config.conftest import ENGINES


def load_in(folder: Path, text: str):
    file = folder / "glowplug.yaml"
    file.write_text(text)
    return load(file, ENGINES, {})


def weights(folder: Path, model: str) -> str | None:
    return load_in(folder, f"models: {{m: {{engine: vllm, model: '{model}'}}}}").models["m"].model


def test_relative_paths_begin_at_the_folder_of_the_file(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = "server: {api_keys_file: keys.yaml}\nnode: {state_dir: state/x}\nmodels: {m: {engine: vllm}}"
    (tmp_path / "glowplug.yaml").write_text(text)
    monkeypatch.chdir(elsewhere)
    config = load(Path("../glowplug.yaml"), ENGINES, {})
    assert config.server.api_keys_file is not None
    assert config.server.api_keys_file.resolve() == tmp_path / "keys.yaml"
    assert config.node.state_dir.resolve() == tmp_path / "state/x"
    assert config.node.state_dir.is_absolute()


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config = load_in(tmp_path, "server: {api_keys_file: ~/k}\nmodels: {m: {engine: vllm, model: ~/w.gguf}}")
    assert config.server.api_keys_file == Path("/home/someone/k")
    assert config.node.state_dir == Path("/home/someone/.local/state/glowplug")
    assert config.models["m"].model == "/home/someone/w.gguf"


def test_a_tilde_of_nobody_is_left_for_the_one_who_opens_it(tmp_path):
    assert weights(tmp_path, "~no-such-user-here/w.gguf") == str(tmp_path / "~no-such-user-here/w.gguf")


@pytest.mark.parametrize("name", ["./w.gguf", "../w.gguf"])
def test_what_looks_like_a_path_is_one_even_if_nothing_is_there(tmp_path, name):
    assert weights(tmp_path, name) == str(tmp_path / name)


def test_a_file_beside_the_configuration_is_meant_by_its_name(tmp_path):
    assert weights(tmp_path, "w.gguf") == "w.gguf"
    (tmp_path / "w.gguf").touch()
    assert weights(tmp_path, "w.gguf") == str(tmp_path / "w.gguf")


@pytest.mark.parametrize("name", ["Qwen/Qwen3-14B", "hf:x", "x" * 5000])
def test_a_hub_name_is_left_alone(tmp_path, name):
    assert weights(tmp_path, name) == name
