"""When to look at which model again. One pending time per model; later ones replace nothing, earlier ones do."""

import heapq
import math


class Timers:
    """A heap of (time, model) with lazy deletion."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._armed: dict[str, float] = {}

    def arm(self, model: str, at: float) -> None:
        """Look at `model` at `at` at the latest. Infinity asks for nothing."""
        if at < self._armed.get(model, math.inf):
            self._armed[model] = at
            heapq.heappush(self._heap, (at, model))

    def next(self) -> float | None:
        """The earliest time at which a model wants to be looked at."""
        while self._heap and self._armed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[str]:
        """Take out the models whose time has come, earliest first."""
        models: list[str] = []
        while (at := self.next()) is not None and at <= now:
            model = heapq.heappop(self._heap)[1]
            del self._armed[model]
            models.append(model)
        return models
