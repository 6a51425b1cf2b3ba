"""`glowplug ps`: what each model does now."""

import json
from typing import TYPE_CHECKING

import click

from glowplug.cli.options import format_option, with_client

if TYPE_CHECKING:
    from glowplug.cli.client import AdminClient


@click.command(short_help="Show what each model does now.")
@format_option
@with_client
def ps(client: "AdminClient", form: str) -> None:
    """Show every model: how warm it is, what it holds, and how its last wake went."""
    models = client.models()
    if form == "json":
        click.echo(json.dumps({"models": models}, indent=2))
    else:
        from glowplug.cli.tables import print_models

        print_models(models)
