"""The same work in several threads."""

import os
import threading

import pytest

from glowplug.artifacts.parallel import for_each


def test_every_item_once_with_a_state_for_each_thread() -> None:
    states: list[list[int]] = []

    def state() -> list[int]:
        states.append([])
        return states[-1]

    for_each(range(1000), lambda own, item: own.append(item), state, 4)
    assert len(states) == 4
    assert sorted(item for own in states for item in own) == list(range(1000))


def test_threads_work_at_the_same_time() -> None:
    together = threading.Barrier(3)
    for_each(range(3), lambda _, __: together.wait(30) and None, lambda: None, 3)


def test_the_first_error_ends_it_and_is_raised() -> None:
    begun: list[int] = []

    def work(_: None, item: int) -> None:
        begun.append(item)
        if item == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        for_each(range(1000), work, lambda: None, 1)
    assert begun == [0, 1, 2, 3]


def test_an_error_of_the_items_is_raised_too() -> None:
    with pytest.raises(ZeroDivisionError):
        for_each((1 // (2 - n) for n in range(5)), lambda _, __: None, lambda: None, 2)


def test_the_threads_are_nicer_than_the_caller() -> None:
    seen: list[int] = []
    own = os.getpriority(os.PRIO_PROCESS, 0)
    for_each([0], lambda _, __: seen.append(os.getpriority(os.PRIO_PROCESS, 0)), lambda: None, 1, niceness=7)
    assert seen == [7]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
