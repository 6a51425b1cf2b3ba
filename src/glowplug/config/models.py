"""The shape of `glowplug.yaml`: frozen pydantic models with every default. Reading the file is in `loader.py`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from glowplug.config.units import Duration, Size
from glowplug.scheduler.values import Tier

Auto = Literal["auto"]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")]
# As browsers write it in the header `origin`, so that comparing bytes is enough (RFC 6454, section 6.2).
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/?#*\sA-Z]+)$")]


class Section(BaseModel):
    """A mapping in the file: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerConfig(Section):
    """The endpoint that clients talk to."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    api_keys_file: Path | None = Field(
        default=None, description="File of hashed API keys; without it every client is let in."
    )
    cors_origins: tuple[Origin, ...] = Field(
        default=(), description="Web pages that may use the models: origins such as https://chat.example, or * for all."
    )
    max_queue: int = Field(
        default=1000, ge=1, description="Requests that may wait for one model; the next one gets 429."
    )
    queue_timeout: Duration = Field(default=300.0, description="How long a request may wait for its model; then 504.")
    key_share: float = Field(default=0.5, gt=0, le=1, description="Part of a model's queue that one API key may fill.")
    max_body: Size = Field(default=32 * 1024**2, description="Largest request body; a larger one gets 413.")
    max_headers: Size = Field(
        default=64 * 1024, description="Largest request line and headers together; larger gets 431."
    )
    client_timeout: Duration = Field(
        default=60.0, description="How long a client may take to send a request, or stop reading."
    )
    request_timeout: Duration = Field(
        default=float("inf"), description="How long an engine may work on one request; then 504."
    )
    heartbeat: Duration | None = Field(
        default=None, description="Send waiting streaming clients an SSE comment this often."
    )
    drain_timeout: Duration = Field(default=30.0, description="How long a shutdown waits for running requests.")


class NodeConfig(Section):
    """The machine that runs the engines."""

    state_dir: Path = Field(
        default=Path("~/.local/state/glowplug"), description="Where measurements and run state are kept."
    )
    memory: Auto | Size = Field(
        default="auto", description="Host RAM that replicas may hold; auto: 90 % of what is there."
    )
    gpu_memory: Auto | Size = Field(
        default="auto",
        description="GPU memory that replicas may hold; auto: not limited, because nothing measures it yet.",
    )
    disk: Size = Field(default=100 * 1024**3, description="Disk that snapshots and caches may hold.")
    snapshot_memory: Auto | Size = Field(
        default="auto",
        description="Host RAM that snapshots may be kept in, ready to be restored; auto: 20 % of what is there.",
    )
    huge_pages: bool = Field(
        default=False,
        description="Switch the host's transparent huge pages (of 64 KiB, where it has them) to always while a "
        "snapshot is restored.",
    )
    engine_ports: Annotated[tuple[int, int], Field(description="First and last port given to engines.")] = (
        20000,
        29999,
    )

    @model_validator(mode="after")
    def _ports_in_order(self) -> "NodeConfig":
        first, last = self.engine_ports
        if not 1024 <= first <= last <= 65535:
            raise ValueError("engine_ports must be two ports between 1024 and 65535, the smaller first")
        return self


class ModelReplicas(Section):
    """What a model says of its replicas. Only the keys it gives count; `resolve.replicas_of` has what holds."""

    min: int = Field(default=0, ge=0, le=64, description="Replicas kept running at all times.")
    max: int = Field(default=1, ge=1, le=64, description="Replicas that may exist.")
    target_concurrency: int = Field(
        default=8, ge=1, description="Requests at work on one replica before another one wakes."
    )
    max_concurrency: int | None = Field(
        default=None, ge=1, description="Requests one replica may be given at once; more wait."
    )


class ReplicasConfig(ModelReplicas):
    """How many replicas a model may have."""

    @model_validator(mode="after")
    def _min_below_max(self) -> "ReplicasConfig":
        if self.min > self.max:
            raise ValueError(f"replicas.min ({self.min}) is larger than replicas.max ({self.max})")
        return self


class WarmupRequest(Section):
    """A request sent to a freshly started engine before it serves."""

    prompt: str = Field(description="Text to complete.")
    max_tokens: int = Field(default=16, ge=1, description="Tokens to generate.")


KeepAlive = Auto | dict[Tier, Duration]
SnapshotUse = Literal["auto", "always", "off"]
Tiers = Auto | Annotated[tuple[Tier, ...], Field(min_length=1)]


class Defaults(Section):
    """What holds for a model that does not say otherwise."""

    keep_alive: KeepAlive = Field(default="auto", description="How long an idle replica stays in each tier.")
    tiers: Tiers = Field(
        default="auto", description="Tiers a model may use; auto: all that this machine and engine allow."
    )
    replicas: ReplicasConfig = ReplicasConfig()
    min_active: Duration = Field(
        default=10.0, description="How long a woken replica is safe from being evicted for another."
    )
    start_timeout: Duration = Field(default=600.0, description="How long an engine may take to start.")
    snapshot: SnapshotUse = Field(
        default="auto",
        description="Whether a snapshot is made after a start; auto: where restoring it is clearly faster.",
    )


class ModelConfig(Section):
    """One name that clients may ask for, and the engine behind it."""

    engine: str = Field(description="Engine that serves it: llama.cpp, command, fake, ...")
    model: str | None = Field(default=None, description="Weights: a path or a hub name, as the engine takes it.")
    args: dict[str, Any] = Field(default_factory=dict, description="Engine flags without the dashes, passed through.")
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables of the engine.")
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of the engine adapter itself.")
    aliases: tuple[ModelName, ...] = Field((), description="Further names for the same model.")
    keep_alive: KeepAlive | None = Field(default=None, description="As in defaults.")
    tiers: Tiers | None = Field(default=None, description="As in defaults.")
    replicas: ModelReplicas | None = Field(default=None, description="As in defaults.")
    min_active: Duration | None = Field(default=None, description="As in defaults.")
    start_timeout: Duration | None = Field(default=None, description="As in defaults.")
    snapshot: SnapshotUse | None = Field(default=None, description="As in defaults.")
    network: bool = Field(
        default=False,
        description="Let an engine that may be snapshotted, and so runs in a network of its own, reach other machines.",
    )
    pin: bool = Field(
        default=False, description="Always keep a replica running: woken at start, never rested or evicted."
    )
    memory: Auto | Size = Field(default="auto", description="Host RAM a running replica holds, until it is measured.")
    gpu_memory: Size = Field(default=0, description="GPU memory that a replica with a process holds.")
    keep_page_cache: bool = Field(
        default=True, description="Leave the weights in the page cache when the process is ended."
    )
    warmup: tuple[WarmupRequest, ...] = Field((), description="Requests sent after a start, before serving.")


class Config(Section):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    node: NodeConfig = NodeConfig()
    defaults: Defaults = Defaults()
    models: dict[ModelName, ModelConfig] = Field(min_length=1, description="The models, by name.")
