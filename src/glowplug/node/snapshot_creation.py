"""Making a snapshot without a server: the engine is started, dumped, and ended."""

from collections.abc import Callable
from pathlib import Path

from glowplug.artifacts.manifest import Manifest
from glowplug.config.models import Config
from glowplug.engines import registry
from glowplug.node.node import Node
from glowplug.node.snapshot_orders import NotMade


async def create_snapshot(config: Config, state_dir: Path, model: str, tell: Callable[[str], None]) -> Manifest:
    """Make a snapshot of a configured model in a state directory. Leaves no process, however it ends.

    `tell` is called with a line as it goes on.

    Raises:
        NotMade: it cannot be made.
        StateDirError: a server works there (StateDirInUse), or it cannot be used.
        EngineError: the engine of the model cannot start here.
        TierError: a process could not be ended.
    """
    alone = config.model_copy(update={"models": {model: config.models[model]}})
    node = Node(alone, state_dir, on_exit=lambda _replica_id, _reason: None)
    try:
        registry.get(alone.models[model].engine).check(alone.models[model])
        await node.start()
        async with node.ordered_snapshot(model) as order:
            base = node.base_tier(model)
            tell(f"starting {model} ({base})")
            landed = await node.wake(f"{model}-0", model, base)
            if landed.error is not None:
                raise NotMade(landed.error)
            if order.reason is None:
                tell(f"started and dumped within {landed.seconds:.1f} s; storing the image")
            await node.settled_snapshots()
            return order.result()
    finally:
        await node.close()
