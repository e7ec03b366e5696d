"""Trying executors: the samples, over and over, through each candidate, in turns.

The candidates take turns in short slices, and the best slice of each counts: what else this
machine does can slow a slice down, never speed it up. Those far behind are left out of later
turns, so that the time goes to the close ones.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unifexec import WaitTimeoutError, create_executor
from unifexec.guidance.alone import told
from unifexec.guidance.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from unifexec.guidance.alone import Alone
    from unifexec.guidance.travel import Travel

SHARING = ("thread", "async")  # kinds whose calls at once have the very same objects
MOST_THREADS = 32  # as many as a thread executor has by default on large machines
MOST_COROUTINES = 1000  # as many as an async executor has by default
FEW_COROUTINES = 100
MOST_LOOPS = 100  # threads for coroutines, each with a loop of its own: more take seconds to end
PROCESSES_PER_CORE = 4  # at most, for tasks that also wait
PROCESS_SECONDS = 0.1  # to start a worker process: a first guess
CHUNK_SECONDS = 0.01  # work per chunk, where one is tried against the default
SHORTEST_SLICE, LONGEST_SLICE = 0.08, 0.4  # seconds
SLICES = 4  # that fit into the share of a candidate
LONG_ENOUGH = 0.7  # of a slice
MOST_TURNS = 20
LOOKED_AT = 8  # coroutines at once, to see whether their waits overlap
OVERLAP = 2.0  # times the rate of one after the other: what they reach then, at least
NO_TIME = "not tried: there was no time left"
NONE_ENDED = "none of its calls ended in time"
NOT_SIDE_BY_SIDE = (
    "its calls do not overlap on an event loop: they wait without an await, or for each other"
)
STUCK = "calls that it made side by side did not end"
FEW_SAMPLES = "not tried: too few samples"
COULD_NOT_WIN = "not tried: too few workers to win"
CLEARLY = 1.2  # times a bound that was itself measured
LEAST_SLICES = 2  # for every candidate, however slow
ENOUGH_SLICES = 4  # for a candidate that nobody comes close to
BEHIND = 0.6  # of the best rate: slower candidates get no more turns
FAR_BEHIND = 0.3  # the same, where one kind is the natural choice, and may have had bad luck
MOST_BYTES = 1 << 28  # of inputs and results under way at once
SCARCE_SECONDS = 0.02  # a call: there may be no time to try all candidates with such calls
END_SECONDS = 1.0  # and the time of some calls: then what still runs is given up
LONG_SECONDS = 0.001  # a call: our looks at the clock are nothing beside it
SMALL_VALUE = 1 << 20  # bytes: of such values a map may hold many


@dataclass(frozen=True)
class Candidate:
    """An executor to try: kind, workers, and the chunk size of its map (None: the default)."""

    kind: str
    workers: int
    chunksize: int | None = None

    @property
    def wave(self) -> int:
        """So many calls give every worker something to do."""
        return self.workers * (self.chunksize or 1)


@dataclass
class Trial:
    """What a candidate did.

    Attributes:
        candidate: which.
        rates: calls per second, of each slice.
        calls: of all slices together.
        start: seconds until its workers ran.
        problem: why it was not tried, or how it failed; None if all is well.
    """

    candidate: Candidate
    rates: list[float] = field(default_factory=list)
    calls: int = 0
    start: float = 0.0
    problem: str | None = None

    @property
    def rate(self) -> float:
        """Calls per second, in its best slice; 0.0 if it has none."""
        return max(self.rates, default=0.0)


def candidates(
    alone: Alone, travel: Travel, cores: int, workers: int | None, samples: int
) -> list[Candidate]:
    """What is worth trying; first what starts at once.

    Or what is most likely, where calls are so long that there may be time for little.

    Arguments:
        alone, travel: what was measured before.
        cores: that this process may really use.
        workers: try only so many; None chooses.
        samples: how many there are. Of inputs that cannot be copied no more than these can
            be in use at once.
    """
    most = samples if travel.input_stays and samples > 1 else MOST_COROUTINES
    most_threads = min(most, MOST_LOOPS) if alone.coroutine else most
    counts = _thread_counts(alone, cores, workers)
    threads = [Candidate("thread", n) for n in dict.fromkeys(min(n, most_threads) for n in counts)]
    processes = [Candidate("process", n) for n in _process_counts(alone, cores, workers)]
    if travel.problem or travel.there + (travel.back or 0) > MOST_BYTES:
        processes = []
    elif alone.seconds < CHUNK_SECONDS / 10:
        chunk = min(10_000, math.ceil(CHUNK_SECONDS / max(alone.seconds, 1e-6)))
        processes.append(Candidate("process", workers or cores, chunk))
    loops = []
    if alone.coroutine:
        counts = [workers] if workers else [MOST_COROUTINES, FEW_COROUTINES]
        loops = [Candidate("async", n) for n in dict.fromkeys(min(n, most) for n in counts)]
    kinds = [loops, threads, processes]
    if alone.seconds > SCARCE_SECONDS:
        if alone.waiting_share < 0.5:
            kinds.reverse()
        first, rest = [kind[:1] for kind in kinds], [kind[1:] for kind in kinds]
        kinds = first + rest  # one of each kind comes before other counts of workers
    return [Candidate("serial", 1), *itertools.chain(*kinds)]


def _thread_counts(alone: Alone, cores: int, workers: int | None) -> list[int]:
    if workers:
        return [workers]
    if alone.waiting_share <= 0.1 and not alone.mostly_elsewhere:
        return [cores]
    return sorted({MOST_THREADS, 8, cores}, reverse=True)


def _process_counts(alone: Alone, cores: int, workers: int | None) -> list[int]:
    """One for each core; more where tasks leave a core idle part of the time.

    Also where they only wait: what they wait for may be a lock of their own process.
    """
    if workers:
        return [workers]
    if alone.waiting_share > 0.2:
        wanted = math.ceil(cores / max(1 - alone.waiting_share, 0.01))
        return sorted({cores, min(wanted, PROCESSES_PER_CORE * cores)}, reverse=True)
    return [cores]


class Attempt:
    """One candidate at work: its executor, from its start to its end."""

    def __init__(
        self,
        candidate: Candidate,
        fn: Callable[[Any], Any],
        samples: Sequence[Any],
        alone: Alone,
        shared: bool = True,
    ) -> None:
        self.trial: Trial = Trial(candidate)
        self._fn = fn
        self._inputs: Iterator[Any] = itertools.cycle(samples)
        if not shared and candidate.kind in SHARING:
            self._fn, self._inputs = lending(fn, samples, alone.coroutine), itertools.repeat(None)
        self._alone = alone
        self._executor: Any = None
        self.slice_calls = 0

    @property
    def is_plain_loop(self) -> bool:
        """Serial calls of a plain function need no executor."""
        return self.trial.candidate.kind == "serial" and not self._alone.coroutine

    def start(self, deadline: float) -> None:
        """Make the executor; return when its worker processes run."""
        kind, workers = self.trial.candidate.kind, self.trial.candidate.workers
        if self.is_plain_loop:
            return
        begin = time.monotonic()
        self._executor = create_executor(kind, max_workers=workers)
        if kind == "process":
            left = deadline - time.monotonic()
            self._wait_for_workers(workers, deadline - left / 4)
        self.trial.start = time.monotonic() - begin

    def _wait_for_workers(self, workers: int, deadline: float) -> None:
        busy: list[Any] = []
        while len(busy) < workers:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"only {len(busy)} of {workers} workers had started in time")
            naps = [self._executor.submit(time.sleep, 0.01) for _ in range(workers)]
            wait(naps, left)
            busy = [each for each in self._executor.stats().workers if each.busy_seconds > 0]

    def run(self, calls: int, deadline: float, buffersize: int | None) -> None:
        """Make so many calls, or as many as there is time for until then; note their rate."""
        inputs = itertools.islice(self._inputs, calls)
        begin = time.perf_counter()
        done = (
            self._loop(inputs, deadline)
            if self.is_plain_loop
            else self._map(inputs, deadline, buffersize)
        )
        seconds = time.perf_counter() - begin
        if done and seconds > 0:
            self.trial.rates.append(done / seconds)
            self.trial.calls += done

    def _loop(self, inputs: Iterator[Any], deadline: float) -> int:
        """Call in pieces, and look at the clock between them."""
        done, fn = 0, self._fn
        size = max(1, min(1000, int(CHUNK_SECONDS / max(self._alone.seconds, 1e-9))))
        for chunk in iter(lambda: list(itertools.islice(inputs, size)), []):
            for sample in chunk:
                fn(sample)
            done += len(chunk)
            if time.monotonic() > deadline:
                break
        return done

    def _map(self, inputs: Iterator[Any], deadline: float, buffersize: int | None) -> int:
        left = max(0.001, deadline - time.monotonic())
        chunksize = self.trial.candidate.chunksize
        done = 0
        with self._executor.map(
            self._fn, inputs, timeout=left, chunksize=chunksize, buffersize=buffersize
        ) as results:
            try:
                for _ in results:
                    done += 1
            except WaitTimeoutError:
                if not done and not self.trial.rates:
                    self.trial.problem = NONE_ENDED
        return done

    def tell_to_stop(self) -> None:
        """As `stop`, without waiting: several executors end side by side."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def stop(self, patience: float = END_SECONDS) -> None:
        """End the executor; calls that do not end in so many seconds are its problem."""
        if self._executor is not None and not end(self._executor, patience):
            self.trial.problem = STUCK


