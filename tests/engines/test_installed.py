import os
import sys

import pytest

from glowplug import inside
from glowplug.config.models import ModelConfig
from glowplug.engines.base import EngineError
from glowplug.engines.installed import environment, find, version_of
from tests.engines.models import write_program

PROGRAM = "an-engine-that-nobody-has"
MODEL = ModelConfig(engine="vllm")


def found(server="auto", model=MODEL):
    return find(PROGRAM, server, model, "make engine")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The three places, with the program in each: beside Python, on the PATH, under the working directory."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.chdir(tmp_path)
    folders = [tmp_path / "venv" / "bin", tmp_path / "path", tmp_path / ".engines" / PROGRAM / "bin"]
    return [write_program(folder / PROGRAM) for folder in folders]


def test_it_is_looked_for_beside_python_then_on_the_path_then_in_engines(places):
    for place in places:
        assert found() == place
        place.unlink()
    with pytest.raises(EngineError, match=f"the program {PROGRAM} was not found; run: make engine, or give its path"):
        found()


def test_what_cannot_be_executed_is_passed_over(places):
    places[0].chmod(0o644)
    assert found() == places[1]


def test_the_models_own_path_counts(places, tmp_path):
    places[0].unlink()
    own = write_program(tmp_path / "own" / PROGRAM)
    assert found(model=ModelConfig(engine="vllm", env={"PATH": str(own.parent)})) == own


def test_a_given_program_is_used_and_made_absolute(places, tmp_path):
    given = write_program(tmp_path / "elsewhere" / "server")
    assert found(server=str(given)) == given
    assert found(server="elsewhere/server") == given
    with pytest.raises(EngineError, match=r"the program /gone was not found; install it, or correct options\.server"):
        found(server="/gone")


def test_the_engine_finds_the_tools_installed_beside_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    program = tmp_path / "bin" / "server"
    assert environment(program, ModelConfig(engine="vllm", env={"A": "1"})) == {
        "A": "1",
        "PATH": f"{tmp_path}/bin{os.pathsep}/usr/bin",
    }
    own = ModelConfig(engine="vllm", env={"PATH": "/opt/bin"})
    assert environment(program, own)["PATH"] == f"{tmp_path}/bin{os.pathsep}/opt/bin"


def test_shims_are_named_to_its_python_beside_what_is_on_its_path_already(monkeypatch, tmp_path):
    def shown(**env: str) -> dict[str, str | None]:
        result = environment(tmp_path / "bin" / "server", ModelConfig(engine="vllm", env=env), ("one", "two"))
        return {name: result.get(name) for name in ("PYTHONPATH", "GLOWPLUG_SHIMS")}

    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert shown() == {"PYTHONPATH": str(inside.FOLDER), "GLOWPLUG_SHIMS": "one,two"}
    monkeypatch.setenv("PYTHONPATH", "/server")
    assert shown()["PYTHONPATH"] == f"{inside.FOLDER}:/server"
    assert shown(PYTHONPATH="/mine")["PYTHONPATH"] == f"{inside.FOLDER}:/mine"
    assert shown(GLOWPLUG_SHIMS="") == {"PYTHONPATH": None, "GLOWPLUG_SHIMS": ""}


def test_the_version_is_that_of_the_package_beside_the_program(tmp_path):
    packages = tmp_path / "lib/python3.11/site-packages/vllm-9.8.7.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 9.8.7\n")
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.touch()
    assert version_of(program, "vllm") == "9.8.7"
    assert version_of(program, "sglang") is None


def test_a_program_without_packages_beside_it_has_no_version(tmp_path):
    assert version_of(tmp_path / "bin" / "llama-server", "vllm") is None
