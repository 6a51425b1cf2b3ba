"""The order in which repeats run: rounds of all scenarios, each round in a random order of its own.

Interleaving spreads whatever changes on the machine in the meantime (heat, other work, a filling disk) over all
scenarios instead of charging it to one; the random order keeps a scenario from always following the same other one.
The order follows from the seed and the names alone, so that a resumed run goes on in the order of the first one.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One repeat to do; `round` and `position` count from 1."""

    scenario: str
    round: int
    position: int


def schedule(repeats: Mapping[str, int], seed: int) -> list[Turn]:
    """All repeats in order. A scenario with fewer repeats sits out the last rounds."""
    turns: list[Turn] = []
    for number in range(1, max(repeats.values(), default=0) + 1):
        names = sorted(name for name, count in repeats.items() if count >= number)
        random.Random(f"{seed}/{number}").shuffle(names)  # noqa: S311 - an order, no secret
        turns += [Turn(name, number, position) for position, name in enumerate(names, 1)]
    return turns


def missing(turns: list[Turn], finished: Mapping[str, int]) -> list[Turn]:
    """The turns that are left when of each scenario so many are finished: the first ones of it count as done."""
    done = dict(finished)
    left: list[Turn] = []
    for turn in turns:
        if done.get(turn.scenario, 0) > 0:
            done[turn.scenario] -= 1
        else:
            left.append(turn)
    return left
