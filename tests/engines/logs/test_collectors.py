"""What collectors and launchers write around the lines of every engine changes nothing of what they say."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.engines.logs.reading import lines_of, outline, read, start_of

EPOCH = datetime(2026, 3, 1, 21, 30, 0, tzinfo=UTC)
"""The collectors' clock: another day and another hour than any engine's."""


def at(number: int) -> datetime:
    return EPOCH + timedelta(milliseconds=250 * number)


COLLECTORS: dict[str, Callable[[int, str], str]] = {
    "docker logs --timestamps": lambda number, line: f"{at(number):%Y-%m-%dT%H:%M:%S.%f}789Z {line}",
    "docker desktop": lambda number, line: f"{at(number):%Y-%m-%d %H:%M:%S} {line}",
    "a console": lambda number, line: f"{at(number):%Y-%m-%d %H:%M:%S}.{at(number):%f} | {line}",
    "docker compose": lambda number, line: f"engine-1  | {line}",
    "docker compose with times": lambda number, line: f"engine-1  | {at(number):%Y-%m-%dT%H:%M:%S.%f}Z {line}",
    "Kubernetes": lambda number, line: f"{at(number):%Y-%m-%dT%H:%M:%S.%f}789Z stdout F {line}",
    "kubectl logs --prefix": lambda number, line: f"[pod/engine-0/main] {line}",
    "Ray": lambda number, line: f"(ServeReplica:llm pid=4321, ip=10.0.0.7) {line}",
    "Buildkite": lambda number, line: f"[{at(number):%Y-%m-%dT%H:%M:%S}Z] {line}",
    "journald": lambda number, line: f"{at(number):%b %d %H:%M:%S} host engine[77]: {line}",
    "a Python logger": lambda number, line: f"INFO:launcher:   {line}",
    "JSON lines": lambda number, line: json.dumps({"time": f"{at(number).isoformat()}", "log": line + "\n"}),
    "JSON lines with epoch": lambda number, line: json.dumps({"ts": at(number).timestamp(), "msg": line}),
    "server-sent events": lambda number, line: "data: " + json.dumps({"source": "container", "line": line}),
}

STAMPED = ["vllm-0.8.log", "vllm-0.22.log", "sglang-0.4-tp2.log", "tgi-3.3-two-shards.log", "llama-2026-stamped.log"]


@pytest.mark.parametrize("name", STAMPED)
@pytest.mark.parametrize("collector", COLLECTORS)
def test_an_engine_that_tells_the_time_is_read_by_its_own_clock(name: str, collector: str) -> None:
    plain = start_of(name)
    (start,) = read("\n".join(COLLECTORS[collector](number, line) for number, line in enumerate(lines_of(name)[:-1])))
    assert (start.engine, start.version, start.model) == (plain.engine, plain.version, plain.model)
    assert (start.outcome, start.total) == ("ready", plain.total)
    assert outline(start) == outline(plain)
    assert start.reported == plain.reported


WITH_TIMES = [
    "docker logs --timestamps",
    "a console",
    "docker compose with times",
    "Kubernetes",
    "JSON lines",
    "JSON lines with epoch",
]


@pytest.mark.parametrize("collector", WITH_TIMES)
def test_an_engine_without_times_is_read_by_the_collectors_clock(collector: str) -> None:
    prefix = COLLECTORS[collector]
    (start,) = read("\n".join(prefix(number, line) for number, line in enumerate(lines_of("llama-2024.log")[:-1])))
    # Counted from 0: tensors are line 9, context 12, warm-up 13, slots 14, listening 17.
    assert start.total == pytest.approx(17 / 4, abs=1e-4)
    phases = {span.phase: span.seconds for span in start.walk() if span.label != "devices and port"}
    assert phases["weights_load"] == pytest.approx(3 / 4, abs=1e-4)
    assert phases["warmup"] == pytest.approx(1 / 4, abs=1e-4)
    assert phases["server_init"] == pytest.approx(3 / 4, abs=1e-4)
    assert start.started_at is not None
    assert start.started_at.startswith("2026-03-01T21:30:00")


@pytest.mark.parametrize("collector", COLLECTORS)
def test_bars_are_found_behind_every_prefix(collector: str) -> None:
    lines = lines_of("lmdeploy-turbomind-warning.log")[:-1]
    (start,) = read("\n".join(COLLECTORS[collector](number, line) for number, line in enumerate(lines)))
    assert (start.engine, start.outcome) == ("lmdeploy", "ready")
    assert start.reported["weights_load"] == 12
    assert start.reported["weights_download"] == 41


def test_the_first_time_of_a_load_is_found_before_its_bar_behind_a_collector() -> None:
    prefix = COLLECTORS["docker logs --timestamps"]
    lines = [line for line in lines_of("lmdeploy-turbomind-warning.log")[:-1] if "lmdeploy - WARNING" not in line]
    (start,) = read("\n".join(prefix(20 * number, line) for number, line in enumerate(lines)))
    # The bar is first drawn with the third line, so what was said last before it is the second, five seconds in.
    assert start.reported["config_tokenizer"] == pytest.approx(5, abs=1e-3)
    (weights,) = [span for span in start.spans if span.phase == "weights_load"]
    assert weights.end == pytest.approx(15, abs=1e-3)
