"""`glowplug bench` as a command: what it refuses before anything is measured."""

import pytest

MODELS = "models: {one: {engine: fake}, two: {engine: fake}}\n"


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "bench.yaml"
    file.write_text(MODELS)
    return file


def test_help_names_the_paths_and_shows_commands_to_begin_with(glowplug):
    text = glowplug("bench", "--help").stdout
    for word in ("cold ", "cached-cold-disk", "parked", "+warmup", "glowplug bench --paths", "--gate", "kill -9"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--paths", "warm"], 'no start path "warm"'),
        (["--only", "tow"], 'did you mean "two"?'),
        (["--repeats", "0"], "--repeats"),
        (["--threshold", "much"], "is not a share such as 10% or 0.1"),
        (["--threshold", "-5%"], "is not a share"),
    ],
)
def test_bad_usage_has_exit_code_two(glowplug, file, arguments, complaint):
    result = glowplug("bench", str(file), *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_model_that_cannot_start_here_is_named_before_anything_runs(glowplug, file, tmp_path):
    file.write_text("models: {m: {engine: llama.cpp, model: ./none.gguf}}\n")
    out = tmp_path / "out"
    result = glowplug("bench", str(file), "--out", str(out))
    assert result.exit_code == 1
    assert result.stderr.startswith("model 'm': ") and "none.gguf" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("models: {}", "models"), ("bench: {repeats: 2}", '"models" is missing'), (MODELS + "bench: 3", "bench")],
)
def test_a_file_with_mistakes(glowplug, file, content, complaint):
    file.write_text(content)
    result = glowplug("bench", str(file))
    assert result.exit_code == 1
    assert complaint in result.stderr


def test_a_baseline_is_read_before_anything_is_measured(glowplug, file, tmp_path):
    result = glowplug("bench", str(file), "--gate", str(tmp_path / "none.json"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "the baseline" in result.stderr and not (tmp_path / "out").exists()


def test_a_directory_that_holds_other_things_is_left_alone(glowplug, file, tmp_path):
    result = glowplug("bench", str(file), "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "holds other files" in result.stderr
