"""The engine in docs/adding-an-engine.md does what the page says, behind a real node and in the configuration."""

import sys

import pytest

from glowplug.coldstart.reading import read_starts
from glowplug.config.errors import ConfigError
from glowplug.config.loader import load as load_config
from glowplug.config.reference import markdown
from glowplug.engines import registry
from tests.docs.examples import DOCS, blocks, load

PAGE = "adding-an-engine.md"


@pytest.fixture
def recite(tmp_path, monkeypatch):
    """The program on the PATH, the adapter as a module and in the registry."""
    program = tmp_path / "bin" / "recite"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{blocks(PAGE)['recite.py']}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    adapter = load(PAGE, "src/glowplug/engines/recite.py").Recite()
    monkeypatch.setattr(registry, "ENGINES", {**registry.ENGINES, adapter.name: adapter})
    return adapter


@pytest.fixture
def page_tests(recite):
    return load(PAGE, "tests/engines/test_recite.py")


def test_it_recites_its_model_file(page_tests, tmp_path):
    page_tests.test_it_recites_its_model_file(tmp_path)


def test_a_missing_file_is_named(page_tests, tmp_path):
    page_tests.test_a_missing_file_is_named_before_anything_starts(tmp_path)


async def test_it_goes_through_its_life_on_a_real_node(page_tests, tmp_path):
    await page_tests.test_it_starts_parks_comes_back_the_same_and_ends(tmp_path)


def test_the_registry_alone_makes_it_known_to_the_configuration(recite, tmp_path):
    file = tmp_path / "glowplug.yaml"
    file.write_text(blocks(PAGE, "yaml")["glowplug.yaml"])
    (tmp_path / "poem.txt").write_text("A poem")
    model = load_config(file, registry.options()).models["poem"]
    recite.check(model)
    assert "loud" in recite.launch("poem", model, 20000).argv
    assert "`options` of the engine `recite`" in markdown(registry.options())
    file.write_text(file.read_text().replace("voice", "voise"))
    with pytest.raises(ConfigError, match='did you mean "voice"'):
        load_config(file, registry.options())


def test_the_program_that_is_missing_is_named(recite, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(registry.EngineError, match="the program recite was not found"):
        recite.check(load(PAGE, "tests/engines/test_recite.py").poem(tmp_path))


def test_its_grammar_reads_the_log_on_the_page():
    page = (DOCS / PAGE).read_text()
    log = page.split("with a time before each line,\n\n```\n")[1].split("```")[0]
    grammar = load(PAGE, "src/glowplug/engines/recite_log.py").RECITE
    (start,) = read_starts([log.encode()], [grammar]).starts
    assert (start.engine, start.version, start.model, start.outcome) == ("recite", "1.4", "poem.txt", "ready")
    assert start.total == pytest.approx(2.75)
    assert start.reported["weights_load"] == 2.41
    (loading,) = start.spans
    assert [child.phase for child in loading.children] == ["gap", "weights_load", "gap"]
