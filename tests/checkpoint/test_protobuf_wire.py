import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.checkpoint import protobuf_wire as wire
from glowplug.checkpoint.protobuf_wire import Field, WireError, numeric_field


def test_the_example_of_the_specification() -> None:
    assert wire.fields(b"\x08\x96\x01") == [Field(1, 150, b"\x08\x96\x01")]
    assert numeric_field(1, 150) == b"\x08\x96\x01"


@given(st.lists(st.tuples(st.integers(1, 1 << 28), st.integers(0, (1 << 64) - 1))))
def test_numbers_are_read_as_they_were_written(numbers: list[tuple[int, int]]) -> None:
    message = b"".join(numeric_field(*number) for number in numbers)

    assert [(field.number, field.value) for field in wire.fields(message)] == numbers


@given(st.binary(max_size=60))
def test_any_bytes_are_read_whole_or_refused(message: bytes) -> None:
    try:
        found = wire.fields(message)
    except WireError:
        return
    assert b"".join(field.raw for field in found) == message


def test_fixed_numbers_and_texts() -> None:
    message = b"\x0d\x01\x00\x00\x80" + b"\x11\x02\x00\x00\x00\x00\x00\x00\x00" + b"\x1a\x02hi"

    assert [(field.number, field.value) for field in wire.fields(message)] == [(1, 0x80000001), (2, 2), (3, b"hi")]
    assert wire.messages(wire.fields(message), 3) == [b"hi"]


def test_the_last_of_repeated_numbers_counts() -> None:
    fields = wire.fields(numeric_field(4, 1) + numeric_field(4, 2))

    assert wire.number(fields, 4) == 2
    assert wire.number(fields, 5, 9) == 9


@pytest.mark.parametrize(
    "message",
    [b"\x08", b"\x08\x80", b"\x0d\x01", b"\x1a\x05hi", b"\x0b", b"\x00\x01", b"\x08" + b"\xff" * 11],
    ids=["no value", "half a number", "half a fixed number", "half a text", "a group", "field 0", "too long"],
)
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        wire.fields(message)


def test_a_field_of_another_type_is_refused() -> None:
    fields = wire.fields(b"\x1a\x02hi" + numeric_field(4, 1))

    with pytest.raises(WireError, match="field 3 is not a number"):
        wire.number(fields, 3)
    with pytest.raises(WireError, match="field 4 is a number"):
        wire.messages(fields, 4)
    with pytest.raises(WireError, match="field 7 is missing"):
        wire.number(fields, 7)
