"""Why a live profile cannot be made."""


class LiveError(Exception):
    """The profile cannot be made at all. The text is one sentence for the user, with the remedy."""
