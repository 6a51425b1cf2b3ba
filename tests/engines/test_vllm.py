import pytest

from glowplug.config.models import ModelConfig, WarmupRequest
from glowplug.engines import accelerators
from glowplug.engines.accelerators import installed_ram
from glowplug.engines.base import CanaryAnswer, EngineError
from glowplug.engines.vllm import RUNTIME, Vllm
from tests.engines.models import write_model, write_program, write_snapshot

ENGINE = Vllm()
SIZE = 1000


@pytest.fixture(autouse=True)
def no_gpu(tmp_path, monkeypatch):
    """As on a machine without a GPU, with no settings of vLLM's own."""
    monkeypatch.setattr(accelerators, "DRIVER_FILES", (tmp_path / "driver",))
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)


@pytest.fixture
def program(tmp_path):
    return write_program(tmp_path / "bin" / "vllm")


@pytest.fixture
def folder(tmp_path):
    return write_model(tmp_path / "model", {"model.safetensors": SIZE})


@pytest.fixture
def config(program, folder):
    def make(model=folder, env=None, **args):
        spelled = {key.replace("_", "-"): value for key, value in args.items()}
        options = {"server": str(program)}
        return ModelConfig(engine="vllm", model=str(model), args=spelled, options=options, env=env or {})

    return make


def test_the_server_gets_the_model_its_names_the_port_and_the_flags(config, program, folder):
    model = config(max_model_len=2048, enforce_eager=True, cudagraph_capture_sizes=[1, 2], env={"A": "1"})
    model = model.model_copy(update={"aliases": ("gpt-4o-mini", "other")})
    ENGINE.check(model)
    launch = ENGINE.launch("smol", model, 1234)
    assert launch.argv == [
        str(program), "serve", str(folder), "--served-model-name", "smol", "gpt-4o-mini", "other",
        "--host", "127.0.0.1", "--port", "1234",
        "--max-model-len", "2048", "--enforce-eager", "--cudagraph-capture-sizes", "1", "2",
    ]  # fmt: skip
    assert launch.env["A"] == "1"
    assert launch.env["PATH"].startswith(str(program.parent))


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("served_model_name", "aliases"),
        ("port", "Glowplug chooses it"),
        ("uds", "127.0.0.1"),
        ("api-key", "api_keys_file"),
    ],
)
def test_flags_that_are_set_by_glowplug_are_refused(config, flag, reason):
    model = config().model_copy(update={"args": {flag: "x"}})
    with pytest.raises(EngineError, match=f'"{flag}" cannot be given in args: .*{reason}'):
        ENGINE.check(model)


def test_a_missing_program_is_named_with_both_ways_to_get_it(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"vllm was not found; run: pip install vllm .*make engine-vllm"):
        ENGINE.check(ModelConfig(engine="vllm", model=str(folder)))


def test_an_incomplete_model_is_told_before_anything_starts(config, folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(EngineError, match="holds no weights"):
        ENGINE.check(config())


def test_a_model_of_the_hub_is_known_once_it_was_fetched_wherever_vllm_keeps_it(config, tmp_path):
    model = config(model="acme/tiny", download_dir=str(tmp_path / "hub"), revision="v2")
    assert ENGINE.weights(model) == ()
    snapshot = write_snapshot(tmp_path / "hub", "acme/tiny", revision="v2")
    assert ENGINE.weights(model) == [snapshot / "model.safetensors"]


def test_a_single_weight_file_is_passed_on(config, tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    ENGINE.check(config(model=file))
    assert list(ENGINE.weights(config(model=file))) == [file]


@pytest.mark.parametrize(
    ("text", "size"), [("256M", 256 * 2**20), ("1.5g", 1_500_000_000), (4096, 4096), ("2K", 2048), ("1T", 2**40)]
)
def test_on_a_cpu_the_kv_cache_counts_as_it_was_given(config, text, size):
    assert ENGINE.memory(config(kv_cache_memory_bytes=text)) == SIZE + size + RUNTIME


def test_the_older_variable_counts_in_gib_and_wins(config, monkeypatch):
    assert ENGINE.memory(config(env={"VLLM_CPU_KVCACHE_SPACE": "2"}, kv_cache_memory_bytes=1)) == SIZE + 2**31 + RUNTIME
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    assert ENGINE.memory(config()) == SIZE + 2**30 + RUNTIME


def test_without_a_limit_vllm_takes_most_of_the_machine(config):
    assert ENGINE.memory(config()) == int(installed_ram() * 0.92) + RUNTIME
    assert ENGINE.memory(config(gpu_memory_utilization=0.5)) == int(installed_ram() * 0.5) + RUNTIME
    assert ENGINE.memory(config(kv_cache_memory_bytes="plenty")) == int(installed_ram() * 0.92) + RUNTIME


def test_with_a_gpu_the_weights_are_not_in_ram_and_freezing_gives_nothing_back(config, tmp_path):
    assert ENGINE.parkable(config()) is None
    (tmp_path / "driver").touch()
    assert ENGINE.memory(config()) == RUNTIME
    assert ENGINE.parkable(config()) == "a frozen process keeps its GPU memory"


def test_the_canary_is_a_greedy_completion_of_two_tokens(config):
    call = ENGINE.canary("smol", config())
    assert (call.method, call.path) == ("POST", "/v1/completions")
    body = {"model": "smol", "max_tokens": 2, "temperature": 0, "stream": False, "logprobs": 1, "ignore_eos": True}
    assert body.items() <= call.body.items()


def test_a_model_for_embeddings_is_checked_and_warmed_with_embeddings(config):
    warmup = (WarmupRequest(prompt="Hello"),)
    pooling = config(runner="pooling").model_copy(update={"warmup": warmup})
    assert ENGINE.canary("e", pooling).path == "/v1/embeddings"
    assert [call.path for call in ENGINE.warmup("e", pooling)] == ["/v1/embeddings"]
    generating = config().model_copy(update={"warmup": warmup})
    assert [call.path for call in ENGINE.warmup("e", generating)] == ["/v1/completions"]


def test_tokens_and_log_probabilities_are_read_from_its_answer():
    logprobs = {"tokens": [" Paris", "."], "token_logprobs": [-0.25, -0.5], "top_logprobs": [{}, {}]}
    answer = {"choices": [{"index": 0, "text": " Paris.", "logprobs": logprobs}]}
    assert ENGINE.read_canary(answer) == CanaryAnswer(tokens=(" Paris", "."), logprobs=(-0.25, -0.5))
