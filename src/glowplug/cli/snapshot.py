"""`glowplug snapshot`: make, look at, check, remove and carry snapshots."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glowplug.cli.options import format_option
from glowplug.cli.snapshot_create import create
from glowplug.cli.snapshot_place import find, find_any, with_place

if TYPE_CHECKING:
    from types import ModuleType

    from glowplug.artifacts.manifest import Manifest
    from glowplug.cli.snapshot_place import Place


@click.group()
def snapshot() -> None:
    """Make, look at, check, remove and carry snapshots: images of warmed-up engines.

    They are found in the state directory of a server, whether it runs or not. An id may be shortened.
    """


snapshot.add_command(create)


@snapshot.command(short_help="Show the snapshots that there are.")
@format_option
@with_place
def ls(place: "Place", form: str) -> None:
    """Show the snapshots that there are, newest first, and whether they could be restored now."""
    from glowplug.node.snapshot_views import SnapshotListing

    with _plainly():
        empty = not (place.state_dir / "artifacts").exists()
        listing = SnapshotListing() if empty else place.views().listing(place.store())
    if form == "json":
        click.echo(json.dumps(asdict(listing), indent=2))
    elif listing.snapshots or listing.problems:
        from glowplug.cli.snapshot_tables import print_listing

        print_listing(listing)
    else:
        click.echo(f"There are no snapshots in {place.state_dir}.")


@snapshot.command(short_help="Show everything about a snapshot.")
@click.argument("id")
@format_option
@with_place
def show(place: "Place", id: str, form: str) -> None:
    """Show everything about the snapshot ID: what it was made of, what was measured, and its files."""
    with _plainly():
        manifest = find(place.store(), id)
        view = place.views().view(manifest)
    if form == "json":
        files = [{"path": e.path, "kind": e.kind, "mode": e.mode, "size": e.size} for e in manifest.entries]
        about = {"identity": dict(manifest.identity), "facts": dict(manifest.facts), "files": files}
        click.echo(json.dumps({**asdict(view), **about}, indent=2))
    else:
        from glowplug.cli.snapshot_tables import print_snapshot

        print_snapshot(view, manifest)


@snapshot.command(short_help="Read all of a snapshot and check it.")
@click.argument("id")
@with_place
def verify(place: "Place", id: str) -> None:
    """Read every byte of the snapshot ID and check that it is what was stored."""
    from glowplug.cli.tables import size

    with _plainly():
        store = place.store()
        manifest = find(store, id)
        began = time.monotonic()
        store.verify(manifest.id)
    click.echo(f"{_named(manifest)} is whole: {size(manifest.raw_bytes)} in {time.monotonic() - began:.2f} s")


@snapshot.command(short_help="Remove snapshots.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_place
def rm(place: "Place", ids: tuple[str, ...]) -> None:
    """Remove the snapshots ID..., also those that were set aside. One that is being restored is refused.

    A server that runs notices when it next reads its configuration (SIGHUP), or wants to restore one of them.
    """
    from glowplug.cli.tables import size

    with _plainly():
        store = place.store()
        names = dict.fromkeys(find_any(store, id) for id in ids)
        removed = 0
        try:
            for name in names:
                store.remove(name)
                removed += 1
                click.echo(f"removed {name}")
        finally:
            freed = store.collect() if removed else 0
    click.echo(f"{size(freed) if freed else '0 B'} freed")


@snapshot.command(short_help="Write a snapshot to a file or an object store.")
@click.argument("id")
@click.argument("target", metavar="FILE|URL")
@with_place
def export(place: "Place", id: str, target: str) -> None:
    """Write the snapshot ID, signature included, to FILE, or to an object store below URL.

    URL is s3://BUCKET/FOLDER, gs://..., az://... or file:///FOLDER; what is there already is not sent again. Guard it
    like the model: it holds an engine's memory.
    """
    with _plainly():
        store = place.store()
        manifest = find(store, id)
        if "://" in target:
            _remote().push(store, manifest.id, target)
        else:
            store.export(manifest.id, Path(target))
    click.echo(f"{_named(manifest)} is in {target}")


@snapshot.command("import", short_help="Take a snapshot over from a file or an object store.")
@click.argument("source", metavar="FILE|URL")
@click.argument("name", metavar="[MODEL|ID]", required=False)
@with_place
def import_(place: "Place", source: str, name: str | None) -> None:
    """Take over the snapshot in FILE, or of an object store the one with that ID, or the newest of MODEL.

    It has to be whole, and signed with a key that is trusted here. A server that runs uses it once it has read its
    configuration again (SIGHUP).
    """
    if ("://" in source) != (name is not None):
        raise click.UsageError("an object store needs a MODEL or an ID, and a file none")
    with _plainly():
        store = place.store(make=True)
        manifest = store.import_(Path(source)) if name is None else _remote().pull(store, name, source)
    click.echo(f"{_named(manifest)} is here, made {_day(manifest)}")


@contextmanager
def _plainly() -> Generator[None]:
    """What goes wrong with the store is told in its sentence."""
    from glowplug.artifacts.errors import StoreError

    try:
        yield
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'a file'} cannot be used: {error.strerror}") from None


def _remote() -> "ModuleType":
    try:
        from glowplug.artifacts import remote
    except ImportError:
        raise click.ClickException("object stores need obstore; install glowplug[remote]") from None
    return remote


def _named(manifest: "Manifest") -> str:
    return f"{manifest.id} ({manifest.model})"


def _day(manifest: "Manifest") -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.created_at))
