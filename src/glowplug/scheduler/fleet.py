"""Everything the scheduler knows, in one place, with the few operations that all its parts need."""

from collections.abc import Iterator, Mapping

from glowplug.scheduler.costs import WakeCosts
from glowplug.scheduler.effects import Effect, TierChanged
from glowplug.scheduler.ledger import Ledger
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.policies.base import Policy
from glowplug.scheduler.state import Model, Replica, Snapshot, Transition
from glowplug.scheduler.timers import Timers
from glowplug.scheduler.values import ModelSpec, Resources


class Fleet:
    """Models, replicas, requests, accounts and timers. `out` collects the effects of the event being handled."""

    def __init__(
        self,
        capacity: Resources,
        policy: Policy,
        costs: WakeCosts,
        patience: Patience,
        key_shares: Mapping[str, float],
    ) -> None:
        self.models: dict[str, Model] = {}
        self.replicas: dict[str, Replica] = {}
        self.requests: dict[int, Replica | Model] = {}
        self.ledger = Ledger(capacity)
        self.policy = policy
        self.costs = costs
        self.patience = patience
        self.key_shares = key_shares
        self.timers = Timers()
        self.blocked: dict[str, Model] = {}
        self.draining = False
        self.out: list[Effect] = []
        self._transitions = 0
        self._replica_numbers: dict[str, int] = {}

    def add_model(self, spec: ModelSpec, now: float) -> Model:
        """A new model with all its replicas without a process."""
        snapshot = None if self.ledger.snapshot(spec.name) is None else Snapshot()
        model = Model(spec, [], snapshot=snapshot)
        self.models[spec.name] = model
        self.fit_replicas(model, now)
        return model

    def fit_replicas(self, model: Model, now: float) -> None:
        """Create the replicas that the specification allows and drop surplus ones that are nothing but a name."""
        wanted = 0 if model.gone else model.spec.max_replicas
        while len(model.replicas) < wanted:
            number = self._replica_numbers.get(model.name, 0)
            self._replica_numbers[model.name] = number + 1
            replica = Replica(f"{model.name}-{number}", model.name, model.home(now), now)
            model.replicas.append(replica)
            self.replicas[replica.id] = replica
        for replica in list(reversed(model.replicas)):
            if len(model.replicas) <= wanted:
                break
            if not replica.tier.has_process and replica.transition is None:
                self.drop(model, replica)

    def drop(self, model: Model, replica: Replica) -> None:
        """Forget a replica that holds nothing."""
        model.replicas.remove(replica)
        del self.replicas[replica.id]
        self.ledger.charge(replica.id, Resources())

    def begin(self, replica: Replica, transition: Transition) -> None:
        """Put a replica into a transition, charged for the larger of both ends."""
        spec = self.models[replica.model].spec
        before = replica.state
        replica.transition = transition
        held = self.ledger.charged(replica.id)
        self.ledger.charge(replica.id, held.larger(self.ledger.need(spec, transition.target)))
        self.out.append(TierChanged(replica.id, replica.model, replica.tier, before, replica.state))

    def next_transition_id(self) -> int:
        """A number no transition had before."""
        self._transitions += 1
        return self._transitions

    def in_transition(self) -> Iterator[Replica]:
        """Replicas on their way."""
        return (replica for replica in self.replicas.values() if replica.transition is not None)
