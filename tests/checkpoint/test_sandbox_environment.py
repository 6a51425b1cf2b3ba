import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.checkpoint.sandbox_environment import environment_for_sandbox, secret_in

TOKEN = "hf_" + "a" * 20
SECRETS = {
    "HF_TOKEN": "x",
    "HUGGING_FACE_HUB_TOKEN": "x",
    "HF_HUB_TOKEN": "x",
    "VLLM_API_KEY": "123456",
    "AWS_SECRET_ACCESS_KEY": "x",
    "NVIDIA_API_KEY": "x",
    "RAY_AUTH_TOKEN": "x",
    "TORCH_HOME_PASSWORD": "1",
    "NCCL_CREDENTIALS": "x",
    "XDG_apiKey": "x",
    "VLLM_NOTE": f"mine is {TOKEN}",
    "CUDA_NOTE": "AKIA" + "A" * 16,
    "PYTHON_NOTE": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "HTTPS_PROXY": "http://user:word@proxy.example:3128",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_of_the_server_does_not_reach_a_sandbox(name: str) -> None:
    assert name not in environment_for_sandbox(SECRETS, {})


@pytest.mark.parametrize("name", SECRETS)
def test_a_configured_secret_is_named_and_handed_to_no_sandbox(name: str) -> None:
    configured = {"OMP_NUM_THREADS": "2", name: SECRETS[name]}
    assert secret_in(configured, []) == name
    assert SECRETS[name] not in environment_for_sandbox({}, configured).values()


@given(st.dictionaries(st.text(min_size=1), st.text()), st.text(min_size=1))
def test_nothing_is_handed_over_that_is_not_known_to_be_read(others: dict[str, str], planted: str) -> None:
    ours = {f"x{name}": value for name, value in others.items()} | {"MY_APP_DATABASE": planted}
    assert set(environment_for_sandbox(ours, {})) == {"HF_TOKEN_PATH"}


def test_what_engines_read_is_handed_over() -> None:
    ours = {
        "PATH": "/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TZ": "Europe/Vienna",
        "HF_HOME": "/hf",
        "HF_HUB_OFFLINE": "1",
        "LD_LIBRARY_PATH": "/lib",
        "OMP_NUM_THREADS": "2",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": "/x",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    assert environment_for_sandbox(ours, {}).items() >= ours.items()


def test_what_is_configured_comes_before_what_the_server_has_and_needs_no_known_name() -> None:
    env = environment_for_sandbox({"OMP_NUM_THREADS": "2"}, {"OMP_NUM_THREADS": "1", "ANYTHING": "else"})
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["ANYTHING"] == "else"


def test_the_token_of_who_is_logged_in_is_out_of_reach() -> None:
    assert environment_for_sandbox({"HF_TOKEN_PATH": "/root/token"}, {})["HF_TOKEN_PATH"] == "/dev/null"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--api-key", "abc"], "--api-key"),
        (["--api-key", "12345"], "--api-key"),
        (["--api-key=abc"], "--api-key"),
        (["--hf-token", "abc"], "--hf-token"),
        (["--hf_token", "abc"], "--hf_token"),
        (["--admin-password", "1"], "--admin-password"),
        (["--tokenizer", TOKEN], "--tokenizer"),
        (["--hf-overrides", '{"hub": [{"auth_token": "abc"}]}'], "auth_token"),
        (["--load-from", "https://me:word@example.com/model"], "--load-from"),
        ([TOKEN], "the command line"),
    ],
)
def test_a_secret_on_the_command_line_is_found(words: list[str], name: str) -> None:
    assert secret_in({}, ["server", *words, "--verbose", "--port", "8000"]) == name


@pytest.mark.parametrize(
    "words",
    [
        ["--eos-token", "</s>"],
        ["--max-num-batched-tokens", "2048"],
        ["--max-token", "20"],
        ["--trust-remote-code", "model"],
        ["--key-cache-dtype", "fp8"],
        ["--tokenizer", "acme/tiny"],
        ["--hf-overrides", '{"bos_token_id": 1, "eos_token": "<|end|>"}'],
        ["--override-kv", "tokenizer.ggml.add_bos_token=bool:false"],
        ["--compilation-config", "{not JSON"],
        ["--api-key="],
    ],
)
def test_tokens_of_a_vocabulary_and_switches_are_no_secrets(words: list[str]) -> None:
    assert secret_in({"TOKENIZERS_PARALLELISM": "x", "HF_TOKEN": ""}, ["server", *words]) is None


def test_proxies_of_the_host_which_a_sandbox_cannot_reach_are_not_handed_over_but_configured_ones_are() -> None:
    ours = {"HTTPS_PROXY": "http://proxy.example:3128", "no_proxy": "*", "all_proxy": "socks5://proxy.example"}
    configured = {"http_proxy": "http://127.0.0.1:3128"}
    assert environment_for_sandbox(ours, configured) == {**configured, "HF_TOKEN_PATH": "/dev/null"}
