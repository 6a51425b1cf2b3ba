"""Who holds how much RAM, GPU memory and disk, and what a wake would need. Declared first, measured once known."""

from glowplug.scheduler.values import ModelSpec, Resources, Tier


class Ledger:
    """Accounts of one node. A replica in transition is charged for the larger of both ends."""

    def __init__(self, capacity: Resources) -> None:
        self.capacity = capacity
        self._charges: dict[str, Resources] = {}
        self._held = Resources()
        self._measured: dict[tuple[str, Tier], Resources] = {}

    @property
    def held(self) -> Resources:
        """Everything charged."""
        return self._held

    @property
    def free(self) -> Resources:
        """Capacity that nobody is charged for. Negative where measuring showed more than was declared."""
        return self.capacity - self._held

    def need(self, spec: ModelSpec, tier: Tier) -> Resources:
        """What a replica of `spec` holds in `tier`, as far as known.

        Until `tier` itself was measured, a tier that keeps the process is taken to hold what `running` does.
        """
        known = self._measured.get((spec.name, tier))
        if known is None:
            known = spec.declared.get(tier)
        if known is None and tier.has_process and tier is not Tier.RUNNING:
            return self.need(spec, Tier.RUNNING)
        return known or Resources()

    def measured(self, spec: ModelSpec, tier: Tier) -> bool:
        """Whether `need` is a measurement."""
        return (spec.name, tier) in self._measured

    def measure(self, spec: ModelSpec, tier: Tier, held: Resources) -> None:
        """Remember what was measured; from now on it replaces what was declared."""
        self._measured[spec.name, tier] = held

    def forget(self, model: str) -> None:
        """Drop the measurements of a model whose engine is launched differently from now on."""
        for key in [key for key in self._measured if key[0] == model]:
            del self._measured[key]

    def charge(self, replica_id: str, held: Resources) -> None:
        """Set the account of a replica."""
        self._held = self._held - self._charges.pop(replica_id, Resources()) + held
        if held != Resources():
            self._charges[replica_id] = held

    def charged(self, replica_id: str) -> Resources:
        """The account of a replica."""
        return self._charges.get(replica_id, Resources())
