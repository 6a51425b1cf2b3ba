"""What the README shows works as it stands there."""

import asyncio
import sys

import pytest

from glowplug.config.loader import load
from glowplug.engines import registry
from tests.docs.examples import ROOT, blocks
from tests.e2e.server import PATIENCE, fake, serving

PAGE = "../README.md"


@pytest.mark.slow
@pytest.mark.parametrize("program", ["hello.py", "stream.py"])
async def test_a_first_conversation(program, tmp_path):
    async with serving(tmp_path, {"models": {"smollm2": fake(tokens=5)}}) as server:
        code = blocks(PAGE)[program].replace("http://127.0.0.1:8000", server.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(PATIENCE):
            printed, _ = await process.communicate()
        assert printed.decode() == "tok0tok1tok2tok3tok4\n"


def test_the_configuration_loads(tmp_path):
    file = tmp_path / "glowplug.yaml"
    file.write_text(blocks(PAGE, "yaml")["glowplug.yaml"])
    assert list(load(file, registry.options()).models) == ["qwen"]


def test_the_settings_it_names_are_settings():
    table = (ROOT / "README.md").read_text().partition("| setting |")[2].partition("\n\n")[0]
    reference = (ROOT / "docs" / "configuration.md").read_text()
    for cell in (row.split("|")[1] for row in table.splitlines()[2:]):
        for name in cell.replace("`", "").split(","):
            assert f"| `{name.strip().rpartition('.')[2]}` |" in reference, name
