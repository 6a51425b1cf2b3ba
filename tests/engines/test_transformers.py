from pathlib import Path

import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines import accelerators
from glowplug.engines.base import CanaryAnswer, EngineError
from glowplug.engines.transformers import RUNTIME, Transformers
from tests.engines.models import write_model, write_program, write_snapshot

ENGINE = Transformers()
SIZE = 1000


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """No GPU, and caches of its own."""
    monkeypatch.setattr(accelerators, "DRIVER_FILES", (tmp_path / "driver",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def folder(tmp_path):
    return write_model(tmp_path / "model", {"model.safetensors": SIZE})


@pytest.fixture
def config(tmp_path, folder):
    program = write_program(tmp_path / "bin" / "transformers")

    def make(model=folder, aliases=(), **args):
        spelled = {key.replace("_", "-"): value for key, value in args.items()}
        options = {"server": str(program)}
        return ModelConfig(engine="transformers", model=str(model), args=spelled, options=options, aliases=aliases)

    return make


def test_with_one_name_the_server_is_pinned_to_it_and_finds_the_model_under_it(config, folder, tmp_path):
    model = config(device="cpu", compile=True)
    ENGINE.check(model)
    launch = ENGINE.launch("smol", model, 1234)
    assert launch.argv == [
        str(tmp_path / "bin" / "transformers"), "serve", "smol", "--host", "127.0.0.1", "--port", "1234",
        "--device", "cpu", "--compile",
    ]  # fmt: skip
    assert (launch.cwd / "smol").resolve() == folder
    assert (launch.cwd / "smol" / "config.json").is_file()


def test_with_aliases_every_name_leads_to_the_model_and_none_is_unloaded(config, folder):
    launch = ENGINE.launch("smol", config(aliases=("gpt-4o", "acme/smol", "smol2@v1")), 1234)
    assert launch.argv[2:] == ["--host", "127.0.0.1", "--port", "1234", "--model-timeout", "-1"]
    assert all((launch.cwd / name).resolve() == folder for name in ("smol", "gpt-4o", "acme/smol", "smol2"))


def test_a_given_time_out_is_kept(config):
    argv = ENGINE.launch("smol", config(aliases=("b",), model_timeout=60), 1).argv
    assert argv[argv.index("--model-timeout") + 1 :] == ["60"]


def test_starting_again_uses_the_same_links_and_another_model_others(config, tmp_path):
    first = ENGINE.launch("smol", config(), 1).cwd
    assert ENGINE.launch("smol", config(), 2).cwd == first
    other = write_model(tmp_path / "other", {"model.safetensors": 1})
    second = ENGINE.launch("smol", config(model=other), 1).cwd
    assert (first / "smol").resolve() != (second / "smol").resolve() == other


@pytest.mark.parametrize(
    ("name", "alias"), [("a/../../b", "x"), ("a//b", "x"), ("a", "a/b"), ("a/b", "a"), ("a", "b/.")]
)
def test_names_that_would_lead_elsewhere_are_refused_and_nothing_is_written(config, folder, tmp_path, name, alias):
    before = sorted(folder.iterdir())
    with pytest.raises(EngineError, match="transformers looks up names as paths"):
        ENGINE.launch(name, config(aliases=(alias,)), 1)
    assert not (tmp_path / "cache").exists()
    assert sorted(folder.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_named(config, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EngineError, match=r"the folder .* of links to the model could not be made \(Not a directory\)"):
        ENGINE.launch("smol", config(), 1)


def test_a_model_of_the_hub_needs_its_own_name_until_it_was_fetched(config, tmp_path):
    hub_name = "acme/tiny"
    launch = ENGINE.launch(hub_name, config(model=hub_name), 1)
    assert (launch.argv[2], launch.cwd) == (hub_name, None)
    for name, aliases in (("smol", ()), (hub_name, ("smol",))):
        with pytest.raises(EngineError, match="under another name before it is on this machine; run: hf download"):
            ENGINE.launch(name, config(model=hub_name, aliases=aliases), 1)
    snapshot = write_snapshot(tmp_path / "hub", hub_name)
    assert (ENGINE.launch("smol", config(model=hub_name), 1).cwd / "smol").resolve() == snapshot
    assert ENGINE.weights(config(model=hub_name)) == [snapshot / "model.safetensors"]


def test_a_single_file_is_sent_to_llama_cpp(config, tmp_path):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(EngineError, match=r"m\.gguf is a file; give the directory, or use engine: llama\.cpp"):
        ENGINE.check(config(model=file))


def test_a_missing_program_is_named_with_both_ways_to_get_it(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"run: pip install 'transformers\[serving\]' .*make engine-transformers"):
        ENGINE.check(config().model_copy(update={"options": {}}))


def test_each_alias_may_load_the_weights_once_more(config):
    assert ENGINE.memory(config()) == SIZE * 6 // 5 + RUNTIME
    assert ENGINE.memory(config(aliases=("a", "b"))) == 3 * SIZE * 6 // 5 + RUNTIME


def test_with_a_gpu_the_weights_are_not_in_ram_and_freezing_gives_nothing_back(config, tmp_path):
    (tmp_path / "driver").touch()
    assert ENGINE.memory(config()) == RUNTIME
    assert ENGINE.parkable(config()) == "a frozen process keeps its GPU memory"
    assert ENGINE.parkable(config(device="cpu")) is None


def test_the_canary_asks_for_nothing_that_the_server_does_not_know(config):
    body = ENGINE.canary("smol", config()).body
    assert set(body) == {"model", "prompt", "max_tokens", "temperature", "stream"}
    assert (body["model"], body["temperature"]) == ("smol", 0)


def test_its_answer_is_the_text():
    answer = {"choices": [{"finish_reason": "length", "index": 0, "text": " Paris. It is"}]}
    assert ENGINE.read_canary(answer) == CanaryAnswer(tokens=(" Paris. It is",))


def test_relative_paths_are_safe_from_the_other_working_directory(config, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    launch = ENGINE.launch("smol", config(model=f"./{folder.name}"), 1)
    assert Path(launch.argv[0]).is_absolute()
    assert (launch.cwd / "smol").resolve() == folder
