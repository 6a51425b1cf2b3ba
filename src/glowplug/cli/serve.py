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
    """Serve the models of CONFIG (by default glowplug.yaml) until Ctrl-C."""
    from glowplug.gateway.server import run

    run(config, host, port, state_dir)
