"""One repeat from an empty machine to an empty machine: prepare, start the server, ask, write down, clean up."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from glowplug.engines import registry
from glowplug.profiling.bench import page_cache
from glowplug.profiling.bench.caches import Caches
from glowplug.profiling.bench.client import PROMPTS, RequestFailed, timed_request
from glowplug.profiling.bench.conditions import moment, share_cached
from glowplug.profiling.bench.journal import Journal, write_whole
from glowplug.profiling.bench.paths import StartPath, parse_path
from glowplug.profiling.bench.repeat import Repeat, Timing
from glowplug.profiling.bench.scenario import Scenario
from glowplug.profiling.bench.schedule import Turn
from glowplug.profiling.bench.server import Server, ServerFailed, server_config, serving
from glowplug.profiling.bench.settle import Quiet
from glowplug.scheduler.values import Tier
from glowplug.tiers.worth import ImageAt

FILL_PATH = "cold"
"""The path of the start that fills the caches: it begins without any, as the first start on a new machine does."""

DUMP_PATH = "snapshot"
"""The path of that start if it makes the model's snapshot as well: in a sandbox, like those that are restored."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all repeats of a run have in common.

    `node` is the `node` section of the servers' configuration, without the state directory. `dumped` are the models of
    which a path wants a snapshot.
    """

    journal: Journal
    quiet: Quiet
    settle: float
    node: Mapping[str, Any]
    dumped: Collection[str]


class Measurer:
    """Carries out repeats, one at a time."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._earlier: Mapping[int, int] = {}
        self._not_dumped: dict[str, str] = {}

    def filled(self, scenario: Scenario) -> bool:
        """Whether what the scenario's path takes for granted is there: filled caches, and a snapshot."""
        if not scenario.path.caches_filled:
            return True
        caches = self._filled_caches(scenario)
        return caches.filled and (caches.dumped or scenario.path.image is None)

    def hopeless(self, scenario: Scenario) -> str | None:
        """Why the scenario cannot be measured: its model was started to be dumped before, in vain. None if it may."""
        return None if scenario.path.image is None else self._not_dumped.get(scenario.model)

    async def fill(self, scenario: Scenario, turn: Turn) -> Repeat:
        """Start the model once with empty caches, which it leaves behind for repeats that want them filled.

        If any path of the model wants a snapshot, the same start makes it. That it cannot be made is told as a failure,
        but the caches are filled then all the same.
        """
        caches = self._filled_caches(scenario)
        start = replace(scenario, path=parse_path(DUMP_PATH if scenario.model in self._bench.dumped else FILL_PATH))
        repeat = await self._repeat(start, replace(turn, scenario=start.name), caches, kind="fill")
        if repeat.second is not None:
            caches.mark_filled()
        if repeat.image is not None and repeat.failure is None:
            caches.mark_dumped()
        elif repeat.failure is not None and start.path.image is not None:
            self._not_dumped[scenario.model] = repeat.failure
        return repeat

    async def repeat(self, scenario: Scenario, turn: Turn) -> Repeat:
        """Measure. What goes wrong is told in the result; only a full disk and the like is raised, as OSError."""
        if scenario.path.caches_filled:
            return await self._repeat(scenario, turn, self._filled_caches(scenario))
        caches = Caches(self._bench.journal.work / "caches" / "fresh")
        try:
            return await self._repeat(scenario, turn, caches)
        finally:
            caches.remove()

    def without_caches(self, scenario: Scenario, turn: Turn, reason: str) -> Repeat:
        """What is written down for a repeat that could not be, because its caches could not be filled."""
        what = "fills the caches" if scenario.path.image is None else "makes the snapshot"
        failure = f"the start that {what} failed: {reason}"
        repeat_id = self._bench.journal.next_id(scenario.name)
        return Repeat(repeat_id, scenario.name, "measured", turn.round, turn.position, _now(), failure=failure)

    async def _repeat(self, scenario: Scenario, turn: Turn, caches: Caches, kind: str = "measured") -> Repeat:
        journal = self._bench.journal
        weights = registry.get(scenario.config.engine).weights(scenario.config)
        repeat_id = journal.next_id(scenario.name if kind == "measured" else f"{scenario.model}-fill")
        if not caches.filled:
            caches.empty()
        config = journal.work / "serve.yaml"
        node = {**self._bench.node, "state_dir": str(caches.state)}
        write_whole(config, server_config(scenario, caches.environment(scenario.config.env), node))
        config.chmod(0o600)
        settled = await self._bench.quiet.settle(self._earlier, self._bench.settle)
        began = time.monotonic()
        found = Repeat(repeat_id, scenario.name, kind, turn.round, turn.position, _now())
        asking = _Asking(scenario, weights, caches)
        try:
            async with serving(config, journal.logs / f"{repeat_id}.server.log", scenario.model) as server:
                found = await self._ask(server, asking, found)
        except (ServerFailed, RequestFailed, aiohttp.ClientError, TimeoutError) as error:
            found = replace(found, failure=_sentence(error))
        took = round(settled.seconds + time.monotonic() - began, 2)
        return replace(found, took=took, conditions={"settled": asdict(settled), **found.conditions})

    async def _ask(self, server: Server, asking: "_Asking", found: Repeat) -> Repeat:
        try:
            dumps = found.kind == "fill" and asking.path.image is not None
            found = await (asking.dump if dumps else asking.run)(server, found)
        except (ServerFailed, RequestFailed, aiohttp.ClientError) as error:
            found = replace(found, failure=_sentence(error), cold_start=await asking.failed_start(server))
        with suppress(ServerFailed, aiohttp.ClientError):
            write_whole(self._bench.journal.logs / f"{found.id}.engine.log", await server.engine_log())
        self._earlier = server.processes()
        return found

    def _filled_caches(self, scenario: Scenario) -> Caches:
        return Caches(self._bench.journal.work / "caches" / f"model-{quote(scenario.model, safe='')}")


