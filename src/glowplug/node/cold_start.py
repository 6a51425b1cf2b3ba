"""The record of a wake, in the form that every part of Glowplug shows cold starts in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from glowplug.coldstart.values import ColdStart, Outcome, Span, to_json
from glowplug.engines.base import EngineError
from glowplug.node.start_watch import StartWatch
from glowplug.scheduler.values import Tier
from glowplug.tiers.base import Body, Phase
from glowplug.tiers.worth import ImageAt


def cold_start_record(
    body: Body,
    source: Tier,
    watch: StartWatch | None,
    *,
    began: float,
    ended: float,
    outcome: Outcome,
    reason: str | None = None,
    weights_cached: float | None = None,
    image_at: ImageAt | None = None,
) -> Mapping[str, Any]:
    """A wake from `source` as JSON; `began` and `ended` are times of `time.monotonic`, as in the body's phases.

    The phases that Glowplug went through are its outermost spans; what `watch` saw of the engine stands inside them.
    It is None for a process that came back, which starts nothing that could be watched.
    `outcome` is `ready`, `failed`, or `incomplete` if it was called off. `weights_cached` is the part of the weight
    files that was in the page cache at the beginning: a start from disk and one from memory are two different things.
    `image_at` is where the process image was for a restore.
    """
    own = _nested(sorted(body.phases, key=lambda phase: (phase.start, -phase.end)), began)
    running = next((phase.end for phase in body.phases if phase.name == "process_start"), None)
    told = None if watch is None else watch.told()
    record = replace(
        told or ColdStart(engine=body.model.engine),
        version=_version(body) or (told.version if told else None),
        engine=body.model.engine,
        model=body.model_name,
        replica=body.replica_id,
        woke_from=source.value,
        outcome=outcome,
        reason=reason,
        total=ended - began,
        started_at=(datetime.now(UTC) - timedelta(seconds=ended - began)).isoformat(timespec="milliseconds"),
        conditions={"weights_cached": weights_cached, **({} if image_at is None else {"image": image_at.value})},
        spans=tuple(own) if watch is None else watch.spans(own, ended, running=running),
    )
    return to_json(record)


def _nested(phases: Sequence[Phase], began: float) -> list[Span]:
    """The phases as spans, those that lie within another one inside it. They are ordered by their start."""
    spans: list[Span] = []
    while phases:
        outer, *rest = phases
        children = _nested([phase for phase in rest if phase.end <= outer.end], began)
        phases = [phase for phase in rest if phase.end > outer.end]
        start, end = outer.start - began, outer.end - began
        spans.append(Span(outer.name, end - start, start, end, children=tuple(children), label=outer.label))
    return spans


def _version(body: Body) -> str | None:
    try:
        return body.engine.version(body.model)
    except EngineError:
        return None
