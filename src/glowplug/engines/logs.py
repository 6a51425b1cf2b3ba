"""The logs that Glowplug can read: the grammars of all engines, one line each."""

from collections.abc import Sequence

from glowplug.coldstart.grammar import Grammar
from glowplug.engines import (
    llama_cpp_log,
    lmdeploy_log,
    sglang_log,
    tgi_log,
    transformers_log,
    vllm_log,
)

GRAMMARS: Sequence[Grammar] = (
    vllm_log.V1,
    vllm_log.V0,
    vllm_log.RUNPOD,
    sglang_log.GRAMMAR,
    lmdeploy_log.TURBOMIND,
    lmdeploy_log.PYTORCH,
    tgi_log.GRAMMAR,
    llama_cpp_log.GRAMMAR,
    transformers_log.GRAMMAR,
)
"""In the order of preference where a log is as much of one kind as of another."""
