"""`map` and `gather`: many tasks as one, for sync and async callers alike.

A map is two objects. `MapRun` belongs to the executor: it pulls the inputs, submits them in
batches, and keeps the outcomes; so ``executor.map(f, xs)`` does its work also when nobody
keeps what it returns. `Results` is the façade its caller holds, and forgets.

::

    inputs --pull--> [ batch | batch | batch ] --submit--> dispatch
                            window                            |
    caller <--yield--  outcomes, by index  <----settle--------+

Pulling happens in the caller's thread only (L7): in the call of ``map``, in ``next``, in a
waiting close. Settling happens in the executor's; the outcomes pass through a dict, whose
single operations are atomic, and `_wait` tells how no wake-up is lost.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from itertools import count
from time import monotonic

from unifexec import _wait
from unifexec._core import batching
from unifexec._core.dispatch import Batch
from unifexec._core.outcome import Failure, Success
from unifexec._core.task import Task, logger
from unifexec.errors import (
    ExecutorClosedError,
    SerializationError,
    TaskCancelledError,
    WaitTimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any, Generic, Protocol, Self, TypeVar

    from unifexec._core.options import Options
    from unifexec._core.task import Home

    R = TypeVar("R")

    class MapHome(Home, Protocol):
        """What a map asks of its executor."""

        max_workers: int
        eager: bool  # work starts before a result is asked for
        batches: bool  # items may travel together

        def map_opened(self, run: MapRun) -> None: ...
        def map_ended(self, run: MapRun) -> None: ...
        def map_dropped(self, run: MapRun) -> None: ...
        def pack_item(self, work: Any, args: tuple[Any, ...]) -> Any: ...
        def submit_batch(self, batch: Batch) -> None: ...
        def fail_batch(self, batch: Batch, error: BaseException) -> None: ...
        def cut_map(self, run: MapRun, abort: bool) -> None: ...
else:
    from unifexec._core.outcome import Generic

    R = "R"


_NOTHING: Any = object()
_EVERYTHING = 1 << 62


class MapRun:
    """One map: the inputs it pulls, the batches it submits, the outcomes it keeps."""

    def __init__(
        self,
        home: MapHome,
        work: Any,
        inputs: Iterator[tuple[Any, ...]],
        options: Options,
        name: str,
        *,
        chunksize: int | None,
        buffersize: int | None,
        ordered: bool,
        raises: bool,
    ) -> None:
        self.home = home
        self.name = name
        self.raises = raises
        self._work = work
        self._inputs = inputs
        self._options = options
        self._chunksize = chunksize
        self._buffersize = buffersize
        self._ordered = ordered
        self._turn = allocate_lock()  # held by who pulls; only ever tried, never waited for
        self._handing = allocate_lock()  # held while one outcome changes hands
        self._waiting: deque[Any] = deque()  # pulled and packed, not yet submitted
        self._outcomes: dict[int, Any] = {}  # settled and not yielded, in order of time
        self._watchers: list[Callable[[], object]] = []
        self._mean: float | None = None  # seconds per item
        self._pulled = self._submitted = self._settled = self._yielded = 0
        self._dropped = 0  # unordered: cancelled by a close, and not yielded
        self._stop = _EVERYTHING  # items from this index on are not wanted
        self._exhausted = False  # nothing more will be pulled
        self._fault: BaseException | None = None  # what the inputs raised
        self._ended = False  # nothing more will be submitted
        self._finishing = False  # a close waits for all of it
        self.started = False  # somebody asked for a result
        self.truncated: bool = False  # the executor closed before all inputs were pulled
        self.unreadable: bool = False  # nobody can ask for results any more

    # -- pulling: in a caller's thread (L5, L7) --

    def open(self) -> None:
        """Begin: in the call of ``map``."""
        self.home.map_opened(self)
        if self.home.eager or self._buffersize is not None:
            try:
                self.refill(prompt=False)
            except BaseException:  # Ctrl-C in the middle of the inputs
                self.stop()
                raise

    def refill(self, demand: int = 0, prompt: bool = True) -> None:
        """Pull what the window allows, and submit it.

        ``demand``: how many must be submitted where work is not eager. ``prompt``: stop as
        soon as the consumer has something to take (L6). A thread that finds another pulling
        leaves it to that one.
        """
        if not self._turn.acquire(False):
            return
        try:
            self._pull(self._window() - (self._pulled - self._yielded), prompt)
            self._submit(len(self._waiting) if self.home.eager else demand)
        finally:
            self._turn.release()
        self._maybe_end()
        self._tell()  # another consumer may be waiting for us to pull

    def finish(self) -> None:
        """For a waiting close: pull on, though nobody yields; the results stay readable.

        What is in flight is bounded by the window. With a ``buffersize`` only what was
        pulled counts as asked for.
        """
        self._finishing = True
        if self._buffersize is not None:
            self.truncate()
        if not self._turn.acquire(False):
            return
        try:
            self._pull(self._window() - (self._pulled - self._settled), prompt=False)
            self._submit(len(self._waiting))
        finally:
            self._turn.release()
        self._maybe_end()

    def finishable(self) -> bool:
        """For a waiting close: whether `finish` would get on, or is over."""
        if self._ended or self._exhausted:
            return self._settled >= self._submitted
        return self._pulled - self._settled < self._window()

    def finished(self) -> bool:
        """Whether nothing is to be pulled, submitted or settled any more."""
        return self._ended and self._settled >= self._submitted

    def pullable(self) -> bool:
        """Whether `refill` would pull something."""
        return (
            not self._exhausted
            and self._pulled < self._stop
            and self._pulled - self._yielded < self._window()
            and not self._turn.locked()
        )

    def _window(self) -> int:
        if self._buffersize is not None:
            return self._buffersize
        if not self.home.eager:
            return 1
        return batching.window_size(self.home.max_workers, self._mean)

    def _batch_size(self) -> int:
        if not self.home.batches:
            return 1
        if self._chunksize is not None:
            return self._chunksize
        return batching.batch_size(self.home.max_workers, self._mean, self._window())

    def _pull(self, count: int, prompt: bool) -> None:
        """Pull at most ``count`` inputs, and submit full batches on the way."""
        size = self._batch_size()
        while count > 0 and not self._exhausted and self._pulled < self._stop:
            if prompt and self.takeable():
                return
            try:
                args = next(self._inputs, _NOTHING)
            except Exception as fault:  # L9: after the results before it
                self._fault = fault
                args = _NOTHING
            if args is _NOTHING:
                self._exhausted = True
                self._inputs = iter(())  # the inputs need not live as long as the results
                return
            self._pulled += 1
            count -= 1
            self._waiting.append(self._pack(args))
            if self.home.eager and len(self._waiting) >= size:
                self._submit(size)

    def _pack(self, args: tuple[Any, ...]) -> Any:
        try:
            return self.home.pack_item(self._work, args)
        except SerializationError as error:  # L12: it fails its own task only
            return error

    def _submit(self, count: int) -> None:
        """Submit the first ``count`` of what was pulled, in batches."""
        size = self._batch_size()
        while count > 0 and self._waiting:
            items = self._next_items(min(size, count)) or [self._waiting.popleft()]
            batch = Batch(self, self._work, items, self._options, self.name, self._submitted)
            self._submitted += len(items)
            count -= len(items)
            if isinstance(items[0], SerializationError):
                self.home.fail_batch(batch, items[0])
            else:
                self.home.submit_batch(batch)

    def _next_items(self, most: int) -> list[Any]:
        items: list[Any] = []
        while len(items) < most and self._waiting:
            if isinstance(self._waiting[0], SerializationError):
                break
            items.append(self._waiting.popleft())
        return items

    # -- settling: in the executor's thread --

    def claim_batch(self, batch: Batch) -> int:
        """For `dispatch`: how many items of the batch are still wanted."""
        return max(0, min(len(batch), self._stop - batch.first))

    def settle_item(self, index: int, outcome: Any) -> None:
        """For `dispatch`: keep an outcome, and tell the consumer if it waits for this one."""
        self._mean = batching.observe(self._mean, outcome.seconds)
        if self.truncated and not self._ordered and was_cancelled(outcome):
            self._dropped += 1
        else:
            self._outcomes[index] = outcome
        self._settled += 1
        if isinstance(outcome, Failure) and self.raises:
            self._cut(index + 1 if self._ordered else 0, abort=True)  # L14
        if self.unreadable:
            self.forget()
        if not self._ordered or index == self._yielded or self._finishing:
            self._tell()
        self._maybe_end()

    def _cut(self, stop: int, abort: bool) -> None:
        """Want only the items before ``stop``."""
        if stop < self._stop:
            self._stop = stop
            self.home.cut_map(self, abort)

    # -- yielding: in the consumer's thread (L2, L14) --

    def take(self) -> Any:
        """The next outcome; `_NOTHING` if it is not there yet, None at the end."""
        with self._handing:
            if self._exhausted and self._yielded >= self._pulled - self._dropped:
                return None
            index = self._yielded if self._ordered else next(iter(self._outcomes), -1)
            outcome = self._outcomes.pop(index, _NOTHING)
            if outcome is not _NOTHING:
                self._yielded += 1
        if self._watchers:
            self._tell()  # several consumers share this map: one of them may pull now
        return outcome

    def takeable(self) -> bool:
        """Whether `take` would give something."""
        if self._exhausted and self._yielded >= self._pulled - self._dropped:
            return True
        return self._yielded in self._outcomes if self._ordered else bool(self._outcomes)

    def worth_a_look(self) -> bool:
        """Whether a waiting consumer has something to do."""
        return self.takeable() or self.pullable()

    def take_fault(self) -> BaseException | None:
        """What comes after the last outcome instead of the end, once."""
        fault, self._fault = self._fault, None
        if fault is None and self.truncated:
            fault = ExecutorClosedError(
                f"the executor was closed before the map of {self.name!r} had pulled all its inputs"
            )
        return fault

    def watch(self, watcher: Callable[[], object]) -> None:
        """Call ``watcher`` when something changed; see `_wait`."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], object]) -> None:
        """Forget a watcher."""
        self._watchers.remove(watcher)

    def _tell(self) -> None:
        for watcher in self._watchers.copy():
            watcher()

    # -- ending (L8) --

    def stop(self) -> None:
        """Want nothing more: what has not started never will."""
        self._cut(0, abort=False)
        self.truncate()
        self._tell()

    def truncate(self) -> None:
        """Pull nothing more; what was pulled still runs."""
        if not self._exhausted:
            self.truncated = True
            self._exhausted = True
        if self._turn.acquire(False):
            try:
                self._submit(len(self._waiting))
            finally:
                self._turn.release()
        self._maybe_end()

    def forget(self) -> None:
        """Nobody can read the results: keep nothing, and log the failures."""
        self.unreadable = True
        for index in list(self._outcomes):
            outcome = self._outcomes.pop(index, None)
            if isinstance(outcome, Failure) and not was_cancelled(outcome):
                logger().error(
                    "item %d of the map of %r failed, and nobody can read its results",
                    index,
                    self.name,
                    exc_info=outcome.error,
                )

    def _maybe_end(self) -> None:
        """Once all is pulled and submitted, or unwanted, the executor may forget the map."""
        over = self._exhausted or self._pulled >= self._stop
        if over and not self._ended and (not self._waiting or self._submitted >= self._stop):
            self._ended = True
            self.home.map_ended(self)


