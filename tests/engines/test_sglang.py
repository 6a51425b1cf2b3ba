import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines import accelerators
from glowplug.engines.accelerators import installed_ram
from glowplug.engines.base import Call, EngineError
from glowplug.engines.sglang import RUNTIME, Sglang
from tests.engines.models import write_model, write_program

ENGINE = Sglang()
SIZE = 1000
KV_PER_TOKEN = 11520 * 2


@pytest.fixture(autouse=True)
def driver(tmp_path, monkeypatch):
    """The file that stands for the driver of a GPU; it is not there at first."""
    file = tmp_path / "driver"
    monkeypatch.setattr(accelerators, "DRIVER_FILES", (file,))
    return file


@pytest.fixture
def config(tmp_path):
    program = write_program(tmp_path / "bin" / "sglang")
    folder = write_model(tmp_path / "model", {"model.safetensors": SIZE})

    def make(aliases=(), **args):
        spelled = {key.replace("_", "-"): value for key, value in args.items()}
        options = {"server": str(program)}
        return ModelConfig(engine="sglang", model=str(folder), args=spelled, options=options, aliases=aliases)

    return make


def test_the_server_gets_the_model_one_name_the_port_and_the_flags(config, tmp_path):
    model = config(aliases=("other",), device="cpu", cuda_graph_bs=[1, 2], sleep_on_idle=True)
    ENGINE.check(model)
    assert ENGINE.launch("smol", model, 1234).argv == [
        str(tmp_path / "bin" / "sglang"), "serve", "--model-path", str(tmp_path / "model"),
        "--served-model-name", "smol", "--host", "127.0.0.1", "--port", "1234",
        "--device", "cpu", "--cuda-graph-bs", "1", "2", "--sleep-on-idle",
    ]  # fmt: skip


def test_a_name_that_would_mean_an_adapter_is_refused(config):
    with pytest.raises(EngineError, match='what follows the colon in "smol:135m" for the name of a LoRA adapter'):
        ENGINE.check(config(aliases=("fine", "smol:135m")))
    with pytest.raises(EngineError, match="use a name without a colon"):
        ENGINE.launch("smol:135m", config(), 1)


@pytest.mark.parametrize("flag", ["model_path", "served_model_name", "host", "api_key"])
def test_flags_that_are_set_by_glowplug_are_refused(config, flag):
    with pytest.raises(EngineError, match="cannot be given in args"):
        ENGINE.check(config(**{flag: "x"}))


def test_a_missing_program_is_named_with_both_ways_to_get_it(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"sglang was not found; run: pip install sglang .*make engine-sglang"):
        ENGINE.check(config().model_copy(update={"options": {}}))


def test_on_a_cpu_the_kv_cache_is_as_many_tokens_as_were_given(config):
    assert ENGINE.memory(config(max_total_tokens=8192)) == SIZE + 8192 * KV_PER_TOKEN + RUNTIME


def test_without_a_number_of_tokens_it_is_a_part_of_the_machine(config):
    assert ENGINE.memory(config(mem_fraction_static=0.1)) == int(installed_ram() * 0.1) + RUNTIME
    assert ENGINE.memory(config()) == int(installed_ram() * 0.88) + RUNTIME


def test_a_gpu_counts_unless_the_model_is_told_to_leave_it(config, driver):
    driver.touch()
    assert ENGINE.memory(config(max_total_tokens=8192)) == RUNTIME
    assert ENGINE.parkable(config()) == "a frozen process keeps its GPU memory"
    assert ENGINE.memory(config(max_total_tokens=8192, device="cpu")) > RUNTIME
    assert ENGINE.parkable(config(device="cpu")) is None


def test_no_two_canaries_share_what_the_prefix_cache_is_keyed_by(config):
    first, second = (ENGINE.canary("smol", config()).body for _ in range(2))
    assert first.pop("cache_salt") != second.pop("cache_salt")
    assert first == second
    assert (first["max_tokens"], first["temperature"], first["logprobs"]) == (2, 0, 1)


def test_a_model_for_embeddings_is_checked_with_embeddings(config):
    assert ENGINE.canary("e", config(is_embedding=True)).path == "/v1/embeddings"


def test_readiness_costs_no_generated_token(config):
    assert ENGINE.health(config()) == ENGINE.alive("smol", config(), 1) == Call("GET", "/ping")
