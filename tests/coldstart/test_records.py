from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.heads import Head
from glowplug.coldstart.records import RecordReader, plain_text

READER = RecordReader(["Filling took", "Boiled in", "Loading "], ["Fill level:", "Boiling bar:"])
STAMP = "INFO 07-21 10:00:12 [kettle.py:1]"
LONG = 16 * 1024


def bar(count: int, name: str = "Loading Fill level:", end: str = "\r", total: int = 100_000) -> str:
    return "".join(
        f"{name} {i * 100 // total:3}%|##   | {i}/{total} [{i // 60:02}:{i % 60:02}<00:01,  2.00s/it]{end}"
        for i in range(1, count + 1)
    )


def read(line: str | bytes) -> list[Head]:
    return list(READER.read(line if isinstance(line, bytes) else line.encode()))


def messages(line: str | bytes) -> list[str]:
    return [head.message for head in read(line)]


def test_a_line_is_one_record() -> None:
    (head,) = read(f"(Element pid=2) {STAMP} Filling took 4 s")
    assert (head.message, head.process, head.pid) == ("Filling took 4 s", "Element", "2")
    assert head.inner is not None


def test_colours_nul_bytes_and_a_byte_order_mark_are_left_out() -> None:
    text = (
        f"\ufeff\x00\x1b[1;36m(Element pid=2)\x1b[0;0m \x00{STAMP} \x1b]0;title\x07Filling \x1b[?25ltook 4 s".encode()
    )
    (head,) = read(text)
    assert (head.message, head.process) == ("Filling took 4 s", "Element")


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert messages(b"Filling took \xff\xfe 4 s") == ["Filling took \ufffd\ufffd 4 s"]


def test_a_line_glued_to_a_bar_is_a_record_with_its_own_time() -> None:
    records = read(
        f"(A pid=1) Fill level: 100%|##| 2/2 [00:04<00:00, 2.0s/it](B rank=1 pid=3) {STAMP} Filling took 4 s"
    )
    assert [record.message for record in records] == [
        "Fill level: 100%|##| 2/2 [00:04<00:00, 2.0s/it]",
        "Filling took 4 s",
    ]
    assert [record.process for record in records] == ["A", "B rank=1"]
    assert [record.inner is None for record in records] == [True, False]


def test_the_first_of_two_lines_on_one_keeps_its_time() -> None:
    records = read(f"(A pid=1) {STAMP} one{STAMP.replace('12', '19')} two")
    assert [record.message for record in records] == ["one", "two"]
    assert [record.inner and record.inner.seconds % 60 for record in records] == [12, 19]


def test_carriage_returns_divide_a_line() -> None:
    assert messages("Fill level: 1/2\r\rFill level: 2/2\r") == ["Fill level: 1/2", "Fill level: 2/2"]


def test_a_consoles_line_with_escaped_ends_is_several_with_its_time_and_source() -> None:
    records = read(rf"2026-02-03  15:30:43.245 | info | worker1 | {STAMP} Filling took 4 s\nBoiled in 3 s\n")
    assert [record.message for record in records] == ["Filling took 4 s", "Boiled in 3 s"]
    assert {record.source for record in records} == {"worker1"}
    assert all(record.outer is not None for record in records)
    assert [record.inner is None for record in records] == [False, True]


def test_a_backslash_and_an_n_in_other_lines_are_what_they_are() -> None:
    line = rf"{STAMP} Filling took C:\new water, with '\n'"
    assert messages(line) == [line.removeprefix(f"{STAMP} ")]
    assert messages(r"Fill level: 1/2\rFill level: 2/2") == ["Fill level: 1/2", "Fill level: 2/2"]


def test_of_a_long_line_the_last_state_of_every_bar_is_read() -> None:
    line = f"(A pid=1) {STAMP} before\r" + bar(1000) + bar(700, "Boiling bar:")
    assert len(line) > LONG
    assert [message.strip() for message in messages(line)] == [
        "Fill level:   1%|##   | 1000/100000 [16:40<00:01,  2.00s/it]",
        "Boiling bar:   0%|##   | 700/100000 [11:40<00:01,  2.00s/it]",
    ]
    assert {record.process for record in read(line)} == {"A"}


def test_a_hundred_thousand_states_on_one_line_are_two_records_whether_divided_or_not() -> None:
    for end in ("\r", ""):
        line = bar(100_000, end=end) + f"(A pid=1) {STAMP} Filling took 4 s"
        told, state = read(line)
        assert told.message == "Filling took 4 s"
        assert state.message.startswith("Fill level: 100%|##   | 100000/100000 [")
        assert state.message.rstrip().endswith("s/it]")


@given(
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    states=st.integers(300, 500),
    end=st.sampled_from(["", "\r"]),
    told=st.sampled_from(["Filling took 4 s", "Boiled in 3 s"]),
)
def test_lines_between_the_states_of_a_long_bar_are_found(
    before: int, after: int, states: int, end: str, told: str
) -> None:
    line = f"{STAMP} {told}{end}"
    text = bar(states, end=end) + line * before + bar(states, end=end) + line * after + bar(1, end=end)
    assert len(text) > LONG
    found = [record for record in read(text) if told in record.message]
    assert len(found) == before + after
    assert all(record.inner is not None for record in found)


def test_a_long_line_of_one_message_keeps_what_follows_the_text() -> None:
    (record,) = read(f"2026-01-22T20:31:25Z {STAMP} Filling took 4 s and " + "x" * LONG)
    assert record.message.startswith("Filling took 4 s and xxx")
    assert record.outer is not None
    assert record.inner is not None


@given(st.binary(max_size=400))
def test_any_bytes_are_records_of_text(line: bytes) -> None:
    for record in READER.read(line):
        record.message.encode()
        assert "\x00" not in record.message


parts = st.lists(
    st.sampled_from(
        [b"Filling took", b"Fill level:", b"]", b"\r", b"\\n", b"%|", b"it/s", b"(A pid=1) ", b"\xff", b" ", b"INFO ",
         b"{", STAMP.encode(), b"2026-01-22T20:31:25Z ", b"\x1b[0m"]
    ),
    max_size=30,
)  # fmt: skip
fillers = st.sampled_from([b"", *(sign * LONG for sign in (b" ", b"x", b"\r", b"]", b"Fill level:", b"Filling took"))])


@given(pieces=parts, filler=fillers)
def test_pieces_of_lines_in_disorder_are_no_error(pieces: list[bytes], filler: bytes) -> None:
    for line in (b"".join(pieces), filler + b"".join(pieces), b"".join(pieces) + filler):
        list(READER.read(line))
        plain_text(line).encode()
