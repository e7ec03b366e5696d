"""Bad input gets a clear error at the call, naming the value and the cure."""

from __future__ import annotations

import asyncio
import pickle
import re
import threading
import time
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import pytest

from unifexec import (
    AsyncExecutor,
    ExecutorClosedError,
    ProcessExecutor,
    SerialExecutor,
    SerializationError,
    ThreadExecutor,
    create_executor,
)
from unifexec.testing.tasks import double, double_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NOT_COUNTS = [
    (0, ValueError),
    (-1, ValueError),
    ("2", TypeError),
    (1.5, TypeError),
    (True, TypeError),
]
KINDS = [SerialExecutor, ThreadExecutor, ProcessExecutor, AsyncExecutor]


@pytest.fixture(params=KINDS)
def ex(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each executor."""
    with request.param(max_workers=1) as executor:
        yield executor


def test_not_a_callable(ex: Any) -> None:
    """The value is named, for each verb."""
    for call in (ex.submit, ex.wrap, lambda value: ex.map(value, [1])):
        with pytest.raises(TypeError, match=r"needs a callable, got 42"):
            call(42)


@pytest.mark.parametrize(("verb", "cure"), [("submit", "submit(fn, *args)"), ("wrap", "wrap(fn)")])
def test_not_a_callable_has_its_cure(ex: Any, verb: str, cure: str) -> None:
    """How the call should look."""
    with pytest.raises(TypeError, match=re.escape(cure)):
        getattr(ex, verb)("no function")


def test_tasks_in_a_list(ex: Any) -> None:
    """They are to be unpacked, not submitted."""
    task = ex.submit(abs, 1)
    for several in ([task, task], (each for each in [task])):
        with pytest.raises(TypeError, match=re.escape("gather(*tasks)")):
            ex.gather(several)


def test_a_task_cannot_travel(ex: Any) -> None:
    """Its value can."""
    with pytest.raises(TypeError, match=re.escape("pass its result()")):
        pickle.dumps(ex.submit(abs, 1))


def test_a_coroutine_object(ex: Any) -> None:
    """Pass the function and its arguments; the object given is closed, nothing warns."""
    with pytest.raises(TypeError, match=r"coroutine object.*submit\(fn, \*args\)"):
        ex.submit(double_async(1))


def test_gather_takes_tasks(ex: Any) -> None:
    """A callable is to be submitted first."""
    with pytest.raises(TypeError, match=r"gather\(\) needs tasks.*executor\.submit"):
        ex.gather(double)
    with pytest.raises(TypeError, match=r"submit the function"):
        ex.gather(double_async(1))  # it is closed: nothing warns that it was never awaited
    with pytest.raises(ValueError, match="errors must be one of 'raise', 'return', 'group'.*'no'"):
        ex.gather(errors="no")


def test_map_takes_synchronous_iterables(ex: Any) -> None:
    """An async iterable is refused with the cure, and so is a number; none at all as well."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"async for x in"):
        ex.map(double, numbers())
    with pytest.raises(TypeError, match=r"synchronous iterables, got 42"):
        ex.map(double, 42)
    with pytest.raises(TypeError, match=r"at least one iterable"):
        ex.map(double)


@pytest.mark.parametrize("name", ["buffersize", "chunksize"])
@pytest.mark.parametrize(("value", "error"), NOT_COUNTS)
def test_sizes(ex: Any, name: str, value: Any, error: type[Exception]) -> None:
    """Whole numbers of at least 1."""
    with pytest.raises(error, match=f"{name} must be .*{value!r}"):
        ex.map(double, [1], **{name: value})


@pytest.mark.parametrize("name", ["ordered", "strict"])
@pytest.mark.parametrize("value", ["no", 0, 1, None])
def test_flags(ex: Any, name: str, value: Any) -> None:
    """True or False: a word would count as True."""
    with pytest.raises(TypeError, match=f"{name} must be True or False, got {value!r}"):
        ex.map(double, [1], **{name: value})


def test_portable_is_a_flag() -> None:
    """Of the serial executor, at its making."""
    with pytest.raises(TypeError, match="portable must be True or False, got 'no'"):
        SerialExecutor(portable="no")  # type: ignore[arg-type]  # that is the point


def test_flags_of_numpy(ex: Any) -> None:
    """Are what comparisons of its numbers give."""
    numpy = pytest.importorskip("numpy")  # comes with the examples, not with the tests
    with pytest.raises(ValueError, match=r"zip\(\)"):
        list(ex.map(max, [1, 2], [3], strict=numpy.True_, ordered=numpy.False_))


def test_a_callback_that_cannot_be_called(ex: Any) -> None:
    """Is refused when it is added, whether the task is done or not."""
    task = ex.submit(double, 1)
    for each in task, ex.gather(task):
        with pytest.raises(TypeError, match=r"add_done_callback\(\) needs a callable, got 3"):
            each.add_done_callback(3)
    assert task.result(20) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_time_outs(ex: Any, value: float) -> None:
    """Finite; None is how to say for ever."""
    task = ex.submit(double, 1)
    for call in (
        lambda: ex.map(double, [1], timeout=value),
        lambda: task.result(value),
        lambda: task.exception(timeout=value),
        lambda: ex.shutdown(timeout=value),
        lambda: ex.with_options(time_limit=value),
    ):
        with pytest.raises(ValueError, match=rf"must be finite .*None.*{value!r}"):
            call()
    with pytest.raises(TypeError, match="'soon'"):
        ex.map(double, [1], timeout="soon")
    assert task.result(20) == 2


def test_a_time_out_that_is_over_already(ex: Any) -> None:
    """Is none at all, as in the standard library: what is there is returned."""
    done, waits = ex.submit(double, 1), ex.submit(time.sleep, 0.2)
    assert done.result(20) == 2
    assert (done.result(-1), done.exception(-0.1)) == (2, None)
    if not waits.done():  # it is, where it runs at the call
        with pytest.raises(TimeoutError):
            waits.result(-1)
    with pytest.raises(TimeoutError):
        list(ex.map(time.sleep, [0.2], timeout=-1))
    with pytest.raises(ValueError, match=r"time_limit must be finite and greater than 0.*-1"):
        ex.with_options(time_limit=-1)


def test_numbers_of_other_types() -> None:
    """Such as numpy has: what counts as a whole number, or can be made a float."""

    class Whole(Fraction):
        def __index__(self) -> int:
            return int(self)

    class Index:
        def __index__(self) -> int:
            return 2

    whole, index, fraction = (
        cast("int", Whole(2)),
        cast("int", Index()),
        cast("float", Fraction(20)),
    )
    with ThreadExecutor(whole) as ex:
        numbers = ex.map(double, range(5), chunksize=index, timeout=fraction)
        assert list(numbers) == [0, 2, 4, 6, 8]
    assert repr(ex) == "<ThreadExecutor max_workers=2 closed>"


@pytest.mark.parametrize("value", [True, "2", 1j, 10**400, Decimal("sNaN"), [1]])
def test_what_is_no_number_of_seconds(ex: Any, value: Any) -> None:
    """Is named, whatever type it is of."""
    with pytest.raises(TypeError, match="timeout must be seconds as a float"):
        ex.map(double, [1], timeout=value)


def test_results_cannot_travel(ex: Any) -> None:
    """Their values can; and they say what they are."""
    results = ex.map(double, [1])
    assert repr(results) == "<Results of the map of 'double'>"
    with pytest.raises(TypeError, match=re.escape("pass list(results)")):
        pickle.dumps(results)
    assert (list(results), repr(results)) == ([2], "<Results, over>")


@pytest.mark.parametrize(
    ("option", "cure"),
    [("processes", "max_workers="), ("mp_context", "start_method="), ("name", r"with_options\(\)")],
)
@pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])
def test_options_of_other_libraries(kind: str, option: str, cure: str) -> None:
    """The known ones are listed, and what is meant is said."""
    with pytest.raises(TypeError, match=rf"{kind!r} has no option {option!r}; use {cure}.*: its "):
        create_executor(kind, **{option: 2})


