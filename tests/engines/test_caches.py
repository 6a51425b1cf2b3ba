"""Where engines are told to keep what they compile."""

import os
from pathlib import Path

import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines import compile_caches, registry
from tests.engines.models import write_program

FOLDER = Path("/managed/KEY")
INSTALLED = ("vllm", "sglang", "transformers")


@pytest.fixture(autouse=True)
def server_environment(tmp_path, monkeypatch):
    """The three engines are on the PATH, and nothing is set that is asked for here."""
    for program in INSTALLED:
        write_program(tmp_path / "venv" / "bin" / program)
    monkeypatch.setenv("PATH", str(tmp_path / "venv" / "bin"))
    for name in ("VLLM_CACHE_ROOT", "SGLANG_CACHE_DIR", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    for name in (*compile_caches.TORCH, *compile_caches.KERNELS):
        monkeypatch.delenv(name, raising=False)


def caches(engine: str, env: dict[str, str] | None = None) -> dict[str, str]:
    return dict(registry.get(engine).caches(ModelConfig(engine=engine, env=env or {}), FOLDER))


def install_package(folder: Path, name: str, *, compiled: bool = False) -> Path:
    """A package beside the programs."""
    package = folder / "venv" / "lib" / "python3.11" / "site-packages" / name
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").touch()
    if compiled:
        (package / "__pycache__" / "__init__.cpython-311.pyc").touch()
    return package


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_every_cache_has_a_place_of_its_own_below_the_folder(engine):
    places = [Path(place) for place in caches(engine).values()]
    assert all(place.parent == FOLDER for place in places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("engine", "variables"),
    [
        ("vllm", {"VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "FLASHINFER_WORKSPACE_BASE"}),
        ("sglang", {"SGLANG_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TVM_FFI_CACHE_DIR", "TORCH_EXTENSIONS_DIR"}),
        ("transformers", {"TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"}),
        ("llama.cpp", {"CUDA_CACHE_PATH"}),
    ],
)
def test_the_caches_that_make_a_start_slow_are_led(engine, variables):
    assert variables <= caches(engine).keys()


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_weights_stay_where_they_were_downloaded_to(engine):
    assert not {"XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"} & caches(engine).keys()


@pytest.mark.parametrize("engine", ["command", "fake"])
def test_an_engine_that_compiles_nothing_needs_no_variable(engine):
    assert caches(engine) == {}


def test_what_the_model_sets_itself_is_left_to_it():
    everything = caches("vllm")
    assert caches("vllm", {"VLLM_CACHE_ROOT": "/mine"}) == {
        name: place for name, place in everything.items() if name != "VLLM_CACHE_ROOT"
    }


def test_what_the_server_was_started_with_is_inherited(monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", "/shared/triton")
    assert "TRITON_CACHE_DIR" not in caches("vllm")


BYTECODE = {"PYTHONPYCACHEPREFIX": str(FOLDER / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}


@pytest.mark.parametrize("engine", INSTALLED)
def test_where_bytecode_is_switched_off_it_is_kept_in_the_folder(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    install_package(tmp_path, engine)
    assert BYTECODE.items() <= caches(engine).items()


def test_where_packages_may_not_be_written_bytecode_is_kept_in_the_folder(tmp_path, monkeypatch):
    install_package(tmp_path, "vllm")
    assert "PYTHONPYCACHEPREFIX" not in caches("vllm")  # Python writes it beside the sources
    allowed = os.access  # for root, everything
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK and allowed(path, mode))
    assert BYTECODE.items() <= caches("vllm").items()


def test_packages_that_are_compiled_are_used_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    install_package(tmp_path, "vllm", compiled=True)
    assert not BYTECODE.keys() & caches("vllm").keys()


@pytest.mark.parametrize("name", BYTECODE)
def test_who_decides_about_bytecode_in_the_model_is_not_overruled(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    install_package(tmp_path, "vllm")
    assert not BYTECODE.keys() & caches("vllm", {name: "1"}).keys()


def test_an_engine_whose_packages_are_not_found_gets_no_bytecode_folder(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert not BYTECODE.keys() & caches("sglang").keys()
