"""What Prometheus reads at /metrics."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from glowplug.cluster.base import Cluster
from glowplug.scheduler.values import Tier

# A thaw takes milliseconds, a cold start of a large model minutes.
_WAKE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_UPSTREAM_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ModelMetrics:
    """The metrics that a request touches, bound to one model so that the hot path looks up no label but the status."""

    __slots__ = ("_by_status", "_model", "_requests", "_wait", "_waits", "upstream_seconds")

    def __init__(self, model: str, requests: Counter, wait: Histogram, upstream: Histogram) -> None:
        self._model = model
        self._requests = requests
        self._wait = wait
        self._by_status: dict[int, Counter] = {}
        self._waits: dict[Tier, Histogram] = {}
        self.upstream_seconds = upstream.labels(model)

    def answered(self, status: int) -> None:
        """Count one request. 499 stands for a client that left before its answer began."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._requests.labels(self._model, str(status))
        counter.inc()

    def waited(self, woke_from: Tier, seconds: float) -> None:
        """Record how long a request waited for its replica."""
        histogram = self._waits.get(woke_from)
        if histogram is None:
            histogram = self._waits[woke_from] = self._wait.labels(self._model, woke_from.value)
        histogram.observe(seconds)


class _FleetCollector(Collector):
    """Gauges that are read from the cluster when they are asked for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        queued, in_flight, memory = self._families()
        held: dict[tuple[str, str], int] = {}
        if images := self._cluster.image_memory:
            held[Tier.SNAPSHOT.value, "ram"] = images
        for model in self._cluster.models():
            queued.add_metric([model.name], model.queued)
            in_flight.add_metric([model.name], model.in_flight)
            holders = [(replica.state.rpartition(":")[2], replica.memory) for replica in model.replicas]
            if model.snapshot is not None:
                holders.append((Tier.SNAPSHOT.value, model.snapshot))
            for tier, memory_of in holders:
                for kind, size in memory_of.items():
                    held[tier, kind] = held.get((tier, kind), 0) + size
        for labels, size in sorted(held.items()):
            memory.add_metric(labels, size)
        return iter((queued, in_flight, memory))

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily("glowplug_queue_requests", "Requests waiting for a replica.", labels=["model"]),
            GaugeMetricFamily("glowplug_requests_in_flight", "Requests at work on replicas.", labels=["model"]),
            GaugeMetricFamily(
                "glowplug_memory_bytes",
                "Memory and disk held by replicas and snapshots, by tier.",
                labels=["tier", "kind"],
            ),
        )


class Metrics:
    """All metrics of one server. Labels named `model` only ever hold configured names."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "glowplug_requests", "Requests answered, by HTTP status.", ["model", "status"], registry=self._registry
        )
        self._wakes = Counter(
            "glowplug_wakes", "Wakes of replicas.", ["model", "tier", "outcome"], registry=self._registry
        )
        self._wake_seconds = Histogram(
            "glowplug_wake_seconds",
            "How long wakes took, by the tier they began in.",
            ["model", "tier", "outcome"],
            buckets=_WAKE_BUCKETS,
            registry=self._registry,
        )
        self._upstream = Histogram(
            "glowplug_upstream_seconds",
            "From sending a request to an engine until the head of its answer.",
            ["model"],
            buckets=_UPSTREAM_BUCKETS,
            registry=self._registry,
        )
        self._wait = Histogram(
            "glowplug_wait_seconds",
            "How long requests waited for a replica, by the tier it was woken from.",
            ["model", "woke_from"],
            buckets=_WAKE_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_FleetCollector(cluster))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._models: dict[str, ModelMetrics] = {}

    def of(self, model: str) -> ModelMetrics:
        """The metrics of a configured model."""
        metrics = self._models.get(model)
        if metrics is None:
            metrics = self._models[model] = ModelMetrics(model, self._requests, self._wait, self._upstream)
        return metrics

    async def follow(self) -> None:
        """Count wakes as the cluster reports them, until cancelled."""
        async for event in self._cluster.events():
            if event.get("type") == "wake":
                self._woke(event)

    def _woke(self, event: Mapping[str, Any]) -> None:
        labels = (str(event["model"]), str(event["tier"]), str(event["outcome"]))
        self._wakes.labels(*labels).inc()
        self._wake_seconds.labels(*labels).observe(float(event["seconds"]))

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
