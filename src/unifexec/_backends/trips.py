"""Trips: batches on their way through a thread, and the loops in which tiny tasks spend time."""

from __future__ import annotations

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
    from collections.abc import Iterator
    from typing import Any

    from unifexec._backends.lanes import Lane
    from unifexec._backends.room import Place
    from unifexec._core.dispatch import Run

MOST_COUNT = 4096  # items of a plain batch before the clock is looked at, once known to be short


class Trip:
    """One run in a thread: what is still to do, and what is done and not handed over.

    The lane takes items one by one from `todo`, and who withdraws takes all that are left;
    each item goes to one of them. What is done is only ever appended by the lane, and read
    by who serves.
    """

    __slots__ = ("done", "failed", "lane", "since", "taken", "task", "todo")

    def __init__(self, run: Run, lane: Lane, place: Place) -> None:
        batch = run.batch
        self.lane = lane
        self.todo: Iterator[Any] = claims(batch.items)
        self.done: list[Any] = []  # outcomes, or values; of single tasks also their seconds
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


class TaskCalls:
    """The calls of single tasks that came together, each with a function of its own."""

    def __init__(self, run: Run) -> None:
        self._trip: Trip = run.carried
        self._members = run.batch.parts()
        self._known: type = type(None)  # a type whose values are not to be awaited

    def some(self) -> bool:
        """Run some tasks, as many as take a moment; False when none are left."""
        trip, members, task = self._trip, self._members, self._trip.task
        done, known, be = trip.done, self._known, current.set
        began = before = perf_counter()
        for item in trip.todo:
            member = members[len(done)]
            fn, context, member.context = member.work, member.context, None
            try:
                if member.aborted:
                    raise Interrupted
                context.run(be, task)
                if type(item) is tuple:
                    value = context.run(fn, *item)
                else:
                    value = context.run(fn, *item.args, **item.kwargs)
                if type(value) is not known:
                    if is_awaitable(value):
                        value = trip.lane.await_value(task.now(), value, context)
                    else:
                        self._known = known = type(value)
            except BaseException as error:
                now = perf_counter()
                done.append(Failure(presentable(error, __file__), seconds=now - before))
            else:
                now = perf_counter()
                done.append((value, now - before))
                value = None  # nor is it kept while the next one runs
            if now - began > FLUSH_SECONDS:
                return True
            before = now
        return False


class Calls:
    """The calls of a plain trip: what is the same for all of them is made once.

    Each still runs in a copy of the context of its own (L19).
    """

    def __init__(self, run: Run) -> None:
        self._trip: Trip = run.carried
        self._trip.since = monotonic()
        self._fn = run.batch.work
        context = run.batch.context.copy()
        context.run(current.set, self._trip.task)
        self._fresh = context.copy
        self._count = FIRST_COUNT
        self._known: type = type(None)  # a type whose values are not to be awaited
        self._is_unary = run.batch.unary

    def some(self) -> bool:
        """Run some items, as many as take a moment; False when none are left."""
        done, start = self._trip.done, monotonic()
        before = len(done)
        try:
            items = islice(self._trip.todo, self._count)
            self._unary(items) if self._is_unary else self._nary(items)
        except BaseException as error:
            self._fail(error)
            return True
        count = len(done) - before
        going = count == self._count
        each = (monotonic() - start) / max(1, count)
        fit = int(FLUSH_SECONDS / max(each, 1e-7))
        self._count = max(FIRST_COUNT, min(fit, 8 * self._count, MOST_COUNT))
        return going

    def _unary(self, items: Iterator[Any]) -> None:
        done, fn, fresh, known = self._trip.done.append, self._fn, self._fresh, self._known
        for item in items:
            own = fresh()
            value = own.run(fn, item)
            if type(value) is not known:
                value, known = self._value(value, known, own)
            done(value)
            value = own = None  # nor are they kept while the next one runs
        self._known = known

    def _nary(self, items: Iterator[Any]) -> None:
        """As `_unary`, for several arguments."""
        done, fn, fresh, known = self._trip.done.append, self._fn, self._fresh, self._known
        for args in items:
            own = fresh()
            value = own.run(fn, *args)
            if type(value) is not known:
                value, known = self._value(value, known, own)
            done(value)
            value = own = None  # nor are they kept while the next one runs
        self._known = known

    def _value(self, value: Any, known: type, context: Any) -> tuple[Any, type]:
        """A value, awaited if it can be, and a type whose values need no look."""
        if not is_awaitable(value):
            return value, type(value)
        trip = self._trip
        return trip.lane.await_value(trip.task.now(), value, context), known

    def _fail(self, error: BaseException) -> None:
        failure = Failure(presentable(error, __file__))
        self._trip.failed[len(self._trip.done)] = failure
        self._trip.done.append(None)
