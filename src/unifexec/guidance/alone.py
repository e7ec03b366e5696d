"""A function by itself: called in one thread, one sample after the other, with clocks around."""

from __future__ import annotations

import inspect
import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unifexec import create_executor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

MOST_CALLS = 2000
KEPT_RESULTS = 3  # to see how large they are, and whether they can travel
CLOCK_SECONDS = 50e-6  # per call: less may be our own looks at the clocks
DISTURBING = 0.15  # seconds in the queue of the processor, per second on it
SCHEDULER = Path("/proc/thread-self/schedstat")  # Linux: processor time, and time in its queue


@dataclass(frozen=True)
class Alone:
    """What calls of one function cost when nothing runs beside it.

    Attributes:
        calls: how many were measured.
        coroutine: the call gives something to await.
        seconds: of one call, on average, as are the next three. A look at the clocks is in it:
            what a very short plain function takes, the serial trial tells better.
        computing: processor seconds of the calling thread.
        elsewhere: processor seconds of other threads and of child processes.
        queueing: seconds that the thread could have run, and other programs did.
        median, longest: seconds of a call.
        first: seconds of the first call, which may have imported something.
    """

    calls: int
    coroutine: bool
    seconds: float
    computing: float
    elsewhere: float
    queueing: float
    median: float
    longest: float
    first: float

    @property
    def waiting(self) -> float:
        """Seconds of one call in which its thread had nothing to do."""
        return max(0.0, self.seconds - self.computing - self.queueing)

    @property
    def waiting_share(self) -> float:
        """How much of a call is waiting, from 0.0 to 1.0."""
        if self.mostly_elsewhere:
            return max(0.0, 1 - self.elsewhere / self.seconds)
        return self.waiting / max(self.waiting + self.computing, 1e-9)

    @property
    def only_waits(self) -> bool:
        """It does next to nothing but wait."""
        return self.waiting_share > 0.9

    @property
    def wants_a_loop(self) -> bool:
        """A coroutine that does nothing but wait: an event loop is made for these."""
        return self.coroutine and self.only_waits

    @property
    def mostly_elsewhere(self) -> bool:
        """It computes in other threads or in child processes."""
        return self.elsewhere > max(0.3 * self.seconds, CLOCK_SECONDS)

    @property
    def disturbed(self) -> bool:
        """Other programs took much of the time in which this one would have computed."""
        if self.seconds < CLOCK_SECONDS or self.only_waits:
            return False
        return self.queueing > DISTURBING * self.computing


@dataclass(frozen=True)
class Clocks:
    """The clocks around a call, all of them those of this thread or process, in seconds."""

    wall: float
    computing: float
    queueing: float

    @staticmethod
    def now() -> Clocks:
        """Read them; the clock on the wall last, for it is the one that shows small things."""
        queueing, computing = queueing_seconds(), time.thread_time()
        return Clocks(time.perf_counter(), computing, queueing)

    def since(self) -> Clocks:
        """What has passed; the clock on the wall is read first."""
        wall, computing = time.perf_counter(), time.thread_time()
        return Clocks(
            wall - self.wall, computing - self.computing, queueing_seconds() - self.queueing
        )


@dataclass
class Record:
    """What was seen so far: calls, results, samples that work, and those that do not."""

    calls: list[Clocks] = field(default_factory=list)
    tried: list[Any] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    failed: list[tuple[Any, Exception | SystemExit]] = field(default_factory=list)
    elsewhere: float = 0.0

    def note(self, sample: Any, result: Any, call: Clocks) -> None:
        """A call that gave a result."""
        self.calls.append(call)
        self.tried.append(sample)
        if len(self.results) < KEPT_RESULTS:
            self.results.append(result)

    def is_enough(self, samples: Sequence[Any], begin: float, seconds: float) -> bool:
        """Whether to end: the time is over, or more calls would teach nothing."""
        made = len(self.tried) + len(self.failed)
        if made == 0:
            return False
        all_failed = made >= len(samples) and not self.tried
        return time.perf_counter() - begin > seconds or made >= MOST_CALLS or all_failed


