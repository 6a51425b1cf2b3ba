"""Searching for any of many texts or patterns at once, in time that grows with the length of the input alone."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs]

_re2: Any = re2


class Finder:
    """Where in a block of bytes any of `texts` occurs.

    RE2 turns the alternatives into one automaton that reads every byte once (about 800 MB/s), however many texts there
    are; Python's own regular expressions try them one after another (70 MB/s with forty).
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._pattern: Any = _alternatives(tuple(sorted(set(texts)))) if texts else None

    def search(self, data: bytes, start: int = 0) -> int:
        """Position of the first occurrence at or after `start`; -1 if there is none."""
        match = self._pattern.search(data, start) if self._pattern is not None else None
        return -1 if match is None else match.start()

    def first_text(self, data: bytes, start: int = 0) -> tuple[int, bytes] | None:
        """Position and text of the first occurrence at or after `start`."""
        match = self._pattern.search(data, start) if self._pattern is not None else None
        return None if match is None else (match.start(), match.group())

    def positions(self, data: bytes) -> Iterator[int]:
        """Positions of all occurrences."""
        if self._pattern is not None:
            for match in self._pattern.finditer(data):
                yield match.start()


class TextSet:
    """Which of `texts` occur in a line."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._set: Any = _set(tuple(re.escape(text) for text in texts)) if texts else None

    def found_in(self, line: str) -> Sequence[int]:
        """The places among the texts of those that occur in `line`, in no order."""
        return (self._set.Match(_bytes(line)) or ()) if self._set is not None else ()


class PatternList:
    """The first of several patterns, in the syntax of RE2, that fits a line."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._set: Any = _set(tuple(patterns))
        self._patterns: list[Any] = [_re2.compile(pattern.encode()) for pattern in patterns]

    def search(self, line: str) -> tuple[int, str] | None:
        """The place of that pattern, and the text that it fits; None if none does."""
        data = _bytes(line)
        if not (fitting := self._set.Match(data)):
            return None
        place = min(fitting)
        return place, self._patterns[place].search(data).group().decode("utf-8", "replace")


def _bytes(line: str) -> bytes:
    return line.encode("utf-8", "replace")


@lru_cache(maxsize=64)
def _alternatives(texts: tuple[str, ...]) -> Any:
    """The automaton, which takes milliseconds to make and is the same for every start of an engine."""
    return _re2.compile(b"|".join(re.escape(text.encode()) for text in texts))


@lru_cache(maxsize=64)
def _set(patterns: tuple[str, ...]) -> Any:
    """As `_alternatives`."""
    found = _re2.Set.SearchSet()
    for pattern in patterns:
        found.Add(pattern.encode())
    found.Compile()
    return found
