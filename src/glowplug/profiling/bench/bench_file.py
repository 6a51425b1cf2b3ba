"""The bench file: models as in `glowplug.yaml`, and under `bench` what to measure of them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from glowplug.config.loader import load_as
from glowplug.config.models import Config, ModelName, Section
from glowplug.config.units import Duration
from glowplug.engines import registry
from glowplug.profiling.bench.paths import parse_path

DEFAULT_PATHS = ("cold", "cached", "parked")
DEFAULT_REPEATS = 5


def _a_path(name: str) -> str:
    parse_path(name)
    return name


PathName = Annotated[str, AfterValidator(_a_path)]
Paths = Annotated[tuple[PathName, ...], Field(min_length=1)]
Repeats = Annotated[int, Field(ge=1, le=1000)]
PathRepeats = dict[PathName, Repeats]


class RequestSection(Section):
    """The requests that are timed. All engines get the same ones."""

    api: Literal["completions", "chat"] = Field(
        default="completions", description="The API they go to; chat for models without text completion."
    )
    tokens: int = Field(default=64, ge=2, description="Tokens that each request asks for.")
    timeout: Duration = Field(default=900.0, gt=0, description="How long one request may take, the start included.")


class ModelSection(Section):
    """What is different for one model."""

    paths: Paths | None = Field(default=None, description="Its start paths, instead of those for all.")
    repeats: Repeats | None = Field(default=None, description="Its repeats, instead of those for all.")
    path_repeats: PathRepeats = Field(default_factory=dict[str, int], description="Its repeats of single paths.")


class BenchSection(Section):
    """What to measure."""

    paths: Paths = Field(default=DEFAULT_PATHS, description="Start paths of every model.")
    repeats: Repeats = Field(default=DEFAULT_REPEATS, description="Repeats of every path.")
    path_repeats: PathRepeats = Field(default_factory=dict[str, int], description="Repeats of single paths.")
    seed: int = Field(default=1, ge=0, description="Of the order of the repeats and of the statistics.")
    idle: Duration = Field(default=0.0, description="How long a replica rests in its tier before it is asked for.")
    page_cache: Literal["weights", "machine"] = Field(
        default="weights", description="What is dropped: the pages of the weight files, or every page (needs root)."
    )
    settle: Duration = Field(default=30.0, description="How long to wait for the machine to come to rest.")
    request: RequestSection = RequestSection()
    models: dict[ModelName, ModelSection] = Field(
        default_factory=dict[str, ModelSection], description="What is different for single models."
    )

    def repeats_of(self, model: str, path: str) -> int:
        """Repeats of one path of a model. What the model says goes before what holds for all."""
        own = self.models.get(model, ModelSection())
        given = (own.path_repeats.get(path), own.repeats, self.path_repeats.get(path), self.repeats)
        return next(number for number in given if number is not None)


class BenchFile(Config):
    """The whole file."""

    bench: BenchSection = BenchSection()

    @model_validator(mode="after")
    def _models_exist(self) -> "BenchFile":
        for name in self.bench.models:
            if name not in self.models:
                raise ValueError(f'bench.models names "{name}", which is not among the models; correct or remove it')
        return self


def load_bench(path: Path) -> BenchFile:
    """Read a bench file; a plain `glowplug.yaml` is one, too. Raises ConfigError."""
    return load_as(BenchFile, path, registry.options())
