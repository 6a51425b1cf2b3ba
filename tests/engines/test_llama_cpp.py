import importlib.util
import sys

import pytest

from glowplug.config.models import ModelConfig, WarmupRequest
from glowplug.engines.base import EngineError
from glowplug.engines.llama_cpp import LlamaCpp
from glowplug.engines.weights import WORKING_SPACE
from tests.engines.gguf_files import write_gguf

ENGINE = LlamaCpp()

needs_embedded = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")


@pytest.fixture
def gguf(tmp_path):
    return write_gguf(tmp_path / "m.gguf", size=10_000)


@pytest.fixture
def binary(tmp_path):
    """Stands for an installed llama-server; it is never started here."""
    path = tmp_path / "bin" / "llama-server"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def config(gguf, server="auto", **args):
    spelled = {key.replace("_", "-"): value for key, value in args.items()}
    return ModelConfig(engine="llama.cpp", model=str(gguf), args=spelled, options={"server": server})


@needs_embedded
def test_the_embedded_server_gets_the_model_the_port_and_one_name(gguf):
    model = ModelConfig(engine="llama.cpp", model=str(gguf), args={"c": 64}, aliases=("another",), env={"A": "1"})
    launch = ENGINE.launch("smol", model, 1234)
    assert launch.argv == [
        sys.executable, "-P", "-m", "glowplug.engines.llama_cpp_server", "--model", str(gguf), "--host", "127.0.0.1",
        "--port", "1234", "--alias", "smol", "--ctx-size", "64",
    ]  # fmt: skip
    assert launch.env == {"A": "1"}


def test_an_installed_server_gets_flags_unchanged_even_unknown_ones(gguf, binary):
    model = config(gguf, server=str(binary), brand_new="x", temperature=0.5, flash_attn=True, warmup=False)
    ENGINE.check(model)
    argv = ENGINE.launch("smol", model, 1234).argv
    assert argv[0] == str(binary)
    tail = ["--brand-new", "x", "--temperature", "0.5", "--flash-attn", "on", "--no-warmup"]
    assert argv[argv.index("--alias") + 2 :] == tail


def test_an_installed_server_is_used_if_the_package_is_missing(gguf, binary, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(binary.parent))
    assert ENGINE.launch("smol", config(gguf), 1).argv[0] == str(binary)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EngineError, match=r"pip install 'glowplug\[llamacpp\]', or put llama-server on the PATH"):
        ENGINE.check(config(gguf))
    with pytest.raises(EngineError, match="xllamacpp is not installed"):
        ENGINE.check(config(gguf, server="xllamacpp"))


def test_an_installed_server_may_fetch_the_weights_itself(binary):
    model = ModelConfig(engine="llama.cpp", args={"hf-repo": "a/b"}, options={"server": str(binary)})
    ENGINE.check(model)
    assert "--model" not in ENGINE.launch("smol", model, 1).argv
    assert ENGINE.weights(model) == ()


@needs_embedded
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": None}, "llama.cpp needs `model:`"),
        ({"model": "/nonexistent/m.gguf"}, "the model file /nonexistent/m.gguf does not exist"),
        ({"args": {"ctx-sise": 8}}, 'did you mean "ctx-size"'),
        ({"args": {"port": 8}}, '"port" cannot be given in args: Glowplug chooses it'),
        ({"args": {"m": "x"}}, '"m" cannot be given in args: the weights come from `model:`'),
        ({"options": {"server": "/nonexistent/llama-server"}}, "the program /nonexistent/llama-server was not found"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(gguf, changes, sentence):
    model = ModelConfig(**{"engine": "llama.cpp", "model": str(gguf), **changes})
    with pytest.raises(EngineError) as caught:
        ENGINE.check(model)
    assert sentence in str(caught.value)


@needs_embedded
def test_a_directory_in_the_place_of_the_model_file_is_called_one(tmp_path):
    with pytest.raises(EngineError) as caught:
        ENGINE.check(config(tmp_path))
    assert str(caught.value) == f"the model file {tmp_path} is a directory; give the path of a file in it"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<html>not found", "it begins with b'<htm'"), (b"", "it is empty"), (b"GGUF\x03\0\0", "ends in the middle")],
)
def test_a_model_file_that_is_no_gguf_is_told_before_anything_starts(tmp_path, binary, content, reason):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="correct `model:`") as caught:
        ENGINE.check(config(path, server=str(binary)))
    assert str(caught.value).startswith(f"the model file {path} is no GGUF file that can be read: ")
    assert reason in str(caught.value)