def test_errors_word(ex: Any) -> None:
    """The known words are listed."""
    with pytest.raises(ValueError, match="errors must be one of 'raise', 'return'; got 'ignore'"):
        ex.map(double, [1], errors="ignore")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("value", "error"), NOT_COUNTS)
def test_max_workers(kind: Any, value: Any, error: type[Exception]) -> None:
    """As the standard library says it; and nothing is started."""
    with pytest.raises(error, match=rf"max_workers must be .*{value!r}"):
        kind(max_workers=value)
    if error is ValueError:
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            kind(value)


@pytest.mark.parametrize("kind", KINDS)
def test_other_constructor_arguments(kind: Any) -> None:
    """Initializers, loops and unknown names."""
    with pytest.raises(TypeError, match="initializer must be callable or None, got 42"):
        kind(initializer=42)
    with pytest.raises(TypeError, match="initargs must be a tuple, got 'ab'"):
        kind(initargs="ab")
    with pytest.raises(ValueError, match="async_backend must be one of 'asyncio', 'trio'; got 'x'"):
        kind(async_backend="x")
    with pytest.raises(TypeError, match="max_wrokers"):
        kind(max_wrokers=2)
    with pytest.raises(TypeError, match=r"finalizer must be a plain function.*late"):
        kind(finalizer=late)
    if kind is not AsyncExecutor:
        with pytest.raises(TypeError, match=r"initializer must be a plain function.*late"):
            kind(initializer=late)


