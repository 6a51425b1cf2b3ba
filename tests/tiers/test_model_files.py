import json
import os
from pathlib import Path

import pytest

from glowplug.engines.base import Launch
from glowplug.tiers.model_files import model_files
from tests.engines.models import write_model


def names(folder: Path, *words: str, weights: tuple[Path, ...] = (), cwd: Path | None = None) -> list[str]:
    found = model_files(weights, Launch(["server", *words], cwd=cwd))
    assert len(set(found)) == len(found)
    return sorted(str(path.relative_to(folder)) for path in found)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = write_model(tmp_path / "model", {"model.safetensors": 100, "pytorch_model.bin": 100})
    for name in ("tokenizer.json", "README.md", ".gitattributes"):
        (folder / name).write_text(name)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.00.pth").write_bytes(b"the same again")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "config.json").write_text("{}")
    return folder


ALL = ["1_Pooling/config.json", "config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json"]


def test_all_that_an_engine_may_read_beside_the_weights_counts(model: Path) -> None:
    assert names(model, weights=(model / "model.safetensors",)) == ALL


def test_a_model_is_found_by_its_directory_on_the_command_line(model: Path) -> None:
    assert names(model, "serve", str(model)) == ALL
    assert names(model, f"--model={model}", "--port", "8000") == ALL
    assert names(model, "serve", "--log-level", "info", str(model)) == ALL
    assert names(model, "serve", "model", cwd=model.parent) == ALL


def test_links_of_the_hugging_face_cache_are_files(tmp_path: Path, model: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).symlink_to(model / name)
    assert names(snapshot, weights=(snapshot / "model.safetensors",)) == ["config.json", "model.safetensors"]


def test_shards_that_are_missing_are_named_too(model: Path) -> None:
    assert "model-00002-of-00002.safetensors" in names(model, weights=(model / "model-00002-of-00002.safetensors",))


def test_a_gguf_is_complete_in_itself(model: Path) -> None:
    gguf = model / "model.Q4.gguf"
    gguf.write_bytes(b"GGUF")
    assert names(model, "--model", str(gguf), weights=(gguf,)) == ["model.Q4.gguf"]


def test_adapters_templates_and_scripts_on_the_command_line_count(tmp_path: Path) -> None:
    for name in ("one", "two", "draft"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "adapter_config.json").write_text("{}")
    (tmp_path / "two" / "adapter_config.json").write_text("{}")
    (tmp_path / "draft" / "config.json").write_text("{}")
    for name in ("a.gguf", "b.gguf", "chat.jinja", "server.py"):
        (tmp_path / name).write_text(name)
    words = [
        str(tmp_path / "server.py"),
        *("--lora", f"{tmp_path}/a.gguf,{tmp_path}/b.gguf"),
        *("--lora-modules", f"one={tmp_path}/one", json.dumps({"name": "two", "path": f"{tmp_path}/two"})),
        f"--chat-template={tmp_path}/chat.jinja",
        *("--speculative-config", json.dumps({"model": f"{tmp_path}/draft", "num_speculative_tokens": 5})),
    ]
    assert names(tmp_path, *words) == [
        *("a.gguf", "b.gguf", "chat.jinja", "draft/config.json"),
        *("one/adapter_config.json", "server.py", "two/adapter_config.json"),
    ]


def test_logs_other_directories_and_what_is_no_path_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("grows")
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "anything").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    words = [
        *("--log-file", f"{tmp_path}/server.log", f"--log_file={tmp_path}/server.log"),
        *("--download-dir", f"{tmp_path}/downloads", "--input", f"{tmp_path}/pipe"),
        *("--text", "a" * 5000, "--json", "{not JSON", "--empty", "", "--zero", "a\0b", "~nobody-at-all/x"),
    ]
    assert names(tmp_path, *words, cwd=tmp_path) == []
