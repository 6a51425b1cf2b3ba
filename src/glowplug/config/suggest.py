"""The nearest valid word to one that is not valid."""

import difflib
from collections.abc import Iterable

_LISTED = 20  # more words than this are no help in one sentence


def remedy(word: str, valid: Iterable[str]) -> str:
    """What to write instead of `word`, as the second half of a sentence: the nearest valid word, else all of them."""
    by_lower = {known.lower(): known for known in sorted(valid)}
    if nearest := difflib.get_close_matches(word.lower()[:100], by_lower, n=1, cutoff=0.6):
        return f'; did you mean "{by_lower[nearest[0]]}"?'
    if 0 < len(by_lower) <= _LISTED:
        return f"; use one of {', '.join(by_lower.values())}"
    return ""
