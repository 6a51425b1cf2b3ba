"""The record of a wake, in the form that every part of Glowplug shows cold starts in."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from glowplug.scheduler.values import Tier
from glowplug.tiers.base import Body, Phase


def cold_start_record(
    body: Body,
    source: Tier,
    *,
    began: float,
    ended: float,
    outcome: str,
    reason: str | None = None,
    weights_cached: float | None = None,
) -> Mapping[str, Any]:
    """A wake from `source` as JSON; `began` and `ended` are times of `time.monotonic`, as in the body's phases.

    `outcome` is `ready`, `failed`, or `incomplete` if it was called off. `weights_cached` is the part of the weight
    files that was in the page cache at the beginning: a start from disk and one from memory are two different things.
    """
    return {
        "engine": body.model.engine,
        "version": None,
        "model": body.model_name,
        "replica": body.replica_id,
        "woke_from": source.value,
        "outcome": outcome,
        "reason": reason,
        "total": round(ended - began, 6),
        "started_at": (datetime.now(UTC) - timedelta(seconds=ended - began)).isoformat(timespec="milliseconds"),
        "conditions": {"weights_cached": weights_cached},
        "reported": {},
        "spans": _spans(body.phases, began),
    }


def _spans(phases: Sequence[Phase], began: float) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "phase": phase.name,
            "seconds": round(phase.end - phase.start, 6),
            "start": round(phase.start - began, 6),
            "end": round(phase.end - began, 6),
            "source": "stamps",
            "lines": [],
            "children": [],
        }
        for phase in phases
    ]
