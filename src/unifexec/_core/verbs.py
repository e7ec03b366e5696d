"""The verbs `submit`, `map` and `gather`, and `wrap` and `with_options`. Once, for all executors.

They check what they are given, take the snapshots that the contract asks for, and hand
batches to the *room* of a backend. They never wait for a task.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from functools import partial, update_wrapper
from types import MethodType

from unifexec._core.batches import Single
from unifexec._core.checks import (
    check_callable,
    check_choice,
    check_count,
    check_flag,
    check_timeout,
)
from unifexec._core.gather import GatherTask, check_task
from unifexec._core.maps import MapRun
from unifexec._core.results import Results
from unifexec._core.task import Task
from unifexec.errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol, Unpack

    from unifexec._core.maps import MapHome
    from unifexec._core.options import Options
    from unifexec.abc import Executor, OptionChanges, Stats, Traits

    class Room(MapHome, Protocol):
        """What the verbs ask of a backend: of its `room.Room`."""

        traits: Traits
        refuses: bool  # `check_open` would raise

        def check_open(self) -> None:
            """Raise if tasks are not accepted any more."""

        def pack_work(self, fn: Callable[..., Any], options: Options) -> tuple[Any, Any]:
            """What the backend keeps of a function and of the caller's context.

            Once for all items; raises `SerializationError`.
            """
            ...

        def accept(
            self, task: Task[Any], fn: Any, options: Options, args: Any, kwargs: Any
        ) -> None:
            """Keep what `pack_work` does, and the arguments; submit it as one call.

            Raises `SerializationError`.
            """

        def stats(self) -> Stats: ...

    class _Typed(Executor, concurrent.futures.Executor):  # type: ignore[misc]
        """The signatures, and their documentation, are those of the protocol."""

else:
    _Typed = concurrent.futures.Executor


CONTAINERS = frozenset({list, tuple, range, str, bytes, bytearray, set, frozenset, dict, deque})
# Iterating these runs no code of the caller's, so that many items may be taken at once.


class Verbs(_Typed):
    """The verbs on one room, under one set of options."""

    _room: Room
    _options: Options

    @property
    def traits(self) -> Traits:
        """How this executor differs from the others, as data."""
        return self._room.traits

    @property
    def _max_workers(self) -> int:
        """As in the standard library; existing libraries read it."""
        return self._room.max_workers

    def stats(self) -> Stats:
        """Counts at this moment: tasks queued, running, done, failed, lost; workers."""
        return self._room.stats()

    if not TYPE_CHECKING:  # the protocol types them; these are what it describes

        def submit(self, fn, /, *args, **kwargs):
            """Run ``fn(*args, **kwargs)`` as a task; see `Executor.submit`."""
            if not callable(fn):
                check_callable(fn, "submit")
            room, options = self._room, self._options
            if room.refuses:
                room.check_open()
            name = options.name or getattr(fn, "__qualname__", None)
            if type(name) is not str:
                name = name_of(fn)
            task = Task(room, name, options.abort)
            try:
                room.accept(task, fn, options, args, kwargs)
            except SerializationError as error:  # L12: it fails its own task, nothing is sent
                room.fail_batch(Single(task, None, None, options), error)
            try:
                return task
            finally:
                del task  # a task that ran in here may have an error, whose frames know this one

        def map(
            self,
            fn,
            *iterables,
            timeout=None,
            chunksize=None,
            buffersize=None,
            ordered=True,
            errors="raise",
            strict=False,
        ):
            """Run ``fn`` on every item; see `Executor.map`."""
            check_callable(fn, "map")
            check_choice("errors", errors, ("raise", "return"))
            if timeout is not None:
                timeout = check_timeout("timeout", timeout)
            if chunksize is not None:
                chunksize = check_count("chunksize", chunksize)
            if buffersize is not None:
                buffersize = check_count("buffersize", buffersize)
            ordered, strict = check_flag("ordered", ordered), check_flag("strict", strict)
            _check_iterables(iterables)
            unary = len(iterables) == 1
            inputs = iter(iterables[0]) if unary else zip(*iterables, strict=strict)
            bulk = all(type(iterable) in CONTAINERS for iterable in iterables)
            raises = errors == "raise"
            run = self._map_run(fn, inputs, unary, chunksize, buffersize, ordered, raises, bulk)
            run.open()
            return Results(run, timeout)

        def gather(self, *tasks, errors="raise"):
            """Join tasks into one; see `Executor.gather`."""
            for task in tasks:
                check_task(task)
            check_choice("errors", errors, ("raise", "return", "group"))
            self._room.check_open()
            return GatherTask(self._room, tasks, errors, self._options.name or "gather")

        def wrap(self, fn, /):
            """Return a callable that submits ``fn``; see `Executor.wrap`."""
            check_callable(fn, "wrap")
            return update_wrapper(_Submits(self.submit, fn), fn)

    def with_options(self, **options: Unpack[OptionChanges]) -> View:
        """Return a view of this executor; see `Executor.with_options`."""
        return View(self, self._options.but(**options))

    def _map_run(
        self,
        fn: Callable[..., Any],
        inputs: Iterator[Any],
        unary: bool,
        chunksize: int | None,
        buffersize: int | None,
        ordered: bool,
        raises: bool,
        bulk: bool,
    ) -> MapRun:
        room, options = self._room, self._options
        room.check_open()
        try:
            work, context = room.pack_work(fn, options)
        except SerializationError as error:
            work, context = error, None  # each of its items fails with it
        return MapRun(
            room,
            work,
            context,
            inputs,
            options,
            options.name or name_of(fn),
            unary=unary,
            chunksize=chunksize,
            buffersize=buffersize,
            ordered=ordered,
            raises=raises,
            bulk=bulk,
        )


for _name in ("submit", "map", "gather", "wrap"):
    vars(Verbs)[_name].__qualname__ = f"Executor.{_name}"  # as users, and so errors, know it


class _Submits(partial):  # type: ignore[type-arg]  # it is not generic when it runs
    """What `wrap` makes: in a class it is a method, as functions are, and `partial` from 3.14 on.

    Not a function: one that stands under its name in a module would travel by that name, and
    a worker would make the executors of that module, instead of using its own (L18).
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        is_static = instance is None or isinstance(self.args[0], staticmethod)
        return self if is_static else MethodType(self, instance)


