"""Searching bytes for any of many texts at once, at the speed of memory."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs]


class Finder:
    """Where in a block of bytes any of `texts` occurs.

    RE2 turns the alternatives into one automaton that reads every byte once (about 800 MB/s), however many texts there
    are; Python's own regular expressions try them one after another (70 MB/s with forty).
    """

    def __init__(self, texts: Sequence[str]) -> None:
        alternatives = b"|".join(re.escape(text.encode()) for text in sorted(set(texts)))
        compiler: Any = re2
        self._pattern: Any = compiler.compile(alternatives) if texts else None

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
