"""From the configuration file to what the scheduler knows of each model."""

from collections.abc import Mapping
from typing import Protocol

from glowplug.config.models import Config, ModelConfig
from glowplug.config.resolve import keep_alive_of, min_active_of, replicas_of
from glowplug.engines import registry
from glowplug.scheduler.values import ModelSpec, Resources, Tier


class Machine(Protocol):
    """What a machine says about a model before it ran there."""

    def tiers(self, model: str) -> tuple[Tier, ...]:
        """The tiers this model may use here, warmest first, the base tier last."""
        ...


def model_specs(config: Config, machine: Machine) -> list[ModelSpec]:
    """One specification per configured model, in the file's order."""
    return [_spec(name, model, config, machine.tiers(name)) for name, model in config.models.items()]


def _spec(name: str, model: ModelConfig, config: Config, tiers: tuple[Tier, ...]) -> ModelSpec:
    replicas = replicas_of(config, model)
    return ModelSpec(
        name=name,
        tiers=tiers,
        keep_alive=keep_alive_of(config, model),
        pin=model.pin,
        min_replicas=replicas.min,
        max_replicas=replicas.max,
        target_concurrency=replicas.target_concurrency,
        max_concurrency=replicas.max_concurrency,
        declared={Tier.RUNNING: _declared(model)},
        max_queue=config.server.max_queue,
        key_share=config.server.key_share,
        min_active=min_active_of(config, model),
    )


def _declared(model: ModelConfig) -> Resources:
    """What a running replica is believed to hold until it is measured: as configured, else as its engine estimates."""
    ram = registry.get(model.engine).memory(model) if model.memory == "auto" else model.memory
    return Resources(ram=ram, gpu=model.gpu_memory)


def aliases(config: Config) -> Mapping[str, str]:
    """Every name a client may ask for, mapped to the configured model."""
    return {name: model for model, c in config.models.items() for name in (model, *c.aliases)}


_LIMITS = {
    "aliases",
    "keep_alive",
    "tiers",
    "replicas",
    "min_active",
    "start_timeout",
    "pin",
    "keep_page_cache",
    "snapshot",
}


def relaunched(before: Config, after: Config) -> frozenset[str]:
    """The models in both configurations whose engine has to be started anew: anything but limits and times changed."""
    return frozenset(
        name
        for name, model in after.models.items()
        if name in before.models
        and model.model_dump(exclude=_LIMITS) != before.models[name].model_dump(exclude=_LIMITS)
    )
