"""What an engine, or code that runs in it, does around a snapshot. On the path of every engine under Glowplug.

    from glowplug_snapshot import register_after_restore, register_before_snapshot

    register_before_snapshot(cache.clear)

    @register_after_restore
    def connect_again() -> None:
        ...

Functions run before a snapshot in the reverse order of their registration, and after it in the order of registration;
always in a thread of Glowplug's, one at a time, while the rest of the process runs on. What is registered in a process
holds for its later forks. Functions registered to run after a restore run in every restored copy, after all random
generators that Glowplug knows have new seeds, and also in the process that the snapshot was taken of, when it goes on.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])
    Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_before_snapshot: list[Call] = []
_after_restore: list[Call] = []


def register_before_snapshot(func: Function, *args: Any, **kwargs: Any) -> Function:
    """Call `func(*args, **kwargs)` before a snapshot. An exception prevents the snapshot; the process goes on.

    Returns `func`, so it can be used as a decorator. Raises TypeError for what cannot be called.
    """
    return _register(_before_snapshot, func, args, kwargs)


def register_after_restore(func: Function, *args: Any, **kwargs: Any) -> Function:
    """Call `func(*args, **kwargs)` after a restore, before the first request. An exception ends the restored copy.

    Returns `func`, so it can be used as a decorator. Raises TypeError for what cannot be called.
    """
    return _register(_after_restore, func, args, kwargs)


def calls_before_snapshot() -> list[Call]:
    """What is registered, in the order in which it is called: last registered, first called."""
    return _before_snapshot[::-1]


def calls_after_restore() -> list[Call]:
    """What is registered, in the order in which it is called: first registered, first called."""
    return _after_restore[:]


def _register(calls: list[Call], func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function:
    if not callable(func):
        raise TypeError(f"{func!r} cannot be called")
    calls.append((func, args, kwargs))
    return func
