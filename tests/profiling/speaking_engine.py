"""A server that prints what vLLM prints when it starts, in two processes, with silences of known kinds in between.

`speaking_engine.py PORT SECONDS`: each of its parts takes about SECONDS. It sends a span of its start wherever the
OpenTelemetry variables point, as vLLM does, and answers /server_info as SGLang does.
"""

import http.server
import json
import os
import subprocess
import sys
import time
import urllib.request

MODEL = "made/up"


def say(process, text):
    now = time.strftime("%m-%d %H:%M:%S")
    print(f"({process} pid={os.getpid()}) INFO {now} [made_up.py:1] {text}")


def compute(seconds):
    """Keep one core busy, by its own clock, so that it does not get less on a busy machine."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def core(seconds):
    compute(seconds)  # as if it imported
    say("EngineCore", f"Initializing a V1 LLM engine (v9.8.7) with config: model='{MODEL}', load_format=auto")
    say("EngineCore", f"Starting to load model {MODEL}...")
    time.sleep(seconds)
    say("EngineCore", f"Loading weights took {seconds:.2f} seconds")
    say("EngineCore", f"Model loading took 1.00 GiB memory and {seconds:.2f} seconds")
    began, begin = time.monotonic(), time.time_ns()
    compute(seconds)
    if endpoint := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        send_span(endpoint, "Allocate KV cache", begin, time.time_ns())
    took = time.monotonic() - began + 0.01
    say("EngineCore", f"init engine (profile, create kv cache, warmup model) took {took:.2f} s")


def send_span(endpoint, name, begin, end):
    """One span as an ExportTraceServiceRequest in protocol buffers."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    times = bytes([7 << 3 | 1]) + begin.to_bytes(8, "little") + bytes([8 << 3 | 1]) + end.to_bytes(8, "little")
    request = field(1, field(2, field(2, field(5, name.encode()) + times)))
    urllib.request.urlopen(urllib.request.Request(endpoint, request), timeout=20).close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/v1/models":
            self.answer(200, {"data": [{"id": "served-name"}]})
        elif self.path == "/server_info":
            self.answer(200, {"startup_time": {"load_weight": 0.5, "cuda_graph": {"decode": 0.25, "prefill": None}}})
        else:
            self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if request["model"] == "missing":
            self.answer(404, {"error": "no such model"})
            return
        if not request.get("stream"):
            self.answer(200, {"choices": [{"text": "Paris"}]})
            return
        self.send_response(200)
        self.end_headers()
        for text in ("", "Paris"):
            self.wfile.write(b"data: " + json.dumps({"choices": [{"text": text}]}).encode() + b"\n\n")

    def answer(self, status, document):
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main(port, seconds):
    say("APIServer", f"vLLM server version 9.8.7, serving model {MODEL}")
    say("APIServer", "Resolved architecture: MadeUp")
    subprocess.run([sys.executable, __file__, "core", str(seconds)], check=True)
    say("APIServer", f"Starting vLLM server on http://127.0.0.1:{port}")
    print("INFO:     Application startup complete.")
    serve(port)


def serve(port):
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "core":
        core(float(sys.argv[2]))
    else:
        main(int(sys.argv[1]), float(sys.argv[2]))
