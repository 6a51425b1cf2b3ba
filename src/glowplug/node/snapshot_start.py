"""Opening the snapshots of a node: the memory for images, and what is known of earlier starts."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from glowplug.artifacts.store import ArtifactStore
from glowplug.checkpoint.huge_pages import HugePages, put_back
from glowplug.config.models import NodeConfig
from glowplug.node.evidence import Evidences
from glowplug.node.image_space import ImageSpace
from glowplug.node.memory import host_memory
from glowplug.node.snapshots import Snapshots
from glowplug.node.store import Cost
from glowplug.scheduler.values import Resources

AUTO_SHARE = 0.2
"""Part of the host's memory that resident images may take with `snapshot_memory: auto`: one image of a model that
itself takes no more than that, or several small ones."""


async def open_snapshots(
    store: ArtifactStore,
    node: NodeConfig,
    state_dir: Path,
    costs: Sequence[Cost],
    on_snapshot: Callable[[str, Resources | None, str], None],
    on_images: Callable[[Resources], None],
) -> Snapshots:
    """Make ready, in `state_dir`, what restores need. Raises NoImageSpace, StoreError."""
    await asyncio.to_thread(put_back, state_dir)
    folder = state_dir / "images"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    space = await asyncio.to_thread(ImageSpace, folder)
    budget = int(host_memory().total * AUTO_SHARE) if node.snapshot_memory == "auto" else node.snapshot_memory
    huge_pages = HugePages(state_dir) if node.huge_pages else None
    return Snapshots(
        store, space, budget, state_dir, Evidences(costs), huge_pages, on_snapshot=on_snapshot, on_images=on_images
    )