class View(Verbs):
    """The same workers under other options. Closing it closes nothing."""

    def __init__(self, executor: Verbs, options: Options) -> None:
        self._executor = executor  # which lives as long as its views
        self._room = executor._room
        self._options = options

    def shutdown(
        self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None
    ) -> None:
        """Do nothing: the executor itself is what can be closed."""

    async def aclose(self) -> None:
        """Do nothing, as `shutdown`."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing, as `shutdown`."""

    async def __aenter__(self) -> View:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Do nothing, as `shutdown`."""

    def __reduce__(self) -> Any:
        return View, (self._executor, self._options)

    def __repr__(self) -> str:
        return f"<view of {self._executor!r}>"


def name_of(fn: Any) -> str:
    """What to call the tasks of a function."""
    while isinstance(fn, partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None)
    return name if type(name) is str and name else type(fn).__qualname__


def _check_iterables(iterables: tuple[Any, ...]) -> None:
    if not iterables:
        raise TypeError("map() needs at least one iterable after the function")
    for iterable in iterables:
        if hasattr(iterable, "__iter__") or hasattr(iterable, "__getitem__"):
            continue
        cure = ": options such as timeout= go by name, a constant as itertools.repeat(x)"
        if hasattr(iterable, "__aiter__"):
            cure = ": collect an async iterable first, [x async for x in ...]"
        raise TypeError(f"map() needs synchronous iterables, got {iterable!r}{cure}")
