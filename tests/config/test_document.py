"""Files that are no YAML or no text, YAML's own ways to share values, and files made to do harm."""

from pathlib import Path

import pytest

from glowplug.config.errors import ConfigError
from glowplug.config.loader import load
from tests.config.conftest import ENGINES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: {a: b", "1:14: this is not valid YAML: expected ',' or '}', but got '<stream end>'"),
        ("a: b: c", "1:5: this is not valid YAML: mapping values are not allowed here"),
        ("models:\n\tm: 1", "2:1: YAML does not allow a tab here; indent with spaces"),
        ("a: 'x", "1:6: this is not valid YAML: found unexpected end of stream"),
        ("a: *b", "1:4: this is not valid YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 1", "2:1: this is not valid YAML: but found another document"),
        ('a: "\\UFFFFFFFF"', "this is not valid YAML; check the escapes here"),
        ("server: {port: ${PORT}}", "inside { } and [ ], put ${NAME} in quotes"),
        ("a: \x07", "1:4: the character U+0007 is not allowed in YAML; remove it"),
        (b"a: b\nc: \xff", "2:4: this is not UTF-8 text; save the file as UTF-8"),
        (b"\xef\xbb\xbfa: \xff", "1:4: this is not UTF-8 text; save the file as UTF-8"),
        ("models: {}".encode("utf-16"), "1:1: this is not UTF-8 text; save the file as UTF-8"),
    ],
)
def test_what_is_no_yaml(complaints, text, expected):
    (found,) = complaints(text)
    assert expected in found


def test_a_missing_file_says_how_to_begin(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file; write one, or begin with: glowplug config example"):
        load(tmp_path / "nothing.yaml", ENGINES, {})


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="this is a directory; name the file in it"):
        load(tmp_path, ENGINES, {})


def test_a_path_that_cannot_be_opened_gives_the_reason(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read \(File name too long\)"):
        load(tmp_path / ("x" * 300), ENGINES, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(Path("a\0b"), ENGINES, {})


def test_a_huge_file_is_not_read(complaints):
    assert complaints("# " + "x" * 1024**2) == ["the file is larger than 1 MiB; is it the right one?"]


def test_anchors_and_merge_keys_share_settings(load_text):
    config = load_text(
        "models:\n"
        "  a: &base\n"
        "    engine: vllm\n"
        "    args: &args {x: 1, y: 1}\n"
        "    pin: true\n"
        "  b:\n"
        "    <<: *base\n"
        "    pin: false\n"
        "    args: {<<: [{z: 3, y: 3}, *args], x: 2}\n"
        "  c: *base\n"
    )
    assert config.models["a"] == config.models["c"]
    assert config.models["b"].engine == "vllm"
    assert config.models["b"].pin is False
    assert config.models["b"].args == {"x": 2, "y": 3, "z": 3}


def test_a_mistake_in_a_shared_value_is_reported_once_where_it_is_written(complaints):
    text = "models:\n  a: &a\n    engine: vlm\n  b: *a\n  c: {<<: *a}\n"
    assert complaints(text) == ['3:13: unknown engine "vlm"; did you mean "vllm"?']


def test_only_mappings_can_be_merged(complaints):
    text = "models:\n  a: {engine: vllm, <<: 3}\n"
    assert complaints(text) == ["2:25: << takes a mapping or a list of mappings, such as *name of an &name above"]


def test_a_quoted_merge_sign_is_a_key(load_text):
    assert load_text('models: {a: {engine: vllm, args: {"<<": 3}}}').models["a"].args == {"<<": 3}


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20))]),
        "\n".join(
            ["a0: &a0 {k: x}", *(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 20))]
        ),
    ],
    ids=["values", "merges"],
)
def test_few_lines_cannot_stand_for_billions_of_values(complaints, text):
    (found,) = complaints(text)
    assert "aliases make the file stand for more than 100,000 values" in found


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}", "a: &a {<<: [{<<: *a}]}"])
def test_a_value_cannot_hold_itself(complaints, text):
    assert complaints(text) == ["1:4: this value contains itself through an alias; write it out"]


def test_values_cannot_be_nested_without_end(complaints):
    (written,) = complaints("[" * 5000)
    assert "nested more than 40 levels deep" in written
    deep = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} {'[' * 20}*a{i - 1}{']' * 20}" for i in range(1, 60))])
    (through_aliases,) = complaints(deep)
    assert "nested more than 40 levels deep" in through_aliases
