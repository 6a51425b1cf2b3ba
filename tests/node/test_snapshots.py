"""Engines that are dumped at their first start and restored after that: one, several, again, elsewhere, later."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from glowplug.node import pagecache
from glowplug.scheduler.values import Tier
from tests.node.nodes import R
from tests.node.programs import until
from tests.node.snapshotting import (
    MIB,
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


@pytest.fixture(autouse=True)
def _criu():
    require_criu()


async def test_a_restored_engine_answers_as_before_five_times_and_leaves_nothing(tmp_path):
    async with snapshotting(tmp_path, configured({"children": 2})) as (node, told):
        first = await answer(node, await start(node))
        held = await told.ready()
        assert 0 < held.disk < 100 * MIB
        await rest(node)
        for _ in range(5):
            landed = await restore(node)
            assert (await answer(node, landed))["choices"] == first["choices"]
            assert landed.cold_start["woke_from"] == "snapshot"
            await rest(node)
        assert told.snapshots.empty()
        await until(lambda: not left_behind(node))


async def test_clones_run_side_by_side_and_end_one_by_one(tmp_path):
    async with snapshotting(tmp_path) as (node, told):
        await rested(node, told)
        names = [f"fake-{number}" for number in range(3)]
        clones = await asyncio.gather(*(restore(node, name) for name in names))
        assert len({clone.address for clone in clones}) == 3
        texts = [(await answer(node, clone))["choices"] for clone in clones]
        assert texts == [texts[0]] * 3
        await rest(node, names[0])
        assert (await answer(node, clones[1]))["choices"] == texts[0]
        for name in names[1:]:
            await rest(node, name)
        await until(lambda: not left_behind(node))


async def test_clones_that_are_asked_for_at_once_share_one_reading_of_the_image(tmp_path):
    async with snapshotting(tmp_path, configured(node={"snapshot_memory": 0})) as (node, told):
        await rested(node, told)
        told.images.clear()
        await asyncio.gather(*(restore(node, f"fake-{number}") for number in range(3)))
        assert told.images.count(0) == 1  # given up once, after the last
        assert max(told.images) < 2 * min(size for size in told.images if size)


async def test_an_image_that_is_not_kept_in_memory_is_read_from_the_disk_each_time(tmp_path):
    async with snapshotting(tmp_path, configured(node={"snapshot_memory": 0})) as (node, told):
        await rested(node, told)
        chunks = [*(tmp_path / "artifacts" / "chunks").iterdir()]
        for _ in range(2):
            assert told.images[-1] == 0
            pagecache.drop(chunks)
            assert not any(pagecache.cached_share(chunk) for chunk in chunks)
            landed = await restore(node)
            assert "choices" in await answer(node, landed)
            await rest(node)
        await until(lambda: not left_behind(node))


async def test_resident_images_are_given_back_when_somebody_needs_the_memory(tmp_path):
    async with snapshotting(tmp_path) as (node, told):
        await rested(node, told)
        held = told.images[-1]
        assert held > MIB
        node.release_images(type(node.capacity())(ram=1))
        await until(lambda: told.images[-1] == 0)
        await restore(node)
        assert told.images[-1] == pytest.approx(held, rel=0.05)


async def test_the_next_server_finds_the_snapshot_and_restores_it(tmp_path):
    async with snapshotting(tmp_path) as (node, told):
        first = await answer(node, await start(node))
        held = await told.ready()
    async with snapshotting(tmp_path) as (node, told):
        assert await told.ready() == held
        assert (await answer(node, await restore(node)))["choices"] == first["choices"]


async def test_an_engine_started_again_is_not_dumped_again(tmp_path):
    async with snapshotting(tmp_path) as (node, told):
        await rested(node, told)
        await start(node)
        await node._host.snapshots.settled()
        assert told.snapshots.empty()


async def test_a_snapshot_that_nobody_wants_any_more_leaves_the_disk(tmp_path):
    async with snapshotting(tmp_path) as (node, told):
        await rested(node, told)
        landed = await node.rest(R, "fake", Tier.SNAPSHOT, Tier.CACHED)
        assert landed.error is None
        assert "for as long as configured" in await told.gone()
        assert [*(tmp_path / "artifacts" / "chunks").iterdir()] == []
        assert told.images[-1] == 0


async def test_a_snapshot_that_takes_longer_than_a_start_is_declined_and_says_so(tmp_path):
    async with snapshotting(tmp_path, configured(snapshot="auto")) as (node, told):
        await start(node)
        await told.ready()
        await rest(node)
        for _ in range(2):  # however busy this machine is: it starts quickly
            node._host.snapshots._evidences.started("fake", 0.01, None)
        for number in range(3):
            assert told.snapshots.empty(), f"declined after {number} restores"
            await restore(node)
            await rest(node)
        reason = await told.gone()
        assert reason.startswith("declined: a restore of the resident image takes")
        assert "not clearly faster" in reason
        assert node.closed_tiers("fake")[Tier.SNAPSHOT] == reason
        assert told.images[-1] == 0
        await start(node)
        await node._host.snapshots.settled()
        assert told.snapshots.empty()


@pytest.mark.parametrize("use", ["always", "off"])
async def test_the_configuration_has_the_last_word_on_whether_it_is_worth_it(tmp_path, use):
    async with snapshotting(tmp_path, configured(snapshot=use)) as (node, told):
        await start(node)
        if use == "off":
            await node._host.snapshots.settled()
            assert told.snapshots.empty()
            assert node.closed_tiers("fake")[Tier.SNAPSHOT] == "it is switched off (snapshot: off)"
            return
        await told.ready()
        await rest(node)
        for _ in range(4):
            node._host.snapshots._evidences.started("fake", 0.001, None)
            await restore(node)
            await rest(node)
        assert told.snapshots.empty()


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    FILE *file = id == CLOCK_REALTIME ? fopen(OFFSET, "r") : NULL;
    long offset;
    if (file) {
        if (fscanf(file, "%ld", &offset) == 1) now->tv_sec += offset;
        fclose(file);
    }
    return failed;
}
"""


