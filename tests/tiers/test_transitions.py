"""Which tiers there are, when they are closed, and in which order they ask the host for things."""

import asyncio
from pathlib import Path

import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines.base import LOOPBACK, EngineError, Launch
from glowplug.engines.fake import Fake
from glowplug.scheduler.values import Tier
from glowplug.tiers import park
from glowplug.tiers.base import Body, ExitCause, TierError
from glowplug.tiers.registry import TRANSITIONS

MODEL = ModelConfig(engine="fake", warmup=({"prompt": "a"}, {"prompt": "b"}))


class Host:
    """Notes what it is asked; health says no twice. It keeps no compile caches."""

    caches = None

    def __init__(self, *answers):
        self.asked = []
        self.answers = [ConnectionRefusedError(), (503, "loading"), (200, "ok"), *answers]

    async def free_port(self, replica_id):
        """A port."""
        self.asked.append("port")
        return 12345

    async def spawn(self, replica_id, launch, sandbox=None):
        """A tree."""
        self.asked.append("spawn")
        assert "12345" in " ".join(launch.argv)
        return Tree(self)

    async def call(self, address, call, timeout):
        """The next answer."""
        self.asked.append(f"{call.method} {call.path}")
        answer = self.answers.pop(0) if self.answers else (200, {})
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def drop_page_cache(self, files):
        """Noted."""
        self.asked.append(f"drop {[str(file) for file in files]}")


class Tree:
    """A tree that is only ever stopped."""

    pid = 1
    cgroup = None
    ip = "127.0.0.1"
    init = None
    output_pipe = ""

    def __init__(self, host):
        self.exited = asyncio.get_running_loop().create_future()
        self._host = host

    def output(self):
        """Nothing."""
        return []

    async def stop(self, grace):
        """Noted."""
        self._host.asked.append("stop")
        return ExitCause(signal=15)


def _body(model=MODEL, engine=None):
    return Body("fake-0", "fake", model, engine or Fake(), 60.0)


def test_every_tier_is_registered_under_its_own_name():
    assert set(TRANSITIONS) == {Tier.PARKED, Tier.SNAPSHOT, Tier.CACHED, Tier.COLD}
    assert all(transition.tier is tier for tier, transition in TRANSITIONS.items())


def test_cached_is_closed_while_weights_are_missing_and_cold_never_is(tmp_path):
    class Weighty(Fake):
        def weights(self, model):
            return (tmp_path / "weights",)

    assert str(tmp_path / "weights") in TRANSITIONS[Tier.CACHED].closed(MODEL, Weighty())
    assert TRANSITIONS[Tier.COLD].closed(MODEL, Weighty()) is None
    (tmp_path / "weights").touch()
    assert TRANSITIONS[Tier.CACHED].closed(MODEL, Weighty()) is None
    assert TRANSITIONS[Tier.CACHED].closed(MODEL, Fake()) is None


def test_parked_is_closed_by_the_engine_or_by_the_machine(monkeypatch):
    class Unparkable(Fake):
        def parkable(self, model):
            return "it holds a lock on the GPU"

    assert TRANSITIONS[Tier.PARKED].closed(MODEL, Fake()) is None
    assert TRANSITIONS[Tier.PARKED].closed(MODEL, Unparkable()) == "it holds a lock on the GPU"
    monkeypatch.setattr(park, "freezer_closed", lambda: "no /proc")
    assert TRANSITIONS[Tier.PARKED].closed(MODEL, Fake()) == "no /proc"


@pytest.mark.parametrize("tier", [Tier.CACHED, Tier.COLD])
async def test_a_start_asks_for_health_until_it_is_there_then_warms_up(tier):
    host, body = Host(), _body()
    await TRANSITIONS[tier].wake(body, host)
    health, warm = "GET /health", "POST /v1/completions"
    assert host.asked == ["port", "spawn", health, health, health, warm, warm]
    assert body.address == "http://127.0.0.1:12345"
    assert [phase.name for phase in body.phases] == ["process_start", "engine_init", "warmup"]


async def test_a_warm_up_that_is_refused_fails_the_wake():
    with pytest.raises(TierError, match="answered a warm-up request with 500: broken"):
        await TRANSITIONS[Tier.CACHED].wake(_body(), Host((500, "broken")))


async def test_a_warm_up_without_an_answer_fails_the_wake():
    with pytest.raises(TierError, match="did not answer a warm-up request"):
        await TRANSITIONS[Tier.CACHED].wake(_body(), Host(TimeoutError()))


async def test_an_engine_that_cannot_be_launched_as_configured_fails_the_wake():
    class Broken(Fake):
        def launch(self, name, model, port, host=LOOPBACK) -> Launch:
            raise EngineError("the model file is missing")

    with pytest.raises(TierError, match="the model file is missing"):
        await TRANSITIONS[Tier.CACHED].wake(_body(engine=Broken()), Host())


@pytest.mark.parametrize(("keep", "dropped"), [(True, []), (False, ["drop ['/w']"])])
async def test_a_rest_stops_the_engine_first_and_then_lets_its_weights_go_if_wanted(keep, dropped):
    class Weighty(Fake):
        def weights(self, model):
            return (Path("/w"),)

    host = Host()
    body = _body(MODEL.model_copy(update={"keep_page_cache": keep}), Weighty())
    body.tree = Tree(host)
    await TRANSITIONS[Tier.CACHED].rest(body, Tier.RUNNING, host)
    assert host.asked == ["stop", *dropped]
    assert (body.tree, body.canary) == (None, None)


async def test_a_cold_rest_stops_the_engine_and_a_second_one_finds_nothing_to_stop():
    host, body = Host(), _body()
    body.tree = Tree(host)
    await TRANSITIONS[Tier.COLD].rest(body, Tier.RUNNING, host)
    await TRANSITIONS[Tier.COLD].rest(body, Tier.RUNNING, host)
    assert host.asked == ["stop"]


async def test_parking_nothing_is_an_error():
    with pytest.raises(TierError, match="no engine to park"):
        await TRANSITIONS[Tier.PARKED].rest(_body(), Tier.RUNNING, Host())


async def test_a_phase_that_fails_is_not_recorded():
    body = _body()
    with pytest.raises(ValueError, match="x"), body.phase("thaw"):
        raise ValueError("x")
    assert body.phases == []
