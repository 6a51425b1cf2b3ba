"""Compile caches over several starts of an engine that leaves a file, with a real store."""

import logging
import os
import shutil
import sys
from pathlib import Path

import pytest

from glowplug.artifacts.store import ArtifactStore
from glowplug.config.models import ModelConfig
from glowplug.engines.base import EngineError, Launch
from glowplug.engines.fake import Fake
from glowplug.tiers.caches import CompileCaches

pytestmark = pytest.mark.slow

PLENTY = 2**30


class Compiling(Fake):
    """An engine that compiles."""

    def caches(self, model, folder):
        return {} if "MINE" in model.env else {"COMPILED": str(folder / "compiled")}


ENGINE = Compiling()
MODEL = ModelConfig(engine="fake")
LAUNCH = Launch([sys.executable])


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def server(tmp_path, store):
    """Makes the caches of one server after the other, on the same state directory."""
    made = []

    def begin(quota=PLENTY):
        for earlier in made:
            earlier.close()
        made.append(CompileCaches(tmp_path / "state" / "caches", store, quota))
        return made[-1]

    yield begin
    for caches in made:
        caches.close()


def start(caches, *, compiles=None, model=MODEL):
    """A start that goes well; what is compiled is left where the environment says."""
    prepared = caches.prepare(ENGINE, model, LAUNCH)
    if compiles:
        folder = Path(prepared.environment["COMPILED"])
        folder.mkdir(exist_ok=True)
        for name, content in compiles.items():
            (folder / name).write_bytes(content)
            os.utime(folder / name, ns=(10**18 + len(content), 10**18 + len(content)))
    caches.keep("smol", ENGINE, prepared).result(30)
    return prepared


def found(prepared) -> dict[str, bytes]:
    folder = Path(prepared.environment["COMPILED"])
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def forget(tmp_path):
    """As on another machine, or after the folders were trimmed."""
    shutil.rmtree(tmp_path / "state" / "caches")


CODE = {"code.so": b"\x7fELF code"}


def test_the_first_start_finds_an_empty_folder_and_the_next_one_what_it_left(server):
    caches = server()
    first = caches.prepare(ENGINE, MODEL, LAUNCH)
    assert (first.filled, found(first)) == (False, {})
    start(caches, compiles=CODE)
    again = caches.prepare(ENGINE, MODEL, LAUNCH)
    assert (again.key, again.filled, found(again)) == (first.key, True, CODE)
    later = server().prepare(ENGINE, MODEL, LAUNCH)
    assert (later.key, later.filled, found(later)) == (first.key, True, CODE)


def test_another_model_gets_another_folder(server):
    caches = server()
    start(caches, compiles=CODE)
    other = caches.prepare(ENGINE, ModelConfig(engine="fake", args={"max-model-len": 1}), LAUNCH)
    assert (other.filled, found(other)) == (False, {})


def test_what_is_gone_from_the_disk_comes_back_from_the_store_with_its_times(server, tmp_path):
    start(server(), compiles=CODE)
    forget(tmp_path)
    prepared = server().prepare(ENGINE, MODEL, LAUNCH)
    assert (prepared.filled, found(prepared)) == (True, CODE)
    file = Path(prepared.environment["COMPILED"]) / "code.so"
    assert file.stat().st_mtime_ns == 10**18 + len(CODE["code.so"])


def test_only_what_has_changed_is_saved_and_replaces_what_was_saved(server, store):
    caches = server()
    start(caches, compiles=CODE)
    (first,) = store.list("cache")
    assert (first.model, first.identity["engine"]) == ("smol", "fake")
    start(caches)
    assert [manifest.id for manifest in store.list("cache")] == [first.id]
    start(server())
    assert [manifest.id for manifest in store.list("cache")] == [first.id]
    start(server(), compiles={"more.so": b"more code"})
    (second,) = store.list("cache")
    assert second.id != first.id
    assert store.collect() == 0


def test_what_came_from_the_store_is_not_saved_again(server, store, tmp_path):
    start(server(), compiles=CODE)
    saved = [manifest.id for manifest in store.list("cache")]
    forget(tmp_path)
    start(server())
    assert [manifest.id for manifest in store.list("cache")] == saved


def test_an_engine_that_compiles_nothing_has_no_folder(server, store, tmp_path):
    prepared = start(server(), model=ModelConfig(engine="fake", env={"MINE": "1"}))
    assert (prepared.key, prepared.environment, prepared.filled) == (None, {}, False)
    assert not (tmp_path / "state").exists()
    assert store.list("cache") == []


def test_a_start_that_leaves_nothing_is_not_saved(server, store):
    start(server())
    assert store.list("cache") == []


def test_a_damaged_artifact_is_set_aside_with_its_reason_and_the_start_goes_on(server, store, tmp_path):
    start(server(), compiles=CODE)
    forget(tmp_path)
    for chunk in (tmp_path / "artifacts" / "chunks").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    prepared = server().prepare(ENGINE, MODEL, LAUNCH)
    assert (prepared.filled, found(prepared)) == (False, {})
    assert store.list("cache") == []
    (problem,) = store.problems()
    assert problem.quarantined
    assert "code.so" in problem.reason
    start(server(), compiles=CODE)
    forget(tmp_path)
    assert server().prepare(ENGINE, MODEL, LAUNCH).filled


