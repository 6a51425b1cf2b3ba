"""Cold starts as OpenTelemetry traces, sent to a collector with OTLP over HTTP. Needs the extra `otel`."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from glowplug import __version__
from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.placement import extent, place
from glowplug.profiling.wording import clean, engine_name

if TYPE_CHECKING:
    import requests
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

_NANOSECONDS = 1_000_000_000
_TRACES = "/v1/traces"
_SHOWN = 300  # characters of an answer in an error message
_Attributes = dict[str, str | bool | int | float | list[str] | list[int]]


class OtlpError(Exception):
    """Nothing was sent; the text says why and what to do."""


def send(starts: Sequence[ColdStart], endpoint: str | None = None) -> None:
    """Send each start as a trace of its own: a root span for the start, and in it one span for each phase.

    Times are real: offsets from `started_at`, which counts as UTC if it names no zone; a start that does not tell it
    is taken to have ended now. `endpoint` is the base URL of the collector, such as http://localhost:4318; without it
    the variables OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT tell it. The other OTEL_EXPORTER_
    variables (headers, certificates, compression, timeout) hold, too.

    Raises:
        OtlpError: the extra is not installed, or the collector did not take the traces.
    """
    try:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError:
        raise OtlpError("sending traces needs the OpenTelemetry packages; install glowplug[otel]") from None
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        raise OtlpError("OTEL_SDK_DISABLED is set, so no traces are sent; unset it")
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # what it would say stands in our exception
    session = requests.Session()
    attempt = _Attempt(session)
    exporter = OTLPSpanExporter(endpoint=_traces_url(endpoint), session=session)
    try:
        if exporter.export(_spans(starts)) is not SpanExportResult.SUCCESS:
            raise OtlpError(attempt.failure())
    finally:
        exporter.shutdown()


def _traces_url(endpoint: str | None) -> str | None:
    if endpoint is None or endpoint.rstrip("/").endswith(_TRACES):
        return endpoint
    return endpoint.rstrip("/") + _TRACES


class _Attempt:
    """Watches what the exporter sends, because it tells only whether that went well."""

    def __init__(self, session: "requests.Session") -> None:
        self._request = session.request
        self._url = ""
        self._why = "it gave up"
        session.request = self._watch  # type: ignore[method-assign]

    def failure(self) -> str:
        """One sentence about the last attempt."""
        return (
            f"the collector at {self._url} did not take the traces: {self._why}; check that it runs and speaks OTLP "
            "over HTTP (usually port 4318) at the endpoint given"
        )

    def _watch(self, *arguments: Any, **options: Any) -> "requests.Response":
        import requests

        self._url = str(options.get("url") or arguments[1])
        try:
            response = self._request(*arguments, **options)
        except requests.RequestException as error:
            self._why = _cause(error)
            # The exporter would try a refused connection again for ten seconds, while somebody waits for the prompt.
            raise OtlpError(self._why) from error
        self._why = f"it answered {response.status_code} {clean(response.text[:_SHOWN])}".strip()
        return response


def _cause(error: BaseException) -> str:
    """The innermost exception, which says what happened, such as that the connection was refused."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return clean(str(error)[:_SHOWN]) or type(error).__name__


def _spans(starts: Sequence[ColdStart]) -> "Sequence[ReadableSpan]":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    service = os.environ.get("OTEL_SERVICE_NAME") or "glowplug"
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.version": __version__}),
        sampler=ALWAYS_ON,
        shutdown_on_exit=False,
    )
    finished = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer("glowplug", __version__)
    for start in starts:
        _record(start, tracer)
    return finished.get_finished_spans()


def _record(start: ColdStart, tracer: "Tracer") -> None:
    from opentelemetry.context import Context
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    placed = place(start)
    low, high = extent(start, placed)
    zero = _began(start, high)

    def moment(offset: float) -> int:
        return zero + round(offset * _NANOSECONDS)

    root = tracer.start_span(
        "cold start", Context(), attributes=_start_attributes(start), start_time=moment(min(0.0, low))
    )
    spans = [root]
    for each in placed:
        around = root if each.parent is None else spans[each.parent + 1]
        span = tracer.start_span(
            each.span.phase,
            set_span_in_context(around, Context()),
            attributes=_span_attributes(each.span) | {"glowplug.place_known": each.known},
            start_time=moment(each.start),
        )
        span.end(moment(each.end))
        spans.append(span)
    if start.outcome == "failed":
        root.set_status(Status(StatusCode.ERROR, clean(start.reason or "")))
    root.end(moment(high))


def _began(start: ColdStart, length: float) -> int:
    """Nanoseconds since the epoch at which the start began."""
    try:
        began = datetime.fromisoformat(start.started_at or "")
    except ValueError:
        return time.time_ns() - round(length * _NANOSECONDS)
    aware = began if began.tzinfo else began.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000) * 1000  # as exact as a datetime is


def _start_attributes(start: ColdStart) -> _Attributes:
    known: Mapping[str, str | float | None] = {
        "glowplug.engine": start.engine,
        "glowplug.engine.name": engine_name(start),
        "glowplug.engine.version": start.version,
        "glowplug.engine.variant": start.variant or None,
        "glowplug.model": start.model,
        "glowplug.outcome": start.outcome,
        "glowplug.reason": start.reason,
        "glowplug.total": start.total,
        "glowplug.replica": start.replica,
        "glowplug.woke_from": start.woke_from,
    }
    attributes: _Attributes = {
        key: clean(value) if isinstance(value, str) else value for key, value in known.items() if value is not None
    }
    return attributes | {f"glowplug.reported.{clean(key)}": value for key, value in start.reported.items()}


def _span_attributes(span: Span) -> _Attributes:
    attributes: _Attributes = {"glowplug.seconds": span.seconds, "glowplug.source": span.source}
    if span.label:
        attributes["glowplug.label"] = clean(span.label)
    if span.lines:
        attributes["glowplug.lines"] = list(span.lines)
    if span.ranks is not None:
        attributes |= {
            "glowplug.ranks.count": span.ranks.count,
            "glowplug.ranks.least": span.ranks.least,
            "glowplug.ranks.greatest": span.ranks.greatest,
        }
    if span.neighbours is not None:
        attributes["glowplug.gap.after"], attributes["glowplug.gap.before"] = map(clean, span.neighbours)
    if span.activity is not None:
        attributes |= {
            "glowplug.gap.verdict": span.activity.verdict,
            "glowplug.gap.cpu_seconds": span.activity.cpu,
            "glowplug.gap.read_bytes": span.activity.read,
            "glowplug.gap.written_bytes": span.activity.written,
        }
    return attributes
