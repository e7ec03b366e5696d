"""`Results`: what ``map`` returns, for sync and async callers alike.

It asks its `maps.MapRun` for what comes next, waits in the caller's way, and ends the map when
it is closed or dropped.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from unifexec import _wait
from unifexec._core.maps import was_cancelled
from unifexec.errors import WaitTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, NoReturn, Self, TypeVar

    from unifexec._core.maps import MapRun

    R = TypeVar("R")
else:
    from unifexec._core.outcome import Generic

    R = "R"

PAUSE_EVERY = 64  # results that a coroutine may take before its loop has a turn


class Results(Generic[R]):
    """What ``map`` returns: an iterator and an async iterator of its results.

    Use it with ``for`` or ``async for``; ``with`` or ``async with`` closes it at the end.
    Closing or dropping it *after it was started* cancels what has not started yet; dropped
    before, the map does all its work all the same. Several threads or coroutines may share
    one: each result goes to one of them.
    """

    __slots__ = ("__weakref__", "_deadline", "_ready", "_run", "_timeout", "_unpaused")

    def __init__(self, run: MapRun, timeout: float | None) -> None:
        self._run: MapRun | None = run
        self._ready: deque[R] = deque()  # that of the run, from the first question on
        self._timeout = timeout
        self._deadline = None if timeout is None else monotonic() + timeout
        self._unpaused = 0  # results given to coroutines without a pause

    def __repr__(self) -> str:
        run = self._run
        return "<Results, over>" if run is None else f"<Results of the map of {run.name!r}>"

    def __reduce__(self) -> NoReturn:
        """They belong to this process."""
        raise TypeError(f"{self!r} cannot travel: pass list(results)")

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> R:
        """Wait for the next result and return it, or raise what its item raised.

        Raises `WaitTimeoutError` when the time-out of ``map`` is over (and closes), and
        `DeadlockError` in the thread of a loop that must itself run the items.
        """
        try:
            return self._ready.popleft()  # most results are there when they are asked for
        except IndexError:
            pass
        try:
            while (run := self._run) is not None:
                self._ready = run.ready
                self._check_time(run)
                if run.look():
                    try:
                        return self._ready.popleft()
                    except IndexError:  # another thread took it, or there is no more
                        pass
                    self._end(run, StopIteration)
                    continue
                run.home.check_alive()
                run.home.check_blocking()
                run.check_pulling()
                if not _wait.block(run, run.worth_a_look, self._left()):
                    self._time_out(run)
            raise StopIteration
        finally:  # what interrupts us has this frame: while it is handled the results are dropped
            del self

    async def __anext__(self) -> R:
        """As ``next``, without blocking the event loop. Cancelling it loses no result."""
        if self._ready and self._unpaused < PAUSE_EVERY:
            self._unpaused += 1
        else:
            self._unpaused = 0
            await _wait.checkpoint()
        try:
            return self._ready.popleft()
        except IndexError:
            pass
        try:
            while (run := self._run) is not None:
                self._ready = run.ready
                self._check_time(run)
                if run.look():
                    try:
                        return self._ready.popleft()
                    except IndexError:
                        pass
                    self._end(run, StopAsyncIteration)
                    continue
                run.home.check_alive()
                if not await _wait.suspend(run, run.worth_a_look, self._left()):
                    self._time_out(run)
            raise StopAsyncIteration
        finally:  # as above
            del self

    def _end(self, run: MapRun, end: type[Exception]) -> None:
        """Nothing was ready: raise the failure that comes next, or the end, if it is there."""
        failure = run.failure
        if run.ready or (failure is None and not run.over()):
            return
        self._run = None
        fault = None
        try:
            try:
                run.last.pop()
            except IndexError:  # another thread was told
                raise end from None
            run.told()
            fault = run.take_fault()
            if failure is not None and not (run.truncated and was_cancelled(failure)):
                failure.unwrap()
            raise end if fault is None else fault
        finally:
            del self, run, failure, fault  # the traceback holds this frame

    def _check_time(self, run: MapRun) -> None:
        """When the time is over nothing more begins, also where asking is what begins it."""
        if self._left() == 0.0 and not run.takeable():
            run.refill()  # there may be nothing more
            if not run.takeable():
                self._time_out(run)

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def _time_out(self, run: MapRun) -> None:
        self.close()
        raise WaitTimeoutError(
            f"map of {run.name!r}: no further result within {self._timeout} s of the call; "
            "it is closed"
        )

    def close(self) -> None:
        """End the iteration: items that have not started never will. Never blocks."""
        run, self._run = self._run, None
        self._ready = deque()
        if run is not None:
            run.stop()
            run.forget()
            run.tell()  # another thread may be waiting for a result

    async def aclose(self) -> None:
        """As `close`, for ``async with`` and ``contextlib.aclosing``."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        run = getattr(self, "_run", None)
        if run is not None:
            run.home.map_dropped(run)  # only posts: a finaliser runs in the middle of anything
