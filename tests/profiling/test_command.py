"""What the command line of an engine tells."""

import pytest

from glowplug.profiling.command import read_command


def address(*argv, **env):
    read = read_command(argv, env)
    return read.address, read.stated


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("vllm", "serve", "m", "--port", "8123"), "http://127.0.0.1:8123"),
        (("vllm", "serve", "m", "--host", "0.0.0.0", "--port=8123"), "http://127.0.0.1:8123"),
        (("vllm", "serve", "m", "--host=10.0.0.7", "--port=8123"), "http://10.0.0.7:8123"),
        (("vllm", "serve", "m", "--host", "::", "--port", "8123"), "http://127.0.0.1:8123"),
        (("vllm", "serve", "m", "--host", "::1", "--port", "8123"), "http://[::1]:8123"),
        (("lmdeploy", "serve", "api_server", "m", "--server-name", "h", "--server-port", "9"), "http://h:9"),
        (("x", "--port", "1", "--port", "2"), "http://127.0.0.1:2"),
    ],
)
def test_an_address_in_the_command_is_stated(argv, expected):
    assert address(*argv) == (expected, True)


@pytest.mark.parametrize(
    ("argv", "port"),
    [
        (("/venv/bin/vllm", "serve", "m"), 8000),
        (("python", "-m", "sglang.launch_server", "--model-path", "m"), 30000),
        (("lmdeploy", "serve", "api_server", "m"), 23333),
        (("/opt/llama-server", "-m", "vllm.gguf"), 8080),
        (("text-generation-launcher", "--model-id", "m"), 3000),
        (("transformers", "serve"), 8000),
    ],
)
def test_without_a_port_the_default_of_the_engine_is_a_guess(argv, port):
    assert address(*argv) == (f"http://127.0.0.1:{port}", False)


def test_a_program_that_nobody_knows_has_no_address():
    assert address("./start.sh") == (None, False)


def test_variables_count_for_the_engines_that_read_them():
    assert address("llama-server", LLAMA_ARG_PORT="81") == ("http://127.0.0.1:81", True)
    assert address("text-generation-launcher", PORT="82") == ("http://127.0.0.1:82", True)
    assert address("vllm", "serve", "m", PORT="82") == ("http://127.0.0.1:8000", False)


@pytest.mark.parametrize("port", ["0", "65536", "http", "", "-1"])
def test_what_is_no_port_is_ignored(port):
    assert address("./start.sh", "--port", port) == (None, False)


def test_an_option_without_a_value_says_nothing():
    assert address("./start.sh", "--port") == (None, False)


@pytest.mark.parametrize(
    ("argv", "model"),
    [
        (("vllm", "serve", "org/m", "--served-model-name", "short"), "short"),
        (("llama-server", "--alias=short"), "short"),
        (("vllm", "serve", "org/m"), None),
        (("transformers", "serve", "org/m", "--port", "1"), "org/m"),
        (("python", "-m", "transformers", "serve"), None),
        (("transformers", "serve", "--force-model", "org/m"), "org/m"),
    ],
)
def test_the_name_of_the_model(argv, model):
    assert read_command(argv, {}).model == model


def test_only_transformers_serves_whatever_is_asked_for():
    assert read_command(("/v/bin/transformers", "serve", "m"), {}).serves_any
    assert not read_command(("vllm", "serve", "transformers"), {}).serves_any


def test_programs_that_run_the_engine_elsewhere_are_named():
    assert read_command(("/usr/bin/docker", "run", "x"), {}).elsewhere == "docker"
    assert read_command(("vllm", "serve", "docker"), {}).elsewhere is None
