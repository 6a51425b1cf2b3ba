"""Starts an engine and looks on until its first token: `glowplug profile -- COMMAND...`."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from glowplug.coldstart.values import ColdStart
from glowplug.node.start_watch import StartWatch
from glowplug.node.tree_sampler import TreeSampler
from glowplug.profiling.address import AddressFinder
from glowplug.profiling.bench.conditions import conditions, moment
from glowplug.profiling.command import CommandLine, read_command
from glowplug.profiling.engine_process import EngineProcess
from glowplug.profiling.environment import named_weights
from glowplug.profiling.live_record import Ending, Moments, Surroundings, live_record
from glowplug.profiling.oracles import sglang_startup_times
from glowplug.profiling.otlp_receiver import OtlpReceiver
from glowplug.profiling.output_copy import OutputCopy
from glowplug.profiling.probe import Probe, ProbeError
from glowplug.profiling.progress import Progress, ProgressMeter
from glowplug.profiling.pyspy import StackWatch, find_py_spy

DEFAULT_TIMEOUT = 1800.0
"""Seconds for a start. The longest in public logs, with downloads and autotuning, take 20 minutes."""

_PROGRESS_INTERVAL = 0.5
_QUIET = 0.5
"""Seconds without output from which on stacks are worth looking at."""

_LATE_SPANS = 0.5
"""Seconds that spans of the engine may still be on their way; it sends them every 0.2."""

_EXPLAINED = frozenset({"weights_download", "weights_load", "dynamo", "inductor", "torch_compile", "graph_capture"})
"""Phases whose names say what is going on, so that no stack is needed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to profile.

    Attributes:
        argv: the command.
        env: its whole environment.
        url: base URL at which it will answer; None to find out.
        model: name to ask for; None to find out.
        log: file for its output; None for none, `-` for standard error.
        timeout: seconds until the first token.
        py_spy: whether to look at stacks.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    url: str | None = None
    model: str | None = None
    log: Path | None = None
    timeout: float = DEFAULT_TIMEOUT
    py_spy: bool = False