def measure_alone(
    fn: Callable[[Any], Any], samples: Sequence[Any], seconds: float
) -> tuple[Alone, Record]:
    """Call ``fn`` on the samples, in turn, for about so many seconds; once at least.

    Raises:
        RuntimeError: every sample failed; the cause is what the first one raised.
    """
    record = Record()
    coroutine = _make_calls(fn, samples, seconds, record)
    if coroutine:
        with create_executor("serial") as executor:
            executor.submit(_await_calls, fn, samples, seconds, record).result()
    if not record.tried:
        sample, error = record.failed[0]
        made, given = len(record.failed), len(samples)
        which = "every sample" if made >= given else f"all {made} of {given} samples tried in time"
        raise RuntimeError(
            f"{_name(fn)} failed on {which}; on {shown(sample)} it raised "
            f"{told(error)}. Give samples that it can handle."
        ) from error
    return _summary(record, coroutine), record


def _summary(record: Record, coroutine: bool) -> Alone:
    """The averages; without the first call, which may import something, if there are others."""
    calls = record.calls[1:] or record.calls
    durations = [call.wall for call in calls]
    return Alone(
        calls=len(calls),
        coroutine=coroutine,
        seconds=statistics.fmean(durations),
        computing=statistics.fmean(call.computing for call in calls),
        elsewhere=record.elsewhere / len(record.calls),
        queueing=statistics.fmean(call.queueing for call in calls),
        median=statistics.median(durations),
        longest=max(durations),
        first=record.calls[0].wall,
    )


def _make_calls(
    fn: Callable[[Any], Any], samples: Sequence[Any], seconds: float, record: Record
) -> bool:
    """Call until it is enough; True, at once, if what a call gives has to be awaited."""
    begin, position, other = time.perf_counter(), 0, _spent_elsewhere()
    while not record.is_enough(samples, begin, seconds):
        sample = samples[position % len(samples)]
        position += 1
        clocks = Clocks.now()
        try:
            value = fn(sample)
        except (Exception, SystemExit) as error:
            record.failed.append((sample, error))
            continue
        call = clocks.since()
        if not record.tried and inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()  # it is called again where it can be awaited
            return True
        record.note(sample, value, call)
        del value  # the next result must find the room that this one takes
    record.elsewhere = max(0.0, _spent_elsewhere() - other)
    return False


async def _await_calls(
    fn: Callable[[Any], Awaitable[Any]], samples: Sequence[Any], seconds: float, record: Record
) -> None:
    """As `_make_calls`, for coroutines, on the loop of this thread."""
    begin, position, other = time.perf_counter(), 0, _spent_elsewhere()
    while not record.is_enough(samples, begin, seconds):
        sample = samples[position % len(samples)]
        position += 1
        clocks = Clocks.now()
        try:
            value = await fn(sample)
        except (Exception, SystemExit) as error:
            record.failed.append((sample, error))
            continue
        record.note(sample, value, clocks.since())
        del value
    record.elsewhere = max(0.0, _spent_elsewhere() - other)


def _spent_elsewhere() -> float:
    """Processor seconds of all other threads of this process, and of children that ended."""
    times = os.times()
    children = times.children_user + times.children_system
    return time.process_time() - time.thread_time() + children


def queueing_seconds() -> float:
    """Seconds that this thread has waited for a processor; 0.0 where nobody counts them."""
    try:
        return int(SCHEDULER.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _name(fn: object) -> str:
    return str(getattr(fn, "__qualname__", None) or repr(fn))


def shown(value: object, most: int = 80) -> str:
    """A sample, as far as it fits; one may have no repr."""
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return text if len(text) <= most else text[:most] + "…"


def told(error: BaseException) -> str:
    """What was raised, and what it says; one may fail even at that."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:
        return name
