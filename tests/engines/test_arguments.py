from glowplug.engines.arguments import command_line


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
