"""Whatever happens, in whatever order: nothing is lost, answered twice, over budget, woken for nobody, or stuck; and
nobody rests in a snapshot that is not there."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from glowplug.scheduler.effects import ReleaseImages, Rest, Wake
from glowplug.scheduler.events import (
    DrainAsked,
    MemoryMeasured,
    ModelsChanged,
    Outcome,
    ReplicaChecked,
    RestartAsked,
    RestAsked,
)
from glowplug.scheduler.images import PATIENCE
from glowplug.scheduler.limits import Patience
from glowplug.scheduler.values import FOREVER, ModelSpec, Resources, Tier
from tests.scheduler.world import C, P, R, S, World

NAMES = ("a", "b", "c")
CAPACITY = 10
TIMEOUT = 300.0

specs = st.builds(
    ModelSpec,
    name=st.none(),
    tiers=st.sampled_from([(R, C), (R, S, C), (R, P, S, C), (R, Tier.ASLEEP, P, S, C), (R, P, Tier.COLD)]),
    keep_alive=st.fixed_dictionaries({R: st.sampled_from([0.0, 5.0, FOREVER]), P: st.sampled_from([0.0, 20.0]),
                                      S: st.sampled_from([0.0, 40.0, FOREVER])}),
    pin=st.sampled_from([False, False, False, True]),
    min_replicas=st.just(0),
    max_replicas=st.integers(1, 3),
    target_concurrency=st.integers(1, 3),
    max_concurrency=st.sampled_from([None, 1, 4]),
    declared=st.builds(lambda ram, parked: {R: Resources(ram=ram), P: Resources(ram=min(ram, parked))},
                       st.integers(0, 6), st.integers(0, 6)),
    max_queue=st.integers(1, 6),
    key_share=st.sampled_from([0.5, 1.0]),
    min_active=st.sampled_from([0.0, 3.0]),
)  # fmt: skip


def named(name: str, spec: ModelSpec) -> ModelSpec:
    """The generated specification under one of our names."""
    values = {field: getattr(spec, field) for field in ModelSpec.__dataclass_fields__}
    return ModelSpec(**{**values, "name": name})


class SchedulerMachine(RuleBasedStateMachine):
    """A fleet of three models, with everything that can happen to it."""

    @initialize(generated=st.tuples(specs, specs, specs))
    def start(self, generated: tuple[ModelSpec, ...]) -> None:
        self.world = World(
            *(named(name, spec) for name, spec in zip(NAMES, generated, strict=True)),
            ram=CAPACITY,
            patience=Patience(max_failures=2, backoff=1, quarantine=10, quarantine_max=40),
        )
        self.asked: set[int] = set()
        self.ended: set[int] = set()
        self.left: set[int] = set()
        self.honest_memory = True
        self.snapshots: dict[str, int] = {}
        self.images = 0
        self.asked_images: tuple[int, float] | None = None
        self.watch_wakes()
        self.watch_releases()

    def watch_wakes(self) -> None:
        """Remember, for every wake, whether anybody wanted it when it began."""
        begin = self.world.scheduler._moves._begin

        def watched(replica, target, now):
            if target is R:
                model = self.world.scheduler._fleet.models[replica.model]
                load = len(model.queue) + sum(len(r.leases) for r in model.replicas)
                assert load > 0 or model.floor > 0, "woken for nobody"
                assert model.queue or model.floor or load > model.spec.comfortable
                assert replica.tier is not S or replica.model in self.snapshots, "restored from nothing"
            else:
                assert not replica.leases, "a busy replica was rested"
                assert target is not S or replica.model in self.snapshots, "rested to nothing"
                assert replica.tier is not S or not self.with_process(replica.model), "left while it is needed"
            before = self.world.scheduler.held.ram
            begin(replica, target, now)
            held = self.world.scheduler.held.ram
            assert target is not R or held == before or held <= CAPACITY, "woken without room"

        self.world.scheduler._moves._begin = watched

    def watch_releases(self) -> None:
        """See that images are asked for one request at a time, for what there is, and not again without a reason."""
        handle = self.world.scheduler.handle

        def watched(event, now):
            effects = handle(event, now)
            releases = [effect for effect in effects if isinstance(effect, ReleaseImages)]
            assert len(releases) <= 1, "asked in a loop"
            for release in releases:
                pending = self.asked_images
                assert pending is None or now >= pending[1] + PATIENCE, "asked again before the answer"
                assert 0 < release.shortfall.ram <= self.images, "asked for what is not there"
                self.asked_images = release.shortfall.ram, now
            return effects

        self.world.scheduler.handle = watched

    def with_process(self, name: str) -> bool:
        return any(r.tier.has_process for r in self.world.scheduler._fleet.models[name].replicas)

    def pending(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.world.pending)))

    def running_requests(self) -> list[int]:
        return sorted(r for r in self.world.grants if r not in self.ended)

    @rule(model=st.sampled_from(NAMES), key=st.sampled_from(["", "x", "y"]), short=st.booleans())
    def ask(self, model: str, key: str, short: bool) -> None:
        self.asked.add(self.world.ask(model, key=key, timeout=10 if short else TIMEOUT))

    @rule(data=st.data())
    @precondition(lambda self: len(self.ended) < len(self.asked))
    def leave(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.asked - self.ended)))
        if not self.world.answers[request]:
            self.left.add(request)
        self.ended.add(request)
        self.world.end(request, Outcome.LEFT)

    @rule(data=st.data(), outcome=st.sampled_from([Outcome.SERVED, Outcome.SERVED, Outcome.LOST]))
    @precondition(lambda self: self.running_requests())
    def answer(self, data: st.DataObject, outcome: Outcome) -> None:
        request = data.draw(st.sampled_from(self.running_requests()))
        self.ended.add(request)
        self.world.end(request, outcome)

    @rule(data=st.data(), seconds=st.sampled_from([0.1, 5.0, 60.0]))
    @precondition(lambda self: self.world.pending)
    def finish(self, data: st.DataObject, seconds: float) -> None:
        self.world.finish(self.pending(data), seconds=seconds)

    @rule(model=st.sampled_from(NAMES), disk=st.integers(0, 5))
    def publish(self, model: str, disk: int) -> None:
        self.snapshots[model] = disk
        self.world.snapshot(model, disk=disk)

    @rule(model=st.sampled_from(NAMES))
    def lose(self, model: str) -> None:
        self.snapshots.pop(model, None)
        self.world.lose_snapshot(model)

    @rule(ram=st.integers(0, 8))
    def hold_images(self, ram: int) -> None:
        """Images come and go by themselves; the scheduler may take this for an answer."""
        self.images, self.asked_images = ram, None
        self.world.images(ram)

    @rule(fulfilled=st.sampled_from([0.0, 0.5, 1.0, 1.0]))
    @precondition(lambda self: self.asked_images)
    def release_images(self, fulfilled: float) -> None:
        assert self.asked_images is not None
        self.hold_images(max(0, self.images - int(self.asked_images[0] * fulfilled)))

    @rule(data=st.data(), landed=st.sampled_from([C, C, P, R]))
    @precondition(lambda self: self.world.pending)
    def fail(self, data: st.DataObject, landed: Tier) -> None:
        replica_id = self.pending(data)
        effect = self.world.pending[replica_id]
        possible = {C, effect.source} if isinstance(effect, Rest) else {C}
        self.world.fail(replica_id, landed=landed if landed in possible else C)

    @rule(data=st.data())
    def exit(self, data: st.DataObject) -> None:
        self.world.exit(data.draw(st.sampled_from(sorted(self.world.scheduler._fleet.replicas))))

    @rule()
    @precondition(lambda self: self.world.checks)
    def check(self) -> None:
        self.world.send(ReplicaChecked(self.world.checks.pop()))

    @rule(seconds=st.sampled_from([0.0, 1.0, 7.0, 45.0]))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def wait_beyond_every_deadline(self) -> None:
        self.world.pass_time(TIMEOUT + 1)
        assert not any(model.queue for model in self.world.scheduler.models), "waits beyond its deadline"

    @rule(model=st.sampled_from(NAMES), tier=st.sampled_from([None, P, S, C]))
    def rest(self, model: str, tier: Tier | None) -> None:
        self.world.send(RestAsked(model, tier))

    @rule(model=st.sampled_from(NAMES))
    def restart(self, model: str) -> None:
        self.world.send(RestartAsked(model))

    @rule(data=st.data(), ram=st.integers(0, 8))
    def measure(self, data: st.DataObject, ram: int) -> None:
        replica = data.draw(st.sampled_from(sorted(self.world.scheduler._fleet.replicas.values(), key=lambda r: r.id)))
        if replica.transition is None and replica.tier.has_process:
            self.honest_memory = self.honest_memory and ram <= self.world.scheduler.charged(replica.id).ram
            self.world.send(MemoryMeasured(replica.id, replica.tier, Resources(ram=ram)))

    @rule(generated=st.tuples(specs, specs, specs), kept=st.sets(st.sampled_from(NAMES), min_size=1),
          relaunch=st.frozensets(st.sampled_from(NAMES)))  # fmt: skip
    def reload(self, generated: tuple[ModelSpec, ...], kept: set[str], relaunch: frozenset[str]) -> None:
        self.honest_memory = False  # declarations changed under replicas that are already charged
        chosen = [named(name, spec) for name, spec in zip(NAMES, generated, strict=True) if name in kept]
        self.world.send(ModelsChanged(chosen, relaunch))

    @invariant()
    def every_request_is_in_one_place_and_answered_at_most_once(self) -> None:
        fleet = self.world.scheduler._fleet
        assert all(count == 1 for count in self.world.answers.values())
        assert not self.left & set(self.world.answers), "answered after the client had left"
        queued = [w.request_id for model in fleet.models.values() for w in model.queue]
        leased = [request for replica in fleet.replicas.values() for request in replica.leases]
        assert len(queued) == len(set(queued))
        assert len(leased) == len(set(leased))
        assert set(queued) == self.asked - self.ended - set(self.world.answers), "lost"
        assert set(leased) <= set(self.world.grants) - self.ended

    @invariant()
    def a_replica_is_in_one_tier_or_one_transition(self) -> None:
        for replica in self.world.scheduler._fleet.replicas.values():
            assert (replica.transition is not None) == (replica.id in self.world.pending)
            if replica.transition is not None:
                assert replica.transition.source is replica.tier
            if replica.leases:
                assert replica.tier is R
                assert replica.transition is None

    @invariant()
    def memory_stays_within_the_budget(self) -> None:
        scheduler = self.world.scheduler
        replicas = sum(scheduler.charged(r).ram for r in scheduler._fleet.replicas)
        assert scheduler.held == Resources(ram=replicas + self.images, disk=sum(self.snapshots.values()))
        assert min(scheduler.charged(r).ram for r in scheduler._fleet.replicas) >= 0
        if self.honest_memory:
            assert replicas <= CAPACITY

    @invariant()
    def replicas_without_a_process_are_in_the_snapshot_exactly_while_it_can_be_used(self) -> None:
        for model in self.world.scheduler.models:
            resting = [r for r in model.replicas if r.transition is None and not r.tier.has_process]
            for replica in resting:
                assert replica.tier in (S, model.spec.base)
                assert replica.tier is not S or (model.name in self.snapshots and S in model.spec.tiers)
                assert replica.tier is model.home(self.world.now)
            failing = model.tried or model.closed_until(S, self.world.now) > self.world.now
            if resting and S in model.spec.tiers and model.name in self.snapshots and not failing:
                assert model.snapshot is not None
                assert model.snapshot.let_go or resting[0].tier is S, "a good snapshot is not used"

    @invariant()
    def limits_hold(self) -> None:
        for model in self.world.scheduler.models:
            limit = model.spec.max_concurrency
            assert limit is None or self.world_reloaded() or all(len(r.leases) <= limit for r in model.replicas)

    def world_reloaded(self) -> bool:
        return not self.honest_memory

    def settle(self, *, ok: bool) -> None:
        """Deliver everything that is under way and end every running request."""
        for replica_id in list(self.world.pending):
            if ok:
                self.world.finish(replica_id)
            else:
                self.world.fail(replica_id)
        while self.world.checks:
            self.world.send(ReplicaChecked(self.world.checks.pop()))
        for request in self.running_requests():
            self.ended.add(request)
            self.world.end(request)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        open_requests = self.asked - self.ended
        for step in range(200):
            if not open_requests - set(self.world.answers):
                break
            self.settle(ok=step % 3 != 2)
            self.world.pass_time(10)
        assert not open_requests - set(self.world.answers) - self.ended, "a request never ended"
        self.world.send(DrainAsked())
        for _ in range(20):
            self.settle(ok=True)
        self.hold_images(0)
        assert self.world.drained == 1, "the drain never ended"
        assert self.world.scheduler.held.ram == 0
        assert all(isinstance(effect, Wake | Rest) for effect in self.world.wakes + self.world.rests)


SchedulerMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestScheduler = SchedulerMachine.TestCase
