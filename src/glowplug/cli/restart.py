"""`glowplug restart`: begin again with fresh processes."""

from typing import TYPE_CHECKING

import click

from glowplug.cli.options import with_client

if TYPE_CHECKING:
    from glowplug.cli.client import AdminClient


@click.command(short_help="Begin again with fresh processes.")
@click.argument("model")
@with_client
def restart(client: "AdminClient", model: str) -> None:
    """End the processes of MODEL once idle, and try again what failed before. The next request starts it."""
    answer = client.restart(model)
    click.echo(f"the processes of {answer.get('model', model)} are ended; the next request starts it")
