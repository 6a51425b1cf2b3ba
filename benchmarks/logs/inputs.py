"""Logs to read, made up in the manner of vLLM, each built around one thing that a reader may be slow at."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SECONDS_A_DAY = 86_400
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """A kind of log.

    Attributes:
        name: what it is called in the table.
        pieces: gives its bytes in the order of time, without end or with one of its own.
        outcome: of the last start in it; empty if there is none.
        wanted: the least speed, in MB/s; 0 if as fast as is sensible.
        newest_first: its lines stand in the order of an export that begins with the last one.
    """

    name: str
    pieces: Callable[[], Iterator[bytes]]
    outcome: str
    wanted: int = 100
    newest_first: bool = False

    def write(self, path: Path, size: int) -> None:
        """Write about `size` bytes of it, whole pieces only, or all of it if that is less."""
        with path.open("wb") as file:
            pieces: list[bytes] = []
            written = 0
            for piece in self.pieces():
                pieces.append(piece)
                written += len(piece)
                if not self.newest_first:
                    file.write(pieces.pop())
                if written >= size:
                    break
            for piece in reversed(pieces):
                file.writelines(reversed(piece.splitlines(keepends=True)))


def _clock(seconds: float) -> str:
    whole = int(seconds) % _SECONDS_A_DAY
    day = 1 + int(seconds) // _SECONDS_A_DAY % 28
    return f"03-{day:02} {whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def start(at: float, pid: int) -> bytes:
    """The output of one start that becomes ready: 160 lines, 60 seconds."""
    api, core = f"(APIServer pid={pid}) INFO", f"(EngineCore pid={pid + 100})"
    lines = [
        f"{api} {_clock(at)} [api_server.py:1977] vLLM API server version 0.19.0",
        f"{api} {_clock(at)} [utils.py:253] non-default args: {{'model': 'org/model-7b', 'port': 8000}}",
        f"{api} {_clock(at + 4)} [model.py:619] Resolved architecture: MadeUpForCausalLM",
        f"{core} INFO {_clock(at + 9)} [core.py:114] Initializing a V1 LLM engine (v0.19.0) with config: "
        "model='org/model-7b', tensor_parallel_size=1, enforce_eager=False, load_format=auto",
        f"{core} INFO {_clock(at + 11)} [gpu_model_runner.py:5040] Starting to load model org/model-7b...",
    ]
    lines += [
        f"{core} Loading safetensors checkpoint shards: {shard * 25:3}% Completed | {shard}/4 "
        f"[00:{shard:02}<00:{4 - shard:02},  1.01s/it]"
        for shard in range(5)
    ]
    lines += [
        f"{core} INFO {_clock(at + 15)} [default_loader.py:502] Loading weights took 4.07 seconds",
        f"{core} INFO {_clock(at + 16)} [gpu_model_runner.py:5150] Model loading took 14.2 GiB and 4.911 seconds",
        f"{core} INFO {_clock(at + 20)} [backends.py:1167] Dynamo bytecode transform time: 3.20 s",
        f"{core} INFO {_clock(at + 38)} [monitor.py:20] torch.compile took 21.50 s in total",
    ]
    lines += [
        f"{core} WARNING {_clock(at + 40)} [fused_moe.py:886] Using the default configuration of layer {layer}; "
        "speed may be less than it could be"
        for layer in range(90)
    ]
    lines += [f"{core} Capturing CUDA graphs (decode, FULL): {i:3}%|###  | {i}/51 [00:09<00:01]" for i in range(51)]
    lines += [
        f"{core} INFO {_clock(at + 55)} [gpu_model_runner.py:6582] Graph capturing finished in 10 secs, took 0.61 GiB",
        f"{core} INFO {_clock(at + 56)} [core.py:386] init engine (profile, create kv cache, warmup model) took 39.9 s",
        f"{api} {_clock(at + 59)} [entry.py:140] Starting vLLM server on http://0.0.0.0:8000",
        f"(APIServer pid={pid}) INFO:     Application startup complete.",
    ]
    return "\n".join([*lines, ""]).encode()


def _served() -> Iterator[bytes]:
    """One start, and then what a server says while it answers."""
    yield start(0, 1)
    seconds = 60.0
    while True:
        block: list[str] = []
        for number in range(400):
            seconds += 0.1
            block.append(
                f"(APIServer pid=1) INFO:     10.0.{number % 256}.7:4{number:04} - "
                '"POST /v1/chat/completions HTTP/1.1" 200 OK\n'
            )
            if number % 20 == 0:
                block.append(
                    f"(APIServer pid=1) INFO {_clock(seconds)} [loggers.py:123] Engine 000: Avg prompt throughput: "
                    f"{number}.4 tokens/s, Avg generation throughput: 812.9 tokens/s, Running: 7 reqs, Waiting: 0 "
                    "reqs, GPU KV cache usage: 3.1%, Prefix cache hit rate: 41.8%\n"
                )
        yield "".join(block).encode()


def _json() -> Iterator[bytes]:
    """What `_served` says, as a collector writes it that gives every line as JSON."""
    for number, piece in enumerate(_served()):
        yield b"".join(
            b'{"timestamp":"2026-03-01T%02d:%02d:%02d.250Z","stream":"stdout","log":%b}\n'
            % (number // 3600 % 24, number // 60 % 60, number % 60, json.dumps(line.decode()).encode())
            for line in piece.splitlines()
        )


def _never_ready() -> Iterator[bytes]:
    """A start that stops in the middle, and then what its processes say while nothing goes on."""
    whole = start(0, 1)
    yield whole[: whole.index(b"Graph capturing")].rpartition(b"\n")[0] + b"\n"
    seconds = 60.0
    while True:
        block: list[str] = []
        for number in range(400):
            seconds += 0.1
            block.append(
                f"(EngineCore pid=101) DEBUG {_clock(seconds)} [shm_broadcast.py:456] No message in queue {number} for "
                "60 seconds; the reader looks again at its ring of buffers\n"
            )
        yield "".join(block).encode()


def _bar(end: bytes) -> Iterator[bytes]:
    """A start with one line of progress that is drawn 1,000,000 times."""
    first, _, rest = start(0, 1).partition(b"(EngineCore pid=101) Loading safetensors")
    yield first
    for base in range(0, 1_000_000, 1000):
        yield b"".join(
            b"Loading safetensors checkpoint shards:  %2d%% Completed | %d/1000000 [%02d:%02d<00:01, 900.0it/s]%b"
            % (i // 10_000, i, i // 60_000, i // 1000 % 60, end)
            for i in range(base, base + 1000)
        )
    yield b"(EngineCore pid=101) Loading safetensors" + rest


def _crash_loop() -> Iterator[bytes]:
    """Starts that fail after the model was loaded, one after another."""
    at, pid = 0.0, 10
    while True:
        whole = start(at, pid)
        yield whole[: whole.index(b"Graph capturing")].rpartition(b"\n")[0] + (
            b"\n(EngineCore pid=%d) ERROR %b [core.py:700] Traceback (most recent call last):\n"
            b"(EngineCore pid=%d) ERROR %b [core.py:700]     graph.replay()\n"
            b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
            % (pid + 100, _clock(at + 50).encode(), pid + 100, _clock(at + 50).encode())
        )
        at, pid = at + 70, pid + 1


def _garbage() -> Iterator[bytes]:
    """Bytes of a file that is no log."""
    source = random.Random(7)
    while True:
        yield source.randbytes(_BLOCK)


def _stamped() -> Iterator[bytes]:
    """What `_served` says, with the time of a collector before every line."""
    seconds = 0.0
    for piece in _served():
        for line in piece.splitlines(keepends=True):
            seconds += 0.05
            whole = int(seconds)
            yield (
                f"2026-03-{1 + whole // _SECONDS_A_DAY % 28:02}T{whole // 3600 % 24:02}:{whole // 60 % 60:02}:"
                f"{whole % 60:02}.{int(seconds * 1000) % 1000:03}000000Z "
            ).encode() + line


INPUTS = (
    Input("one start, then serving", _served, "ready"),
    Input("a start that never gets ready, then debug lines", _never_ready, "incomplete"),
    Input("1,000,000 states of a bar on one line, divided by \\r", lambda: _bar(b"\r"), "ready"),
    Input("the same, divided by nothing", lambda: _bar(b""), "ready"),
    Input("a crash loop", _crash_loop, "failed", wanted=0),
    Input("no log but random bytes", _garbage, ""),
    Input("one start, then serving, as JSON", _json, "ready"),
    Input("one start, then serving, newest line first", _stamped, "ready", newest_first=True),
)
