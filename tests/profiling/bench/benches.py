"""`glowplug bench` as a process, with its file and its result directory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from glowplug.checkpoint import processes
from glowplug.node.strays import MARK

PATIENCE = 100.0


class Bench:
    """`glowplug bench` with its file and its result directory."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "bench.yaml"
        self.out = folder / "out"
        self._processes: list[subprocess.Popen[str]] = []

    def write(self, models: dict[str, Any], node: dict[str, Any] | None = None, **settings: Any) -> None:
        bench = {"settle": 0, "request": {"tokens": 4, "timeout": "60s"}, **settings}
        self.file.write_text(yaml.safe_dump({"bench": bench, "models": models, "node": node or {}}))

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "glowplug", "bench", str(self.file), "--out", str(self.out), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "repeats.jsonl").read_text().splitlines()]

    @property
    def measured(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == "measured"]

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.out / "results.json").read_text())

    def engines(self) -> list[int]:
        """Processes that a server of this run has started."""
        instances = [file.read_text().strip() for file in (self.out / "work" / "caches").glob("*/state/instance")]
        found = [pid for instance in instances for pid in processes.tagged(MARK, f"{instance}-")]
        return [pid for pid in found if processes.alive(pid)]


def fake(**options: Any) -> dict[str, Any]:
    return {"engine": "fake", "options": {"tokens": 4, **options}}
