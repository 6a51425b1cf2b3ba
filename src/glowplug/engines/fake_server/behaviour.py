"""What the fake engine is told to do, and what it has done so far."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Behaviour:
    """Settings of the fake engine; `fake.py` documents each of them for users. Sizes in bytes, times in seconds."""

    name: str = "fake"
    port: int = 0
    host: str = "127.0.0.1"
    phases: list[dict[str, Any]] = field(default_factory=lambda: list[dict[str, Any]]())
    crash_at: str | None = None
    crash_how: str = "exit:1"
    answers_change_at: str | None = None
    tokens: int = 16
    tokens_per_second: float | None = None
    memory: int = 0
    keeps_memory_asleep: bool = False
    children: int = 0
    forking_child: bool = False
    ignores_sigterm: bool = False


CHANGEABLE = frozenset(
    {"crash_at", "crash_how", "answers_change_at", "tokens", "tokens_per_second", "keeps_memory_asleep"}
)
"""Settings that `POST /fake/control` may change while the server runs."""


@dataclass(slots=True)
class Record:
    """What has happened since the start. Shown by `GET /fake/control`.

    Attributes:
        requests: requests to a path below /v1/ that asked for work (lists of models do not count).
        streamed: tokens sent in streams.
        open: requests being worked on, streams among them.
        left: requests whose client went away before the end of the answer.
        asleep: between /sleep and /wake_up.
        answers_changed: tokens now differ from those before.
    """

    requests: int = 0
    streamed: int = 0
    open: int = 0
    left: int = 0
    asleep: bool = False
    answers_changed: bool = False


def change(behaviour: Behaviour, changes: Mapping[str, Any]) -> None:
    """Set changeable settings. Raises ValueError naming the first one that is not."""
    for key in changes:
        if key not in CHANGEABLE:
            raise ValueError(f"{key} cannot be changed; these can: {', '.join(sorted(CHANGEABLE))}")
    for key, value in changes.items():
        setattr(behaviour, key, value)


def as_dict(behaviour: Behaviour, record: Record) -> dict[str, Any]:
    """Both, for display."""
    return {**dataclasses.asdict(behaviour), **dataclasses.asdict(record)}
