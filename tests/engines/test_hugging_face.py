import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines import hugging_face
from glowplug.engines.base import EngineError
from tests.engines.models import LLAMA, write_index, write_model, write_snapshot

NAME = "acme/tiny-1.0"


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """An empty hub cache, reached through the environment as on a user's machine."""
    for variable in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def config(model, **env):
    return ModelConfig(engine="vllm", model=str(model), env=env)


def names(folder):
    return [file.name for file in hugging_face.weight_files(folder)]


def test_a_directory_is_where_the_model_is(tmp_path):
    folder = write_model(tmp_path / "m", {"model.safetensors": 10})
    hugging_face.check("vLLM", config(folder))
    assert hugging_face.directory(config(folder)) == folder


def test_a_hub_name_leads_to_its_snapshot(hub):
    assert hugging_face.directory(config(NAME)) is None
    snapshot = write_snapshot(hub, NAME)
    assert hugging_face.directory(config(NAME)) == snapshot
    assert hugging_face.directory(config(NAME), revision="v2") is None
    assert hugging_face.directory(config(NAME), revision=snapshot.name) == snapshot


@pytest.mark.parametrize("variables", [{"HF_HUB_CACHE": "{}"}, {"HF_HOME": "{}/.."}])
def test_the_cache_is_where_the_models_own_environment_says(tmp_path, variables):
    snapshot = write_snapshot(tmp_path / "elsewhere" / "hub", NAME)
    env = {name: value.format(tmp_path / "elsewhere" / "hub") for name, value in variables.items()}
    assert hugging_face.directory(config(NAME, **env)).samefile(snapshot)


def test_the_cache_is_in_the_home_directory_if_nothing_else_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    snapshot = write_snapshot(tmp_path / "cache" / "huggingface" / "hub", NAME)
    assert hugging_face.directory(config(NAME)) == snapshot


def test_a_given_cache_comes_before_the_environment(tmp_path, hub):
    write_snapshot(hub, NAME)
    snapshot = write_snapshot(tmp_path / "downloads", NAME)
    assert hugging_face.directory(config(NAME), tmp_path / "downloads") == snapshot


def test_the_index_names_the_weights_also_those_that_are_missing(tmp_path):
    folder = write_model(tmp_path / "m", {"a-1.safetensors": 1, "a-2.safetensors": 1, "consolidated.safetensors": 1})
    write_index(folder, "a-1.safetensors", "a-3.safetensors", "a-1.safetensors")
    assert names(folder) == ["a-1.safetensors", "a-3.safetensors"]


def test_of_two_forms_of_the_same_weights_engines_read_the_first(tmp_path):
    both = write_model(tmp_path / "m", {"model.safetensors": 1, "consolidated.safetensors": 1, "pytorch_model.bin": 1})
    assert names(both) == ["model.safetensors"]
    old = write_model(tmp_path / "old", {"pytorch_model.bin": 1, "training_args.bin": 1})
    assert names(old) == ["pytorch_model.bin"]


def test_a_damaged_index_is_as_none(tmp_path):
    folder = write_model(tmp_path / "m", {"model.safetensors": 1})
    (folder / "model.safetensors.index.json").write_text('{"weight_map": [')
    assert names(folder) == ["model.safetensors"]


def test_the_shape_of_the_kv_cache_is_in_the_config(tmp_path):
    shape = hugging_face.shape(write_model(tmp_path / "m", {}))
    assert shape.context_length == 8192
    assert shape.kv_bytes(1, 2) == 30 * 3 * 2 * 64 * 2
    wide = hugging_face.shape(write_model(tmp_path / "wide", {}, {**LLAMA, "head_dim": 128}))
    assert wide.kv_values_per_token == 30 * 3 * 2 * 128
    every_head = hugging_face.shape(write_model(tmp_path / "mha", {}, {**LLAMA, "num_key_value_heads": None}))
    assert every_head.kv_values_per_token == 30 * 9 * 2 * 64


def test_the_shape_of_a_model_that_also_sees_is_that_of_its_text_part(tmp_path):
    folder = write_model(tmp_path / "m", {}, {"text_config": LLAMA, "vision_config": {"hidden_size": 1}})
    assert hugging_face.shape(folder).kv_values_per_token == 11520


@pytest.mark.parametrize("content", [{}, {**LLAMA, "kv_lora_rank": 512}, {**LLAMA, "num_attention_heads": "many"}])
def test_another_kind_of_cache_has_no_shape(tmp_path, content):
    assert hugging_face.shape(write_model(tmp_path / "m", {}, content)) is None


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"the model directory .*/gone does not exist; correct `model:`"):
        hugging_face.check("vLLM", config(tmp_path / "gone"))


def test_a_directory_that_is_no_model_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"holds no config\.json"):
        hugging_face.check("vLLM", config(tmp_path))


def test_a_model_without_weights_is_named(tmp_path):
    with pytest.raises(EngineError, match="holds no weights"):
        hugging_face.check("vLLM", config(write_model(tmp_path / "m", {})))


def test_the_first_missing_file_is_named_and_the_others_counted(tmp_path):
    folder = write_model(tmp_path / "m", {"a.safetensors": 1})
    write_index(folder, "a.safetensors", "b.safetensors", "c.safetensors")
    with pytest.raises(EngineError, match=r"incomplete: b\.safetensors is missing, with 1 more"):
        hugging_face.check("vLLM", config(folder))
    (folder / "b.safetensors").touch()
    with pytest.raises(EngineError, match=r"incomplete: c\.safetensors is missing; copy"):
        hugging_face.check("vLLM", config(folder))


def test_a_single_file_is_left_to_the_engine_if_it_can_be_read(tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    hugging_face.check("vLLM", config(file))
    assert hugging_face.directory(config(file)) is None


def test_without_a_model_the_engine_says_what_it_needs():
    with pytest.raises(EngineError, match="SGLang needs `model:`"):
        hugging_face.check("SGLang", ModelConfig(engine="sglang"))


def test_what_is_not_here_may_be_fetched_unless_that_is_forbidden(hub):
    hugging_face.check("vLLM", config(NAME))
    hugging_face.check("vLLM", config(NAME, HF_HUB_OFFLINE="0"))
    with pytest.raises(EngineError, match=f"{NAME} is not on this machine, and HF_HUB_OFFLINE .*run: hf download"):
        hugging_face.check("vLLM", config(NAME, HF_HUB_OFFLINE="1"))
    snapshot = write_snapshot(hub, NAME)
    hugging_face.check("vLLM", config(NAME, HF_HUB_OFFLINE="1"))
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(EngineError, match="holds no weights"):
        hugging_face.check("vLLM", config(NAME, HF_HUB_OFFLINE="1"))


def test_an_address_in_an_object_store_is_left_to_the_engine():
    hugging_face.check("vLLM", config("s3://bucket/model", HF_HUB_OFFLINE="1"))
    assert hugging_face.directory(config("s3://bucket/model")) is None
