"""Running one task, and what it knows of itself: in this process or in a worker's.

It imports nothing else of the package, since the worker of another process loads it too.
"""

from __future__ import annotations

import sys
from collections import deque
from contextvars import ContextVar
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sized
    from contextvars import Context
    from typing import Any, Protocol

    class Named(Protocol):
        """Items that have a name and an index, found by their offset."""

        def at(self, offset: int) -> tuple[Any, int]: ...

    class Place(Protocol):
        """The right to run that a task holds; one of ``max_workers``. Made as `room.Place`."""

        @property
        def room(self) -> object: ...

        def leave(self) -> None:
            """Give the place up: the task waits, another may run."""

        def enter(self, granted: Callable[[], object]) -> None:
            """Ask for a place again; ``granted`` is called, from any thread, with it."""


FLUSH_SECONDS = 0.001  # what is done of several items is handed over at least so often
FIRST_COUNT = 8  # items that run before the clock is looked at; more, once known to be short


class Interrupted(BaseException):
    """Raised inside a task that is stopped, so that its ``finally`` blocks run.

    A ``BaseException``: code that catches ``Exception`` does not swallow it.
    """


class CurrentTask:
    """What `current_task` tells a task about itself.

    Attributes:
        name: the task's name: that of its function, or of ``with_options(name=)``.
        index: position in the ``map``; 0 for a single task.
        worker: number of the worker that runs it, from 0.
        stop_requested: True once the task should end: it was aborted, its time limit is
            over, or its executor is closing. A loop in a plain function may look at it.
    """

    __slots__ = ("_place", "_waits", "index", "name", "stop_requested", "worker")

    def __init__(self, name: str, index: int, worker: int, place: Place | None = None) -> None:
        self.name: str = name
        self.index: int = index
        self.worker: int = worker
        self.stop_requested: bool = False
        self._place = place
        self._waits = 0  # a coroutine may wait at several points at once

    def now(self) -> CurrentTask:
        """Itself; see `CurrentRun.now`."""
        return self

    @property
    def room(self) -> object:
        """The room of the executor that runs the task."""
        return None if self._place is None else self._place.room

    def step_aside(self) -> None:
        """Give up the place while waiting (L18)."""
        self._waits += 1
        if self._waits == 1 and self._place is not None:
            self._place.leave()

    def step_back(self, granted: Callable[[], object]) -> None:
        """Ask for the place again; ``granted`` is called once the task may go on."""
        self._waits -= 1
        if self._waits == 0 and self._place is not None:
            self._place.enter(granted)
        else:
            granted()

    def __repr__(self) -> str:
        return f"<task {self.name!r} index={self.index} worker={self.worker}>"


class CurrentRun:
    """What stands for the running task in the contexts of a run of many items.

    It is made once for all of them; `now` makes a `CurrentTask` for the item that runs when
    somebody asks, which few do.
    """

    __slots__ = ("_batch", "_done", "_made", "_place", "_stopped", "_worker")

    def __init__(self, batch: Named, worker: int, place: Place | None, done: Sized) -> None:
        self._batch = batch
        self._done = done  # as long as the number of items before the one that runs
        self._worker = worker
        self._place = place
        self._made: tuple[int, CurrentTask] | None = None
        self._stopped: int = -1  # the item that was told to stop

    def now(self) -> CurrentTask:
        """The task that runs, always the same object while it does.

        1. We make it known, 2. look whether it was told to stop.
        a. `stop` notes which shall stop, b. looks which was made.
        Whichever comes first, one of them sees the other.
        """
        made, offset = self._made, len(self._done)
        if made is not None and made[0] == offset:
            return made[1]
        part, index = self._batch.at(offset)
        task = CurrentTask(part.name, index, self._worker, self._place)
        self._made = offset, task
        if self._stopped == offset:
            task.stop_requested = True
        return task

    def begin(self, task: CurrentTask) -> None:
        """An item begins whose task is made already."""
        offset = len(self._done)
        self._made = offset, task
        if self._stopped == offset:
            task.stop_requested = True

    def stop(self, offset: int) -> CurrentTask | None:
        """Tell one item to stop, if it still runs or when it asks; its task, if that is made."""
        self._stopped = offset
        made = self._made
        if made is None or made[0] != offset:
            return None
        made[1].stop_requested = True
        return made[1]


