"""`glowplug serve`: run the server."""

from pathlib import Path

import click


@click.command(short_help="Serve the models of a file until Ctrl-C.")
@click.argument("config", type=click.Path(path_type=Path), default=Path("glowplug.yaml"))
@click.option("--host", metavar="ADDRESS", help="Address to listen on, instead of server.host in the file.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of server.port in the file.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for measurements and run state, instead of node.state_dir in the file.",
)
def serve(config: Path, host: str | None, port: int | None, state_dir: Path | None) -> None:
    """Serve the models of CONFIG (by default glowplug.yaml) until Ctrl-C.

    Every change of a replica's tier is printed with its time. SIGHUP reads CONFIG again: models and their limits change
    without touching what runs; a file with mistakes changes nothing.
    """
    from glowplug.cli.live import LiveLines
    from glowplug.gateway.run import CannotServe, Overrides, Watcher, run

    lines = LiveLines()
    try:
        run(config, Overrides(host, port, state_dir), Watcher(lines.ready, lines.event))
    except CannotServe as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    lines.stopped()
