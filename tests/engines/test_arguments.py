import pytest

from glowplug.engines.arguments import OURS, argparse_line, command_line, given, refuse
from glowplug.engines.base import EngineError


def test_each_kind_of_value_has_its_spelling():
    assert command_line({"ctx-size": 2048, "temp": 0.5, "chat-template": "chatml"}) == [
        "--ctx-size", "2048", "--temp", "0.5", "--chat-template", "chatml",
    ]  # fmt: skip


def test_true_is_the_bare_flag_and_false_its_negation():
    assert command_line({"warmup": True, "jinja": False, "no-mmap": True, "no-repack": False}) == [
        "--warmup", "--no-jinja", "--no-mmap", "--repack",
    ]  # fmt: skip


def test_a_list_repeats_the_flag():
    assert command_line({"lora": ["a", "b"]}) == ["--lora", "a", "--lora", "b"]


def test_a_mapping_is_written_as_json():
    assert command_line({"hf-overrides": {"a": [1, None]}}) == ["--hf-overrides", '{"a": [1, null]}']


def test_null_leaves_the_flag_out():
    assert command_line({"threads": None, "lora": []}) == []


def test_one_letter_gets_one_dash():
    assert command_line({"c": 8}) == ["-c", "8"]


def test_zero_is_a_value_and_not_false():
    assert command_line({"gpu-layers": 0}) == ["--gpu-layers", "0"]


def test_servers_built_on_argparse_get_all_items_after_one_flag():
    assert argparse_line({"cuda-graph-bs": [1, 2], "enforce-eager": True, "lora-paths": [], "seed": None, "a": {}}) == [
        "--cuda-graph-bs", "1", "2", "--enforce-eager", "-a", "{}",
    ]  # fmt: skip


def test_a_flag_is_found_in_either_spelling():
    assert given({"max_model_len": 2048}, "max-model-len") == 2048
    assert given({"max-model-len": 2048}, "max-model-len") == 2048
    assert given({"max-model": 1}, "max-model-len") is None


@pytest.mark.parametrize("flag", ["api-key", "api_key"])
def test_a_flag_that_the_adapter_sets_is_refused_with_the_reason(flag):
    with pytest.raises(EngineError, match=f'"{flag}" cannot be given in args: Glowplug checks API keys itself'):
        refuse({"seed": 1, flag: "x"}, OURS)
    refuse({"seed": 1, "api": "x"}, OURS)
