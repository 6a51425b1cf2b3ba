"""`glowplug profile`: where the time of a cold start went, from its log or live."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glowplug.cli.options import format_option

if TYPE_CHECKING:
    from glowplug.coldstart.values import LogReport
    from glowplug.profiling.live import LiveProfile, Plan
    from glowplug.profiling.profile import Profile
    from glowplug.profiling.progress import Progress

_COMMAND = "glowplug.profile.command"
_LIVE_ONLY = {"url": "--url", "model": "--model", "log": "--log", "timeout": "--timeout", "py_spy": "--py-spy",
              "keep": "--keep"}  # fmt: skip


class _WithCommand(click.Command):
    """A command that keeps what follows `--` apart from its arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_COMMAND] = args[place + 1 :]
            args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS] LOG... | - | -- COMMAND..."]


def _outputs(_context: click.Context, _parameter: click.Parameter, paths: Sequence[Path]) -> Sequence[Path]:
    from glowplug.profiling.outputs import OutputError, check

    for path in paths:
        try:
            check(path)
        except OutputError as error:
            raise click.BadParameter(str(error)) from None
    return paths


def _duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    from glowplug.config.units import parse_duration

    if text is None:
        return None
    try:
        seconds = parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < seconds < math.inf:
        raise click.BadParameter("it must be more than 0 and not forever")
    return seconds


def _url(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    from glowplug.cli.client import parse_server

    try:
        return None if text is None else parse_server(text).geturl()
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from None


@click.command(cls=_WithCommand, short_help="Show where every second of a cold start went, from its log or live.")
@click.argument("logs", nargs=-1, metavar="LOG...")
@format_option
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_outputs,
    help="Write a page, a picture or data: .html, .svg, .png, .json or .trace.json (Chrome, Perfetto). Repeatable.",
)
@click.option("--otlp", metavar="URL", help="Send the spans to an OpenTelemetry collector (OTLP over HTTP).")
@click.option("--py-spy", is_flag=True, help="With a command: Python stacks of what goes on in gaps, by py-spy.")
@click.option(
    "--log",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="With a command: write its output to FILE; - shows it.",
)
@click.option(
    "--timeout", metavar="TIME", callback=_duration, help="With a command: give up after this; 30m by default."
)
@click.option("--keep", is_flag=True, help="With a command: leave the engine running until Ctrl-C.")
@click.option(
    "--url", metavar="URL", callback=_url, help="With a command: where it answers, if that cannot be found out."
)
@click.option("--model", metavar="NAME", help="With a command: the model to ask for, if that cannot be found out.")
@click.pass_context
def profile(
    context: click.Context, logs: Sequence[str], form: str, outputs: Sequence[Path], otlp: str | None, **live: Any
) -> None:
    """Show where every second of a cold start went.

    LOG is what an engine printed when it started (- reads standard input); vLLM, SGLang, LMDeploy, TGI, llama.cpp and
    transformers are understood, also through docker, Kubernetes, Ray and RunPod. With a command instead, the engine is
    started, watched until its first token, and ended.

    \b
      glowplug profile vllm.log
      kubectl logs my-pod | glowplug profile - --output report.html
      glowplug profile -- vllm serve Qwen/Qwen3-0.6B --port 8000
    """
    command: list[str] | None = context.meta.get(_COMMAND)
    show = _Show(form, outputs, otlp)
    if command is None:
        _refuse_live_options(live)
        if not logs:
            raise click.UsageError("name a log file, - for standard input, or -- and the command of an engine")
        good = _profile_logs(logs, show)
    elif logs:
        raise click.UsageError(f"give log files or a command, not both: {' '.join(logs)} stands before the --")
    elif not command:
        raise click.UsageError("after -- comes the command that starts the engine")
    else:
        good = _profile_command(command, show, live)
    if not good:
        raise SystemExit(1)


class _Show:
    """What to do with profiles."""

    def __init__(self, form: str, outputs: Sequence[Path], otlp: str | None) -> None:
        self._form = form
        self._outputs = outputs
        self._otlp = otlp

    def __call__(self, reports: Sequence["LogReport"]) -> None:
        """Print them, and write and send what was asked for."""
        from glowplug.profiling.advice import advise
        from glowplug.profiling.profile import Profile

        profiles = [Profile(report, advise(report.starts[-1]) if report.starts else ()) for report in reports]
        self._print(profiles)
        self._write(profiles)

    def _print(self, profiles: Sequence["Profile"]) -> None:
        if self._form == "json":
            import json

            from glowplug.profiling.outputs import as_document

            click.echo(json.dumps(as_document(profiles), indent=2))
        else:
            from glowplug.profiling.table import print_profiles

            print_profiles(profiles)

    def _write(self, profiles: Sequence["Profile"]) -> None:
        from glowplug.profiling.otlp import OtlpError, send
        from glowplug.profiling.outputs import OutputError, write

        try:
            for path in self._outputs:
                write(profiles, path)
            if self._otlp is not None:
                send([profile.start for profile in profiles if profile.start is not None], self._otlp)
        except (OutputError, OtlpError) as error:
            raise click.ClickException(str(error)) from None


def _refuse_live_options(live: Mapping[str, Any]) -> None:
    for name, option in _LIVE_ONLY.items():
        if live[name]:
            raise click.UsageError(f"{option} is for engines that are started here: glowplug profile -- COMMAND...")


def _profile_logs(logs: Sequence[str], show: Callable[[Sequence["LogReport"]], None]) -> bool:
    """Whether every log could be read."""
    from glowplug.profiling.logfile import LogError, read_file

    reports: list[LogReport] = []
    for path in logs:
        try:
            reports.append(read_file(path))
        except LogError as error:
            click.echo(f"Error: {error}", err=True)
    if reports:
        show(reports)
    return len(reports) == len(logs)


def _profile_command(
    command: Sequence[str], show: Callable[[Sequence["LogReport"]], None], live: Mapping[str, Any]
) -> bool:
    """Whether the engine gave a token."""
    import asyncio

    from glowplug.profiling.live import DEFAULT_TIMEOUT, Plan
    from glowplug.profiling.live_error import LiveError

    plan = Plan(
        command,
        url=live["url"],
        model=live["model"],
        log=live["log"],
        timeout=live["timeout"] or DEFAULT_TIMEOUT,
        py_spy=live["py_spy"],
    )
    try:
        return asyncio.run(_run(plan, show, keep=live["keep"]))
    except LiveError as error:
        raise click.ClickException(str(error)) from None


async def _run(plan: "Plan", show: Callable[[Sequence["LogReport"]], None], *, keep: bool) -> bool:
    from glowplug.cli.profile_progress import ProgressLine
    from glowplug.coldstart.values import LogReport
    from glowplug.profiling.environment import without_secrets
    from glowplug.profiling.live import LiveProfile

    with ProgressLine() as line:
        # The output of the engine on the terminal tells more, and would be mixed up with a line that is renewed.
        progress = _ignore if plan.log == Path("-") else line.show
        async with LiveProfile(plan, progress) as live:
            start = await live.run()
            line.close()
            good = start.outcome == "ready"
            report = LogReport(" ".join(without_secrets(plan.argv)), start.engine, (start,))
            if keep and good:
                show([report])
                await _serve_on(live)
                return True
    show([report])
    return good


def _ignore(_progress: "Progress") -> None:
    pass


async def _serve_on(live: "LiveProfile") -> None:
    click.echo(f"The engine answers at {live.base} until Ctrl-C.", err=True)
    await live.until_interrupted()
