"""The whole examination."""

from collections.abc import Callable, Sequence
from pathlib import Path

from glowplug.config.models import Config, ModelConfig
from glowplug.engines import registry
from glowplug.engines.base import EngineError
from glowplug.node.doctor.bandwidth import bandwidth
from glowplug.node.doctor.freezing import freezer
from glowplug.node.doctor.gpu import gpu
from glowplug.node.doctor.hardware import cpu, huge_pages, memory
from glowplug.node.doctor.isolation import isolation
from glowplug.node.doctor.privileges import privileges
from glowplug.node.doctor.report import Finding, ModelVerdict, Report
from glowplug.node.doctor.snapshots import snapshots
from glowplug.node.doctor.verdicts import verdicts
from glowplug.tiers.registry import TRANSITIONS


def examine(state_dir: Path, config: Config | None = None) -> Report:
    """Try everything, one thing after the other so that none disturbs another's measurement. Blocks, 2 to 6 seconds.

    Args:
        state_dir: the disk below it is measured.
        config: its models are judged too.
    """
    checks: Sequence[Callable[[], Sequence[Finding]]] = (
        lambda: [privileges()],
        snapshots,
        isolation,
        lambda: [freezer()],
        lambda: bandwidth(state_dir),
        lambda: [memory(), cpu(), huge_pages(), gpu()],
    )
    findings = [finding for check in checks for finding in check()]
    models = [_model(name, model) for name, model in config.models.items()] if config is not None else []
    return Report(verdicts(findings), findings, models)


def _model(name: str, model: ModelConfig) -> ModelVerdict:
    engine = registry.get(model.engine)
    try:
        engine.check(model)
        error = None
    except EngineError as reason:
        error = str(reason)
    tiers = {tier: transition.closed(model, engine) for tier, transition in TRANSITIONS.items()}
    return ModelVerdict(name, model.engine, error, {tier: reason for tier, reason in tiers.items() if reason})
