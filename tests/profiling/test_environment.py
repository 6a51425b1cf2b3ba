"""What a command and its environment tell."""

from glowplug.profiling.environment import named_weights, telling_variables, without_secrets


def test_variables_of_engines_are_told_and_secrets_are_not():
    env = {
        "VLLM_CACHE_ROOT": "/c", "HF_HOME": "/h", "CUDA_VISIBLE_DEVICES": "0", "PYTHONHASHSEED": "0",
        "HF_TOKEN": "s", "VLLM_API_KEY": "s", "HOME": "/root", "MY_PASSWORD": "s",
    }  # fmt: skip
    assert list(telling_variables(env)) == ["CUDA_VISIBLE_DEVICES", "HF_HOME", "PYTHONHASHSEED", "VLLM_CACHE_ROOT"]


def test_values_of_secret_options_are_hidden():
    argv = ["vllm", "serve", "m", "--api-key", "s", "--hf-token=s", "--port", "1", "--ssl-keyfile-password", "s", "x"]
    assert without_secrets(argv) == [
        "vllm", "serve", "m", "--api-key", "***", "--hf-token=***", "--port", "1", "--ssl-keyfile-password", "***", "x",
    ]  # fmt: skip


def test_a_flag_that_is_named_like_a_secret_hides_no_option():
    assert without_secrets(["x", "--api-key", "--port", "1"]) == ["x", "--api-key", "--port", "1"]


def test_numbers_of_tokens_are_no_secrets():
    argv = ["x", "--max-total-tokens", "8192", "--max-num-batched-tokens=1", "--tokenizer", "m", "--ssl-keyfile", "f"]
    assert without_secrets(argv) == argv


def test_weights_are_found_as_files_and_in_folders(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("b.safetensors", "a.safetensors", "config.json"):
        (folder / name).touch()
    file = tmp_path / "m.gguf"
    file.touch()
    found = named_weights(["serve", str(folder), f"--model={file}", "--port", "8000", "", "org/model"])
    assert [path.name for path in found] == ["a.safetensors", "b.safetensors", "m.gguf"]
