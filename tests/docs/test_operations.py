"""The messages in docs/operations.md are messages of the code; the files it names are in the state directory."""

import ast
import re
from pathlib import Path

import pytest

import glowplug
from glowplug.config.models import Config, ModelConfig, NodeConfig
from glowplug.node.node import Node
from glowplug.scheduler.values import Tier
from tests.docs.examples import DOCS

PAGE = (DOCS / "operations.md").read_text()
TABLE = PAGE.partition("## What to do about which message")[2]
MESSAGES = re.findall(r"^\| `(.*?)`", TABLE, re.MULTILINE)


def constant_texts() -> list[str]:
    """Every constant text in the source; those of a formatted string one by one."""
    return [
        re.sub(r"%(\.0f|[sd])", "…", " ".join(node.value.split()))  # log messages have their variables inside
        for file in Path(glowplug.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


TEXTS = constant_texts()


def known(words: list[str]) -> int:
    """How many of the first words stand together in one text of the source."""
    return next((n for n in range(len(words), 0, -1) if any(" ".join(words[:n]) in text for text in TEXTS)), 0)


def test_the_table_is_read():
    assert len(MESSAGES) > 25


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_is_one_of_the_code(message):
    for part in message.split("…"):
        # Some messages are put together from two, such as a subject and what happened to it.
        words = part.split()
        for _ in range(2):
            words = words[known(words) :]
        assert not words, f"no text in the code contains {' '.join(words)!r}"


async def test_the_files_of_the_state_directory_are_those_of_the_page(tmp_path):
    config = Config(models={"m": ModelConfig(engine="fake")}, node=NodeConfig(state_dir=tmp_path))
    node = Node(config, tmp_path, on_exit=lambda _, reason: None)
    await node.start()
    try:
        assert (await node.wake("m-0", "m", Tier.CACHED)).error is None
        node.store.flush()
        found = {file.name + "/" * file.is_dir() for file in tmp_path.iterdir()}
    finally:
        await node.close()
    section = PAGE.partition("## The state directory")[2].partition("\n## ")[0]
    named = [re.findall(r"`([^`]+)`", cell) for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)]
    assert found == {first + suffix for first, *more in named for suffix in ("", *more)}
