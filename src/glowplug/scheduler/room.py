"""Room in memory: who is asked to give up what for a wake, and when more is held than the node has."""

from collections.abc import Sequence

from glowplug.scheduler.effects import ReleaseImages
from glowplug.scheduler.fleet import Fleet
from glowplug.scheduler.images import ResidentImages
from glowplug.scheduler.policies.base import Eviction
from glowplug.scheduler.state import Model, Replica
from glowplug.scheduler.values import Resources, Tier

_NOTHING = Resources()


class Room:
    """Decides what makes room: resident images first, then what the policy evicts. Its user begins the evictions."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._images = ResidentImages()

    def has(self, model: Model, extra: Resources) -> bool:
        """Whether `extra` is free for a wake of this model, and not being freed for another."""
        return extra.fits(self._fleet.ledger.free - self._reserved_for_others(model))

    def make(self, model: Model, extra: Resources, now: float) -> Sequence[Eviction]:
        """What to evict for a wake that needs `extra`: nothing if what is on its way frees enough.

        The model waits, with the room reserved that is being made for it, until `release` is called. Nothing is given
        up for a wake that would not fit even then.
        """
        fleet, images = self._fleet, self._images
        images.give_up(now)
        fleet.blocked[model.name] = model
        model.reservation = extra
        short = extra.beyond(fleet.ledger.free - self._reserved_for_others(model) + self._on_its_way())
        if images.pending:
            fleet.timers.arm(model.name, images.answer_by)
        if short == _NOTHING:
            return ()
        left = short.beyond(images.available)
        chosen = self._evict(left, model, now)
        if images.pending or chosen is None:  # the answer will show what is really left to be freed
            model.reservation = None
            return ()
        self._ask(short - left, model.name, now)
        return chosen

    def relieve(self, now: float) -> Sequence[Eviction]:
        """What to evict because measuring has shown that more is held than the node has.

        Disk does not count: no replica holds any, and the store of snapshots keeps its own quota.
        """
        fleet, images = self._fleet, self._images
        images.give_up(now)
        held = fleet.ledger.held
        over = Resources(held.ram, held.gpu).beyond(fleet.ledger.capacity)
        if over == _NOTHING:
            return ()
        anyone = next(iter(fleet.models), "")
        if images.pending:
            fleet.timers.arm(anyone, images.answer_by)
        over = (over - self._on_its_way()).beyond(_NOTHING)
        if over == _NOTHING or images.pending:
            return ()
        left = over.beyond(images.available)
        self._ask(over - left, anyone, now)
        return self._evict(left, None, now) or ()

    def release(self, model: Model) -> None:
        """A model wants nothing more, or has it: others need not wait for the room it asked for."""
        self._fleet.blocked.pop(model.name, None)
        model.reservation = None

    def images_held(self, held: Resources) -> None:
        """Book what resident images hold."""
        self._images.report(held)
        self._fleet.ledger.hold_images(held)

    def restored(self) -> None:
        """A restore has ended, and with it the use of an image."""
        self._images.restored()

    def _ask(self, amount: Resources, waiting: str, now: float) -> None:
        """Have images released, if they are to free anything; look at `waiting` when there is no answer in time."""
        if amount == _NOTHING:
            return
        self._images.ask(amount, now)
        self._fleet.out.append(ReleaseImages(amount))
        self._fleet.timers.arm(waiting, self._images.answer_by)

    def _evict(self, short: Resources, beneficiary: Model | None, now: float) -> Sequence[Eviction] | None:
        """Evictions that free `short`; None if there are none."""
        if short == _NOTHING:
            return ()
        return self._fleet.policy.evict(self._options(beneficiary, now), short) or None

    def _on_its_way(self) -> Resources:
        """What the ends of transitions and the release of images will give back."""
        coming = self._images.coming
        for replica in self._fleet.in_transition():
            coming = coming + self._still_to_free(replica)
        return coming

    def _still_to_free(self, replica: Replica) -> Resources:
        assert replica.transition is not None
        spec = self._fleet.models[replica.model].spec
        return self._fleet.ledger.charged(replica.id) - self._fleet.ledger.need(spec, replica.transition.target)

    def _options(self, beneficiary: Model | None, now: float) -> list[Eviction]:
        """All ways to make room, except at the cost of the beneficiary itself or of what woke only just now."""
        fleet = self._fleet
        options: list[Eviction] = []
        for model in fleet.models.values():
            if model is beneficiary:
                continue
            running = sum(1 for r in model.replicas if r.tier is Tier.RUNNING and r.transition is None)
            for replica in model.replicas:
                if not replica.idle or not replica.tier.has_process:
                    continue
                if replica.tier is Tier.RUNNING:
                    safe_until = replica.since + model.spec.min_active
                    if running <= model.floor:
                        continue
                    if safe_until > now:
                        fleet.timers.arm((beneficiary or model).name, safe_until)
                        continue
                held = fleet.ledger.charged(replica.id)
                for tier in model.colder_tiers(replica.tier, now):
                    freed = held - fleet.ledger.need(model.spec, tier)
                    cost = fleet.costs.estimate(model.name, tier)
                    options.append(Eviction(replica.id, tier, freed, cost, replica.idle_since))
        return options

    def _reserved_for_others(self, model: Model) -> Resources:
        return sum(
            (m.reservation for m in self._fleet.blocked.values() if m is not model and m.reservation), Resources()
        )
