from pathlib import Path
from typing import Any

import pytest

from glowplug.engines import llama_cpp_values as values
from glowplug.engines.llama_cpp_arguments import FlagError, apply, main_name, read
from glowplug.engines.llama_cpp_flags import ADVICE, FLAGS, OTHER_NAMES, SHORT_NAMES
from glowplug.engines.llama_cpp_values import Lora, Member
from tests.engines.model_file import needs_model


def assigned(*words: str) -> dict[str, Any]:
    return {path: value for setting in read(words) for path, value in setting.assignments.items()}


def test_flags_with_values_and_switches_are_read_in_order():
    assert assigned("--ctx-size", "2048", "--no-warmup", "--metrics") == {
        "n_ctx": 2048, "warmup": False, "endpoint_metrics": True,
    }  # fmt: skip


def test_short_and_other_names_mean_the_same():
    assert assigned("-c", "8", "-ngl", "3", "--n_gpu_layers", "4") == {"n_ctx": 8, "n_gpu_layers": 4}
    assert assigned("--embedding") == assigned("--embeddings")


def test_every_other_name_leads_to_a_flag():
    assert {main_name(name) for name in (*SHORT_NAMES, *OTHER_NAMES)} <= set(FLAGS)
    assert not set(ADVICE) & set(FLAGS)


def test_a_switch_with_opposite_meaning_is_turned():
    assert assigned("--no-repack") == {"no_extra_bufts": True}
    assert assigned("--repack") == {"no_extra_bufts": False}


def test_words_become_members_of_enumerations():
    assert assigned("-fa", "off", "-ctk", "q8_0", "-lm", "mmap+mlock") == {
        "flash_attn_type": Member("llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE_DISABLED"),
        "cache_type_k": Member("ggml_type", "GGML_TYPE_Q8_0"),
        "load_mode": Member("llama_load_mode", "LLAMA_LOAD_MODE_MMAP_MLOCK"),
    }


def test_one_flag_may_set_several_things():
    assert assigned("--timeout", "9") == {"timeout_read": 9, "timeout_write": 9}
    assert assigned("--reranking")["embedding"] is True
    assert assigned("--reranking")["pooling_type"].name == "LLAMA_POOLING_TYPE_RANK"
    assert assigned("--reasoning", "off")["default_template_kwargs"] == {"enable_thinking": "false"}


def test_gpu_layers_have_names_for_all_and_auto():
    assert [values.gpu_layers(text) for text in ("all", "auto", "0", "12")] == [-2, -1, 0, 12]


def test_a_margin_for_one_device_holds_for_all():
    assert set(values.margins("512")) == {512 * 1024**2}
    assert values.margins("512,1")[:3] == [512 * 1024**2, 1024**2, 1024**3]


def test_a_scaled_adapter_may_have_a_colon_in_its_path(tmp_path):
    adapter = tmp_path / "a:b.gguf"
    adapter.touch()
    assert values.scaled_loras(f"{adapter}:0.5") == [Lora(str(adapter), 0.5)]


def test_template_values_are_kept_as_json():
    assert values.template_values('{"enable_thinking": false, "level": "low"}') == {
        "enable_thinking": "false", "level": '"low"',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--ctx-sise", "1"], 'no flag "ctx-sise" here; did you mean "ctx-size"'),
        (["--no-mmap"], "write load-mode: none"),
        (["--api-key", "x"], "server.api_keys_file"),
        (["--ctx-size"], '"ctx-size" needs a value'),
        (["--ctx-size", "big"], '"ctx-size" cannot be "big": use a whole number'),
        (["--temp", "hot"], "use a number"),
        (["--flash-attn", "maybe"], "use one of on, off, auto"),
        (["--rope-scale", "0"], "other than 0"),
        (["--lora", "/nonexistent/a.gguf"], "use a file that exists"),
        (["--slot-save-path", "/nonexistent"], "use a directory that exists"),
        (["--chat-template-kwargs", "[1]"], "use a JSON object"),
        (["--lora-scaled", "a.gguf"], "use FILE:SCALE"),
        (["2048"], "is not a flag"),
        (["--no-ctx-size"], "no flag"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(words, sentence):
    with pytest.raises(FlagError) as caught:
        read(words)
    assert sentence in str(caught.value)


SAMPLES = {
    "model": None, "alias": "a,b", "host": "127.0.0.1", "prio": "2", "numa": "isolate", "load-mode": "none",
    "lazy-mode": "off", "split-mode": "row", "tensor-split": "3,1", "override-tensor": "exps=CPU", "fit": "off",
    "fit-target": "512", "flash-attn": "on", "cache-type-k": "q8_0", "cache-type-v": "bf16", "rope-scaling": "yarn",
    "pooling": "cls", "chat-template": "chatml", "chat-template-file": None, "chat-template-kwargs": '{"a": 1}',
    "reasoning": "on", "reasoning-format": "none", "reasoning-budget-message": "stop", "samplers": "top_k;temperature",
    "lora": None, "lora-scaled": "SCALED", "mmproj": None, "spec-draft-model": None, "slot-save-path": "DIRECTORY",
    "media-path": "DIRECTORY",
}  # fmt: skip
"""A value for every flag that does not take a number; None stands for a file."""


def sample(name: str, folder: Path) -> list[str]:
    if FLAGS[name].switch:
        return [f"--no-{name}" if name in ("warmup", "jinja", "slots") else f"--{name}"]
    file = folder / "file.txt"
    file.write_text("content")
    value = {None: str(file), "SCALED": f"{file}:0.5", "DIRECTORY": str(folder)}.get(
        SAMPLES.get(name, "3"), SAMPLES.get(name, "3")
    )
    return [f"--{name}", str(value)]


@needs_model
@pytest.mark.llamacpp
@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_reaches_its_place_in_the_parameters(name, tmp_path):
    import xllamacpp

    params = xllamacpp.CommonParams()
    settings = read(sample(name, tmp_path))
    apply(settings, params, xllamacpp)
    for path, value in settings[0].assignments.items():
        found: Any = params
        for attribute in path.split("."):
            found = getattr(found, attribute)
        assert same(found, value, xllamacpp), f"{path} is {found!r} instead of {value!r}"


def same(found: Any, value: Any, xllamacpp: Any) -> bool:
    match value:
        case Member():
            return found == getattr(xllamacpp, value.enum)[value.name]
        case [Lora(), *_]:
            return [(lora.path, lora.scale) for lora in found] == [(lora.path, lora.scale) for lora in value]
        case [Member(), *_]:
            return [member.name for member in found] == [member.name for member in value]
        case float():
            return abs(found - value) < 1e-6 * max(1, abs(value))
    return found == value


@needs_model
@pytest.mark.llamacpp
def test_sampling_defaults_are_marked_as_chosen_and_lists_add_up(tmp_path):
    import xllamacpp

    adapter = tmp_path / "a.gguf"
    adapter.touch()
    params = xllamacpp.CommonParams()
    words = ["--temp", "0", "--top-k", "1", "--lora", str(adapter), "--lora-scaled", f"{adapter}:0.5"]
    apply(read(words), params, xllamacpp)
    marks = xllamacpp.common_params_sampling_config
    chosen = marks.COMMON_PARAMS_SAMPLING_CONFIG_TEMP.value | marks.COMMON_PARAMS_SAMPLING_CONFIG_TOP_K.value
    assert params.sampling.user_sampling_config == chosen
    assert [lora.scale for lora in params.lora_adapters] == [1.0, 0.5]
