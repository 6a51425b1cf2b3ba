import pytest

from glowplug.engines.base import EngineError
from glowplug.engines.weights import local_weights, require_file, shards, total_size


def test_a_hub_name_has_no_local_weights():
    assert local_weights("Qwen/Qwen3-14B") == ()
    assert local_weights(None) == ()


def test_a_directory_gives_its_weight_files_only(tmp_path):
    for name in ("b.safetensors", "a.safetensors", "config.json", "README.md"):
        (tmp_path / name).write_bytes(b"12345")
    assert [file.name for file in local_weights(str(tmp_path))] == ["a.safetensors", "b.safetensors"]


def test_one_shard_stands_for_all_of_them(tmp_path):
    names = [f"m-Q4-0000{index}-of-00003.gguf" for index in (1, 2, 3)]
    assert [file.name for file in shards(tmp_path / names[1])] == names


def test_a_whole_file_is_its_only_shard(tmp_path):
    assert list(shards(tmp_path / "m.gguf")) == [tmp_path / "m.gguf"]


def test_the_size_counts_what_exists(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert total_size([tmp_path / "a", tmp_path / "b"]) == 5


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"the model file .*/m\.gguf does not exist"):
        require_file(tmp_path / "m.gguf", "the model file")


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(EngineError, match="is a directory; give the path of a file in it"):
        require_file(tmp_path, "the model file")
