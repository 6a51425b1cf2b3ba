"""What `glowplug profile` found in one log or one live start: the report, and the advice that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glowplug.coldstart.advice import Advice, advice_to_json
from glowplug.coldstart.values import ColdStart, LogReport, report_to_json


@dataclass(frozen=True, slots=True)
class Profile:
    """A report with the advice about the start it is about."""

    report: LogReport
    advice: Sequence[Advice] = ()

    @property
    def start(self) -> ColdStart | None:
        """The start that the report is about; None if there is none in the log."""
        return self.report.starts[-1] if self.report.starts else None

    @property
    def others(self) -> Sequence[ColdStart]:
        """The other starts, in their order."""
        return self.report.starts[:-1]


def to_json(profile: Profile) -> dict[str, Any]:
    """`{"file", "engine", "starts", "notes", "advice"}`."""
    return {**report_to_json(profile.report), "advice": [advice_to_json(advice) for advice in profile.advice]}
