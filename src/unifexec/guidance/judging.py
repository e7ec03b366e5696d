"""From what was measured to a recommendation: pure functions of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unifexec.guidance.trials import (
    COULD_NOT_WIN,
    FEW_COROUTINES,
    FEW_SAMPLES,
    MOST_COROUTINES,
    MOST_THREADS,
    NO_TIME,
    NONE_ENDED,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unifexec.guidance.alone import Alone
    from unifexec.guidance.hints import Hints
    from unifexec.guidance.travel import Travel
    from unifexec.guidance.trials import Trial

AS_GOOD = 0.95  # of the best rate: then the simpler executor is chosen
CLEAR_LEAD = 1.15  # times the rate of the best other kind
STEADY = 1.25  # between the two best slices of one candidate
FAR_AHEAD = 2.0  # times the rate of the best other kind: beyond what noise does to slices
UNTRIED = frozenset({NO_TIME, NONE_ENDED, COULD_NOT_WIN, FEW_SAMPLES})  # and not failed
SIMPLEST_FIRST = ("serial", "async", "thread", "process")  # async is tried for coroutines only
WORTH_IT = 5.0  # times as long as serialising: a call worth sending, if nothing else is known
HANDING_OVER = 20e-6  # seconds that a task costs, about
TINY_SECONDS = 20e-6  # a call shorter than that costs less than sending it


@dataclass(frozen=True)
class Choice:
    """An executor, and how sure we are.

    Attributes:
        kind, workers, chunksize: as for `create_executor` and ``map``; chunksize None leaves
            it to ``map``.
        speedup: calls per second, over those of plain serial calls; None if not measured.
        confidence: ``"high"``, ``"medium"`` or ``"low"``.
        as_good: other executors that did about as well, and are less simple.
        reckoned: the speed-up is not the measured one alone: processor time had a say.
    """

    kind: str
    workers: int
    chunksize: int | None
    speedup: float | None
    confidence: str
    as_good: tuple[str, ...] = ()
    reckoned: bool = False


def choose(
    trials: Sequence[Trial], alone: Alone, travel: Travel, cores: int, holds_gil: bool | None
) -> Choice:
    """The simplest of those that did about as well as the best.

    On a busy machine a rate says as much of the other programs as of the executor: there
    what should be, by the processor time of a call, has half of the say. What should be best
    and could not be tried for want of time is chosen all the same, with low confidence.
    """
    able = [trial for trial in trials if trial.rates and not trial.problem]
    reckoned = False
    if alone.disturbed and holds_gil is not None:
        able = [_reckoned(trial, alone, travel, cores, holds_gil) for trial in able]
        reckoned = True
    measured = {trial.candidate.kind for trial in able}
    late = {t.candidate.kind for t in trials if t.problem in {NO_TIME, NONE_ENDED}}
    guess = guess_from_alone(alone, travel, cores)
    failed = {t.candidate.kind for t in trials if t.problem and t.problem not in UNTRIED}
    untried = {trial.problem for trial in trials if not trial.rates}
    unsure = measured <= {"serial"} and untried != {COULD_NOT_WIN}
    if guess.kind not in failed and (unsure or guess.kind in late - measured):
        return guess
    if not able:
        return _serial()
    able = [trial for trial in able if _chunks_pay(trial, able)]
    best = _best(able, alone)
    good = [trial for trial in able if trial.rate >= AS_GOOD * best.rate]
    chosen = min(good, key=_simplicity)
    serial = next((trial for trial in able if trial.candidate.kind == "serial"), None)
    alike = {trial.candidate.kind for trial in good if chosen.rate >= AS_GOOD * trial.rate}
    others = alike - {chosen.candidate.kind}
    return Choice(
        chosen.candidate.kind,
        chosen.candidate.workers,
        chosen.candidate.chunksize,
        chosen.rate / serial.rate if serial else None,
        _confidence(chosen, trials, able, alone.disturbed),
        tuple(kind for kind in SIMPLEST_FIRST if kind in others),
        reckoned,
    )


def _best(able: Sequence[Trial], alone: Alone) -> Trial:
    """The fastest; but waits that overlap on a loop leave it only for what is far ahead.

    On a busy machine one short slice may show half, or twice, of what another one shows.
    """
    fastest = max(able, key=_rate)
    serial = max((trial.rate for trial in able if trial.candidate.kind == "serial"), default=0.0)
    loops = [trial for trial in able if trial.candidate.kind == "async" and alone.wants_a_loop]
    own = max(
        (each for each in loops if each.rate > CLEAR_LEAD * serial), key=_rate, default=fastest
    )
    return fastest if fastest.rate > FAR_AHEAD * own.rate else own


def _rate(trial: Trial) -> float:
    return trial.rate


def _chunks_pay(trial: Trial, able: Sequence[Trial]) -> bool:
    """A chunk size of our own is advised only where it clearly beats the default."""
    default = replace(trial.candidate, chunksize=None)
    rates = [each.rate for each in able if each.candidate == default]
    return trial.candidate.chunksize is None or trial.rate > CLEAR_LEAD * max(rates, default=0.0)


def _reckoned(trial: Trial, alone: Alone, travel: Travel, cores: int, holds_gil: bool) -> Trial:
    """The trial with the mean of its rates and what its cores could do if they were ours."""
    kind, workers = trial.candidate.kind, trial.candidate.workers
    call = alone.computing + alone.waiting
    at_once = {"serial": 1, "async": 1, "thread": 1 if holds_gil else min(workers, cores)}
    if kind in at_once:
        expected = at_once[kind] / (call + (0.0 if kind == "serial" else HANDING_OVER))
    else:
        expected = min(workers, cores) / (call + travel.seconds + HANDING_OVER)
    rates = [math.sqrt(rate * expected) for rate in trial.rates]
    return replace(trial, rates=rates)


def _simplicity(trial: Trial) -> tuple[int, int, bool]:
    candidate = trial.candidate
    return (
        SIMPLEST_FIRST.index(candidate.kind),
        candidate.workers,
        candidate.chunksize is not None,
    )


def _confidence(chosen: Trial, trials: Sequence[Trial], able: Sequence[Trial], busy: bool) -> str:
    """High: all tried, the chosen one steady, and clearly ahead of every other kind."""
    rival = max(
        (each.rate for each in able if each.candidate.kind != chosen.candidate.kind), default=0.0
    )
    all_tried = all(trial.rates or trial.problem == COULD_NOT_WIN for trial in trials)
    steady = len(chosen.rates) > 1 and chosen.rate <= STEADY * sorted(chosen.rates)[-2]
    steady = steady or chosen.rate > FAR_AHEAD * rival
    ahead = chosen.rate >= CLEAR_LEAD * rival
    doubts = [not all_tried, not steady, not ahead, busy].count(True)
    return ("high", "medium", "medium")[doubts] if doubts < 3 else "low"


def guess_from_alone(alone: Alone, travel: Travel, cores: int) -> Choice:
    """What should be best, where there was no time to try."""
    share = alone.waiting_share
    if alone.coroutine and share > 0.5:
        return Choice("async", MOST_COROUTINES, None, None, "low")
    if alone.seconds < TINY_SECONDS:
        return Choice("serial", 1, None, 1.0, "medium")
    if share > 0.5:
        return Choice("thread", MOST_THREADS, None, None, "low")
    if cores > 1 and alone.mostly_elsewhere:
        return Choice("thread", cores, None, None, "low")
    if cores > 1 and travel.problem is None and alone.seconds > WORTH_IT * travel.seconds:
        return Choice("process", cores, None, None, "low")
    return _serial()


def guess_unseen(hints: Hints, travel: Travel, cores: int) -> Choice:
    """What should be best for a function that was never called."""
    if hints.coroutine:
        return Choice("async", FEW_COROUTINES, None, None, "low")
    if hints.tiny:
        return _serial()
    if hints.waits:
        return Choice("thread", MOST_THREADS, None, None, "low")
    if cores > 1 and (hints.native or travel.problem):
        return Choice("thread", cores, None, None, "low")
    return Choice("process", cores, None, None, "low") if cores > 1 else _serial()


def with_workers(choice: Choice, workers: int | None) -> Choice:
    """A guess with as many workers as were asked for, if any; serial has one.

    What was measured stays as it was tried: with fewer, where there are too few samples.
    """
    if workers is None or choice.kind == "serial" or choice.speedup is not None:
        return choice
    return replace(choice, workers=workers)


def _serial() -> Choice:
    return Choice("serial", 1, None, None, "low")


def calls_to_pay_for_start(chosen: Trial, serial: Trial) -> int | None:
    """How many calls make up for starting the workers; None if none ever do."""
    saved = 1 / serial.rate - 1 / chosen.rate
    return math.ceil(chosen.start / saved) if saved > 0 else None
