"""Where the snapshots are: the state directory that the options of a command name, and its store."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from glowplug.artifacts.manifest import Manifest
    from glowplug.artifacts.store import ArtifactStore
    from glowplug.config.models import Config
    from glowplug.node.snapshot_views import Views

_DEFAULT = Path("glowplug.yaml")


@dataclass(frozen=True, slots=True)
class Place:
    """A state directory, and the configuration if one was read."""

    config: "Config | None"
    state_dir: Path

    def store(self, *, make: bool = False) -> "ArtifactStore":
        """Its store; with `make` also a new one. Raises ClickException."""
        from glowplug.artifacts.errors import StoreError
        from glowplug.artifacts.store import ArtifactStore

        directory = self.state_dir / "artifacts"
        try:
            if make:
                self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not directory.exists():
                raise click.ClickException(
                    f"there is no artifact store in {self.state_dir}; name the configuration of the server with "
                    "--config, or its state directory with --state-dir"
                )
            return ArtifactStore(directory, quota=None if self.config is None else self.config.node.disk)
        except OSError as error:
            raise click.ClickException(
                f"the state directory {self.state_dir} cannot be used ({error.strerror}); run this as the user of the "
                "server"
            ) from None
        except StoreError as error:
            raise click.ClickException(str(error)) from None

    def views(self) -> "Views":
        """Looks at snapshots with the eyes of the configuration."""
        from glowplug.artifacts.digests import Digests
        from glowplug.node.snapshot_views import Views

        return Views({} if self.config is None else self.config.models, Digests(self.state_dir / "digests"))


def with_place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a state directory, and the `Place` as its first argument."""

    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration whose node.state_dir and models are meant.  [default: glowplug.yaml, if it is there]",
    )
    @click.option(
        "--state-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="State directory, instead of node.state_dir in the configuration.",
    )
    @functools.wraps(command)
    def run(*args: Any, config: Path | None, state_dir: Path | None, **options: Any) -> None:
        command(_place(config, state_dir), *args, **options)

    return run


def _place(path: Path | None, state_dir: Path | None) -> Place:
    from glowplug.config.errors import ConfigError
    from glowplug.config.loader import load
    from glowplug.config.models import NodeConfig
    from glowplug.engines import registry

    if path is None and _DEFAULT.exists():
        path = _DEFAULT
    try:
        config = None if path is None else load(path, registry.options())
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    found = state_dir or (NodeConfig() if config is None else config.node).state_dir
    return Place(config, found.expanduser().absolute())


def find(store: "ArtifactStore", name: str) -> "Manifest":
    """The snapshot that may be used of that id, or the only one whose id begins so. Raises ClickException."""
    from glowplug.node.snapshot_views import KIND

    manifests = {manifest.id: manifest for manifest in store.list(KIND)}
    reasons = {problem.name: problem.reason for problem in store.problems()}
    found = _the_one([*manifests, *reasons], name)
    if found not in manifests:
        raise click.ClickException(f"{found} is not used: {reasons[found]}")
    return manifests[found]


def find_any(store: "ArtifactStore", name: str) -> str:
    """The id of a snapshot, also of one that is set aside or unreadable. Raises ClickException."""
    from glowplug.node.snapshot_views import KIND

    names = [manifest.id for manifest in store.list(KIND)]
    return _the_one([*names, *(problem.name for problem in store.problems() if "/" not in problem.name)], name)


def _the_one(names: Sequence[str], begins: str) -> str:
    found = [name for name in dict.fromkeys(names) if begins and name.startswith(begins)]
    if begins in found:
        return begins
    if not found:
        raise click.ClickException(f"there is no snapshot {begins!r}; glowplug snapshot ls shows those there are")
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} snapshots begin with {begins!r}; give more of the id")
    return found[0]
