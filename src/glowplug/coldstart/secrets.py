"""Keeps secrets that engines print with their arguments out of reports, which are shown around."""

import re

_WORD = r"(?:api[_-]?key|password|secret|(?<![a-z])token|_token)"
_VALUE = r"(?P<value>\[[^\]]*\]|\([^)]*\)|'[^']*'|\"[^\"]*\"|[^\s,;)}\]]+)"
_SECRETS = (
    re.compile(rf"(?P<name>--[\w-]{{0,60}}{_WORD}[= ]{{1,3}}){_VALUE}", re.IGNORECASE),
    re.compile(rf"(?P<name>{_WORD}['\"]?\s{{0,3}}[:=]\s{{0,3}}){_VALUE}", re.IGNORECASE),
)
_KNOWN = re.compile(r"\b(?:hf_|sk-|rpa_|ghp_|xox[bp]-)[\w-]{8,}")
"""Tokens that say themselves what they are: Hugging Face, OpenAI, RunPod, GitHub, Slack."""
_NOTHING = ("none", "null", "[]", "()", "''", '""', "false", "true")


def without_secrets(text: str) -> str:
    """The text with the values of keys, tokens and passwords replaced by three asterisks."""
    for pattern in _SECRETS:
        text = pattern.sub(_hidden, text)
    return _KNOWN.sub("***", text)


def holds_token(text: str) -> bool:
    """Whether there is a token in the text that says itself what it is."""
    return _KNOWN.search(text) is not None


def _hidden(match: re.Match[str]) -> str:
    return match.group() if match["value"].lower() in _NOTHING else f"{match['name']}***"