class _Asking:
    """What is asked of the server in one repeat."""

    def __init__(self, scenario: Scenario, weights: Sequence[Path], caches: Caches) -> None:
        self._scenario = scenario
        self.path: StartPath = scenario.path
        self._weights = weights
        self._caches = caches

    async def run(self, server: Server, found: Repeat) -> Repeat:
        """Bring the model into the state in which the path begins, then wake it by a request, and ask again.

        Raises ServerFailed, RequestFailed, aiohttp.ClientError.
        """
        if self.path.tier is not None:
            await self._bring_to(server, self.path.tier)
        conditions = await asyncio.to_thread(self._prepare_page_cache)
        since = datetime.now(UTC)
        first = await self._request(server, PROMPTS[1])
        if self.path.tier is not None and first.woke_from != self.path.tier:
            raise ServerFailed(await self._detour(server, first.woke_from))
        cold_start = await server.cold_start(first.woke_from, since)
        self._require_image_there(cold_start)
        second = await self._request(server, PROMPTS[2])
        return replace(
            found,
            began=_text(since),
            first=first,
            second=second,
            memory=await server.memory(),
            cold_start=cold_start,
            conditions=conditions,
        )

    async def dump(self, server: Server, found: Repeat) -> Repeat:
        """Start the model, have its snapshot made, and ask it. Raises ServerFailed, RequestFailed, aiohttp.ClientError.

        An engine that runs although it could not be dumped is asked all the same.
        """
        failure = image = None
        try:
            made = await server.make_snapshot()
            image = {key: made[key] for key in ("raw_bytes", "stored_bytes", "pause")}
        except ServerFailed as error:
            failure = str(error)
        second = await self._request(server, PROMPTS[2])
        starts = await server.cold_starts()
        return replace(found, failure=failure, second=second, image=image, cold_start=starts[0] if starts else None)

    async def failed_start(self, server: Server) -> Mapping[str, Any] | None:
        """The record of a start that did not come to its end; None if there is none."""
        with suppress(ServerFailed, aiohttp.ClientError):
            for record in await server.cold_starts():
                if record["outcome"] != "ready":
                    return record
        return None

    async def _bring_to(self, server: Server, tier: Tier) -> None:
        """Start the model, let it serve a request as it will have done in real life, and rest it.

        With a snapshot it is not started but restored, after which the image is in memory. If it is not to be there,
        the model stays as the server has found it.
        """
        if self.path.image in (ImageAt.PAGE_CACHE, ImageAt.DISK):
            return
        await server.wake()
        await self._request(server, PROMPTS[0])
        await server.rest(tier)
        await asyncio.sleep(self._scenario.idle)

    def _prepare_page_cache(self) -> Mapping[str, Any]:
        """Do to it what the path wants, and look what came of it. Blocks. Raises ServerFailed."""
        machine = self._scenario.page_cache == "machine"
        try:
            image = self._caches.image_files() if self.path.image is not None else ()
            page_cache.prepare(self.path.page_cache, [*self._weights, *image], whole_machine=machine)
        except OSError as error:
            raise ServerFailed(f"the page cache could not be prepared: {error}") from error
        found = moment(self._weights)
        return found if self.path.image is None else {**found, "image_cached": share_cached(image)}

    def _require_image_there(self, cold_start: Mapping[str, Any] | None) -> None:
        """Raises ServerFailed if the path wants the image in memory, and it was not there."""
        if self.path.image is ImageAt.RESIDENT and cold_start is not None:
            at = cold_start.get("conditions", {}).get("image")
            if at != ImageAt.RESIDENT:
                raise ServerFailed("the process image was not kept in memory; raise node.snapshot_memory")

    async def _request(self, server: Server, prompt: str) -> Timing:
        return await timed_request(server.session, server.url, self._scenario.model, prompt, self._scenario.request)

    async def _detour(self, server: Server, came_from: str) -> str:
        reasons = [str(record["reason"]) for record in await server.cold_starts() if record["outcome"] == "failed"]
        why = f": {reasons[0]}" if reasons else ""
        return f"the wake from {self.path.tier} did not work, so the model came from {came_from}{why}"


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _sentence(error: Exception) -> str:
    return str(error) or type(error).__name__
