"""The record of a start that was profiled live: phases from outside, from the engine's lines, and gaps explained."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from glowplug.coldstart.values import ColdStart, Outcome, Span
from glowplug.node.start_watch import StartWatch
from glowplug.node.tree_sampler import TreeSampler
from glowplug.profiling import oracles
from glowplug.profiling.environment import telling_variables, without_secrets
from glowplug.profiling.otlp_wire import EngineSpan
from glowplug.profiling.pyspy import StackWatch


@dataclass(slots=True)
class Moments:
    """What was seen from outside, by `time.monotonic`; None is what has not happened.

    Attributes:
        launched: the order to start was given.
        running: the program has begun to run.
        healthy: the first answer to /health that says so.
        listed: the first list of models.
        asked, token: the request that was answered by the first token, and that token.
        ended: the first token, or when waiting for it ended.
    """

    launched: float = 0.0
    running: float | None = None
    healthy: float | None = None
    listed: float | None = None
    asked: float | None = None
    token: float | None = None
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How the start ended, and why if it did not end well."""

    outcome: Outcome
    reason: str | None = None


@dataclass(slots=True)
class Surroundings:
    """What is known beside the engine's output.

    Attributes:
        argv, env: the command and its environment.
        conditions: of the machine, before the launch.
        elsewhere: program that runs the engine outside the process tree that was looked at, or None.
        oracle: seconds that the engine told when asked, by key of `reported`.
        engine_spans: spans that the engine recorded of its start.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    conditions: Mapping[str, Any]
    elsewhere: str | None = None
    oracle: dict[str, float] = field(default_factory=dict[str, float])
    engine_spans: Sequence[EngineSpan] = ()


def live_record(
    watch: StartWatch,
    sampler: TreeSampler,
    moments: Moments,
    ending: Ending,
    surroundings: Surroundings,
    stacks: StackWatch | None,
) -> ColdStart:
    """Put together what is known of a start. Its times count from the launch."""
    told = watch.told() or ColdStart(engine="unknown")
    launched_at = time.time() - (time.monotonic() - moments.launched)
    known = {span.phase for span in told.walk()}
    spans = watch.spans(
        [*_own_spans(moments, told)],
        moments.ended,
        running=moments.running,
        more=oracles.vllm_phases(surroundings.engine_spans, launched_at, known),
        stacks=_no_stacks if stacks is None else stacks.between,
    )
    oracle = {**surroundings.oracle, **oracles.vllm_startup_times(surroundings.engine_spans)}
    facts: dict[str, Any] = {**told.facts}
    if oracle:
        facts["oracle"] = oracles.compare(oracle, told)
    if surroundings.engine_spans:
        facts["engine_spans"] = oracles.placed(surroundings.engine_spans, launched_at)
    return replace(
        told,
        outcome=ending.outcome,
        reason=(told.reason if ending.outcome == "failed" and told.outcome == "failed" else None) or ending.reason,
        total=moments.ended - moments.launched,
        started_at=datetime.fromtimestamp(launched_at, UTC).isoformat(timespec="milliseconds"),
        reported={**told.reported, **_seen(moments), **oracle},
        spans=spans,
        facts=facts,
        notes=(*told.notes, *_notes(sampler, surroundings)),
        conditions={
            **surroundings.conditions,
            "command": list(without_secrets(surroundings.argv)),
            "environment": dict(telling_variables(surroundings.env)),
            "memory_peak": max((sample.memory for sample in sampler.samples), default=0),
            "processes": _processes(sampler, moments.launched),
            "sampling_cost": round(sampler.cost, 4),
        },
    )


def _own_spans(moments: Moments, told: ColdStart) -> Iterator[Span]:
    """The phases that are seen from outside."""
    zero = moments.launched
    if moments.running is not None:
        yield _span("process_start", zero, moments.running, zero)
    known = {span.phase for span in told.walk()}
    last = max((span.end for span in told.walk() if span.end is not None and span.phase != "gap"), default=None)
    healthy = moments.healthy
    if healthy is not None and last is not None and "server_init" not in known and zero + last < healthy:
        yield _span("server_init", zero + last, healthy, zero, "until health")
    if moments.asked is not None and moments.token is not None:
        # Some engines ask themselves for a first token before they call themselves ready.
        yield _span("first_token", moments.asked, moments.token, zero, "from outside" if "first_token" in known else "")


def _span(phase: str, start: float, end: float, zero: float, label: str = "") -> Span:
    return Span(phase, end - start, start - zero, end - zero, label=label)


def _seen(moments: Moments) -> Mapping[str, float]:
    """Seconds from the launch to what was seen from outside."""
    seen = {"first_health": moments.healthy, "first_model_list": moments.listed, "first_token_at": moments.token}
    return {name: moment - moments.launched for name, moment in seen.items() if moment is not None}


def _notes(sampler: TreeSampler, surroundings: Surroundings) -> Iterator[str]:
    if surroundings.elsewhere is not None:
        yield (
            f"{surroundings.elsewhere} runs the engine outside of its own processes, so what the engine did during "
            "gaps is not known; profile inside the container to see it."
        )
    elif sampler.blind:
        yield (
            "The kernel does not tell the disk traffic of all processes here, so a gap that read may look as if it "
            "waited."
        )


def _no_stacks(_start: float, _end: float) -> Sequence[tuple[str, float]]:
    return ()


def _processes(sampler: TreeSampler, launched: float) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "pid": life.pid,
            "parent": life.parent,
            "name": life.name,
            "started": round(life.started - launched, 3),
            "cpu": round(life.cpu, 2),
        }
        for life in sampler.lifetimes
        if life.pid != sampler.root
    ]
