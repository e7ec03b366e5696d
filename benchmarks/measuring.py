"""Measuring one row: every contender once per round, in an order that changes."""

from __future__ import annotations

import gc
import random
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.model import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.model import Contender, Effort, Row, Run

WARM_SHARE = 20  # before the first round each contender does one part in so many
ROUNDS = {"full": 5, "quick": 3, "tiny": 1}
CHECK_ROUNDS = 5


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float


def spread(values: list[float]) -> Spread:
    """The median and quartiles of some numbers, at least one."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high)


@dataclass
class Measured:
    """What one contender did in a row.

    Attributes:
        count: how many tasks it did per round.
        values: one number per round, in the unit of the row.
        trouble: why there are none; "not installed", or "failed: …".
    """

    contender: Contender
    count: int
    values: list[float] = field(default_factory=list)
    trouble: str = ""

    @property
    def spread(self) -> Spread:
        """Median and quartiles over the rounds."""
        return spread(self.values)


def ratio(over: Measured, under: Measured) -> Spread | None:
    """One contender's number over the other's, round by round: what disturbs a round hits both."""
    pairs = zip(over.values, under.values, strict=True)
    return spread([a / b for a, b in pairs]) if all(under.values) else None


def measure(
    row: Row, effort: Effort, rounds: int, progress: Callable[[str], object] = lambda _: None
) -> list[Measured]:
    """Measure a row; contenders in trouble are left out, and say so."""
    with ExitStack() as stack:
        size = row.sizes.of(effort)
        taking_part: list[tuple[Measured, Run]] = []
        everyone: list[Measured] = []
        for contender in row.contenders():
            progress(f"{row.name}: {contender.name} …")
            measured = Measured(contender, max(1, round(size * contender.share)))
            everyone.append(measured)
            run = prepare(measured, stack)
            if run is not None:
                taking_part.append((measured, run))
        for number in range(rounds):
            random.Random(number).shuffle(taking_part)
            for measured, run in taking_part:
                progress(f"{row.name}: round {number + 1} of {rounds}, {measured.contender.name} …")
                measure_once(row, measured, run)
        progress(f"{row.name}: closing …")
    return everyone


def prepare(measured: Measured, stack: ExitStack) -> Run | None:
    """Set a contender up and let it do a little; None if it cannot take part."""
    stack.enter_context(noting_trouble(measured))  # also that of taking it down
    with noting_trouble(measured):
        run = stack.enter_context(measured.contender.open())
        run(max(1, measured.count // WARM_SHARE))
    return None if measured.trouble else run


def measure_once(row: Row, measured: Measured, run: Run) -> None:
    """One contender's part in one round."""
    if measured.trouble:
        return
    gc.collect()
    with noting_trouble(measured):
        value = run(measured.count)
        measured.values.append(value / measured.count if row.unit.per_task else value)


@contextmanager
def noting_trouble(measured: Measured) -> Iterator[None]:
    """Whoever fails, or is not here, is out of the row; the others go on."""
    try:
        yield
    except UnavailableError as reason:
        measured.trouble = str(reason)
    except Exception as error:
        measured.trouble = f"failed: {type(error).__name__}: {error}"
        measured.values.clear()