SERVER = """
import http.server, json, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer({"choices": [{"text": "hello"}], "created": time.time()})

    def answer(self, document):
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


async def test_an_engine_restored_a_day_later_sees_another_day_and_answers(tmp_path):
    library, offset = tmp_path / "clock.so", tmp_path / "offset"
    offset.write_text("0")
    build = ["cc", "-shared", "-fPIC", "-O1", f'-DOFFSET="{offset}"', "-xc", "-", "-o", str(library), "-ldl"]
    try:
        subprocess.run(build, input=CLOCK, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("needs a C compiler")
    options = {"run": [sys.executable, "-c", SERVER, "{host}", "{port}"]}
    settings = configured(options, engine="command", env={"LD_PRELOAD": str(library)})
    async with snapshotting(tmp_path / "state", settings) as (node, told):
        before = await answer(node, await start(node))
        await told.ready()
        await rest(node)
        offset.write_text("86400")
        after = await answer(node, await restore(node))
        assert after["choices"] == before["choices"]
        assert 86400 <= after["created"] - before["created"] < 86400 + 300


@pytest.mark.parametrize("parked", [False, True])
@pytest.mark.parametrize("from_snapshot", [False, True])
async def test_an_engine_in_a_sandbox_that_is_killed_is_noticed_and_comes_back(tmp_path, parked, from_snapshot):
    async with snapshotting(tmp_path, configured({"children": 1})) as (node, told):
        await rested(node, told)
        await (restore if from_snapshot else start)(node)
        if parked:
            assert (await node.rest(R, "fake", Tier.RUNNING, Tier.PARKED)).error is None
        os.kill(node.pid(R), signal.SIGKILL)
        await until(lambda: bool(told.exits))
        assert "was killed by signal 9" in told.exits[0][1]
        await until(lambda: not left_behind(node))
        await restore(node)
