"""Who holds how much RAM, GPU memory and disk, and what a wake would need. Declared first, measured once known.

There are three kinds of accounts: one per replica; one per published snapshot; one for all resident images. A snapshot
belongs to its model, not to the replicas that rest in it: however many do, it is charged once, and a replica in tier
`snapshot` is charged nothing. So is a resident image: a restore copies it, and the replica that runs then is charged
for the copy.
"""

from glowplug.scheduler.values import ModelSpec, Resources, Tier


class Ledger:
    """Accounts of one node. A replica in transition is charged for the larger of both ends."""

    def __init__(self, capacity: Resources) -> None:
        self.capacity = capacity
        self._charges: dict[str, Resources] = {}
        self._snapshots: dict[str, Resources] = {}
        self._images = Resources()
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

        Until `tier` itself was measured, a tier that keeps the process is taken to hold what `running` does. Tier
        `snapshot` holds nothing: its model's account does.
        """
        if tier is Tier.SNAPSHOT:
            return Resources()
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

    @property
    def images(self) -> Resources:
        """The account of resident images."""
        return self._images

    def hold_images(self, held: Resources) -> None:
        """Set the account of resident images."""
        self._held = self._held - self._images + held
        self._images = held

    def hold_snapshot(self, model: str, held: Resources | None) -> None:
        """Set the account of a model's snapshot; None for no snapshot."""
        self._held = self._held - self._snapshots.pop(model, Resources())
        if held is not None:
            self._snapshots[model] = held
            self._held = self._held + held

    def snapshot(self, model: str) -> Resources | None:
        """The account of a model's snapshot; None if there is none."""
        return self._snapshots.get(model)

    def charge(self, replica_id: str, held: Resources) -> None:
        """Set the account of a replica."""
        self._held = self._held - self._charges.pop(replica_id, Resources()) + held
        if held != Resources():
            self._charges[replica_id] = held

    def charged(self, replica_id: str) -> Resources:
        """The account of a replica."""
        return self._charges.get(replica_id, Resources())
