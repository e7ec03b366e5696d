"""Judging a measured row: who was best of each group, and which rules were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measuring import Measured, ratio
from benchmarks.model import Group

if TYPE_CHECKING:
    from benchmarks.measuring import Spread
    from benchmarks.model import Row, Rule

HELD, MISSED, NOT_MEASURED = "held", "missed", "not measured"


@dataclass(frozen=True)
class Verdict:
    """What became of one rule.

    Attributes:
        state: "held", "missed" or "not measured".
        found: our number over that of the reference, or our number itself; None without one.
        reference: the contender that the rule was measured against, if any.
    """

    rule: Rule
    state: str
    found: float | None = None
    reference: str = ""

    def tell(self) -> str:
        """The finding, in the words of the rule."""
        if self.found is None:
            return self.state
        if self.rule.kind == "faster":
            return f"{self.state} ({1 / self.found:.4g}x as fast)"
        return f"{self.state} ({self.found:.4g}{'x' if self.rule.than else ''})"


@dataclass(frozen=True)
class Result:
    """A row with what every contender did, and the verdicts."""

    row: Row
    measured: list[Measured]
    verdicts: list[Verdict]
    tries: int = 1

    @property
    def ours(self) -> Measured:
        """What we did."""
        return next(each for each in self.measured if each.contender.group == Group.OURS)

    def best(self, than: str) -> Measured | None:
        """The fastest of a group, or the contender of that name, if it took part."""
        return best_of(self.measured, than)

    def over(self, than: str) -> Spread | None:
        """Our number over that of the best of a group; None if there are not both."""
        other = self.best(than)
        return ratio(self.ours, other) if other and self.ours.values else None

    @property
    def missed(self) -> bool:
        """Whether a must was missed."""
        return any(each.state == MISSED and each.rule.level == "must" for each in self.verdicts)


def best_of(measured: list[Measured], than: str) -> Measured | None:
    """The one with the least median among those that the name or the group fits."""
    fits = [
        each
        for each in measured
        if each.values and than in {each.contender.name, each.contender.group}
    ]
    return min(fits, key=lambda each: each.spread.median, default=None)


def judge(row: Row, measured: list[Measured], tries: int = 1) -> Result:
    """Compare the measured row with its rules."""
    unjudged = Result(row, measured, [])
    verdicts = [verdict(unjudged, rule) for rule in row.rules if rule.applies]
    return Result(row, measured, verdicts, tries)


def verdict(result: Result, rule: Rule) -> Verdict:
    """What became of one rule. If ours fails it has missed; others are just absent."""
    if result.ours.trouble.startswith("failed"):
        return Verdict(rule, MISSED)
    if not result.ours.values:
        return Verdict(rule, NOT_MEASURED)
    if not rule.than:
        found = result.ours.spread.median
        return Verdict(rule, HELD if rule.keeps(found) else MISSED, found)
    reference = result.best(rule.than)
    over = result.over(rule.than)
    if reference is None or over is None:
        return Verdict(rule, NOT_MEASURED)
    state = HELD if rule.keeps(over.median) else MISSED
    return Verdict(rule, state, over.median, reference.contender.name)