def lending(fn: Callable[[Any], Any], samples: Sequence[Any], coroutine: bool) -> Any:
    """A function that calls ``fn`` on a sample that no other call is using.

    There must be as many samples as calls at once.
    """
    free = deque(samples)

    def call(_: object) -> Any:
        sample = free.popleft()
        try:
            return fn(sample)
        finally:
            free.append(sample)

    async def call_async(_: object) -> Any:
        sample = free.popleft()
        try:
            return await fn(sample)
        finally:
            free.append(sample)

    return call_async if coroutine else call


class Contest:
    """All candidates, until the deadline."""

    def __init__(
        self,
        fn: Callable[[Any], Any],
        samples: Sequence[Any],
        alone: Alone,
        travel: Travel,
        deadline: float,
    ) -> None:
        self._shared = not travel.input_stays
        self._fn, self._samples, self._alone, self._deadline = fn, samples, alone, deadline
        size = travel.there + (travel.back or 0)
        self._most_calls_at_once = max(1, MOST_BYTES // max(1, size))
        self._small = size < SMALL_VALUE

    def hold(self, field: Sequence[Candidate]) -> list[Trial]:
        """Try all that there is time for; a trial for each candidate, in the same order."""
        attempts = [
            Attempt(each, self._fn, self._samples, self._alone, self._shared) for each in field
        ]
        try:
            for number, attempt in enumerate(attempts):
                if self._lacks_samples(attempt.trial.candidate):
                    attempt.trial.problem = FEW_SAMPLES
                    continue
                if self._cannot_win(attempt.trial.candidate, attempts[:number]):
                    attempt.trial.problem = COULD_NOT_WIN
                    continue
                share = max(0.0, self._left()) / (len(attempts) - number + 1)
                self.prepare(attempt, min(max(share / SLICES, SHORTEST_SLICE), LONGEST_SLICE))
            behind = FAR_BEHIND if self._alone.wants_a_loop else BEHIND
            self.take_turns(attempts, MOST_TURNS, behind)
        finally:
            for attempt in attempts:
                attempt.tell_to_stop()
            call = max(self._alone.first, self._alone.longest)
            limit = time.monotonic() + END_SECONDS + 2 * call
            for attempt in attempts:
                attempt.stop(max(0.01, limit - time.monotonic()))
        return [attempt.trial for attempt in attempts]

    def _lacks_samples(self, candidate: Candidate) -> bool:
        """Whether two calls at once would use one sample, of those that cannot be copied.

        Such as sockets and cursors: there one call would take the answer to another's question.
        """
        lent = not self._shared and candidate.kind in SHARING
        return lent and candidate.workers > len(self._samples)

    def _cannot_win(self, candidate: Candidate, before: Sequence[Attempt]) -> bool:
        """Whether one of those before makes more calls than its workers and cores allow."""
        alone = self._alone
        a_call = max(alone.waiting + alone.computing, 1e-9)
        bound = candidate.workers / a_call
        best = max((each.trial.rate for each in before), default=0.0)
        return candidate.kind != "serial" and best > CLEARLY * bound

    def prepare(self, attempt: Attempt, slice_seconds: float) -> None:
        """Start a candidate, and find out how many calls fill a slice."""
        candidate = attempt.trial.candidate
        calls = self._first_calls(candidate)
        if candidate.kind == "serial" and self._alone.seconds > LONG_SECONDS:
            self._adopt(attempt, slice_seconds)
        elif self._start_seconds(candidate) + self._expected(candidate, calls) > self._left():
            attempt.trial.problem = NO_TIME
        else:
            self._guarded(attempt, self._grow, calls, slice_seconds)

    def _adopt(self, attempt: Attempt, slice_seconds: float) -> None:
        """Serial calls were made already, when the function was alone."""
        attempt.start(self._deadline)
        attempt.trial.rates.append(1 / self._alone.seconds)
        attempt.trial.calls = self._alone.calls
        attempt.slice_calls = max(1, int(slice_seconds / self._alone.seconds))

    def take_turns(self, attempts: Sequence[Attempt], turns: int, behind: float) -> None:
        """A slice for each that is close to the best, again and again, until the deadline.

        Arguments:
            attempts: those that were prepared; what failed gets no turn.
            turns: at most so many.
            behind: share of the best rate below which a candidate gets no more turns.
        """
        for _ in range(turns):
            close = _close_to_the_best(attempts, behind)
            if len(close) == 1 and len(close[0].trial.rates) >= ENOUGH_SLICES:
                return
            for attempt in close:
                if attempt.slice_calls / attempt.trial.rate > self._left():
                    return
                self._guarded(attempt, self._run, attempt.slice_calls)

    def _guarded(self, attempt: Attempt, act: Callable[..., None], *args: Any) -> None:
        """What goes wrong is the candidate's problem."""
        try:
            act(attempt, *args)
        except (Exception, SystemExit) as error:
            attempt.trial.problem = told(error)

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _expected(self, candidate: Candidate, calls: int) -> float:
        """Seconds for so many calls: their waiting overlaps, in processes the rest too."""
        alone, waves = self._alone, math.ceil(calls / candidate.workers)
        if candidate.kind == "process":
            return waves * alone.seconds
        return calls * max(alone.seconds - alone.waiting, 0.0) + waves * alone.waiting

    def _grow(self, attempt: Attempt, calls: int, slice_seconds: float) -> None:
        """More and more calls, until a slice is long enough; the first run does not count.

        In it, threads start, and workers import what the function needs.
        """
        attempt.start(self._deadline)
        holds_up = self._may_hold_up_the_loop(attempt.trial.candidate)
        if holds_up and not self._waits_overlap(attempt):
            attempt.trial.problem = NOT_SIDE_BY_SIDE
            return
        self._run(attempt, calls)
        for turn in range(10):
            rate = attempt.trial.rates[-1] if attempt.trial.rates else 0.0
            attempt.slice_calls = self._whole_waves(
                attempt.trial.candidate, int(rate * slice_seconds)
            )
            if calls / max(rate, 1e-9) > self._left() - slice_seconds:
                return
            if turn == 0:
                attempt.trial.rates.clear()
            elif calls >= LONG_ENOUGH * attempt.slice_calls:
                return
            calls = min(max(attempt.slice_calls, calls), 20 * calls)
            self._run(attempt, calls)

    def _may_hold_up_the_loop(self, candidate: Candidate) -> bool:
        """Whether many coroutines at once may take much longer than one, and a few can tell.

        One that waits without an await cannot be stopped, nor can those behind it.
        """
        alone, left = self._alone, self._left()
        many = candidate.kind == "async" and candidate.workers > LOOKED_AT
        return (
            many
            and alone.only_waits
            and LOOKED_AT * alone.seconds < left / 2
            and candidate.workers * alone.seconds > left / 2
        )

    def _waits_overlap(self, attempt: Attempt) -> bool:
        """Whether a few coroutines at once take less time than one after the other.

        One goes first: with it the loop starts, and what that needs is imported.
        """
        for calls in (1, LOOKED_AT):
            attempt.trial.rates.clear()
            self._run(attempt, calls)
        overlap = attempt.trial.rate * self._alone.seconds >= OVERLAP
        attempt.trial.rates.clear()
        return overlap

    def _start_seconds(self, candidate: Candidate) -> float:
        """For workers to start, and to import what the function needs."""
        if candidate.kind != "process":
            return 0.0
        return candidate.workers * PROCESS_SECONDS + self._alone.first

    def _first_calls(self, candidate: Candidate) -> int:
        """One wave; fewer where that saves much time, or much memory."""
        calls = min(candidate.wave, self._most_calls_at_once)
        while calls > 2:
            seconds, fewer = (self._expected(candidate, n) for n in (calls, calls // 2))
            if seconds < self._left() / 4 or fewer > 0.8 * seconds:
                break
            calls //= 2
        return max(1, calls)

    def _whole_waves(self, candidate: Candidate, calls: int) -> int:
        """As many calls as keep every worker busy to the end."""
        wave = min(candidate.wave, self._most_calls_at_once)
        return max(1, round(calls / wave)) * wave if calls >= wave else max(1, calls)

    def _run(self, attempt: Attempt, calls: int) -> None:
        candidate, left = attempt.trial.candidate, self._left()
        buffersize = None if self._small else 2 * candidate.workers
        wanted = self._start_seconds(candidate) + self._expected(candidate, calls)
        most = max(left / 2, 3 * wanted)  # the others want time, too
        attempt.run(calls, time.monotonic() + min(left, most), buffersize)


def _close_to_the_best(attempts: Sequence[Attempt], behind: float) -> list[Attempt]:
    """Those that may still turn out to be the best."""
    able = [each for each in attempts if each.trial.rates and not each.trial.problem]
    best = max((each.trial.rate for each in able), default=0.0)
    return [
        each
        for each in able
        if each.trial.rate >= behind * best or len(each.trial.rates) < LEAST_SLICES
    ]
