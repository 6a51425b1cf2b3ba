import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines.base import Launch
from glowplug.engines.canary import compare
from glowplug.engines.llama_cpp import LlamaCpp
from tests.engines.gguf_files import write_gguf
from tests.engines.model_file import SMOLLM2, needs_model
from tests.engines.running import PATIENCE, free_port, running, spawned

PROGRAM = [sys.executable, "-P", "-m", "glowplug.engines.llama_cpp_server"]

pytestmark = [pytest.mark.llamacpp, needs_model]


def config(**args):
    return ModelConfig(engine="llama.cpp", model=str(SMOLLM2), args={"ctx-size": 1024, **args}, aliases=("also",))


def start(model, port):
    return spawned(Launch([*PROGRAM, "--model", str(model), "--port", str(port)]))


@pytest.fixture(scope="module")
def server():
    with running(LlamaCpp(), config(), "smollm2") as server:
        yield server


def test_the_model_has_the_configured_name(server):
    assert [model["id"] for model in server.get("/v1/models")["data"]] == ["smollm2"]


def test_an_alias_is_served_too(server):
    messages = [{"role": "user", "content": "Hi"}]
    answer = server.post("/v1/chat/completions", model="also", messages=messages, max_tokens=2)
    assert answer["usage"]["completion_tokens"] == 2


def test_the_canary_is_the_same_every_time_also_after_other_work(server):
    recorded = server.canary()
    assert len(recorded.tokens) == len(recorded.logprobs) == 2
    with ThreadPoolExecutor(4) as pool:
        prompts = [f"Tell a story about number {index}." for index in range(6)]
        answers = pool.map(lambda prompt: server.post("/v1/completions", prompt=prompt, max_tokens=12), prompts)
        assert all(answer["usage"]["completion_tokens"] for answer in answers)
    again = [server.canary() for _ in range(3)]
    assert again == [recorded] * 3  # bit for bit, which is more than compare() asks for


def test_the_canary_is_the_same_after_the_process_was_frozen(server):
    recorded = server.canary()
    server.freeze()
    server.thaw()
    assert compare(recorded, server.canary()) is None


def test_the_canary_reads_no_prompt_cache_and_its_tokens_are_counted(server):
    call = server.engine.canary(server.name, server.model)
    server.ask(call)
    timings = server.ask(call)["timings"]
    assert (timings["cache_n"], timings["prompt_n"], timings["predicted_n"]) == (0, 5, 2)


def test_slots_and_context_are_as_documented(server):
    props = server.get("/props")
    assert props["total_slots"] == 4
    assert props["default_generation_settings"]["n_ctx"] == 1024  # one cache that all slots share


def test_streams_end_with_done(server):
    body = json.dumps({"prompt": "Hello", "max_tokens": 3, "stream": True}).encode()
    with server.open("POST", "/v1/completions", body, {"content-type": "application/json"}) as answer:
        events = [line for line in answer.read().split(b"\n\n") if line]
    assert events[-1] == b"data: [DONE]"
    assert len(events) >= 4


def test_sigterm_ends_the_process_at_once_even_with_work_in_hand():
    with running(LlamaCpp(), config(), "smollm2") as server:
        body = json.dumps({"prompt": "Hello", "max_tokens": 900, "stream": True, "ignore_eos": True}).encode()
        with server.open("POST", "/v1/completions", body, {"content-type": "application/json"}) as answer:
            answer.readline()
            server.process.terminate()
            assert server.process.wait(PATIENCE) == 0
        assert server.started.output.endswith("stopped by signal\n")


def test_an_embedding_model_gives_its_vector_as_canary():
    with running(LlamaCpp(), config(embeddings=True, pooling="mean")) as server:
        recorded = server.canary()
        assert len(recorded.vector) == 576
        assert compare(recorded, server.canary()) is None


def test_a_reranker_gives_its_scores_as_canary():
    with running(LlamaCpp(), config(reranking=True)) as server:
        recorded = server.canary()
        assert len(recorded.vector) == 2
        assert compare(recorded, server.canary()) is None


def test_args_reach_the_engine(tmp_path):
    args = {"parallel": 2, "temp": 0.25, "slot-save-path": str(tmp_path), "metrics": True, "fit": "on", "threads": 1}
    with running(LlamaCpp(), config(**args)) as server:
        props = server.get("/props")
        assert props["total_slots"] == 2
        assert props["default_generation_settings"]["n_ctx"] == 512
        assert props["default_generation_settings"]["params"]["temperature"] == 0.25
        server.post("/v1/completions", prompt="Hello", max_tokens=2, id_slot=0)
        assert server.post("/slots/0?action=save", filename="slot.bin")["n_saved"] > 0
        assert (tmp_path / "slot.bin").stat().st_size > 0
        with server.open("GET", "/metrics") as metrics:
            assert b"llamacpp:" in metrics.read()


def exit_and_last_line(started):
    code = started.process.wait(PATIENCE)
    return code, started.output.splitlines()[-1]


def test_a_missing_model_is_told_in_one_line():
    with start("/nonexistent/m.gguf", free_port()) as started:
        assert exit_and_last_line(started) == (
            2,
            'error: "model" cannot be "/nonexistent/m.gguf": use a file that exists',
        )
        assert len(started.output.splitlines()) == 1


def test_a_file_that_is_no_gguf_is_told_in_one_line(tmp_path):
    (tmp_path / "m.gguf").write_text("garbage")
    with start(tmp_path / "m.gguf", free_port()) as started:
        code, line = exit_and_last_line(started)
    assert code == 1
    assert "is not a GGUF file that can be loaded: it begins with b'garb'" in line


@pytest.mark.parametrize("length", [100, 1_000_000, 50_000_000])
def test_a_file_that_is_cut_off_is_told_in_the_last_line(tmp_path, length):
    with SMOLLM2.open("rb") as whole:
        (tmp_path / "m.gguf").write_bytes(whole.read(length))
    with start(tmp_path / "m.gguf", free_port()) as started:
        code, line = exit_and_last_line(started)
    assert code == 1
    assert line.startswith("error: ")
    assert "m.gguf" in line
    assert "again" in line


def test_metadata_without_weights_are_told_in_the_last_line(tmp_path):
    with start(write_gguf(tmp_path / "m.gguf"), free_port()) as started:
        code, line = exit_and_last_line(started)
    assert (code, line[:32]) == (1, "error: llama.cpp could not load ")


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken, start(SMOLLM2, taken.getsockname()[1]) as started:
        code, line = exit_and_last_line(started)
    assert (code, "choose another one" in line) == (1, True)


def test_an_unknown_flag_is_a_usage_error():
    with spawned(Launch([*PROGRAM, "--ctx-sise", "8"])) as started:
        code, line = exit_and_last_line(started)
    assert (code, line) == (2, 'error: llama.cpp has no flag "ctx-sise" here; did you mean "ctx-size"?')


def test_only_the_standard_library_and_our_own_files_are_loaded():
    code = (
        "import sys; import glowplug.engines.llama_cpp_server;"
        "print([name for name in sys.modules if name.partition('.')[0] in"
        " ('pydantic', 'aiohttp', 'asyncio', 'difflib', 'xllamacpp', 'numpy', 'yaml')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
