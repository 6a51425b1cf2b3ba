"""`glowplug wake`: have a model ready."""

from typing import TYPE_CHECKING

import click

from glowplug.cli.options import with_client

if TYPE_CHECKING:
    from glowplug.cli.client import AdminClient


@click.command(short_help="Wake a model and wait until it answers.")
@click.argument("model")
@with_client
def wake(client: "AdminClient", model: str) -> None:
    """Wake MODEL and wait until it answers."""
    answer = client.wake(model)
    click.echo(f"{answer.get('model', model)} is running, after {answer.get('seconds', 0.0):.2f} s")