def test_of_several_artifacts_the_next_one_is_used_if_the_newest_is_damaged(server, store, tmp_path):
    prepared = start(server(), compiles=CODE)
    identity = {"key": prepared.key, "engine": "fake"}
    source = tmp_path / "other"
    (source / "compiled").mkdir(parents=True)
    (source / "compiled" / "newer.so").write_bytes(os.urandom(5000))
    good = {path for path in (tmp_path / "artifacts" / "chunks").rglob("*") if path.is_file()}
    store.add("cache", "smol", source, identity, {})
    for chunk in (tmp_path / "artifacts" / "chunks").rglob("*"):
        if chunk.is_file() and chunk not in good:
            chunk.write_bytes(b"damaged")
    forget(tmp_path)
    assert found(server().prepare(ENGINE, MODEL, LAUNCH)) == CODE


def test_caches_that_an_engine_died_of_are_set_aside_here_and_in_the_store(server, store):
    caches = server()
    start(caches, compiles=CODE)
    used = caches.prepare(ENGINE, MODEL, LAUNCH)
    assert caches.distrust(used, "The engine was killed by signal 11.")
    assert [problem.reason for problem in store.problems()] == ["The engine was killed by signal 11."]
    again = caches.prepare(ENGINE, MODEL, LAUNCH)
    assert (again.key, again.filled, found(again)) == (used.key, False, {})


def test_an_empty_folder_cannot_be_what_an_engine_died_of(server):
    caches = server()
    prepared = caches.prepare(ENGINE, MODEL, LAUNCH)
    assert not caches.distrust(prepared, "The engine was killed by signal 11.")
    assert not caches.distrust(caches.prepare(ENGINE, ModelConfig(engine="fake", env={"MINE": "1"}), LAUNCH), "?")


def test_a_folder_that_others_can_write_is_not_used(server):
    prepared = start(server(), compiles=CODE)
    folder = Path(prepared.environment["COMPILED"]).parent
    (folder / "compiled" / "code.so").write_bytes(b"planted")
    folder.chmod(0o777)
    assert found(server().prepare(ENGINE, MODEL, LAUNCH)) == CODE  # the copy in the store is signed


@pytest.mark.parametrize("obstacle", ["file", "link"])
def test_a_place_that_cannot_be_used_does_not_fail_the_start(server, tmp_path, caplog, obstacle):
    (tmp_path / "state").mkdir()
    if obstacle == "file":
        (tmp_path / "state" / "caches").write_text("")
    else:
        (tmp_path / "state" / "caches").symlink_to(tmp_path)
    with caplog.at_level(logging.WARNING):
        prepared = start(server())
    assert (prepared.key, prepared.environment) == (None, {})
    assert "are not kept" in caplog.text


def test_a_program_that_is_not_there_is_left_for_the_launch_to_report(server):
    class Missing(Compiling):
        def caches(self, model, folder):
            raise EngineError("the program was not found")

    assert server().prepare(Missing(), MODEL, LAUNCH).environment == {}


def test_a_store_without_room_costs_only_the_copy(tmp_path, caplog):
    store = ArtifactStore(tmp_path / "artifacts", quota=1000)
    caches = CompileCaches(tmp_path / "caches", store, PLENTY)
    with caplog.at_level(logging.WARNING):
        start(caches, compiles={"code.so": os.urandom(100_000)})
    assert "could not be saved" in caplog.text
    assert caches.prepare(ENGINE, MODEL, LAUNCH).filled
    assert store.list() == []
    caches.close()


def test_folders_of_earlier_servers_make_room_and_come_back_from_the_store(server, tmp_path):
    other = ModelConfig(engine="fake", args={"max-model-len": 1})
    big = {"code.so": os.urandom(200_000)}
    start(server(quota=300_000), compiles=big)
    caches = server(quota=300_000)
    start(caches, compiles={"code.so": os.urandom(200_000)}, model=other)
    assert len(os.listdir(tmp_path / "state" / "caches")) == 1
    assert found(caches.prepare(ENGINE, MODEL, LAUNCH)) == big
    start(caches)  # both are in use now
    assert len(os.listdir(tmp_path / "state" / "caches")) == 2


def test_caches_that_change_while_they_are_saved_are_not_taken_for_whole(tmp_path):
    class Busy(ArtifactStore):
        def add(self, kind, model, source, identity, facts):
            if not (half := source / "compiled" / "more.so").exists():
                half.write_bytes(b"half")
            return super().add(kind, model, source, identity, facts)

    store = Busy(tmp_path / "artifacts")
    caches = CompileCaches(tmp_path / "caches", store, PLENTY)
    start(caches, compiles=CODE)
    assert store.list() == []
    start(caches)
    assert [manifest.kind for manifest in store.list()] == ["cache"]
    caches.close()


def test_nothing_is_saved_after_the_end(server):
    caches = server()
    prepared = caches.prepare(ENGINE, MODEL, LAUNCH)
    caches.close()
    assert caches.keep("smol", ENGINE, prepared).done()
