"""The ring of the last lines."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.node import logs
from glowplug.node.logs import LogRing


def test_lines_come_back_in_order_the_unfinished_one_last():
    ring = LogRing()
    ring.feed(b"one\ntwo\nthr")
    assert ring.lines() == ["one", "two", "thr"]
    ring.feed(b"ee\n")
    assert ring.lines() == ["one", "two", "three"]
    assert ring.written == 3


@given(
    st.lists(st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"])), max_size=20),
    st.data(),
)
def test_how_the_bytes_are_cut_into_pieces_makes_no_difference(lines, data):
    content = "".join(f"{line}\n" for line in lines).encode()
    ring = LogRing()
    while content:
        size = data.draw(st.integers(1, len(content)))
        ring.feed(content[:size])
        content = content[size:]
    assert ring.lines() == lines


def test_only_the_newest_lines_are_kept():
    ring = LogRing(max_lines=3)
    for number in range(10):
        ring.feed(b"%d\n" % number)
    assert ring.lines() == ["7", "8", "9"]
    assert ring.lines(since=9) == ["9"]
    assert ring.lines(since=2) == ["7", "8", "9"]
    assert ring.lines(since=10) == []


def test_only_so_many_bytes_are_kept():
    ring = LogRing(max_bytes=100)
    for _ in range(10):
        ring.feed(b"x" * 30 + b"\n")
    assert len(ring.lines()) == 3


def test_a_very_long_line_is_cut_and_says_so():
    ring = LogRing(max_line_bytes=10)
    for _ in range(1000):
        ring.feed(b"0123456789")
    ring.feed(b"\nnext\n")
    assert ring.lines() == ["0123456789 [line cut]", "next"]


def test_a_progress_bar_is_one_line_with_its_last_state():
    ring = LogRing(max_line_bytes=20)
    for percent in range(0, 101, 10):
        ring.feed(b"\rloading %d %%" % percent)
    assert ring.lines() == ["loading 100 %"]
    ring.feed(b"\ndone\n")
    assert ring.lines() == ["loading 100 %", "done"]


def test_a_bar_that_ends_its_states_with_the_return_shows_the_last_one_too():
    ring = LogRing()
    ring.feed(b"10 %\r50 %\r")
    assert ring.lines() == ["50 %"]
    ring.feed(b"90 %\r")
    assert ring.lines() == ["90 %"]


def test_windows_line_ends_are_line_ends_even_when_cut_in_two():
    ring = LogRing()
    ring.feed(b"one\r")
    ring.feed(b"\ntwo\r\n")
    assert ring.lines() == ["one", "two"]


def test_a_cut_line_that_starts_anew_is_whole_again():
    ring = LogRing(max_line_bytes=5)
    ring.feed(b"0123456789\rshort\n")
    assert ring.lines() == ["short"]


def test_bytes_that_are_no_text_are_replaced():
    ring = LogRing()
    ring.feed(b"\xff ok \xc3\n")
    assert ring.lines() == ["\ufffd ok \ufffd"]


def test_what_ends_without_a_line_end_counts_once_the_writer_is_gone():
    ring = LogRing()
    ring.feed(b"last words")
    assert ring.written == 0
    ring.flush()
    assert (ring.written, ring.lines()) == (1, ["last words"])


async def test_followers_get_what_is_there_and_what_comes_each_for_itself():
    ring = LogRing()
    ring.feed(b"old\nunfin")

    async def read() -> list[str]:
        return [line async for line in ring.follow()]

    first, second = asyncio.create_task(read()), asyncio.create_task(read())
    await asyncio.sleep(0)
    ring.feed(b"ished\nnew\n")
    await asyncio.sleep(0)
    ring.feed(b"tail")
    ring.close()
    assert await first == await second == ["old", "unfinished", "new", "tail"]


async def test_a_slow_follower_loses_lines_is_told_and_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(logs, "FOLLOWER_LINES", 10)
    ring = LogRing()
    ring.feed(b"first\n")
    slow = ring.follow()
    assert await anext(slow) == "first"
    for number in range(100):
        ring.feed(b"%d\n" % number)
    ring.close()
    rest = [line async for line in slow]
    assert rest == ["[90 lines left out: they came faster than they were read]", *map(str, range(90, 100))]
    assert len(ring.lines()) == 101


async def test_a_follower_that_leaves_is_forgotten():
    ring = LogRing()
    ring.feed(b"line\n")
    follower = ring.follow()
    await anext(follower)
    await follower.aclose()
    assert not ring._followers


async def test_following_a_closed_ring_gives_what_it_held():
    ring = LogRing()
    ring.feed(b"line\n")
    ring.close()
    assert [line async for line in ring.follow()] == ["line"]


@pytest.mark.parametrize("text", [b"", b"   ", b"\r"])
def test_an_unfinished_line_of_nothing_is_not_shown(text):
    ring = LogRing()
    ring.feed(b"line\n" + text)
    assert ring.lines() == ["line"]


def test_a_listener_gets_every_byte_as_it_comes_until_it_leaves():
    ring = LogRing()
    heard = []
    ring.feed(b"before\n")
    ring.listen(heard.append)
    ring.feed(b"half a li")
    ring.feed(b"ne\r\xff\n")
    ring.unlisten(heard.append)
    ring.feed(b"after\n")
    assert heard == [b"half a li", b"ne\r\xff\n"]
