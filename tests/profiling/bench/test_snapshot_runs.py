"""Whole runs of the paths that restore a process image: where the image is, and what comes of one that cannot be."""

from collections import Counter
from typing import Any

import pytest

from glowplug.tiers.snapshot import machine_closed
from tests.engines.model_file import SMOLLM2, needs_model
from tests.profiling.bench.benches import Bench, fake

RESTORES = ["snapshot", "snapshot-page-cache", "snapshot-cold-disk"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.criu,
    pytest.mark.skipif(machine_closed() is not None, reason=machine_closed() or ""),
]


def require_restores(bench: Bench, model: str) -> None:
    """What holds for every engine: restored, from where the path says, and told so."""
    lines = {line["scenario"]: line for line in bench.measured}
    for path in RESTORES:
        line = lines[f"{model}/{path}"]
        assert line["failure"] is None
        assert line["first"]["woke_from"] == line["cold_start"]["woke_from"] == "snapshot"
        assert line["cold_start"]["conditions"]["image"] == ("resident" if path == "snapshot" else "disk")
        require_parts(line["cold_start"]["spans"])
    filled, dropped = (lines[f"{model}/{path}"]["conditions"]["image_cached"] for path in RESTORES[1:])
    assert (filled, dropped) == (1.0, 0.0)


def require_parts(spans: list[dict[str, Any]]) -> None:
    """A restore is told with its parts, CRIU's own among them, one after the other within their phase."""
    parts = {span["phase"]: [part["label"] for part in span["children"]] for span in spans}
    assert parts == {
        "restore_read": ["identity", "image"],
        "restore_pages": ["sandbox", "image description", "processes and memory"],
        "wake": ["hooks"],
        "canary": [],
    }
    for span in spans:
        ends = [span["start"]]
        for part in span["children"]:
            assert part["start"] >= ends[-1]
            ends.append(part["end"])
        assert ends[-1] <= span["end"]


def test_every_place_of_an_image_is_a_path_and_one_start_fills_them_all(bench):
    bench.write({"m": fake()}, paths=["cold", "cached", "parked", *RESTORES], repeats=1)
    code, out, err = bench.run()
    assert code == 0, err
    paths = ["cold", "cached", "parked", *RESTORES]
    assert Counter(line["scenario"] for line in bench.measured) == {f"m/{path}": 1 for path in paths}
    (fill,) = (line for line in bench.lines if line["kind"] == "fill")
    assert (fill["scenario"], fill["failure"], fill["first"]) == ("m/snapshot", None, None)
    assert fill["image"]["raw_bytes"] > fill["image"]["stored_bytes"] > 0 and fill["image"]["pause"] > 0
    require_restores(bench, "m")
    assert all(line["image"] is None for line in bench.measured)
    assert bench.results["images"] == {"m": fill["image"]}
    sentence = "The snapshot of m: image "
    assert sentence in out and sentence in (bench.out / "report.html").read_text()
    assert not (bench.out / "work").exists()


def test_a_snapshot_is_measured_even_if_a_start_is_as_quick(bench):
    """The fake engine starts in the time of a restore, so a server of the user's own would not use its snapshot."""
    bench.write({"m": fake()}, paths=["snapshot"], repeats=2)
    code, _, err = bench.run()
    assert code == 0, err
    assert [line["first"]["woke_from"] for line in bench.measured] == ["snapshot"] * 2


def test_what_cannot_be_dumped_is_told_once_and_the_other_paths_are_measured(bench, monkeypatch):
    monkeypatch.setenv("GLOWPLUG_CRIU", str(criu_that_fails(bench)))
    bench.write({"m": fake()}, paths=["cached", *RESTORES], repeats=1)
    code, _, _ = bench.run()
    assert code == 1
    failures = {line["scenario"]: line["failure"] for line in bench.measured}
    assert failures["m/cached"] is None
    for path in RESTORES:
        assert failures[f"m/{path}"].startswith("the start that makes the snapshot failed: ")
    assert [line["kind"] for line in bench.lines].count("fill") == 1


def criu_that_fails(bench: Bench):
    """It tells its version, and dumps nothing."""
    program = bench.file.with_name("criu")
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Version: 4.2.1" && exit 0\nexit 1\n')
    program.chmod(0o700)
    return program


def test_an_image_that_memory_has_no_room_for_fails_the_path_that_wants_it_there(bench):
    bench.write({"m": fake()}, {"snapshot_memory": 0}, paths=["snapshot", "snapshot-page-cache"], repeats=1)
    code, _, _ = bench.run()
    assert code == 1
    failures = {line["scenario"]: line["failure"] for line in bench.measured}
    assert failures["m/snapshot"] == "the process image was not kept in memory; raise node.snapshot_memory"
    assert failures["m/snapshot-page-cache"] is None


@pytest.mark.llamacpp
@needs_model
def test_a_real_engine_is_restored_from_memory_from_the_page_cache_and_from_the_disk(bench):
    model = {"engine": "llama.cpp", "model": str(SMOLLM2), "args": {"ctx-size": 1024}}
    bench.write({"smollm2": model}, paths=RESTORES, repeats=1, request={"tokens": 16})
    code, _, err = bench.run()
    assert code == 0, err
    require_restores(bench, "smollm2")
    for line in bench.measured:
        assert (line["second"]["tokens"], line["second"]["counted_by"]) == (16, "usage")
