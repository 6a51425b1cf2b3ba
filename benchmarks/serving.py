"""The real server under test, started as users start it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from benchmarks.load.processes import Pinned, pinned


@dataclass(frozen=True, slots=True)
class Serving:
    """A running `glowplug serve`."""

    process: Pinned
    url: str

    @property
    def host(self) -> str:
        """Its address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.url).port or 0


@contextmanager
def serving(models: dict[str, Any], cores: str = "0,1", **server: Any) -> Iterator[Serving]:
    """`glowplug serve` with these models on these cores, which its engines inherit, and a new state directory."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "glowplug.yaml"
        settings = {"server": server, "node": {"state_dir": folder}, "models": models}
        config.write_text(yaml.safe_dump(settings))
        with pinned(cores, "glowplug", "serve", str(config), "--port", "0") as process:
            yield Serving(process, process.ready.split(" on ")[-1].removesuffix("/v1"))
