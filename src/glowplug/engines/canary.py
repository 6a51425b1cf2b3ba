"""Whether two answers to the canary are the same answer. Pure."""

import math

from glowplug.engines.base import CanaryAnswer

LOGPROB_TOLERANCE = 0.1
"""Largest difference, in natural-logarithm units, between two log-probabilities of the same token.

Both answers come from the same process on the same machine with nothing else running, so llama.cpp on a CPU gives the
same bits each time (measured: 0.0 over hundreds of repeats, also after other traffic). What may differ without harm is
the order of floating-point sums: another batch shape or, on a GPU, another kernel chosen by autotuning. With Q4_1
weights and three other requests in the same batch, 0.09 was measured; that is the worst harmless case we know.
Damaged weights or KV pages move log-probabilities by whole units, and mostly change the tokens too.
"""

VECTOR_TOLERANCE = 0.01
"""Largest relative Euclidean distance between two embeddings, or two lists of scores: rounding in 16-bit arithmetic
(2^-8 per bfloat16 product, averaged over many) stays below it; another model, or damage, is far above it.
"""


def compare(recorded: CanaryAnswer, seen: CanaryAnswer) -> str | None:
    """None if `seen` is the same answer as `recorded`, else a sentence that names the first difference."""
    if len(recorded.tokens) != len(seen.tokens):
        return f"the canary gave {len(seen.tokens)} tokens instead of {len(recorded.tokens)}"
    for position, (before, after) in enumerate(zip(recorded.tokens, seen.tokens, strict=True), start=1):
        if before != after:
            return f"token {position} of the canary is {after!r} instead of {before!r}"
    return _compare_logprobs(recorded.logprobs, seen.logprobs) or _compare_vectors(recorded.vector, seen.vector)


def _compare_logprobs(recorded: tuple[float, ...], seen: tuple[float, ...]) -> str | None:
    if len(recorded) != len(seen):
        return f"the canary gave {len(seen)} log-probabilities instead of {len(recorded)}"
    for position, (before, after) in enumerate(zip(recorded, seen, strict=True), start=1):
        # Written so that a NaN, the mark of damaged memory, is never "close enough"; two equal infinities are.
        if before != after and not abs(before - after) <= LOGPROB_TOLERANCE:
            return f"the log-probability of token {position} of the canary is {after:.4f} instead of {before:.4f}"
    return None


def _compare_vectors(recorded: tuple[float, ...], seen: tuple[float, ...]) -> str | None:
    if len(recorded) != len(seen):
        return f"the canary gave {len(seen)} numbers instead of {len(recorded)}"
    length = math.hypot(*recorded)
    distance = math.dist(recorded, seen)
    if not distance <= VECTOR_TOLERANCE * length:
        return f"the numbers of the canary moved by {distance:.4g}, more than 1 % of their length {length:.4g}"
    return None
