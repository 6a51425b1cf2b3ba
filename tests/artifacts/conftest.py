from pathlib import Path

import pytest

from glowplug.artifacts.compression import force
from glowplug.artifacts.store import ArtifactStore
from tests.artifacts.trees import small_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return small_tree(tmp_path / "tree")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """A store that does not measure the host first."""
    return new_store(tmp_path / "store")


def new_store(directory: Path) -> ArtifactStore:
    force(directory, 1)
    return ArtifactStore(directory)
