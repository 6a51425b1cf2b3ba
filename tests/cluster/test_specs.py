"""What the scheduler is told of a configuration."""

from glowplug.cluster.specs import aliases, model_specs, relaunched
from glowplug.config.models import Config
from glowplug.scheduler.values import Tier


class AllOpen:
    """A machine on which every tier of this version is open."""

    def tiers(self, model: str) -> tuple[Tier, ...]:
        return (Tier.RUNNING, Tier.PARKED, Tier.CACHED)


def config(models, **sections) -> Config:
    return Config.model_validate({"models": models, **sections})


def test_a_model_gets_its_own_settings_over_the_defaults():
    settings = config(
        {"m": {"engine": "fake", "keep_alive": {"running": "30s"}, "pin": True, "replicas": {"max": 2}}},
        defaults={"min_active": "3s", "replicas": {"target_concurrency": 4}},
        server={"max_queue": 7, "key_share": 0.25},
    )
    (spec,) = model_specs(settings, AllOpen())
    assert spec.tiers == (Tier.RUNNING, Tier.PARKED, Tier.CACHED)
    assert (spec.keep_alive[Tier.RUNNING], spec.pin, spec.min_active) == (30.0, True, 3.0)
    assert (spec.max_replicas, spec.target_concurrency, spec.max_queue, spec.key_share) == (2, 4, 7, 0.25)


def test_declared_memory_is_what_is_configured_else_what_the_engine_estimates():
    settings = config(
        {
            "own": {"engine": "fake", "memory": "2GiB", "gpu_memory": "1GiB"},
            "auto": {"engine": "fake", "options": {"memory": "1GiB"}},
        }
    )
    own, auto = (spec.declared[Tier.RUNNING] for spec in model_specs(settings, AllOpen()))
    assert (own.ram, own.gpu) == (2 * 2**30, 2**30)
    assert auto.ram > 2**30


def test_every_name_leads_to_its_model():
    assert aliases(config({"m": {"engine": "fake", "aliases": ["a", "b"]}})) == {"m": "m", "a": "m", "b": "m"}


def test_only_what_changes_the_engine_itself_needs_a_new_start():
    before = config({name: {"engine": "fake"} for name in ("same", "limits", "options", "env", "network", "gone")})
    after = config(
        {
            "same": {"engine": "fake"},
            "limits": {
                "engine": "fake",
                "pin": True,
                "keep_alive": {"running": 1},
                "aliases": ["x"],
                "snapshot": "off",
            },
            "options": {"engine": "fake", "options": {"tokens": 2}},
            "env": {"engine": "fake", "env": {"A": "1"}},
            "network": {"engine": "fake", "network": True},
            "new": {"engine": "fake"},
        }
    )
    assert relaunched(before, after) == {"options", "env", "network"}
