"""Images that are damaged, forged, or of another world: they are never restored, the request is served by a start."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from glowplug.artifacts.store import ArtifactStore
from glowplug.engines.fake import Fake
from glowplug.scheduler.values import Tier
from glowplug.tiers import identity
from tests.node.nodes import R
from tests.node.programs import until
from tests.node.snapshotting import (
    answer,
    configured,
    left_behind,
    require_criu,
    rest,
    rested,
    restore,
    snapshotting,
    start,
)

pytestmark = [pytest.mark.root, pytest.mark.criu]

FROM_DISK = {"snapshot_memory": 0}
"""Of a node: every restore reads the image from the store."""


@pytest.fixture(autouse=True)
def _criu():
    require_criu()


def _largest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda file: file.stat().st_size)


def _truncated(store: Path) -> None:
    chunk = _largest(store / "chunks")
    os.truncate(chunk, chunk.stat().st_size // 2)


def _one_bit_flipped(store: Path) -> None:
    chunk = _largest(store / "chunks")
    with chunk.open("r+b") as file:
        middle = chunk.stat().st_size // 2
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 1]))


def _chunk_missing(store: Path) -> None:
    _largest(store / "chunks").unlink()


def _chunk_replaced_by_a_link(store: Path) -> None:
    chunk = _largest(store / "chunks")
    elsewhere = store.parent / "elsewhere"
    shutil.copy2(chunk, elsewhere)
    chunk.unlink()
    chunk.symlink_to(elsewhere)


def _manifest_edited(store: Path) -> None:
    manifest = _largest(store / "manifests")
    manifest.write_bytes(manifest.read_bytes().replace(b'"engine":', b'"engine" :', 1))


def _manifest_replaced_by_a_link(store: Path) -> None:
    manifest = _largest(store / "manifests")
    elsewhere = store.parent / "elsewhere"
    shutil.copy2(manifest, elsewhere)
    manifest.unlink()
    manifest.symlink_to(elsewhere)


def _signed_by_a_stranger(store: Path) -> None:
    """The same artifact, of another store with another key."""
    manifest = _largest(store / "manifests")
    stranger = ArtifactStore(store.parent / "stranger")
    text = manifest.read_bytes().partition(b"\n")[2]
    manifest.write_bytes(stranger._keys.seal(text))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncated, "is damaged and must be made anew: in the file images/"),
        (_one_bit_flipped, "is damaged and must be made anew: in the file images/"),
        (_chunk_missing, "is damaged and must be made anew: in the file images/"),
        (_chunk_replaced_by_a_link, "is a symbolic link"),
        (_manifest_edited, "was changed after it was signed"),
        (_manifest_replaced_by_a_link, "is a symbolic link"),
        (_signed_by_a_stranger, "which is not trusted here"),
    ],
)
async def test_a_damaged_or_forged_image_is_set_aside_and_made_anew(tmp_path, damage, reason):
    async with snapshotting(tmp_path, configured(node=FROM_DISK)) as (node, told):
        await rested(node, told)
        damage(tmp_path / "artifacts")
        landed = await node.wake(R, "fake", Tier.SNAPSHOT)
        assert landed.tier is Tier.CACHED
        assert reason in landed.error
        assert reason in await told.gone()
        assert any(reason in problem.reason for problem in node._host.snapshots._store.problems())
        await until(lambda: not left_behind(node))
        await start(node)
        await told.ready()
        await rest(node)
        await restore(node)


@pytest.mark.parametrize("damage", [_manifest_edited, _signed_by_a_stranger, _manifest_replaced_by_a_link])
async def test_the_next_server_does_not_take_up_a_forged_image(tmp_path, damage):
    async with snapshotting(tmp_path) as (node, told):
        await rested(node, told)
    damage(tmp_path / "artifacts")
    async with snapshotting(tmp_path) as (node, told):
        assert told.snapshots.empty()
        assert len(node._host.snapshots._store.problems()) == 1
        await rested(node, told)
        await restore(node)


async def test_a_store_that_others_can_write_is_not_used_and_engines_start_without(tmp_path):
    async with snapshotting(tmp_path) as (node, told):
        await rested(node, told)
    (tmp_path / "artifacts" / "chunks").chmod(0o777)
    async with snapshotting(tmp_path) as (node, told):
        assert told.snapshots.empty()
        await start(node)


class Versioned(Fake):
    """A fake engine with a version and a model file."""

    def __init__(self, model: Path) -> None:
        self.number = "1.0"
        self.model = model

    def version(self, model):
        """Of the engine."""
        return self.number

    def weights(self, model):
        """Its file."""
        return (self.model,)


@pytest.fixture
def engine(tmp_path):
    """An engine whose version and model can change."""
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights" * 1000)
    return Versioned(model)


def _other_flags(_engine, patch):
    machine = identity.this_machine()
    flags = frozenset(machine.cpu_flags) - {"avx2", "sse4_2"}
    patch.setattr(identity, "this_machine", lambda: replace(machine, cpu_flags=flags))


def _other_kernel(_engine, patch):
    machine = identity.this_machine()
    patch.setattr(identity, "this_machine", lambda: replace(machine, kernel="9.9.9"))


def _other_version(engine, _patch):
    engine.number = "1.1"


def _other_model(engine, _patch):
    with engine.model.open("r+b") as file:
        file.write(b"W")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_other_flags, "CPU flags: avx2"),
        (_other_kernel, "now"),
        (_other_version, "engine version: 1.0 then, 1.1 now"),
        (_other_model, "model.bin: its content was"),
    ],
)
async def test_an_image_that_does_not_fit_any_more_is_replaced_by_one_that_does(
    tmp_path, engine, monkeypatch, change, reason
):
    async with snapshotting(tmp_path / "state", engine_of=lambda _: engine) as (node, told):
        await rested(node, told)
        old = node._host.snapshots._published["fake"].id
        change(engine, monkeypatch)
        landed = await node.wake(R, "fake", Tier.SNAPSHOT)
        assert landed.tier is Tier.CACHED
        assert landed.error.startswith("The snapshot does not fit any more: ")
        assert reason in landed.error
        assert await told.gone() == landed.error
        await until(lambda: not left_behind(node))
        await start(node)
        await told.ready()
        await rest(node)
        await restore(node)
        await node._host.snapshots.settled()
        (only,) = node._host.snapshots._store.list("snapshot")
        assert only.id != old


async def test_a_quota_that_is_too_small_costs_the_snapshot_and_nothing_else(tmp_path):
    async with snapshotting(tmp_path, configured(node={"disk": "1MiB"})) as (node, told):
        landed = await start(node)
        await node._host.snapshots.settled()
        assert "The snapshot could not be stored" in node.closed_tiers("fake")[Tier.SNAPSHOT]
        assert told.snapshots.empty()
        assert "choices" in await answer(node, landed)
        assert [*(tmp_path / "artifacts" / "chunks").iterdir()] == []
        await rest(node, target=Tier.CACHED)
        await until(lambda: not left_behind(node))


async def test_a_full_disk_costs_the_snapshot_and_nothing_else(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", state], check=False).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        async with snapshotting(state) as (node, told):
            landed = await start(node)
            await node._host.snapshots.settled()
            assert (
                "The snapshot could not be stored: The disk of the artifact store"
                in (node.closed_tiers("fake")[Tier.SNAPSHOT])
            )
            assert told.snapshots.empty()
            assert "choices" in await answer(node, landed)
            assert [*(state / "artifacts" / "chunks").iterdir()] == []
            await rest(node, target=Tier.CACHED)
            await until(lambda: not left_behind(node))
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)
