import pytest
from pydantic import BaseModel

from glowplug.engines import registry
from glowplug.engines.base import EngineError


def test_engines_are_found_by_the_word_in_the_configuration():
    for name in ("llama.cpp", "vllm", "sglang", "transformers", "command", "fake"):
        assert registry.get(name).name == name


def test_a_misspelt_engine_gets_the_nearest_one():
    with pytest.raises(EngineError) as caught:
        registry.get("llamacpp")
    assert str(caught.value).startswith('unknown engine "llamacpp"; did you mean "llama.cpp"?')


def test_a_strange_engine_gets_the_list():
    with pytest.raises(EngineError) as caught:
        registry.get("zzz")
    assert all(name in str(caught.value) for name in registry.ENGINES)


def test_every_engine_describes_its_options_strictly():
    options = registry.options()
    assert set(options) == set(registry.ENGINES)
    for model in options.values():
        assert issubclass(model, BaseModel)
        assert model.model_config.get("extra") == "forbid"
        assert all(field.description for field in model.model_fields.values())
