"""Whatever the file holds, `load` answers with a `Config` or a `ConfigError`, never with another exception."""

from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.config.errors import ConfigError
from glowplug.config.loader import load
from glowplug.config.models import Config
from tests.config.conftest import ENGINES

_KEYS = [
    "models", "server", "node", "defaults", "m", "engine", "options", "env", "args", "tiers", "keep_alive", "running",
    "replicas", "max", "min", "aliases", "port", "memory", "warmup", "prompt", "engine_ports", "<<", "state_dir",
    "model",
]  # fmt: skip
_values = st.recursive(
    st.sampled_from(["auto", "forever", "30s", "1GiB", "running", "vllm", "x", "${A}", "${B", "${C:-1}", ".inf", "-1"])
    | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def load_or_explain(folder: Path, content: bytes) -> None:
    file = folder / "fuzz.yaml"
    file.write_bytes(content)
    try:
        config = load(file, ENGINES, {"A": "8"})
    except ConfigError as error:
        assert error.problems
        assert str(error)
    else:
        assert isinstance(config, Config)


@settings(max_examples=400, deadline=None)
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_configuration_or_its_problems(tmp_path_factory, content):
    load_or_explain(tmp_path_factory.getbasetemp(), content)


@settings(max_examples=400, deadline=None)
@given(text=st.text(alphabet="{}[]:,-?&*!|>%@`'\"#\\ \n\tabA0.~<$UuxN", max_size=60))
def test_any_yaml_signs_give_a_configuration_or_its_problems(tmp_path_factory, text):
    load_or_explain(tmp_path_factory.getbasetemp(), text.encode())


@settings(max_examples=400, deadline=None)
@given(data=st.dictionaries(st.sampled_from(_KEYS), _values, max_size=5), in_model=st.booleans())
def test_any_structure_gives_a_configuration_or_its_problems(tmp_path_factory, data, in_model):
    text = yaml.safe_dump({"models": {"m": {"engine": "vllm", **data}}} if in_model else data)
    load_or_explain(tmp_path_factory.getbasetemp(), text.encode())
