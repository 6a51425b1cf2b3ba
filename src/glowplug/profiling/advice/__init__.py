"""What would make a cold start shorter: rules that speak only where the log proves them."""

from collections.abc import Callable, Sequence

from glowplug.coldstart.advice import Advice
from glowplug.coldstart.values import ColdStart
from glowplug.profiling.advice import compiling, silence, warming, weights

_RULES: Sequence[Callable[[ColdStart], Advice | None]] = (
    compiling.cache_disabled,
    compiling.artefact_fails_to_load,
    compiling.cache_empty,
    compiling.eager,
    weights.downloaded,
    weights.converted,
    weights.slow_disk,
    warming.graph_sizes,
    warming.prefill_graphs,
    warming.graph_memory,
    warming.autotune,
    warming.gemm_tuning,
    warming.multi_modal,
    warming.fitting,
    silence.unexplained,
)


def advise(start: ColdStart) -> tuple[Advice, ...]:
    """The advice for this start, the greatest gain first. Several pieces of advice may be about the same seconds."""
    found = [advice for rule in _RULES if (advice := rule(start)) is not None]
    return tuple(sorted(found, key=lambda advice: -(advice.gain_seconds or 0.0)))
