"""How patient the scheduler is with what fails."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds.

    The first restart after a failure is immediate (most crashes are single events), the next ones wait `backoff`,
    doubled each time; after `max_failures` in a row a tier is quarantined for `quarantine`, doubled each time up to
    `quarantine_max`, so that a model that cannot start costs less and less while one that was repaired comes back.
    """

    max_failures: int = 3
    backoff: float = 1.0
    quarantine: float = 30.0
    quarantine_max: float = 600.0

    def wait_before_retry(self, failures: int) -> float:
        """Pause after `failures` failures in a row."""
        return 0.0 if failures <= 1 else self.backoff * 2.0 ** (failures - 2)

    def quarantine_after(self, failures: int) -> float:
        """How long a tier stays closed; 0 while `failures` in a row are still tolerated."""
        if failures < self.max_failures:
            return 0.0
        return min(self.quarantine * 2.0 ** min(failures - self.max_failures, 32), self.quarantine_max)
