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
        seconds: of one call, on average, as are the next three.
        computing: processor seconds of the calling thread.
        elsewhere: processor seconds of other threads and of child processes.
        queueing: seconds that the thread could have run, and other programs did.
        median, longest: seconds of a call.
    """

    calls: int
    coroutine: bool
    seconds: float
    computing: float
    elsewhere: float
    queueing: float
    median: float
    longest: float

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
    def mostly_elsewhere(self) -> bool:
        """It computes in other threads or in child processes."""
        return self.elsewhere > max(0.3 * self.seconds, CLOCK_SECONDS)

    @property
    def disturbed(self) -> bool:
        """Other programs took much of the time in which this one would have computed."""
        return self.queueing > DISTURBING * self.computing and self.waiting_share < 0.9


@dataclass
class Record:
    """What was seen so far: durations, results, samples that work, and those that do not."""

    durations: list[float] = field(default_factory=list)
    computing: float = 0.0
    tried: list[Any] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    failed: list[tuple[Any, Exception]] = field(default_factory=list)

    def note(self, sample: Any, result: Any, seconds: float, computing: float) -> None:
        """A call that gave a result; the first one is not counted, since it may import."""
        first = len(self.tried) == 1 and not self.durations[1:]
        if first:
            self.durations.clear()
            self.computing = 0.0
        self.durations.append(seconds)
        self.computing += computing
        self.tried.append(sample)
        if len(self.results) < KEPT_RESULTS:
            self.results.append(result)

    def is_enough(self, samples: Sequence[Any], begin: float, seconds: float) -> bool:
        """Whether to end: the time is over, or more calls would teach nothing."""
        calls = len(self.tried) + len(self.failed)
        all_failed = calls >= len(samples) and not self.tried
        return time.perf_counter() - begin > seconds or calls >= MOST_CALLS or all_failed


def measure_alone(
    fn: Callable[[Any], Any], samples: Sequence[Any], seconds: float
) -> tuple[Alone, Record]:
    """Call ``fn`` on the samples, in turn, for about so many seconds; once at least.

    Raises:
        RuntimeError: every sample failed; the cause is what the first one raised.
    """
    record = Record()
    before = _processor_times()
    coroutine = _first_call(fn, samples, record)
    if coroutine:
        with create_executor("serial") as executor:
            queueing = executor.submit(_await_calls, fn, samples, seconds, record).result()
    else:
        queueing = _make_calls(fn, samples, seconds, record)
    if not record.tried:
        sample, error = record.failed[0]
        raise RuntimeError(
            f"{_name(fn)} failed on every sample; on {_shown(sample)} it raised "
            f"{type(error).__name__}: {error}. Give samples that it can handle."
        ) from error
    calls = len(record.durations)
    spent = _processor_times() - before
    used_here = record.computing if not coroutine else spent
    alone = Alone(
        calls=calls,
        coroutine=coroutine,
        seconds=statistics.fmean(record.durations),
        computing=record.computing / calls,
        elsewhere=max(0.0, spent - used_here) / max(1, len(record.tried)),
        queueing=queueing / calls,
        median=statistics.median(record.durations),
        longest=max(record.durations),
    )
    return alone, record


def _first_call(fn: Callable[[Any], Any], samples: Sequence[Any], record: Record) -> bool:
    """Make the first call that works; whether its result has to be awaited."""
    for sample in samples:
        begin, computing = time.perf_counter(), time.thread_time()
        try:
            value = fn(sample)
        except Exception as error:
            record.failed.append((sample, error))
            continue
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()  # it is called again where it can be awaited
            return True
        record.note(sample, value, time.perf_counter() - begin, time.thread_time() - computing)
        return False
    return False


def _make_calls(
    fn: Callable[[Any], Any], samples: Sequence[Any], seconds: float, record: Record
) -> float:
    """Call until it is enough; seconds spent in the queue of the processor."""
    begin, queue = time.perf_counter(), queueing_seconds()
    position = len(record.tried) + len(record.failed)
    seconds -= sum(record.durations)
    while not record.is_enough(samples, begin, seconds):
        sample = samples[position % len(samples)]
        position += 1
        computing, start = time.thread_time(), time.perf_counter()
        try:
            value = fn(sample)
        except Exception as error:
            record.failed.append((sample, error))
            continue
        end = time.perf_counter()
        record.note(sample, value, end - start, time.thread_time() - computing)
        del value
    return queueing_seconds() - queue


async def _await_calls(
    fn: Callable[[Any], Awaitable[Any]], samples: Sequence[Any], seconds: float, record: Record
) -> float:
    """As `_make_calls`, for coroutines, on the loop of this thread."""
    begin, queue, position = time.perf_counter(), queueing_seconds(), 0
    while not record.is_enough(samples, begin, seconds) or not (record.tried or record.failed):
        sample = samples[position % len(samples)]
        position += 1
        computing, start = time.thread_time(), time.perf_counter()
        try:
            value = await fn(sample)
        except Exception as error:
            record.failed.append((sample, error))
            continue
        end = time.perf_counter()
        record.note(sample, value, end - start, time.thread_time() - computing)
        del value
    return queueing_seconds() - queue


def _processor_times() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def queueing_seconds() -> float:
    """Seconds that this thread has waited for a processor; 0.0 where nobody counts them."""
    try:
        return int(SCHEDULER.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _name(fn: object) -> str:
    return str(getattr(fn, "__qualname__", None) or repr(fn))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
