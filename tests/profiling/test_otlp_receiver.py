"""Traces that engines send of their own start."""

import contextlib
import gzip

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.profiling.otlp_receiver import OtlpReceiver
from glowplug.profiling.otlp_wire import EngineSpan, read_spans


def request():
    """What the real exporter of OpenTelemetry sends."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    spans = []
    for process, attributes in (("EngineCore", {"code.function": "f", "n": 3}), ("Worker_0", {})):
        provider = TracerProvider(resource=Resource({"vllm.process_name": process, "vllm.process_id": "77"}))
        span = provider.get_tracer("vllm").start_span("Load weights", start_time=10**18, attributes=attributes)
        span.add_event("something")
        span.end(end_time=10**18 + 5 * 10**8)
        spans.append(span)
    return encode_spans(spans).SerializeToString()


SPANS = [
    EngineSpan("Load weights", "EngineCore", 10**18, 10**18 + 5 * 10**8),
    EngineSpan("Load weights", "Worker_0", 10**18, 10**18 + 5 * 10**8),
]


def test_spans_are_read_with_their_process_and_times():
    assert sorted(read_spans(request()), key=lambda span: span.process) == SPANS


def test_a_request_without_spans_is_empty():
    assert read_spans(b"") == []


@pytest.mark.parametrize("damage", [slice(0, -1), slice(1, None), slice(0, 30)])
def test_a_request_that_is_cut_is_refused(damage):
    with pytest.raises(ValueError, match=r".+"):
        read_spans(request()[damage])


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(content):
    with contextlib.suppress(ValueError):
        read_spans(content)


async def test_the_receiver_keeps_what_engines_send_packed_or_not():
    body = request()
    async with OtlpReceiver() as receiver, aiohttp.ClientSession() as session:
        url = receiver.variables({})["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        for data, headers in ((body, {}), (gzip.compress(body), {"content-encoding": "gzip"})):
            async with session.post(url, data=data, headers=headers) as response:
                assert response.status == 200
        assert len(receiver.spans) == 4


@pytest.mark.parametrize(("body", "headers"), [(b"\xff\xff", {}), (b"no gzip", {"content-encoding": "gzip"})])
async def test_the_receiver_refuses_what_it_cannot_read(body, headers):
    async with OtlpReceiver() as receiver, aiohttp.ClientSession() as session:
        url = receiver.variables({})["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 400
        assert receiver.spans == ()


async def test_traces_that_already_go_somewhere_are_left_alone():
    async with OtlpReceiver() as receiver:
        assert receiver.variables({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"}) == {}
