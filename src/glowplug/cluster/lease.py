"""A request's share of a replica, as a block that cannot forget to give it back."""

import asyncio
from collections.abc import Callable
from typing import Any

from glowplug.cluster.base import Rejected, ReplicaLost
from glowplug.scheduler.effects import Grant, Reject
from glowplug.scheduler.events import Event, Outcome, RequestArrived, RequestEnded


class LocalLease:
    """Posts the request's arrival on entering, its end on leaving. See `glowplug.cluster.base.Lease`."""

    __slots__ = ("_answer", "_arrival", "_future", "_post", "_waiting")

    def __init__(
        self, arrival: RequestArrived, post: Callable[[Event], object], waiting: "dict[int, LocalLease]"
    ) -> None:
        self._arrival = arrival
        self._post = post
        self._waiting = waiting
        self._answer: Grant | Reject | None = None
        self._future: asyncio.Future[None] | None = None

    def resolve(self, answer: Grant | Reject) -> None:
        """The scheduler has answered."""
        self._answer = answer
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def __aenter__(self) -> Grant:
        request_id = self._arrival.request_id
        self._waiting[request_id] = self
        try:
            self._post(self._arrival)
            if self._answer is None:
                self._future = asyncio.get_running_loop().create_future()
                await self._future
        except BaseException:
            self._post(RequestEnded(request_id, Outcome.LEFT))
            raise
        finally:
            del self._waiting[request_id]
        answer = self._answer
        if isinstance(answer, Grant):
            return answer
        assert answer is not None
        raise Rejected(answer.kind, answer.message, answer.retry_after, answer.tried)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self.end(_outcome(error))

    def end(self, outcome: Outcome) -> None:
        """Give the replica back."""
        self._post(RequestEnded(self._arrival.request_id, outcome))


def _outcome(error: BaseException | None) -> Outcome:
    if error is None:
        return Outcome.SERVED
    return Outcome.LOST if isinstance(error, ReplicaLost) else Outcome.LEFT
