"""`advise`: which executor a function wants, from calling it for some seconds."""

from __future__ import annotations

import functools
import inspect
import json
import math
import random
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from unifexec.guidance import alone as alone_module
from unifexec.guidance import hints, judging, machine, pair, telling, travel, trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from unifexec.guidance.alone import Alone, Record
    from unifexec.guidance.judging import Choice
    from unifexec.guidance.travel import Travel
    from unifexec.guidance.trials import Trial

MOST_SAMPLES = 1000  # of more, the first
ALONE_SHARE = 0.15  # of the budget, for calls with nothing beside them
TRAVEL_SHARE = 0.04  # of the budget, for serialising
PAIR_SHARE = 0.04  # of the budget, for two at once
END_SHARE = 0.06  # of the budget, kept for ending the executors
LOOKED_AT = 5  # samples that are serialised to see what they weigh


@dataclass(frozen=True)
class Advice:
    """What to choose for a function, and why. ``print`` it to read it.

    Attributes:
        function: its name.
        executor: ``"serial"``, ``"thread"``, ``"process"`` or ``"async"``.
        workers: how many.
        chunksize: for ``map``; None, the usual case, leaves it to ``map``.
        speedup: calls per second to expect, over those of plain serial calls: as measured here
            with workers that ran already, or, where other programs disturbed that, the mean of
            it and of what processor time promises; None if nothing was measured.
        confidence: ``"high"``, ``"medium"`` or ``"low"``.
        reasons: sentences.
        alone: the calls with nothing beside them; None with ``dry=True``.
        travel: what going to another process costs, or why it cannot be.
        trials: what each candidate did, in the order in which they were tried.
        seconds: how long all of this took.
    """

    function: str
    executor: str
    workers: int
    chunksize: int | None
    speedup: float | None
    confidence: str
    reasons: tuple[str, ...]
    alone: Alone | None
    travel: Travel
    trials: tuple[Trial, ...]
    seconds: float

    def __str__(self) -> str:
        return telling.as_text(self)

    def to_json(self) -> str:
        """The same for programs, as one JSON object; its keys are those of the attributes."""
        return json.dumps(telling.as_data(self), indent=2)


def advise(
    fn: Callable[[Any], Any],
    samples: Iterable[Any],
    *,
    budget: float = 5.0,
    workers: int | None = None,
    dry: bool = False,
) -> Advice:
    """Say which executor ``fn`` wants, from calling it on samples for some seconds.

    ``fn`` is called again and again, here, in threads and in other processes: whatever it
    changes outside of itself (files, databases, servers) is changed as often, and by several
    calls at once. Samples are used by several calls at once, too, except those that cannot be
    copied, such as sockets: of these, give as many as there may be workers.

    It blocks, for the budget at most, and one call and its serialising more; calls that do not
    end within about a second then are given up. The advice is for a long ``map`` on this machine
    as it is now.

    Arguments:
        fn: a plain function or an ``async def`` of one argument.
        samples: inputs, each a call, like those of the real work; the first 1000 are used,
            in mixed order, each as often as there is time for.
        budget: seconds (float) to take; default 5.0.
        workers: try executors with so many workers only; default None tries several counts.
            At most 1000 are tried, for coroutines 100 threads, and not more than there are
            samples, if these cannot be copied.
        dry: judge without calling ``fn`` at all, from its code and from what its samples
            weigh. Default False.

    Raises:
        TypeError: ``fn`` is not callable, or a generator function, or ``samples`` is no
            iterable of inputs.
        ValueError: no samples, a budget that is no number of seconds above 0, or fewer
            than one worker.
        RuntimeError: ``fn`` fails on every sample; the cause is what it raised.
    """
    _check(fn, budget, workers)
    inputs = _inputs(samples)
    begin = time.monotonic()
    name = name_of(fn)
    cores = machine.usable_cores()
    if dry:
        weighed = travel.measure_travel(fn, name, inputs[:LOOKED_AT], [], budget)
        seen = hints.look_at(fn)
        choice = judging.with_workers(judging.guess_unseen(seen, weighed, cores), workers)
        reasons = telling.reasons_unseen(seen, weighed, choice)
        return _advice(name, choice, reasons, None, weighed, [], begin)
    deadline = begin + budget * (1 - END_SHARE)
    alone, record = alone_module.measure_alone(fn, inputs, ALONE_SHARE * budget)
    weighed = travel.measure_travel(
        fn, name, record.tried[:LOOKED_AT], record.results, TRAVEL_SHARE * budget
    )
    record.results.clear()
    good = _usable(inputs, record) if weighed.input_stays else record.tried[: len(inputs)]
    field = trials.candidates(alone, weighed, cores, workers, len(good))
    holds_gil = pair.holds_the_gil(
        fn, good, alone, PAIR_SHARE * budget, shared=not weighed.input_stays
    )
    tried = trials.Contest(fn, good, alone, weighed, deadline).hold(field)
    assumed = machine.has_gil() if alone.coroutine and alone.waiting_share < 0.5 else holds_gil
    choice = judging.choose(tried, alone, weighed, cores, assumed)
    choice = judging.with_workers(choice, workers)
    reasons = telling.reasons(choice, alone, weighed, tried, record.failed, holds_gil)
    return _advice(name, choice, reasons, alone, weighed, tried, begin)


