"""A bench in a directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.profiling.bench.benches import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.end()
