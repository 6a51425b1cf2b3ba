import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.tiers.cache_key import CacheFacts, cache_key

FACTS = CacheFacts(
    engine="vllm",
    version="0.32.0",
    packages={"vllm": "0.32.0 abc", "torch": "2.13.0 def"},
    machine={"architecture": "x86_64", "cpu": "avx2 avx512f", "gpu": ""},
    model="/models/smol",
    arguments={"max-model-len": 2048, "enforce-eager": True},
    environment={"VLLM_USE_AOT_COMPILE": "1"},
)


def changed(**fields) -> CacheFacts:
    return dataclasses.replace(FACTS, **fields)


def test_it_is_the_name_of_a_folder():
    assert len(cache_key(FACTS)) == 32
    assert int(cache_key(FACTS), 16) >= 0


@pytest.mark.parametrize(
    "other",
    [
        changed(engine="sglang"),
        changed(version="0.33.0"),
        changed(version=None),
        changed(packages={**FACTS.packages, "torch": "2.14.0 def"}),
        changed(packages={**FACTS.packages, "vllm": "0.32.0 edited"}),
        changed(machine={**FACTS.machine, "cpu": "avx2"}),
        changed(machine={**FACTS.machine, "gpu": "H100"}),
        changed(model="/models/other"),
        changed(model=None),
        changed(arguments={**FACTS.arguments, "max-model-len": 4096}),
        changed(arguments={**FACTS.arguments, "enforce-eager": "true"}),
        changed(arguments={}),
        changed(environment={}),
        changed(environment={**FACTS.environment, "TORCHINDUCTOR_MAX_AUTOTUNE": "1"}),
        changed(environment={**FACTS.environment, "OMP_NUM_THREADS": "2"}),
    ],
)
def test_what_matters_to_the_compiler_changes_it(other):
    assert cache_key(other) != cache_key(FACTS)


@pytest.mark.parametrize(
    "same",
    [
        changed(arguments={**FACTS.arguments, "uvicorn-log-level": "info", "allowed-origins": ["*"]}),
        changed(arguments={"max_model_len": 2048, "enforce_eager": True, "chat_template": "./x.jinja"}),
        changed(environment={**FACTS.environment, "HF_HOME": "/data", "PATH": "/bin", "no_proxy": "*"}),
    ],
)
def test_what_does_not_matter_to_it_does_not(same):
    assert cache_key(same) == cache_key(FACTS)


@pytest.mark.parametrize("secret", ["VLLM_API_KEY", "SGLANG_TOKEN", "VLLM_S3_SECRET", "VLLM_PASSWORD"])
def test_a_new_secret_does_not_cost_a_compilation(secret):
    assert cache_key(changed(environment={**FACTS.environment, secret: "x"})) == cache_key(FACTS)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_any_arguments_have_a_key_and_their_order_does_not_matter(arguments):
    backwards = dict(reversed(list(arguments.items())))
    names = {name.replace("_", "-") for name in arguments}
    if len(names) == len(arguments):
        assert cache_key(changed(arguments=arguments)) == cache_key(changed(arguments=backwards))
