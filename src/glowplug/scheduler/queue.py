"""The requests that wait for one model: first come, first served within an API key, turn by turn between keys."""

import heapq
import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Waiting:
    """A queued request; times on the scheduler's clock."""

    request_id: int
    key: str
    arrived: float
    deadline: float


class FairQueue:
    """A bounded queue with a turn for each API key that has requests in it.

    A key that floods the queue delays itself: whoever else waits gets every second place (every n-th with n keys).
    All operations are O(log n) or better.
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, OrderedDict[int, Waiting]] = OrderedDict()
        self._by_id: dict[int, Waiting] = {}
        self._deadlines: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._by_id.values())

    def held_by(self, key: str) -> int:
        """Requests of `key` in the queue."""
        return len(self._lanes.get(key, ()))

    def push(self, waiting: Waiting) -> None:
        """Add a request at the end of its key's lane."""
        self._lanes.setdefault(waiting.key, OrderedDict())[waiting.request_id] = waiting
        self._by_id[waiting.request_id] = waiting
        if waiting.deadline < math.inf:
            heapq.heappush(self._deadlines, (waiting.deadline, waiting.request_id))

    def pop(self) -> Waiting:
        """Take the request whose turn it is. Raises KeyError if the queue is empty."""
        key, lane = next(iter(self._lanes.items()))
        waiting = next(iter(lane.values()))
        self._lanes.move_to_end(key)
        self._forget(waiting)
        return waiting

    def remove(self, request_id: int) -> bool:
        """Take one request out, wherever it stands. Returns whether it was there."""
        waiting = self._by_id.get(request_id)
        if waiting is not None:
            self._forget(waiting)
        return waiting is not None

    def expired(self, now: float) -> list[Waiting]:
        """Take out all requests whose deadline has come."""
        late: list[Waiting] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            waiting = self._by_id.get(heapq.heappop(self._deadlines)[1])
            if waiting is not None:
                self._forget(waiting)
                late.append(waiting)
        return late

    def next_deadline(self) -> float:
        """The earliest deadline in the queue; infinity if there is none."""
        while self._deadlines and self._deadlines[0][1] not in self._by_id:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def oldest(self) -> float:
        """When the request that has waited longest arrived; infinity if the queue is empty."""
        return next(iter(self._by_id.values())).arrived if self._by_id else math.inf

    def _forget(self, waiting: Waiting) -> None:
        lane = self._lanes[waiting.key]
        del lane[waiting.request_id]
        if not lane:
            del self._lanes[waiting.key]
        del self._by_id[waiting.request_id]
