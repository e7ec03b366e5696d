"""Trips: batches on their way through a thread, and the loops in which tiny tasks spend time."""

from __future__ import annotations

from contextvars import Context
from functools import partial
from itertools import islice
from time import monotonic, perf_counter

from unifexec._core.outcome import Failure
from unifexec._running import (
    FIRST_COUNT,
    FLUSH_SECONDS,
    CurrentRun,
    Interrupted,
    claims,
    current,
    is_awaitable,
    presentable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from unifexec._backends.lanes import Lane
    from unifexec._backends.room import Place
    from unifexec._core.runs import Run

MOST_COUNT = 4096  # items of a plain batch before the clock is looked at, once known to be short


class Trip:
    """One run in a thread: what is still to do, and what is done and not handed over.

    The lane takes items one by one from `todo`, and who withdraws takes all that are left;
    each item goes to one of them. What is done is only ever appended by the lane, and read
    by who serves.
    """

    __slots__ = ("done", "failed", "lane", "seconds", "since", "taken", "task", "todo")

    def __init__(self, run: Run, lane: Lane, place: Place) -> None:
        batch = run.batch
        self.lane = lane
        self.todo: Iterator[Any] = claims(batch.items)
        self.done: list[Any] = []  # outcomes, or values; of single tasks that, or a failure
        self.seconds: list[float | None] = []  # of each of these; of a failure None
        self.failed: dict[int, Failure] = {}  # plain: failures, by offset; None in `done`
        self.taken = 0  # so many of `done` were handed over
        self.since = monotonic()  # when it began, or handed over last
        self.task = CurrentRun(batch, run.worker.index, place, self.done)

    def take(self) -> tuple[int, list[Any]]:
        """What was done since the last call, and the offset of its first; on who serves."""
        first, end = self.taken, len(self.done)
        taken = self.done[first:end]
        self.done[first:end] = [None] * (end - first)  # a yielded result is not kept alive
        self.taken = end
        return first, taken


class Contexts:
    """A context for each call, as if it had its own copy of the caller's (L19).

    Where that has no variable, calls share one for as long as they leave none behind: its
    length tells, without a look at values. `current` is the only variable there.
    """

    __slots__ = ("fresh", "shared")

    def __init__(self, trip: Trip, callers: Context) -> None:
        context = callers.copy()
        context.run(current.set, trip.task)
        self.fresh = context.copy
        self.shared = len(context) == 1

    def run(self, calls: Callable[[Context], bool | None]) -> bool:
        """Run ``calls`` with a fresh context, in it; again as long as it leaves one unclean."""
        while (more := (own := self.fresh()).run(calls, own)) is None:
            pass
        return more


class TaskCalls:
    """The calls of single tasks that came together, each with a function of its own."""

    def __init__(self, run: Run) -> None:
        self._trip: Trip = run.carried
        self._todo = zip(self._trip.todo, run.batch.parts(), strict=False)
        self._until = 0.0  # then is what is done to be handed over
        self._contexts = Contexts(self._trip, Context())
        self._known: type = type(None)  # a type whose values are not to be awaited

    def some(self) -> bool:
        """Run some tasks, as many as take a moment; False when none are left."""
        self._until = perf_counter() + FLUSH_SECONDS
        return self._contexts.run(self._some)

    def _some(self, own: Context) -> bool | None:
        trip, task = self._trip, self._trip.task
        done, times, known, be = trip.done.append, trip.seconds.append, self._known, current.set
        before, until = perf_counter(), self._until
        for item, member in self._todo:
            fn, context, member.context = member.work, member.context, None
            try:
                if member.aborted:
                    raise Interrupted
                if context:  # it has variables
                    context.run(be, task)
                    if type(item) is tuple:
                        value = context.run(fn, *item)
                    else:
                        value = context.run(fn, *item.args, **item.kwargs)
                elif type(item) is tuple:
                    value = fn(*item)
                else:
                    value = fn(*item.args, **item.kwargs)
                if type(value) is not known:
                    if is_awaitable(value):
                        value = trip.lane.await_value(task.now(), value, context or own.copy())
                    else:
                        self._known = known = type(value)
            except BaseException as error:
                now = perf_counter()
                times(None)
                done(Failure(presentable(error), seconds=now - before))
            else:
                now = perf_counter()
                times(now - before)  # first: `Trip.done` says how far we are
                done(value)
                value = None  # nor is it kept while the next one runs
            if now > until:
                return True
            if len(own) != 1:
                return None
            before = now
        return False


class Calls:
    """The calls of a plain trip: what is the same for all of them is made once."""

    def __init__(self, run: Run) -> None:
        self._trip: Trip = run.carried
        self._trip.since = monotonic()
        self._fn = run.batch.work
        self._contexts = Contexts(self._trip, run.batch.context)
        self._count = FIRST_COUNT
        self._known: type = type(None)  # a type whose values are not to be awaited
        self._is_unary = run.batch.unary

    def some(self) -> bool:
        """Run some items, as many as take a moment; False when none are left."""
        done, start = self._trip.done, monotonic()
        before = len(done)
        together = self._unary if self._is_unary else self._nary
        loop = together if self._contexts.shared else self._apart
        try:
            self._contexts.run(partial(loop, islice(self._trip.todo, self._count)))
        except BaseException as error:
            self._fail(error)
            return True
        count = len(done) - before
        going = count == self._count
        each = (monotonic() - start) / max(1, count)
        fit = int(FLUSH_SECONDS / max(each, 1e-7))
        self._count = max(FIRST_COUNT, min(fit, 8 * self._count, MOST_COUNT))
        return going

    def _unary(self, items: Iterator[Any], own: Context) -> bool | None:
        """Run items in one context, until one of them leaves something behind there."""
        done, fn, known = self._trip.done, self._fn, self._known
        for item in items:
            value = fn(item)
            if type(value) is not known:
                value, known = self._value(value, known, own)
            done.append(value)
            value = None  # nor is it kept while the next one runs
            if len(own) != 1:
                return None
        self._known = known
        return False

    def _nary(self, items: Iterator[Any], own: Context) -> bool | None:
        """As `_unary`, for several arguments."""
        done, fn, known = self._trip.done, self._fn, self._known
        for args in items:
            value = fn(*args)
            if type(value) is not known:
                value, known = self._value(value, known, own)
            done.append(value)
            value = None  # nor is it kept while the next one runs
            if len(own) != 1:
                return None
        self._known = known
        return False

    def _apart(self, items: Iterator[Any], own: Context) -> bool | None:
        """Run each item in a context of its own."""
        done, fn, known, fresh = self._trip.done, self._fn, self._known, self._contexts.fresh
        for args in zip(items) if self._is_unary else items:
            own = fresh()
            value = own.run(fn, *args)
            if type(value) is not known:
                value, known = self._value(value, known, own)
            done.append(value)
            value = None  # nor is it kept while the next one runs
        self._known = known
        return False

    def _value(self, value: Any, known: type, context: Any) -> tuple[Any, type]:
        """A value, awaited if it can be, and a type whose values need no look."""
        if not is_awaitable(value):
            return value, type(value)
        trip = self._trip
        return trip.lane.await_value(trip.task.now(), value, context.copy()), known

    def _fail(self, error: BaseException) -> None:
        failure = Failure(presentable(error))
        self._trip.failed[len(self._trip.done)] = failure
        self._trip.done.append(None)
