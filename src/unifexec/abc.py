"""The contract in types: what every executor promises, whatever it runs on."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    NoReturn,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
    runtime_checkable,
)

from unifexec._core.outcome import Failure, Success

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextvars import ContextVar
    from types import TracebackType
    from typing import Self

    from unifexec._core.results import Results
    from unifexec._core.task import Task

P = ParamSpec("P")
R = TypeVar("R")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")
T7 = TypeVar("T7")
T8 = TypeVar("T8")

Outcome: TypeAlias = Success[R] | Failure
"""What became of a task: ``Success[R] | Failure``."""


class Traits(NamedTuple):
    """How an executor differs from the others, as data: one row of the comparison table.

    Attributes:
        kind: the word `create_executor` knows it by.
        concurrency: how its tasks run at the same time, in words.
        parallel_python: several cores run Python code at once. Always for processes; for
            threads only where the GIL is off.
        shares_memory: tasks see the objects of the caller, not copies of them.
        can_abort: a running *plain function* can be stopped. (A coroutine always can.)
        crash_isolated: a task that kills its worker does not take the program with it.
        start_method: how workers come to be: ``"thread"``, ``"spawn"``, … or None.
        best_for: what to choose it for, in words.
    """

    kind: str
    concurrency: str
    parallel_python: bool
    shares_memory: bool
    can_abort: bool
    crash_isolated: bool
    start_method: str | None
    best_for: str


class WorkerStats(NamedTuple):
    """One worker, as `Executor.stats` saw it.

    Attributes:
        worker: its number, from 0; a replacement takes over that of its predecessor.
        pid: its process id; None where workers are not processes.
        busy_seconds: how long its tasks have run, together.
    """

    worker: int
    pid: int | None
    busy_seconds: float


class Stats(NamedTuple):
    """Counts of one executor at one moment; see `Executor.stats`.

    Attributes:
        queued: tasks, and items of maps, that wait for a worker.
        running: places in use, at most ``max_workers``.
        done, failed: tasks that ended so far, with a value or without.
        lost: tasks whose worker died while it ran them; they count as failed, too.
        abandoned: tasks that did not stop when they should have, and still go on.
        workers: those there are now.
    """

    queued: int
    running: int
    done: int
    failed: int
    lost: int
    abandoned: int
    workers: tuple[WorkerStats, ...]


class OptionChanges(TypedDict, total=False):
    """The keyword arguments of `Executor.with_options`; those left out stay as they are."""

    time_limit: float | None
    rerun_lost: int
    name: str | None
    context: Iterable[ContextVar[Any]]
    abort: bool


def _declared() -> NoReturn:
    """The body of what is only declared.

    Type checkers take ``...`` in a protocol for a method that is missing in every class that
    names the protocol as its base, as our executors do, to write their overloads only once.
    """
    raise NotImplementedError


@runtime_checkable
class Executor(Protocol):
    """What your own functions should ask for: somewhere to run tasks.

    Every executor of unifexec is one, and so is every *view* made by `with_options`.
    All methods may be called from any thread and from inside a running event loop; none of
    the verbs waits for a task (but `SerialExecutor.submit` runs it). After `shutdown`
    ``submit``, ``map`` and ``gather`` raise `ExecutorClosedError`.
    """

    @property
    def traits(self) -> Traits:
        """How this executor differs from the others, as data."""
        return _declared()

    @overload
    def submit(
        self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Task[R]: ...
    @overload
    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Task[R]: ...
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Task[Any]:
        """Run ``fn(*args, **kwargs)`` as a task; equivalent to calling it, elsewhere.

        Arguments:
            fn: a plain function or an ``async def``; what it returns is awaited if it can be.
            args, kwargs: passed to ``fn`` untouched. To another process copies are sent,
                taken before ``submit`` returns.

        Returns at once with a `Task`: ``task.result()`` waits for it from plain code,
        ``await task`` from asyncio and trio. `SerialExecutor` has run the task by then.

        Raises:
            TypeError: ``fn`` is not callable (or is a coroutine object).
            ExecutorClosedError: after ``shutdown``.
            InitializerError: the executor's initializer has failed.
        """
        return _declared()

    @overload
    def map(
        self,
        fn: Callable[[T1], Awaitable[R]],
        iterable1: Iterable[T1],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1], R],
        iterable1: Iterable[T1],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1], Awaitable[R]],
        iterable1: Iterable[T1],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1], R],
        iterable1: Iterable[T1],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4, T5], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        iterable5: Iterable[T5],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4, T5], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        iterable5: Iterable[T5],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4, T5], Awaitable[R]],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        iterable5: Iterable[T5],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[[T1, T2, T3, T4, T5], R],
        iterable1: Iterable[T1],
        iterable2: Iterable[T2],
        iterable3: Iterable[T3],
        iterable4: Iterable[T4],
        iterable5: Iterable[T5],
        *,
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[..., Awaitable[R]],
        iterable1: Iterable[Any],
        iterable2: Iterable[Any],
        iterable3: Iterable[Any],
        iterable4: Iterable[Any],
        iterable5: Iterable[Any],
        iterable6: Iterable[Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[..., R],
        iterable1: Iterable[Any],
        iterable2: Iterable[Any],
        iterable3: Iterable[Any],
        iterable4: Iterable[Any],
        iterable5: Iterable[Any],
        iterable6: Iterable[Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["raise"] = "raise",
        strict: bool = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        fn: Callable[..., Awaitable[R]],
        iterable1: Iterable[Any],
        iterable2: Iterable[Any],
        iterable3: Iterable[Any],
        iterable4: Iterable[Any],
        iterable5: Iterable[Any],
        iterable6: Iterable[Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    @overload
    def map(
        self,
        fn: Callable[..., R],
        iterable1: Iterable[Any],
        iterable2: Iterable[Any],
        iterable3: Iterable[Any],
        iterable4: Iterable[Any],
        iterable5: Iterable[Any],
        iterable6: Iterable[Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
        ordered: bool = True,
        errors: Literal["return"],
        strict: bool = False,
    ) -> Results[Outcome[R]]: ...
    def map(self, fn: Callable[..., Any], *iterables: Any, **options: Any) -> Results[Any]:
        """Run ``fn`` on every item; equivalent to the built-in ``map``, elsewhere.

        Work starts at the call (`SerialExecutor`: when a result is asked for). Inputs are
        pulled a window ahead of the results taken, never by a worker, so that an infinite
        iterable is fine.

        Arguments:
            fn: a plain function or an ``async def``, called with one item of each iterable.
            iterables: synchronous iterables, as for the built-in ``map``.
            timeout: seconds (float) from this call to each ``next``; None waits for ever.
            chunksize: items that travel to a worker together. None (the default) adapts it
                to how long the items take. It is never visible in the results.
            buffersize: at most so many inputs are ever pulled and not yet yielded, and only
                what was pulled counts as asked for. None (the default) uses a finite
                window, adapted to how long the items take.
            ordered: yield in input order (the default), or as finished.
            errors: ``"raise"`` ends the iteration at the first failure, as serial code would
                show it; ``"return"`` yields an `Outcome` for every item.
            strict: unequal iterables raise ``ValueError``, as in ``zip``.

        Returns `Results`: an iterator and an async iterator, to be used with ``for``,
        ``async for``, ``with`` or ``async with``. Closing or dropping it after it was
        started cancels what has not started. The iteration raises what the items and the
        iterables raised, `WaitTimeoutError` when ``timeout`` is over, and
        `ExecutorClosedError` where the executor was closed before all inputs were pulled.

        Raises:
            TypeError: no iterable, an async iterable, or ``fn`` not callable.
            ValueError: ``chunksize`` or ``buffersize`` below 1, a time-out that is NaN or
                infinite (a negative one is over at once), or an unknown ``errors``.
            ExecutorClosedError: after ``shutdown``.
        """
        return _declared()

    @overload
    def gather(
        self,
        task1: Task[T1],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[tuple[Outcome[T1]]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[tuple[Outcome[T1], Outcome[T2]]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2, T3]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[tuple[Outcome[T1], Outcome[T2], Outcome[T3]]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2, T3, T4]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[tuple[Outcome[T1], Outcome[T2], Outcome[T3], Outcome[T4]]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2, T3, T4, T5]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[tuple[Outcome[T1], Outcome[T2], Outcome[T3], Outcome[T4], Outcome[T5]]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        task6: Task[T6],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2, T3, T4, T5, T6]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        task6: Task[T6],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[
        tuple[Outcome[T1], Outcome[T2], Outcome[T3], Outcome[T4], Outcome[T5], Outcome[T6]]
    ]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        task6: Task[T6],
        task7: Task[T7],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2, T3, T4, T5, T6, T7]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        task6: Task[T6],
        task7: Task[T7],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[
        tuple[
            Outcome[T1],
            Outcome[T2],
            Outcome[T3],
            Outcome[T4],
            Outcome[T5],
            Outcome[T6],
            Outcome[T7],
        ]
    ]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        task6: Task[T6],
        task7: Task[T7],
        task8: Task[T8],
        /,
        *,
        errors: Literal["raise", "group"] = "raise",
    ) -> Task[tuple[T1, T2, T3, T4, T5, T6, T7, T8]]: ...
    @overload
    def gather(
        self,
        task1: Task[T1],
        task2: Task[T2],
        task3: Task[T3],
        task4: Task[T4],
        task5: Task[T5],
        task6: Task[T6],
        task7: Task[T7],
        task8: Task[T8],
        /,
        *,
        errors: Literal["return"],
    ) -> Task[
        tuple[
            Outcome[T1],
            Outcome[T2],
            Outcome[T3],
            Outcome[T4],
            Outcome[T5],
            Outcome[T6],
            Outcome[T7],
            Outcome[T8],
        ]
    ]: ...
    @overload
    def gather(
        self, *tasks: Task[R], errors: Literal["raise", "group"] = "raise"
    ) -> Task[tuple[R, ...]]: ...
    @overload
    def gather(
        self, *tasks: Task[R], errors: Literal["return"]
    ) -> Task[tuple[Outcome[R], ...]]: ...
    def gather(
        self,
        *tasks: Task[Any],
        errors: Literal["raise", "return", "group"] = "raise",
    ) -> Task[tuple[Any, ...]]:
        """Join tasks into one task of the tuple of their results, in call order.

        ::

            task = executor.gather(executor.submit(f, 1), executor.submit(g, 2))
            a, b = task.result()

        Arguments:
            tasks: tasks of this executor or of others.
            errors: ``"raise"``: the first failure in time is raised and all other tasks are
                cancelled or aborted; ``"return"``: an `Outcome` for every task;
                ``"group"``: finish all, then raise one ``ExceptionGroup``.

        Returns a `Task` at once; it settles when all of its tasks have.

        Raises:
            TypeError: something that is not a `Task`; callables are for ``submit``.
            ValueError: an unknown ``errors``.
        """
        return _declared()

    @overload
    def wrap(self, fn: Callable[P, Awaitable[R]], /) -> Callable[P, Task[R]]: ...
    @overload
    def wrap(self, fn: Callable[P, R], /) -> Callable[P, Task[R]]: ...
    def wrap(self, fn: Callable[..., Any], /) -> Callable[..., Task[Any]]:
        """Return a callable with ``fn``'s parameters that submits and returns a `Task`.

        These two are equivalent::

            executor.wrap(fn)(1, key=2)
            executor.submit(fn, 1, key=2)

        As a decorator it may stand before functions and methods.
        """
        return _declared()

    def with_options(self, **options: Unpack[OptionChanges]) -> Executor:
        """Return a view: an executor on the same workers whose tasks run under these options.

        Options not named are as in this executor. Closing a view closes nothing.

        Arguments:
            time_limit: seconds (float) that a task may *run*; it then fails with
                `TimeLimitError` and is stopped where that is possible. Default None: no limit.
            rerun_lost: how often a task is run again when its worker died; your word that
                running it twice is safe. Default 0.
            name: name of the tasks, for messages and `current_task`. Default: that of ``fn``.
                The task of a ``gather`` has it too, and nothing else of these: its tasks have
                their options already.
            context: context variables that travel to another process with each task; where
                memory is shared all of them are seen anyway. Default: none.
            abort: whether a running task may be stopped by ``Task.abort``, a failing sibling
                or a cancelled scope; its time limit holds in any case. Default True.

        Raises:
            TypeError, ValueError: a value of the wrong type or range.
        """
        return _declared()

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Accept no more tasks, and (``wait``) wait until all accepted ones are done.

        As in ``concurrent.futures``, bounded if asked. Called again it does no harm. From a
        signal handler, a task, a callback, a ``__del__`` or the callback of a weak reference
        it only posts the request and returns.

        Arguments:
            wait: finish every accepted task, and every unstarted ``map`` whose whole input
                was asked for, before returning. False returns at once and pulls no more
                inputs; tasks already accepted still run.
            cancel_futures: cancel the tasks that have not started. With ``wait=False`` that is
                done soon after it has returned.
            timeout: wait at most so many seconds (float), then raise `WaitTimeoutError`; the
                executor goes on closing.

        When it returns after waiting, the callbacks of the tasks have run as well, unless they
        take longer than 5 seconds.
        """
        _declared()

    async def aclose(self) -> None:
        """``shutdown()`` for asyncio and trio: waits without blocking the event loop."""
        _declared()

    def stats(self) -> Stats:
        """Counts at this moment: tasks queued, running, done, failed, lost; workers."""
        return _declared()

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