def was_cancelled(outcome: Any) -> bool:
    """Whether an outcome only says that the task was stopped."""
    return isinstance(outcome, Failure) and isinstance(outcome.error, TaskCancelledError)


class Results(Generic[R]):
    """What ``map`` returns: an iterator and an async iterator of its results.

    Use it with ``for`` or ``async for``; ``with`` or ``async with`` closes it at the end.
    Closing or dropping it *after it was started* cancels what has not started yet; dropped
    before, the map does all its work all the same. Several threads or coroutines may share
    one: each result goes to one of them.
    """

    __slots__ = ("__weakref__", "_deadline", "_run", "_timeout")

    def __init__(self, run: MapRun, timeout: float | None) -> None:
        self._run: MapRun | None = run
        self._timeout = timeout
        self._deadline = None if timeout is None else monotonic() + timeout

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> R:
        """Wait for the next result and return it, or raise what its item raised.

        Raises `WaitTimeoutError` when the time-out of ``map`` is over (and closes), and
        `DeadlockError` in the thread of a loop that must itself run the items.
        """
        while (run := self._run) is not None:
            outcome = self._look(run)
            if outcome is not _NOTHING:
                return self._deliver(run, outcome, StopIteration)
            run.home.check_alive()
            run.home.check_blocking()
            if not _wait.block(run, run.worth_a_look, self._left()):
                self._time_out(run)
        raise StopIteration

    async def __anext__(self) -> R:
        """As ``next``, without blocking the event loop. Cancelling it loses no result."""
        while (run := self._run) is not None:
            outcome = self._look(run)
            if outcome is not _NOTHING:
                await _wait.checkpoint()
                return self._deliver(run, outcome, StopAsyncIteration)
            run.home.check_alive()
            if not await _wait.suspend_for(run, run.worth_a_look, self._left()):
                self._time_out(run)
        raise StopAsyncIteration

    def _look(self, run: MapRun) -> Any:
        """Take what is there; else pull, and look again."""
        run.started = True
        outcome = run.take()
        if outcome is _NOTHING:
            run.refill(demand=1)
            outcome = run.take()
        return outcome

    def _deliver(self, run: MapRun, outcome: Any, end: type[Exception]) -> R:
        if outcome is None:
            self._run = None
            raise run.take_fault() or end
        if not run.raises:
            whole: R = outcome  # an `Outcome` is what was asked for
            return whole
        if isinstance(outcome, Success):
            value: R = outcome.value
            return value
        self._run = None
        try:
            if run.truncated and was_cancelled(outcome):
                raise run.take_fault() or outcome.error
            raise outcome.unwrap()
        finally:
            del self, run, outcome  # the traceback holds this frame

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def _time_out(self, run: MapRun) -> None:
        self.close()
        raise WaitTimeoutError(
            f"map of {run.name!r}: no further result within {self._timeout} s of the call"
        )

    def close(self) -> None:
        """End the iteration: items that have not started never will. Never blocks."""
        run, self._run = self._run, None
        if run is not None:
            run.stop()
            run.forget()

    async def aclose(self) -> None:
        """As `close`, for ``async with`` and ``contextlib.aclosing``."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        run = getattr(self, "_run", None)
        if run is not None:
            run.home.map_dropped(run)  # only posts: a finaliser runs in the middle of anything


class GatherTask(Task[R]):
    """The task of several tasks' results; it settles when all of them have."""

    def __init__(self, home: Home, tasks: tuple[Task[Any], ...], errors: str) -> None:
        super().__init__(home, "gather")
        self.claim()
        self._tasks = tasks
        self._errors = errors
        self._settled_tasks = count(1)  # its `next` is atomic: one thread sees the last
        self._failed: list[int] = []  # in order of time
        for index, task in enumerate(tasks):
            task.watch(lambda index=index: self._one_settled(index))  # type: ignore[misc]
        if not tasks:
            self._finish()

    def _one_settled(self, index: int) -> None:
        if isinstance(self._tasks[index].outcome(), Failure):
            self._failed.append(index)
            if self._errors == "raise" and self._failed[0] == index:
                for task in self._tasks:  # L14; those that are done do not mind
                    task.abort()
        if next(self._settled_tasks) == len(self._tasks):
            self._finish()

    def _finish(self) -> None:
        outcomes = [task.outcome().at(i, task.name) for i, task in enumerate(self._tasks)]
        seconds = max((outcome.seconds for outcome in outcomes), default=0.0)
        self.settle(self._joined(outcomes, seconds))

    def _joined(self, outcomes: list[Any], seconds: float) -> Any:
        if self._errors == "return":
            return Success(tuple(outcomes), name=self.name, seconds=seconds)
        if not self._failed:
            values = tuple(outcome.value for outcome in outcomes)
            return Success(values, name=self.name, seconds=seconds)
        if self._errors == "raise":
            return outcomes[self._failed[0]].at(0, self.name)
        errors = [outcomes[index].error for index in sorted(self._failed)]
        text = f"{len(errors)} of {len(outcomes)} tasks failed"
        return Failure(BaseExceptionGroup(text, errors), name=self.name, seconds=seconds)

    def cancel(self) -> bool:
        """Cancel all tasks that are not done, if none of them has started."""
        pending = [task for task in self._tasks if not task.done()]
        if not pending or any(task.running() for task in pending):
            return False
        return all([task.cancel() for task in pending])

    def abort(self) -> bool:
        """Abort every task that is not done; True if that stops one of them."""
        return any([task.abort() for task in self._tasks if not task.done()])

    def check_blocking(self) -> None:
        """Raise if blocking this thread could never end."""
        for task in self._tasks:
            if not task.done():
                task.check_blocking()
