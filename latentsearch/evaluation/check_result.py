"""The result of a check: PASS, WARN, FAIL or n/a, the number behind it, and its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["PASS", "WARN", "FAIL", "n/a"]


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Args:
        name: Short name, for tables and metrics.json.
        question: Question that the check answers.
        value: The number that was measured.
        pass_at: Threshold of PASS.
        warn_at: Threshold of WARN; FAIL lies beyond.
        higher_is_better: Whether values above a threshold meet it, else those below.
        why: Why the number matters.
        here: What was found here, besides the number; else empty.
        good: Description of a good value.
        poor: Description of a poor value.
        broken: Description of a broken value, and what to do.
        remedy: Remedy for WARN and FAIL.
        not_applicable: Reason why the number says nothing here, such as a failed prerequisite; else empty.
    """

    name: str
    question: str
    value: float
    pass_at: float
    warn_at: float
    higher_is_better: bool
    why: str
    good: str
    poor: str
    broken: str
    not_applicable: str = ""
    remedy: str = ""
    here: str = ""

    @property
    def status(self) -> Status:
        """PASS, WARN or FAIL, FAIL for a value that is not a number; n/a where there is nothing to say."""
        if self.not_applicable:
            return "n/a"
        sign = 1 if self.higher_is_better else -1
        if sign * self.value >= sign * self.pass_at:
            return "PASS"
        return "WARN" if sign * self.value >= sign * self.warn_at else "FAIL"

    @property
    def explanation(self) -> str:
        """Why the number matters, and what was found here, if that says anything."""
        return f"{self.why} Here: {self.here}." if self.here and not self.not_applicable else self.why

    @property
    def expected(self) -> str:
        """The thresholds in words."""
        sign = ">=" if self.higher_is_better else "<="
        return f"PASS {sign} {self.pass_at:g}, WARN {sign} {self.warn_at:g}"

    @property
    def shown_value(self) -> str:
        """The number for a table; "" where it says nothing."""
        return "" if self.not_applicable else f"{self.value:.4g}"

    @property
    def meaning(self) -> str:
        """The description that fits the status."""
        return {"PASS": self.good, "WARN": self.poor, "FAIL": self.broken, "n/a": self.not_applicable}[self.status]
