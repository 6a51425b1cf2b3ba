"""A collector of one's own for the traces that engines record of their start (vLLM: `vllm/tracing`).

vLLM's engine and worker processes send their start-up spans wherever the standard OpenTelemetry variables point, if
the packages for it are installed with it. So the variables point here, and no flag of the engine changes.
"""

from collections.abc import Mapping, Sequence

from aiohttp import web

from glowplug.profiling.otlp_wire import EngineSpan, read_spans

_LARGEST = 16 * 1024 * 1024  # bytes of one request; vLLM sends at most 512 spans, each of some hundred bytes
_MOST_SPANS = 10_000
_TRACE_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED")


class OtlpReceiver:
    """Takes traces on a port of 127.0.0.1. Use it as an asynchronous context manager."""

    def __init__(self) -> None:
        self._spans: list[EngineSpan] = []
        self._port = 0

    async def __aenter__(self) -> "OtlpReceiver":
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def spans(self) -> Sequence[EngineSpan]:
        """What came in so far."""
        return tuple(self._spans)

    def variables(self, env: Mapping[str, str]) -> Mapping[str, str]:
        """The environment variables that make an engine send here; none if `env` already says where traces go."""
        if any(name in env for name in _TRACE_VARIABLES):
            return {}
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{self._port}/v1/traces",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            # Milliseconds that a span waits for others to be sent with; 5000 unless told.
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    async def _take(self, request: web.Request) -> web.Response:
        try:
            spans = read_spans(await request.read())  # unpacked, if it was packed
        except (ValueError, web.RequestPayloadError):
            return web.Response(status=400)
        self._spans += spans[: _MOST_SPANS - len(self._spans)]
        return web.Response(content_type="application/x-protobuf")
