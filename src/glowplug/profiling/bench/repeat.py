"""One finished repeat of a scenario as plain values, and its line in the journal."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that repeats are compared by. `better` says which way is better."""

    name: str
    title: str
    unit: str
    better: str = "lower"


METRICS = (
    Metric("cold_start", "cold start", "s"),
    Metric("ttft", "TTFT", "s"),
    Metric("tokens_per_second", "tokens/s", "tokens/s", "higher"),
)
"""The cold start is the time to first token of the request that found no running replica, TTFT that of the next one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One streamed request as its client saw it; seconds since it was sent.

    Attributes:
        ttft: until the first token.
        total: until the last token.
        tokens: how many came.
        counted_by: `usage` if the engine told their number, `chunks` if the pieces of the stream were counted.
        woke_from: the tier from which a replica was woken for it, or `running`.
        waited: of the time to first token, how long it waited for its replica; None if the server did not tell.
    """

    ttft: float
    total: float
    tokens: int
    counted_by: str
    woke_from: str
    waited: float | None

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of decoding: tokens after the first one by the time they took. None if they came all at once."""
        seconds = self.total - self.ttft
        return (self.tokens - 1) / seconds if self.tokens > 1 and seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Repeat:
    """One repeat, finished well or with a failure.

    Attributes:
        id: unique in its result directory; the names of its log files begin with it.
        scenario: name of the scenario.
        kind: `measured`; or `fill` for the start beforehand that fills the caches of a model, and makes its snapshot if
            a path wants one. It counts nowhere.
        round: round in which it ran, from 1.
        position: its place in the order of that round, from 1.
        began: UTC, ISO 8601.
        took: seconds from the wait for a quiet machine to the end of the server.
        failure: one sentence, or None if all went well.
        first, second: the request that woke the replica, and the next one.
        memory: bytes of host RAM that the running replica held.
        cold_start: the record that the server made of the wake.
        conditions: what was found on the machine just before.
        image: of a fill, the snapshot that it has made: `raw_bytes`, `stored_bytes`, and `pause`, the seconds that the
            engine stood still for it.
    """

    id: str
    scenario: str
    kind: str
    round: int
    position: int
    began: str
    took: float = 0.0
    failure: str | None = None
    first: Timing | None = None
    second: Timing | None = None
    memory: int | None = None
    cold_start: Mapping[str, Any] | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    image: Mapping[str, Any] | None = None

    def value(self, metric: str) -> float | None:
        """One of `METRICS`; None if this repeat does not tell it."""
        return _READ[metric](self) if self.failure is None else None

    @property
    def after_ready(self) -> float | None:
        """Time to first token of the first request without the wait for the replica: what a replica that counts as
        ready still has to do for its first client."""
        if self.failure is not None or self.first is None or self.first.waited is None:
            return None
        return self.first.ttft - self.first.waited


_READ: Mapping[str, Callable[[Repeat], float | None]] = {
    "cold_start": lambda repeat: repeat.first and repeat.first.ttft,
    "ttft": lambda repeat: repeat.second and repeat.second.ttft,
    "tokens_per_second": lambda repeat: repeat.second and repeat.second.tokens_per_second,
}


def to_json(repeat: Repeat) -> dict[str, Any]:
    """Its line in the journal."""
    return asdict(repeat)


def from_json(document: Mapping[str, Any]) -> Repeat:
    """A repeat out of its line. Raises ValueError if it is none."""
    try:
        fields = dict(document)
        for key in ("first", "second"):
            fields[key] = Timing(**document[key]) if document[key] else None
        return Repeat(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no repeat: {error}") from error
