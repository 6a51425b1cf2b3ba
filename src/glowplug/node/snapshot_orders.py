"""Snapshots that somebody asked for: the next start of their model is dumped, whatever that is worth."""

from dataclasses import dataclass

from glowplug.artifacts.manifest import Manifest


class NotMade(Exception):
    """There is no snapshot although one was asked for. The text is one sentence for the user."""


@dataclass(slots=True)
class Order:
    """`before` is the snapshot that the new one replaces. `made` or `reason` is set once it is known how it ended."""

    before: Manifest | None
    made: Manifest | None = None
    reason: str | None = None

    def result(self) -> Manifest:
        """The snapshot that was made. Raises NotMade."""
        if self.made is None:
            raise NotMade(self.reason or "The engine was started and not dumped; try again.")
        return self.made


class Orders:
    """The open orders by model, at most one of each. What nobody ordered is ignored."""

    def __init__(self) -> None:
        self._open: dict[str, Order] = {}

    def place(self, model: str, before: Manifest | None) -> Order:
        """Begin an order. Raises NotMade if there is one."""
        if model in self._open:
            raise NotMade(f"A snapshot of {model!r} is being made already; wait for it.")
        order = self._open[model] = Order(before)
        return order

    def remove(self, model: str) -> None:
        """End an order, fulfilled or not."""
        self._open.pop(model, None)

    def waits(self, model: str) -> bool:
        """Whether the next start of a model is to be dumped: it was ordered, and nothing has come of it yet."""
        order = self._open.get(model)
        return order is not None and order.made is None and order.reason is None

    def replaces(self, model: str) -> Manifest | None:
        """The snapshot that an ordered one is to replace."""
        order = self._open.get(model)
        return None if order is None else order.before

    def fulfil(self, manifest: Manifest) -> None:
        """It was made."""
        if order := self._open.get(manifest.model):
            order.made = manifest

    def fail(self, model: str, reason: str) -> None:
        """It cannot be made. Only the first reason counts."""
        if (order := self._open.get(model)) and order.made is None and order.reason is None:
            order.reason = reason