class LiveProfile:
    """One start. Use it as an asynchronous context manager: leaving the block ends the engine with all it started."""

    def __init__(self, plan: Plan, on_progress: Callable[[Progress], None] = lambda _progress: None) -> None:
        self._plan = plan
        self._on_progress = on_progress
        self._command: CommandLine = read_command(plan.argv, plan.env)
        self._moments = Moments()
        self._last_output = 0.0

    async def __aenter__(self) -> "LiveProfile":
        """Get ready. Raises LiveError."""
        async with AsyncExitStack() as stack:
            program = find_py_spy() if self._plan.py_spy else None
            self._copy = stack.enter_context(OutputCopy(self._plan.log))
            self._receiver = await stack.enter_async_context(OtlpReceiver())
            self._interrupted = asyncio.Event()
            self._catch_signals(stack)  # until the engine has ended
            self._engine = EngineProcess(self._take_output)
            stack.push_async_callback(self._engine.stop)
            self._addresses = AddressFinder(self._plan.url, self._command, self._engine.main_processes)
            self._probe = await stack.enter_async_context(Probe(self._addresses.candidates))
            self._sampler = TreeSampler(self._engine.root)
            stack.callback(self._sampler.stop)
            self._stacks = None if program is None else StackWatch(program, self._sampler, self._is_unexplained)
            self._surroundings = await asyncio.to_thread(self._look_around)
            await self._engine.ready()
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def run(self) -> ColdStart:
        """Start the engine, wait for its first token, its end, the time limit or Ctrl-C; what is known then.

        Raises:
            LiveError: the command cannot be started.
        """
        self._sampler.start()
        self._moments.launched = self._last_output = time.monotonic()
        self._watch = StartWatch(self._moments.launched, None if self._command.elsewhere else self._sampler)
        env = {**self._plan.env, **self._receiver.variables(self._plan.env)}
        await self._engine.launch(self._plan.argv, env)
        self._moments.running = time.monotonic()
        beside = [asyncio.create_task(self._tell_progress())]
        if self._stacks is not None:
            beside.append(asyncio.create_task(self._stacks.run()))
        try:
            ending = await self._until_first_token()
        finally:
            for task in beside:
                task.cancel()
        if ending.outcome == "ready":
            await self._ask_oracles()
        self._sampler.stop()
        return live_record(self._watch, self._sampler, self._moments, ending, self._surroundings, self._stacks)

    async def until_interrupted(self) -> None:
        """Leave the engine running until Ctrl-C or its end."""
        self._interrupted.clear()
        tasks = [asyncio.create_task(self._interrupted.wait()), asyncio.create_task(self._engine.ended())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    @property
    def base(self) -> str:
        """Where the engine answers."""
        return self._probe.base

    async def _until_first_token(self) -> Ending:
        answering = asyncio.create_task(self._wait_for_token())
        exiting = asyncio.create_task(self._engine.ended())
        interrupted = asyncio.create_task(self._interrupted.wait())
        tasks: set[asyncio.Task[object]] = {answering, exiting, interrupted}  # pyright: ignore[reportAssignmentType]
        try:
            await asyncio.wait(tasks, timeout=self._plan.timeout, return_when=asyncio.FIRST_COMPLETED)
            self._moments.ended = time.monotonic()
            if exiting.done():
                return Ending("failed", self._engine.last_words(exiting.result()))
            if answering.done():
                if isinstance(error := answering.exception(), ProbeError):
                    return Ending("incomplete", str(error))
                self._moments.ended = answering.result()
                return Ending("ready")
            if interrupted.done():
                return Ending("incomplete", "The profile was interrupted before the first token.")
            return Ending("incomplete", f"There was no token within {self._plan.timeout:g} s.")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for_token(self) -> float:
        """The moment of the first token. Raises ProbeError."""
        self._moments.healthy = await self._probe.healthy()
        listed = await self._probe.models()
        names: Sequence[str] = ()
        if listed is not None:
            self._moments.listed, names = listed
        token = await self._probe.first_token(self._model(names))
        self._moments.asked, self._moments.token = token.asked, token.came
        return token.came

    def _model(self, names: Sequence[str]) -> str:
        if self._plan.model is not None:
            return self._plan.model
        if self._command.serves_any and self._command.model is not None:
            return self._command.model
        return next(iter(names), None) or self._command.model or "default"

    async def _ask_oracles(self) -> None:
        told = self._watch.told()
        if told is None or told.engine in ("sglang", "unknown"):
            self._surroundings.oracle.update(await sglang_startup_times(self._probe))
        if told is not None and told.engine == "vllm":
            await asyncio.sleep(_LATE_SPANS)
            self._surroundings.engine_spans = self._receiver.spans

    def _take_output(self, chunk: bytes) -> None:
        self._last_output = time.monotonic()
        self._watch.feed(chunk)
        self._addresses.read(chunk)
        self._copy.write(chunk)

    def _is_unexplained(self) -> bool:
        return time.monotonic() - self._last_output >= _QUIET and self._phase() not in _EXPLAINED

    def _phase(self) -> str | None:
        if self._moments.healthy is not None:
            return "first_token"
        if (phase := self._watch.phase) is not None:
            return phase
        main = self._sampler.main
        return "python_import" if main is not None and main.is_python and self._watch.told() is None else None

    async def _tell_progress(self) -> None:
        meter = ProgressMeter(self._sampler, self._moments.launched)
        while True:
            await asyncio.sleep(_PROGRESS_INTERVAL)
            self._on_progress(meter.read(self._phase(), time.monotonic()))

    def _look_around(self) -> Surroundings:
        weights = named_weights(self._plan.argv)
        return Surroundings(
            argv=self._plan.argv,
            env=self._plan.env,
            conditions={**conditions().machine, **moment(weights)},
            elsewhere=self._command.elsewhere,
        )

    def _interrupt(self) -> None:
        """The first time the engine may end in its own way, from the second time on it is killed."""
        if self._interrupted.is_set():
            self._engine.hurry()
        self._interrupted.set()

    def _catch_signals(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(RuntimeError, ValueError):  # not in the main thread, where signals cannot be caught
                loop.add_signal_handler(number, self._interrupt)
                stack.callback(loop.remove_signal_handler, number)
