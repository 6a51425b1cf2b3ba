"""What collectors and launchers of logs put around the lines of an engine."""

import json
from collections.abc import Callable
from dataclasses import dataclass

Wrap = Callable[[str], str]


@dataclass(frozen=True)
class Prefix:
    """One way to wrap a line. `outer` is the time of day that it tells, `source` whom it says the line is from."""

    name: str
    wrap: Wrap
    outer: str | None = None
    source: str | None = None
    process: str | None = None

    def __repr__(self) -> str:
        return self.name


def _before(text: str) -> Wrap:
    return lambda line: text + line


def _inside(key: str, **fields: object) -> Wrap:
    return lambda line: json.dumps({**fields, key: line})


def _streamed(line: str) -> str:
    return "data: " + json.dumps({"source": "container", "line": line, "ts": 1769113885})


PREFIXES = (
    Prefix("docker", _before("2026-01-22T20:31:25.801578339Z "), "20:31:25"),
    Prefix("docker with a zone", _before("2026-01-22T22:31:25.801578339+02:00 "), "20:31:25"),
    Prefix("GitHub", _before("2026-01-22T20:31:25.8015783Z "), "20:31:25"),
    Prefix("docker desktop", _before("2026-01-22 20:31:25 "), "20:31:25"),
    Prefix("compose", _before("vllm-ovis-1  | "), source="vllm-ovis-1"),
    Prefix("compose with brackets", _before("[vllm]   | "), source="[vllm]"),
    Prefix("compose in colour", _before("\x1b[36mvllm-1  | \x1b[0m"), source="vllm-1"),
    Prefix("CRI", _before("2026-01-22T20:31:25.801578339Z stdout F "), "20:31:25"),
    Prefix("CRI, stderr", _before("2026-01-22T20:31:25.801578339+00:00 stderr F "), "20:31:25"),
    Prefix("kubectl", _before("[pod/vllm-7f9c-x2x/vllm] "), source="pod/vllm-7f9c-x2x/vllm"),
    Prefix("Ray", _before("(MapWorker(MapBatches(vLLMEngineStage)) pid=1064, ip=10.0.0.1) "), process="MapWorker"),
    Prefix("Ray, an actor", _before("\x1b[36m(RayWorkerWrapper pid=1053)\x1b[0m "), process="RayWorkerWrapper"),
    Prefix("Ray Serve", _before("(ServeReplica:app:LLM pid=9, ip=fe80::1) "), process="ServeReplica:app:LLM"),
    Prefix("Python logger", _before("INFO:tgi-server:         ")),
    Prefix("Buildkite", _before("[2026-01-22T20:31:25Z] "), "20:31:25"),
    Prefix("Buildkite, raw", _before("\x1b_bk;t=1769113885801\x07")),
    Prefix("RunPod", _before("2026-01-22  20:31:25.027 | info | 1a6cv4s36ttygf | "), "20:31:25", "1a6cv4s36ttygf"),
    Prefix("RunPod, streamed", _streamed, "20:31:25"),
    Prefix("syslog", _before("Jan 22 20:31:25 host vllm[812]: "), "20:31:25"),
    Prefix("syslog, one digit", _before("Jan  2 20:31:25 host-1 docker.service[1]: "), "20:31:25"),
    Prefix("journald with a zone", _before("2026-01-22T20:31:25+0000 host vllm[812]: "), "20:31:25"),
    Prefix("journald as JSON", _inside("MESSAGE", __REALTIME_TIMESTAMP="1769113885801578"), "20:31:25"),
    Prefix("docker's JSON", _inside("log", stream="stdout", time="2026-01-22T20:31:25.801578339Z"), "20:31:25"),
    Prefix("JSON, seconds", _inside("message", ts=1769113885.25), "20:31:25"),
    Prefix("JSON, milliseconds", _inside("msg", timestamp=1769113885250), "20:31:25"),
    Prefix("JSON, nanoseconds as text", _inside("line", timestamp="1769113885250000000"), "20:31:25"),
    Prefix("Fluent Bit", _inside("log", time="2026-01-22T20:31:25Z", kubernetes={"pod_name": "a"}), "20:31:25", "a"),
    Prefix("Google", _inside("textPayload", timestamp="2026-01-22T20:31:25.801Z"), "20:31:25"),
)  # fmt: skip
