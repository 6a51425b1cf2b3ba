import io
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart import order
from glowplug.coldstart.order import is_newest_first, renumbered, reversed_lines
from glowplug.coldstart.reading import read_starts
from tests.coldstart.kettle import GRAMMARS, read, start
from tests.coldstart.prefixes import PREFIXES, Prefix


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def console(lines: list[str], begin: int = 0) -> list[str]:
    """Lines as RunPod's console shows them, with batched times of its own."""
    return [
        f"2026-07-21  03:{(begin + i // 3) // 60:02}:{(begin + i // 3) % 60:02}.000 | info | worker1 | {line}"
        for i, line in enumerate(lines)
    ]


@given(
    lines=st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    end=st.booleans(),
    block=st.integers(1, 40),
    skipped=st.integers(0, 20),
)
def test_the_lines_come_last_one_first_in_blocks_of_any_size(
    lines: list[bytes], end: bool, block: int, skipped: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if end and lines else b"")
    with patch.object(order, "_BLOCK", block):
        found = b"".join(reversed_lines(io.BytesIO(b"x" * skipped + data), skipped))
    wanted = data.removesuffix(b"\n").split(b"\n") if data else []
    assert found == b"".join(line + b"\n" for line in reversed(wanted))


def test_of_a_line_without_end_only_so_much_is_kept() -> None:
    data = b"first\n" + b"begin" + b"x" * 5000 + b"end\nlast\n"
    with patch.object(order, "_BLOCK", 100), patch.object(order, "_LONGEST", 300):
        blocks = list(reversed_lines(io.BytesIO(data)))
    assert b"".join(blocks).startswith(b"last\n")
    assert b"".join(blocks).endswith(b"\nfirst\n")
    middle = b"".join(blocks).split(b"\n")[1]
    assert middle.startswith(b"beginxxx")
    assert len(middle) <= 500


@pytest.mark.parametrize("extra", [[], start(90, pid=8, fail=True), start(90, pid=8)], ids=["one", "failed", "two"])
def test_a_log_newest_line_first_tells_the_same_as_one_in_order(extra: list[str]) -> None:
    lines = console(["", *start(), "Something after it", *extra])
    forward = read(lines).starts
    backward = text(lines[::-1])
    assert is_newest_first(backward)
    assert not is_newest_first(text(lines))
    reading = read_starts(reversed_lines(io.BytesIO(backward)), GRAMMARS)
    assert reading.starts == forward
    assert len(forward) == 1 + bool(extra)
    for found, wanted in zip((renumbered(one, reading.lines) for one in reading.starts), forward, strict=True):
        assert found.lines == tuple(sorted(len(lines) + 1 - line for line in wanted.lines))
        for span, other in zip(found.walk(), wanted.walk(), strict=True):
            for line, twin in zip(sorted(span.lines, reverse=True), other.lines, strict=True):
                assert lines[::-1][line - 1] == lines[twin - 1]
        assert renumbered(found, reading.lines) == wanted


@pytest.mark.parametrize("prefix", PREFIXES, ids=repr)
def test_an_engines_own_times_tell_the_order_too(prefix: Prefix) -> None:
    lines = [prefix.wrap(f"\x1b[1;36m{line}\x1b[0m") for line in start()]
    assert is_newest_first(text(lines[::-1]))
    assert not is_newest_first(text(lines))


def test_one_line_out_of_order_does_not_turn_a_log_round() -> None:
    lines = start()
    assert not is_newest_first(text([lines[-1], *lines]))
    assert not is_newest_first(text([*lines, *lines]))


@pytest.mark.parametrize("data", [b"", b"\n", b"no time at all\n" * 50, b"\x00" * 5000, text(start()[:1])])
def test_what_has_no_order_is_read_as_it_stands(data: bytes) -> None:
    assert not is_newest_first(data)


def test_long_lines_of_json_tell_the_order() -> None:
    lines = [
        f'{{"pad": "{"x" * 3000}", "log": "line", "time": "2026-07-21T10:00:{second:02}Z"}}' for second in range(9)
    ]
    assert is_newest_first(text(lines[::-1]))
    assert not is_newest_first(text(lines))