@needs_embedded
def test_a_shard_that_is_no_gguf_is_named(tmp_path):
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(EngineError, match=r"m-00002-of-00002\.gguf is no GGUF"):
        ENGINE.check(config(first))


@needs_embedded
def test_a_missing_shard_is_named(tmp_path):
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf")
    with pytest.raises(EngineError, match=r"m-00002-of-00002\.gguf does not exist"):
        ENGINE.check(config(first))


@needs_embedded
def test_yaml_true_is_on_for_flags_that_take_a_word(gguf):
    model = config(gguf, fa=True, fit=False, kvu=True)
    ENGINE.check(model)
    assert ENGINE.launch("smol", model, 1).argv[-5:] == ["--flash-attn", "on", "--fit", "off", "--kv-unified"]


def test_weights_are_all_shards_the_projector_and_the_adapters(tmp_path):
    shards = [write_gguf(tmp_path / f"m-0000{index}-of-00002.gguf") for index in (1, 2)]
    extra = [write_gguf(tmp_path / name) for name in ("mm.gguf", "l1.gguf", "l2.gguf")]
    model = config(shards[0], mmproj=str(extra[0]), lora=[str(extra[1]), str(extra[2])])
    assert list(ENGINE.weights(model)) == [*shards, *extra]


@pytest.mark.parametrize(
    ("args", "kv_bytes"),
    [
        ({"ctx_size": 100}, 100 * 128 * 2),
        ({}, 1000 * 128 * 2),
        ({"parallel": 3}, 3 * 1000 * 128 * 2),
        ({"parallel": 3, "kv_unified": True}, 1000 * 128 * 2),
        ({"parallel": 3, "c": 100}, 100 * 128 * 2),
        ({"c": 100, "cache_type_k": "q8_0", "cache_type_v": "q8_0"}, 100 * 128 * 34 // 32),
    ],
)
def test_memory_is_weights_and_kv_cache_and_working_space(gguf, args, kv_bytes):
    assert ENGINE.memory(config(gguf, **args)) == 10_000 + kv_bytes + WORKING_SPACE


def test_memory_of_a_file_that_tells_nothing_is_a_share_of_its_size(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"?" * 1000)
    assert ENGINE.memory(config(tmp_path / "m.gguf")) == 1200 + WORKING_SPACE


def test_the_canary_keeps_out_of_the_prompt_cache(gguf):
    call = ENGINE.canary("smol", config(gguf))
    assert call.path == "/v1/completions"
    assert call.body["cache_prompt"] is False
    assert call.body["model"] == "smol"


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"embedding": True}, "/v1/embeddings"),
        ({"embeddings": True, "pooling": "mean"}, "/v1/embeddings"),
        ({"embeddings": False}, "/v1/completions"),
        ({"rerank": True}, "/v1/rerank"),
        ({"embeddings": True, "pooling": "rank"}, "/v1/rerank"),
    ],
)
def test_the_canary_asks_for_what_the_model_can_do(gguf, args, path):
    assert ENGINE.canary("smol", config(gguf, **args)).path == path


def test_warmups_ask_for_what_the_model_can_do(gguf):
    warmup = (WarmupRequest(prompt="Hello"),)
    completion = config(gguf).model_copy(update={"warmup": warmup})
    embedding = config(gguf, embeddings=True).model_copy(update={"warmup": warmup})
    assert [call.path for call in ENGINE.warmup("smol", completion)] == ["/v1/completions"]
    assert [call.path for call in ENGINE.warmup("smol", embedding)] == ["/v1/embeddings"]
