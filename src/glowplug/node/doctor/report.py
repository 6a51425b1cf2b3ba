"""The values that an examination consists of, and their JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from glowplug.scheduler.values import Tier

SCHEMA = 1
"""Goes up when a key of the JSON is renamed or removed, or changes its meaning; new keys do not count."""

Value = str | int | float | bool | None | Sequence[str]


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    LIMITED = "limited"
    """It works, and something would make it better."""
    MISSING = "missing"
    """A tier needs it and it is not here."""
    NONE = "none"
    """It is not here, and a machine may well be without it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: in words, and in `values` for programs (bytes, seconds, bytes per second)."""

    check: str
    state: State
    summary: str
    remedy: str | None = None
    values: Mapping[str, Value] = field(default_factory=lambda: dict[str, Value]())


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a tier can be used on this machine. One that is closed has a reason; one that is open may have a note."""

    tier: Tier
    reason: str | None = None
    remedy: str | None = None
    note: str | None = None

    @property
    def open(self) -> bool:
        """Whether it can be used."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """A configured model: why its engine cannot start here, if so, and the tiers that it cannot use."""

    model: str
    engine: str
    error: str | None
    closed_tiers: Mapping[Tier, str]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole examination."""

    verdicts: Sequence[Verdict]
    findings: Sequence[Finding]
    models: Sequence[ModelVerdict] = ()

    def as_json(self) -> dict[str, Any]:
        """The documented form (docs/operations.md)."""
        return {
            "schema": SCHEMA,
            "tiers": [
                {
                    "tier": verdict.tier.value,
                    "open": verdict.open,
                    "reason": verdict.reason,
                    "remedy": verdict.remedy,
                    "note": verdict.note,
                }
                for verdict in self.verdicts
            ],
            "checks": [
                {
                    "check": finding.check,
                    "state": finding.state.value,
                    "summary": finding.summary,
                    "remedy": finding.remedy,
                    "values": dict(finding.values),
                }
                for finding in self.findings
            ],
            "models": [
                {
                    "model": model.model,
                    "engine": model.engine,
                    "error": model.error,
                    "closed_tiers": {tier.value: reason for tier, reason in model.closed_tiers.items()},
                }
                for model in self.models
            ],
        }


def split(sentence: str) -> tuple[str, str | None]:
    """Cause and remedy of a sentence of the form `cause; remedy`, which all of ours have."""
    cause, _, remedy = sentence.partition("; ")
    return cause, remedy or None
