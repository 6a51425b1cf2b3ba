"""`${NAME}` in values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.config.scalars import ScalarError, fill_in, read_plain


def test_an_unquoted_variable_is_read_as_if_it_stood_in_the_file(load_text):
    config = load_text(
        "server:\n  port: ${PORT}\n  host: ${HOST}\nmodels:\n  m:\n    engine: vllm\n"
        "    pin: ${PIN:-true}\n    args:\n      a: ${PORT}\n      b: '${PORT}'\n",
        PORT="9000",
        HOST="0.0.0.0",
    )
    assert (config.server.port, config.server.host) == (9000, "0.0.0.0")
    assert config.models["m"].pin is True
    assert config.models["m"].args == {"a": 9000, "b": "9000"}


def test_an_unset_variable_is_an_error_at_its_place(complaints):
    text = "server:\n  host: x\n  port: ${NO_PORT}\nmodels: {m: {engine: vllm}}"
    assert complaints(text) == ["3:9: the environment variable NO_PORT is not set; set it or write ${NO_PORT:-default}"]


def test_a_wrong_value_from_the_environment_is_an_error_at_its_place(complaints):
    text = "server:\n  port: ${PORT}\nmodels: {m: {engine: vllm}}"
    assert complaints(text, PORT="many") == ['2:9: "port" must be a whole number, not "many"']


def test_keys_are_left_alone(load_text):
    assert load_text("models: {m: {engine: vllm, args: {'${A}': 1}}}", A="x").models["m"].args == {"${A}": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b c}", "a:-b c"),
        ("$${A}", "${A}"),
        ("$$$A $", "$$$A $"),
        ("${NESTED}", "${A}"),
    ],
)
def test_what_is_filled_in(text, expected):
    assert fill_in(text, {"A": "1", "EMPTY": "", "NESTED": "${A}"}) == expected


@pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A", "${A B}", "${A:d}", "${-x}"])
def test_a_malformed_reference_names_the_two_forms(text):
    with pytest.raises(ScalarError, match=r"write \$\{NAME\} or \$\{NAME:-default\}"):
        fill_in(text, {"A": "1"})


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_references_stays(text):
    assert fill_in(text, {}) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False), ("no", "no"), ("on", "on"),
        ("0", 0), ("-12", -12), ("+3", 3), ("007", 7), ("0o17", 15), ("0xFf", 255), ("1_000", "1_000"),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e-5", 1e-5), ("-.inf", float("-inf")), (".INF", float("inf")),
        ("12:30", "12:30"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), (".", "."), ("-", "-"),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)),
    ],
)  # fmt: skip
def test_plain_values_mean_what_yaml_1_2_says(text, expected):
    found = read_plain(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "0x10000000000000000", "9" * 5000])
def test_integers_beyond_64_bits_are_refused(text):
    with pytest.raises(ScalarError, match="too large"):
        read_plain(text)
