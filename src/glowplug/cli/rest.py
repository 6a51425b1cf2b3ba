"""`glowplug rest`: let a model rest before its time."""

from typing import TYPE_CHECKING

import click

from glowplug.cli.options import with_client
from glowplug.scheduler.values import Tier

if TYPE_CHECKING:
    from glowplug.cli.client import AdminClient


@click.command(short_help="Let a model rest before its time.")
@click.argument("model")
@click.option(
    "--tier",
    type=click.Choice([tier.value for tier in Tier if tier is not Tier.RUNNING]),
    help="How far; without it, one step colder.",
)
@with_client
def rest(client: "AdminClient", model: str, tier: str | None) -> None:
    """Rest the idle replicas of MODEL and wait for it. A busy one is refused."""
    answer = client.rest(model, tier)
    click.echo(f"{answer.get('model', model)} is now {answer.get('tier') or tier or 'one step colder'}")