def _usable(inputs: list[Any], record: Record) -> list[Any]:
    """The different objects among the samples, without those on which ``fn`` failed."""
    failed = {id(sample) for sample, _ in record.failed}
    return list({id(each): each for each in inputs if id(each) not in failed}.values())


def _advice(
    name: str,
    choice: Choice,
    reasons: list[str],
    alone: Alone | None,
    weighed: Travel,
    tried: list[Trial],
    begin: float,
) -> Advice:
    return Advice(
        function=name,
        executor=choice.kind,
        workers=choice.workers,
        chunksize=choice.chunksize,
        speedup=choice.speedup,
        confidence=choice.confidence,
        reasons=tuple(reasons),
        alone=alone,
        travel=weighed,
        trials=tuple(tried),
        seconds=time.monotonic() - begin,
    )


def name_of(fn: object) -> str:
    """What to call a function: its name, or what a partial or an object is made of."""
    if isinstance(fn, functools.partial):
        return f"partial({name_of(fn.func)})"
    name = getattr(fn, "__qualname__", None)
    if name is None:
        return f"{type(fn).__qualname__} object"
    if name == "<lambda>":  # it may have been given one
        names = getattr(fn, "__globals__", {}).items()
        return next((str(given) for given, value in names if value is fn), name)
    return str(name)


def _check(fn: object, budget: float, workers: int | None) -> None:
    if inspect.iscoroutine(fn):
        fn.close()
        raise TypeError(f"fn is a coroutine object: give the function {fn.__name__!r}, not called")
    if not callable(fn):
        raise TypeError(f"fn must be callable with one argument, got {fn!r}")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"fn is a generator function: a call of {name_of(fn)!r} only makes a generator, and "
            "does no work. Give a function that runs through it, such as to a list"
        )
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise TypeError(f"budget must be a number of seconds, got {budget!r}")
    if not _are_seconds(budget):
        told = alone_module.shown(budget)
        raise ValueError(f"budget must be a number of seconds above 0, got {told}")
    if workers is not None:
        if isinstance(workers, bool) or not isinstance(workers, int):
            raise TypeError(f"workers must be a whole number or None, got {workers!r}")
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")


def _are_seconds(budget: float) -> bool:
    try:
        return budget > 0 and math.isfinite(budget)
    except OverflowError:  # a whole number beyond all floats
        return False


def _inputs(samples: Iterable[Any]) -> list[Any]:
    """The samples, mixed: one that are sorted by size would show only the small ones first."""
    if isinstance(samples, str | bytes):
        raise TypeError(
            f"samples must be an iterable of inputs, got the text {samples[:40]!r}: "
            "put it into a list to make it one input"
        )
    try:
        iterator = iter(samples)
    except TypeError as error:
        raise TypeError(
            f"samples must be an iterable of inputs, one for each call, got {samples!r}: "
            "put a single input into a list"
        ) from error
    inputs = list(islice(iterator, MOST_SAMPLES))
    if not inputs:
        raise ValueError(
            f"samples is empty, got {samples!r}: give at least one input of the kind fn will get"
        )
    random.Random(0).shuffle(inputs)
    return inputs