async def late() -> None:
    """What nobody would await."""


def test_create_executor() -> None:
    """An unknown kind lists the known ones."""
    with pytest.raises(ValueError, match=r"'threads'.*'serial', 'thread', 'process', 'async'"):
        create_executor("threads")
    with pytest.raises(TypeError, match="max_wrokers"):
        create_executor("thread", max_wrokers=2)


def test_an_error_is_an_input_like_any_other(ex: Any) -> None:
    """Also one that we would raise where an input cannot travel."""
    assert list(ex.map(repr, [SerializationError("x"), 1])) == ["SerializationError('x')", "1"]


def test_constructors() -> None:
    """What is wrong is said by the constructor, not by the first task."""
    with pytest.raises(TypeError, match=r"thread_name_prefix must be a str, got 3"):
        ThreadExecutor(thread_name_prefix=3)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match=r"^grace must be seconds as a float, got None$"):
        ThreadExecutor(grace=None)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match=r"^grace must be finite and at least 0, got -1$"):
        ThreadExecutor(grace=-1)
    with pytest.raises(ValueError, match=r"max_abandoned must be at least 0, got -1"):
        ThreadExecutor(max_abandoned=-1)
    with pytest.raises(SerializationError, match="'initargs'"):
        ProcessExecutor(initializer=print, initargs=(threading.Lock(),))


def test_options(ex: Any) -> None:
    """Unknown names and wrong values are named."""
    with pytest.raises(TypeError, match=r"unknown option 'timelimit'.*time_limit"):
        ex.with_options(timelimit=1)
    with pytest.raises(ValueError, match=r"time_limit must be .*greater than 0.*0"):
        ex.with_options(time_limit=0)
    with pytest.raises(ValueError, match=r"rerun_lost must be at least 0, got -1"):
        ex.with_options(rerun_lost=-1)
    with pytest.raises(TypeError, match=r"name must be a str.*3"):
        ex.with_options(name=3)
    for value in ("no", 1):
        with pytest.raises(TypeError, match=rf"abort must be True or False, got {value!r}"):
            ex.with_options(abort=value)
    with pytest.raises(TypeError, match=r"context must be a list of ContextVar.*'var'"):
        ex.with_options(context=["var"])


@pytest.mark.parametrize("kind", KINDS)
def test_use_after_close(kind: Any) -> None:
    """Every verb says that it was shut down."""
    executor = kind(max_workers=1)
    executor.shutdown()
    for call in (
        lambda: executor.submit(double, 1),
        lambda: executor.map(double, [1]),
        executor.gather,
    ):
        with pytest.raises(ExecutorClosedError, match="was shut down"):
            call()


def test_blocking_the_loop_that_must_run_it() -> None:
    """Waiting there raises at once, and names the cure."""
    from unifexec import DeadlockError

    async def main() -> None:
        async with AsyncExecutor() as executor:
            task = executor.submit(double_async, 2)
            for call in (
                task.result,
                lambda: next(executor.map(double_async, [1])),
                lambda: executor.gather(task).result(),
                executor.shutdown,
            ):
                with pytest.raises(DeadlockError, match="await"):
                    call()
            assert await task == 4

    asyncio.run(main())
