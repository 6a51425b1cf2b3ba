"""The policy in docs/adding-a-policy.md does what the page says, and runs in the scheduler."""

from glowplug.scheduler.core import Scheduler
from glowplug.scheduler.events import ModelsChanged
from glowplug.scheduler.values import Resources
from tests.docs.examples import load
from tests.scheduler.world import GIB, World, spec

PAGE = "adding-a-policy.md"


def test_the_pages_own_test_passes():
    load(PAGE, "src/glowplug/scheduler/policies/lru.py")
    tests = load(PAGE, "tests/scheduler/test_lru.py")
    tests.test_the_longest_idle_goes_first_even_if_it_is_dear_to_bring_back()


def test_the_policy_makes_room_in_a_real_scheduler():
    lru = load(PAGE, "src/glowplug/scheduler/policies/lru.py").LruPolicy
    world = World(ram=2 * GIB)
    world.scheduler = Scheduler(Resources(ram=2 * GIB), policy=lru())
    world.send(ModelsChanged([spec("old"), spec("young"), spec("new")]))
    for name, seconds in (("old", 100.0), ("young", 1.0)):
        request = world.ask(name)
        world.finish(f"{name}-0", seconds=seconds)
        world.end(request)
        world.pass_time(1)
    world.ask("new")
    assert list(world.pending) == ["old-0"]
