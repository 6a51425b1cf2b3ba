"""Resident images: memory that nobody needs to run, so the first to be given up. Asked for once, then believed."""

from glowplug.scheduler.values import Resources

PATIENCE = 2.0
"""Seconds to wait for the node's answer before replicas are evicted instead. Freeing 2 GiB takes some 0.2 s."""


class ResidentImages:
    """What may be asked of the images of one node.

    A request that was not fulfilled shows what is in use; it is not asked for again until a restore has ended or there
    is more. So however often somebody is short of memory, the node is never asked twice for the same.
    """

    def __init__(self) -> None:
        self._held = Resources()
        self._in_use = Resources()
        self._coming = Resources()
        self._answer_by = 0.0

    @property
    def coming(self) -> Resources:
        """What was asked for and not answered yet."""
        return self._coming

    @property
    def answer_by(self) -> float:
        """When the pending request is given up."""
        return self._answer_by

    @property
    def available(self) -> Resources:
        """What may be asked for now; nothing while a request is pending."""
        return Resources() if self.pending else self._held.beyond(self._in_use)

    @property
    def pending(self) -> bool:
        """Whether an answer is awaited."""
        return self._coming != Resources()

    def ask(self, shortfall: Resources, now: float) -> None:
        """Note a request for part of what is available."""
        self._coming = shortfall
        self._answer_by = now + PATIENCE

    def report(self, held: Resources) -> None:
        """The images hold so much now. While a request is pending, this is its answer."""
        refused = self.pending and not held.fits(self._held - self._coming)
        self._in_use = held if refused else self._in_use.smaller(held)
        self._held = held
        self._coming = Resources()

    def give_up(self, now: float) -> None:
        """Take what was asked for as in use, if its answer is overdue."""
        if self.pending and now >= self._answer_by:
            self._in_use = self._held
            self._coming = Resources()

    def restored(self) -> None:
        """A restore has ended: what was in use may be free."""
        self._in_use = Resources()
