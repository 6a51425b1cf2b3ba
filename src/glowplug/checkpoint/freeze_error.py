"""The error that freezing and thawing raise."""


class FreezeError(Exception):
    """A process tree could not be brought to a standstill, or not out of it. A clause without a full stop.

    `runs` says that after a failed freeze everything is known to run again.
    """

    def __init__(self, message: str, *, runs: bool = False) -> None:
        super().__init__(message)
        self.runs = runs
