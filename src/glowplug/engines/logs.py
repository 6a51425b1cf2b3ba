"""The logs that Glowplug can read: the grammars of all engines, one line each."""

from collections.abc import Sequence

from glowplug.coldstart.grammar import Grammar
from glowplug.engines import vllm_log

GRAMMARS: Sequence[Grammar] = (
    vllm_log.V1,
    vllm_log.V0,
    vllm_log.RUNPOD,
)
"""In the order of preference where a log is as much of one kind as of another."""
