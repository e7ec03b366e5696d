"""What a benchmark is made of: rows, contenders, and the rules that a row must keep."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

Run: TypeAlias = Callable[[int], float]
"""Do so many tasks; the seconds all of them took, or whatever the unit of the row says."""

Open: TypeAlias = Callable[[], AbstractContextManager[Run]]
"""Set a contender up, warmed; leaving the context takes it down. Neither is in the time."""

Effort: TypeAlias = Literal["full", "quick", "tiny"]


class UnavailableError(Exception):
    """A contender cannot take part here; the message says why. No failure."""


class Group(StrEnum):
    """Who a contender is; ratios are told to the best of each group."""

    OURS = "ours"
    FLOOR = "floor"
    STANDARD = "standard library"
    TUNED_STANDARD = "tuned standard library"
    TUNED_OURS = "tuned ours"
    PEER = "peer"


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a row.

    Attributes:
        name: as it is printed.
        group: who it is.
        open: sets it up.
        share: part of the row's tasks that it does, less than 1 where it is so slow that all
            of them would take minutes. What it does is told per task, and the count is shown.
    """

    name: str
    group: Group
    open: Open
    share: float = 1.0


@dataclass(frozen=True)
class Unit:
    """What the numbers of a row are; less is always better.

    Attributes:
        name: as it is printed.
        per_task: the number is divided by the number of tasks.
        seconds: it is a time, printed in µs, ms or s as fits.
    """

    name: str
    per_task: bool = False
    seconds: bool = False

    def show(self, value: float) -> str:
        """A number of this unit, to three digits."""
        if not self.seconds:
            return f"{three_digits(value)} {self.name}"
        factor, name = next(
            (factor, name)
            for limit, factor, name in [(1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (float("inf"), 1, "s")]
            if value < limit
        )
        return f"{three_digits(value * factor)} {name}"


def three_digits(value: float) -> str:
    """A number to three digits, or more if they stand before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


PER_TASK = Unit("per task", per_task=True, seconds=True)
PER_RUN = Unit("per run", seconds=True)
TIMES_IDEAL = Unit("x ideal")
TIMES_SMALL = Unit("x the cost of few")
MIB = Unit("MiB")
ITEMS = Unit("items")


@dataclass(frozen=True)
class Rule:
    """One thing that must hold, or that we aim at.

    Attributes:
        level: "must" or "aim".
        kind: "faster": at least `bound` times as fast as the reference; "within": at most
            `bound` times what the reference takes; "at most": the number itself.
        bound: the number.
        than: the reference: a group (its best contender counts) or a contender's name.
        since: the rule is one for this CPython and later.
    """

    level: Literal["must", "aim"]
    kind: Literal["faster", "within", "at most"]
    bound: float
    than: str = ""
    since: tuple[int, int] = (3, 11)

    @property
    def applies(self) -> bool:
        """Whether it is a rule for this interpreter."""
        return sys.version_info >= self.since

    def keeps(self, ours: float) -> bool:
        """Whether our number, over that of the reference if there is one, keeps the rule."""
        return ours <= (1 / self.bound if self.kind == "faster" else self.bound)

    def tell(self, unit: Unit) -> str:
        """The rule in words."""
        if self.kind == "faster":
            return f">= {self.bound:g}x as fast as {self.than}"
        if self.kind == "within":
            return f"<= {self.bound:g}x {self.than}"
        return f"<= {unit.show(self.bound)}"


def must_be_faster(times: float, than: str, since: tuple[int, int] = (3, 11)) -> Rule:
    """We must be at least so many times as fast."""
    return Rule("must", "faster", times, than, since)


def must_stay_within(times: float, of: str) -> Rule:
    """We must take at most so many times as long."""
    return Rule("must", "within", times, of)


def must_be_at_most(value: float) -> Rule:
    """Our number itself must be at most this, in the unit of the row."""
    return Rule("must", "at most", value)


def aim_faster(times: float, than: str) -> Rule:
    """We aim to be at least so many times as fast."""
    return Rule("aim", "faster", times, than)


def aim_within(times: float, of: str) -> Rule:
    """We aim to take at most so many times as long."""
    return Rule("aim", "within", times, of)


def aim_at_most(value: float) -> Rule:
    """We aim at no more than this, in the unit of the row."""
    return Rule("aim", "at most", value)


@dataclass(frozen=True)
class Sizes:
    """How many tasks a row has; `tiny` only shows that it works."""

    full: int
    quick: int
    tiny: int = 20

    def of(self, effort: Effort) -> int:
        """The number of tasks for this effort."""
        return {"full": self.full, "quick": self.quick, "tiny": self.tiny}[effort]


@dataclass(frozen=True)
class Row:
    """One line of the table: the same work, done by every contender."""

    family: str
    name: str
    title: str
    unit: Unit
    sizes: Sizes
    rules: tuple[Rule, ...]
    contenders: Callable[[], Iterable[Contender]]


def row(
    name: str, *rules: Rule, sizes: Sizes, unit: Unit = PER_TASK
) -> Callable[[Callable[[], Iterable[Contender]]], Row]:
    """Make a `Row` of the function that gives its contenders.

    The first line of its docstring is the title, the last part of its module the family.
    """

    def make(contenders: Callable[[], Iterable[Contender]]) -> Row:
        title = (contenders.__doc__ or "").strip().splitlines()[0].rstrip(".")
        family = contenders.__module__.rpartition(".")[2]
        return Row(family, name, title, unit, sizes, rules, contenders)

    return make
