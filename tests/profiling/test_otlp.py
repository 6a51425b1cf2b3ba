"""Traces as a collector on loopback receives and decodes them."""

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from glowplug.coldstart.values import ColdStart
from glowplug.profiling.otlp import OtlpError, send
from tests.profiling import samples

BEGAN = int(datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()) * 1_000_000_000


class Collector:
    """An OTLP receiver over HTTP that answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.received: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.paths.append(self.path)
                collector.headers.append({key.lower(): value for key, value in self.headers.items()})
                collector.received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.send_header("content-length", "9")
                self.end_headers()
                self.wfile.write(b"no\x1b thanks"[:9])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, str]:
        return {item.key: item.value.string_value for item in self.received[0].resource_spans[0].resource.attributes}

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "HEADERS", "TIMEOUT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)


def attributes(span: Span) -> dict[str, object]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def sent(collector: Collector, start: ColdStart) -> dict[str, Span]:
    send([start], collector.url)
    return {span.name: span for span in collector.spans}


def test_the_tree_of_spans_arrives_as_a_tree(collector):
    send([samples.VLLM], collector.url)
    assert collector.paths == ["/v1/traces"]
    by_id = {span.span_id: span for span in collector.spans}
    (root,) = [span for span in collector.spans if not span.parent_span_id]
    assert root.name == "cold start"
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    edges = {(by_id[span.parent_span_id].name, span.name) for span in collector.spans if span.parent_span_id}
    assert edges == {("cold start", outer.phase) for outer in samples.VLLM.spans} | {
        (outer.phase, inner.phase) for outer in samples.VLLM.walk() for inner in outer.children
    }
    assert len(collector.spans) == 1 + len(list(samples.VLLM.walk()))


def test_times_are_those_of_the_start(collector):
    spans = sent(collector, samples.VLLM)
    root, inductor = spans["cold start"], spans["inductor"]
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (BEGAN, BEGAN + 184_200_000_000)
    assert inductor.start_time_unix_nano == BEGAN + 52_000_000_000
    assert inductor.end_time_unix_nano == BEGAN + 93_900_000_000


def test_milliseconds_of_the_beginning_are_kept(collector):
    spans = sent(collector, samples.QUICK)
    assert spans["thaw"].start_time_unix_nano == BEGAN + 250_000_000
    assert spans["thaw"].end_time_unix_nano == BEGAN + 254_000_000
    assert spans["wake"].start_time_unix_nano == spans["wake"].end_time_unix_nano


def test_a_beginning_without_a_zone_is_utc(collector):
    start = ColdStart("vllm", total=1.0, started_at="2026-11-23T10:00:00")
    assert sent(collector, start)["cold start"].start_time_unix_nano == BEGAN


def test_a_start_that_does_not_tell_when_it_began_ends_now(collector):
    before = time.time_ns()
    root = sent(collector, samples.MINUTE)["cold start"]
    assert before <= root.end_time_unix_nano <= time.time_ns()
    assert root.end_time_unix_nano - root.start_time_unix_nano == 60_000_000_000


def test_attributes_say_what_the_start_and_the_spans_are(collector):
    spans = sent(collector, samples.VLLM)
    start = attributes(spans["cold start"])
    assert start["glowplug.model"] == "Qwen/Qwen3-14B"
    assert start["glowplug.outcome"] == "ready"
    assert start["glowplug.reported.weights_load"] == 5.41
    assert start["glowplug.reported.compile_cache_hit"] is False
    gap = attributes(spans["gap"])
    assert gap["glowplug.source"] == "gap"
    assert gap["glowplug.gap.after"].endswith("21.4 GiB")
    assert gap["glowplug.gap.verdict"] == "computed"
    assert attributes(spans["weights_load"])["glowplug.ranks.greatest"] == 5.41


def test_the_service_has_a_name_that_can_be_changed(collector, monkeypatch):
    send([samples.QUICK], collector.url)
    assert collector.resource()["service.name"] == "glowplug"
    collector.received.clear()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    send([samples.QUICK], collector.url)
    assert collector.resource()["service.name"] == "nightly"


def test_a_failed_start_is_an_error_with_its_reason(collector):
    root = sent(collector, samples.FAILED)["cold start"]
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert root.status.message.startswith("torch.OutOfMemoryError")


def test_several_starts_are_several_traces(collector):
    send([samples.VLLM, samples.QUICK], collector.url)
    assert len({span.trace_id for span in collector.spans}) == 2


@pytest.mark.parametrize("start", samples.ALL.values(), ids=samples.ALL)
def test_every_start_can_be_sent(collector, start):
    send([start], collector.url)
    assert len(collector.spans) == 1 + len(list(start.walk()))
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)


def test_the_variables_of_opentelemetry_hold(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=models")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")  # of a service, not of somebody who says "send this"
    send([samples.QUICK])
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["x-team"] == "models"
    assert len(collector.spans) == 4


def test_a_full_address_is_taken_as_it_is(collector):
    send([samples.QUICK], f"{collector.url}/tenant/v1/traces")
    assert collector.paths == ["/tenant/v1/traces"]


def test_nobody_listens():
    collector = Collector()
    collector.close()
    with pytest.raises(OtlpError) as caught:
        send([samples.QUICK], collector.url)
    assert str(caught.value).startswith(f"the collector at {collector.url}/v1/traces did not take the traces: ")
    assert "refused" in str(caught.value)
    assert "port 4318" in str(caught.value)


def test_a_collector_that_declines(collector):
    collector.status = 401
    with pytest.raises(OtlpError, match="it answered 401 no\N{REPLACEMENT CHARACTER} thank;"):
        send([samples.QUICK], collector.url)


def test_something_that_is_no_address():
    with pytest.raises(OtlpError, match=r"did not take the traces: .*no-address/v1/traces"):
        send([samples.QUICK], "no-address")


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(OtlpError, match=r"install glowplug\[otel\]"):
        send([samples.QUICK], "http://127.0.0.1:1")


def test_opentelemetry_switched_off_is_said(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(OtlpError, match="OTEL_SDK_DISABLED"):
        send([samples.QUICK], "http://127.0.0.1:1")
