"""For how long no snapshot of a model is made after failures."""

from glowplug.node.setbacks import Setbacks


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


def test_two_bad_images_are_forgiven_and_the_third_is_not():
    setbacks = Setbacks(Clock())
    for _ in range(2):
        setbacks.failed("m", "bad")
        assert setbacks.waiting("m") is None
    setbacks.failed("m", "worse")
    assert setbacks.waiting("m") == "worse"
    assert setbacks.waiting("other") is None


def test_a_dump_that_cost_an_engine_its_life_is_not_tried_at_its_next_start():
    clock = Clock()
    setbacks = Setbacks(clock)
    setbacks.harmed("m", "it hung")
    assert setbacks.waiting("m") == "it hung"
    clock.seconds += 60
    assert setbacks.waiting("m") is None


def test_the_wait_doubles_up_to_a_day_and_ends_with_a_success():
    clock = Clock()
    setbacks = Setbacks(clock)
    waits = []
    for _ in range(20):
        setbacks.harmed("m", "it hung")
        began = clock.seconds
        while setbacks.waiting("m"):
            clock.seconds += 60
        waits.append(clock.seconds - began)
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == 86400
    setbacks.harmed("m", "it hung")
    setbacks.succeeded("m")
    assert setbacks.waiting("m") is None
    setbacks.failed("m", "bad")
    assert setbacks.waiting("m") is None
