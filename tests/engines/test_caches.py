"""Where engines are told to keep what they compile."""

from pathlib import Path

import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines import registry

FOLDER = Path("/managed/KEY")


@pytest.fixture(autouse=True)
def no_settings_of_the_server(monkeypatch):
    for engine in registry.ENGINES.values():
        for name in engine.caches(ModelConfig(engine=engine.name), FOLDER):
            monkeypatch.delenv(name, raising=False)


def caches(engine: str, env: dict[str, str] | None = None) -> dict[str, str]:
    return dict(registry.get(engine).caches(ModelConfig(engine=engine, env=env or {}), FOLDER))


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