current: ContextVar[CurrentTask | CurrentRun | None] = ContextVar(
    "unifexec.current_task", default=None
)


def current_task() -> CurrentTask | None:
    """Return what the running task knows of itself, or None outside a task.

    ``current_task().stop_requested`` lets a plain function in a thread, which cannot be
    stopped from outside, end by itself. Never blocks; callable anywhere.
    """
    task = current.get()
    return None if task is None else task.now()


def run_task(
    task: CurrentTask,
    context: Context,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    run_awaitable: Callable[[Awaitable[Any], Context], Any],
) -> tuple[bool, Any, float]:
    """Call ``fn``, await what it returns if that can be awaited, and say what came of it.

    Returns whether it succeeded, the value or the exception, and the seconds it took.
    Nothing a task raises gets past here (L13), nor can it end anybody's iteration.
    """
    start = perf_counter()
    try:
        value = context.run(call_as, task, fn, *args, **kwargs)
        if is_awaitable(value):
            value = run_awaitable(value, context)
        return True, value, perf_counter() - start
    except BaseException as error:
        return False, presentable(error), perf_counter() - start


def call_as(
    task: CurrentTask | CurrentRun, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Call ``fn`` as the body of a task; in its context."""
    current.set(task)
    return fn(*args, **kwargs)


def is_awaitable(value: Any) -> bool:
    """Whether a call returned something to be awaited."""
    return hasattr(type(value), "__await__")


CARRIERS = __file__.removesuffix("_running.py") + "_"  # all files that carry tasks begin so


def presentable(error: BaseException) -> BaseException:
    """An exception as the user shall see it: PEP 479 for all tasks (L13), our frames cut.

    Those at the top of its traceback, so that it begins with the task on every executor. Its
    own code, such as a property ``__class__``, is not run.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(CARRIERS):
        traceback = traceback.tb_next
    error = BaseException.with_traceback(error, traceback)  # not what its class makes of it
    cancelled_error = getattr(sys.modules.get("asyncio"), "CancelledError", None)
    if cancelled_error is not None and issubclass(type(error), cancelled_error):
        from unifexec.errors import TaskCancelledError

        cancelled = TaskCancelledError("the task was cancelled by an event loop of its own")
        cancelled.__cause__ = error
        return cancelled
    if issubclass(type(error), (StopIteration, StopAsyncIteration)):
        wrapper = RuntimeError(f"the task raised {type(error).__name__}")
        wrapper.__cause__ = error
        return wrapper
    return error


# What somebody's own `__reduce__`, `__str__` … may raise to say that it cannot. Not
# KeyboardInterrupt: in the caller's thread that is Ctrl-C.
REFUSAL = (Exception, SystemExit, GeneratorExit)


def shown(value: object, by: Callable[[Any], str] = repr) -> str:
    """The ``repr`` of something, or its ``str``; its type, where that cannot be had."""
    try:
        return by(value)
    except REFUSAL as error:
        kind = type(value).__qualname__
        return f"<{kind}, whose {by.__name__}() raised {type(error).__qualname__}>"


class Claims:
    """An iterator that two threads may share: each item goes to one, also without the GIL."""

    def __init__(self, items: list[Any]) -> None:
        self._todo = deque(items)

    def __iter__(self) -> Claims:
        return self

    def __next__(self) -> Any:
        try:
            return self._todo.popleft()
        except IndexError:
            raise StopIteration from None


def this_worker() -> Any:
    """The `_worker.Worker` that this process is, or None; without loading what a parent has not."""
    return getattr(sys.modules.get("unifexec._worker"), "this_worker", None)


def gil_is_enabled() -> bool:
    """Whether threads run Python code one at a time."""
    enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return enabled()


claims: Callable[[list[Any]], Iterator[Any]] = iter if gil_is_enabled() else Claims
# With the GIL a list's own iterator does it: its every step, and `list` of it, is atomic.
