"""What was measured of starts and restores on this node, for the choice between them."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from glowplug.node.store import Cost
from glowplug.scheduler.values import Tier
from glowplug.tiers.worth import CONFIDENT, WINDOW, Evidence, ImageAt, ImageSize, Start, Verdict, worth_making


def _latest_starts() -> deque[Start]:
    return deque(maxlen=WINDOW)


def _latest_restores() -> dict[ImageAt, deque[float]]:
    return defaultdict(lambda: deque(maxlen=WINDOW))


@dataclass(slots=True)
class _Seen:
    starts: deque[Start] = field(default_factory=_latest_starts)
    restores: dict[ImageAt, deque[float]] = field(default_factory=_latest_restores)
    starts_since_restore: int = 0
    verdict: bool | None = None

    def measured(self, states: Sequence[ImageAt]) -> int:
        """How often a restore from the state that was measured most often was measured."""
        return max(len(self.restores[at]) for at in states)


class Evidences:
    """Measurements by model. `costs` are those of earlier servers; where the image was is not known of them."""

    def __init__(self, costs: Sequence[Cost] = ()) -> None:
        self._seen: defaultdict[str, _Seen] = defaultdict(_Seen)
        for cost in costs:
            if not cost.tier.has_process and cost.tier is not Tier.SNAPSHOT:
                self._seen[cost.model].starts.append(Start(cost.seconds, weights_cached=True))

    def started(self, model: str, seconds: float, weights_cached: float | None) -> None:
        """An engine was started; `weights_cached` is the part of the weights that was in the page cache."""
        seen = self._seen[model]
        seen.starts.append(Start(seconds, weights_cached is None or weights_cached > 0.5))
        seen.starts_since_restore += 1

    def restored(self, model: str, at: ImageAt, seconds: float) -> None:
        """An image was restored from there."""
        seen = self._seen[model]
        seen.restores[at].append(seconds)
        seen.starts_since_restore = 0

    def worth(self, model: str, raw: int, stored: int, budget: int) -> Verdict:
        """Whether to have an image of `raw` bytes, `stored` on disk, with `budget` bytes of memory for images."""
        seen = self._seen[model]
        evidence = Evidence(
            starts=tuple(seen.starts),
            restores={at: tuple(seconds) for at, seconds in seen.restores.items()},
            image=ImageSize(raw, stored),
            starts_since_restore=seen.starts_since_restore,
        )
        states = [ImageAt.RESIDENT, ImageAt.DISK] if raw <= budget else [ImageAt.DISK]
        if raw <= budget and seen.restores[ImageAt.RESIDENT] and not seen.restores[ImageAt.DISK]:
            states.remove(ImageAt.DISK)  # it is never faster from there
        verdict = worth_making(evidence, states, weights_cached=True, before=seen.verdict)
        if not verdict.worth and 0 < seen.measured(states) < CONFIDENT:
            verdict = replace(verdict, worth=True, reason=f"measured too few times yet: {verdict.reason}")
        seen.verdict = verdict.worth
        return verdict
