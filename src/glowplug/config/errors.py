"""What a configuration file that cannot be used says about itself."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file. Both numbers count from 1; the column counts characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, as one sentence with its remedy. `position` is None if the whole file is meant."""

    file: str
    position: Position | None
    message: str

    def __str__(self) -> str:
        if self.position is None:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.position.line}:{self.position.column}: {self.message}"


class ConfigError(Exception):
    """A file cannot be used. `problems` holds everything that was found, in the order of the file, nothing twice."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(dict.fromkeys(problems), key=_order))
        super().__init__("\n".join(map(str, self.problems)))


def _order(problem: Problem) -> tuple[Position, str]:
    return problem.position or Position(0, 0), problem.message
