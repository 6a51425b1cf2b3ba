"""What holds for a model: its own words, else the defaults, else what is built in."""

import math

from glowplug.config.models import Config
from glowplug.config.resolve import (
    keep_alive_of,
    min_active_of,
    replicas_of,
    snapshot_of,
    start_timeout_of,
    tiers_of,
)
from glowplug.scheduler.values import Tier


def settle(model: dict, defaults: dict | None = None):
    config = Config.model_validate({"defaults": defaults or {}, "models": {"m": {"engine": "vllm", **model}}})
    return config, config.models["m"]


def test_what_is_built_in():
    settled = settle({})
    assert keep_alive_of(*settled) == {
        Tier.RUNNING: 300,
        Tier.ASLEEP: 900,
        Tier.PARKED: 3600,
        Tier.SNAPSHOT: math.inf,
        Tier.CACHED: math.inf,
        Tier.COLD: math.inf,
    }
    assert tiers_of(*settled) is None
    assert (replicas_of(*settled).min, replicas_of(*settled).max) == (0, 1)
    assert (min_active_of(*settled), start_timeout_of(*settled)) == (10, 600)


def test_defaults_hold_for_a_model_that_is_silent():
    settled = settle(
        {},
        {
            "keep_alive": {"running": 7},
            "tiers": ["cold", "running"],
            "replicas": {"max": 3},
            "min_active": 5,
            "start_timeout": 6,
        },
    )
    assert keep_alive_of(*settled)[Tier.RUNNING] == 7
    assert keep_alive_of(*settled)[Tier.PARKED] == 3600
    assert tiers_of(*settled) == (Tier.RUNNING, Tier.COLD)
    assert replicas_of(*settled).max == 3
    assert (min_active_of(*settled), start_timeout_of(*settled)) == (5, 6)


def test_a_model_goes_before_the_defaults_tier_by_tier_and_key_by_key():
    settled = settle(
        {
            "keep_alive": {"parked": 1},
            "tiers": ["cached", "parked", "running"],
            "replicas": {"target_concurrency": 3},
            "min_active": 0,
            "start_timeout": 1,
        },
        {
            "keep_alive": {"running": 7, "parked": 8},
            "tiers": ["running", "cold"],
            "replicas": {"max": 4, "target_concurrency": 2, "max_concurrency": 9},
            "min_active": 5,
            "start_timeout": 6,
        },
    )
    keep_alive = keep_alive_of(*settled)
    assert (keep_alive[Tier.RUNNING], keep_alive[Tier.PARKED], keep_alive[Tier.ASLEEP]) == (7, 1, 900)
    assert tiers_of(*settled) == (Tier.RUNNING, Tier.PARKED, Tier.CACHED)
    replicas = replicas_of(*settled)
    assert (replicas.min, replicas.max, replicas.target_concurrency, replicas.max_concurrency) == (0, 4, 3, 9)
    assert (min_active_of(*settled), start_timeout_of(*settled)) == (0, 1)


def test_a_model_can_lift_a_limit_of_the_defaults():
    settled = settle({"replicas": {"max_concurrency": None}}, {"replicas": {"max_concurrency": 9}})
    assert replicas_of(*settled).max_concurrency is None


def test_auto_in_a_model_takes_no_notice_of_the_defaults():
    settled = settle(
        {"keep_alive": "auto", "tiers": "auto"}, {"keep_alive": {"running": 7}, "tiers": ["running", "cold"]}
    )
    assert keep_alive_of(*settled)[Tier.RUNNING] == 300
    assert tiers_of(*settled) is None


def test_snapshots_are_as_the_model_says_else_as_the_defaults_say_else_where_they_are_worth_it():
    assert snapshot_of(*settle({})) == "auto"
    assert snapshot_of(*settle({}, {"snapshot": "off"})) == "off"
    assert snapshot_of(*settle({"snapshot": "always"}, {"snapshot": "off"})) == "always"
    assert snapshot_of(*settle({"snapshot": "auto"}, {"snapshot": "off"})) == "auto"
