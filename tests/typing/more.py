"""Corners of the types that users meet. Checked by mypy and pyright, never run."""

from __future__ import annotations

import concurrent.futures
import functools
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, assert_never, assert_type

from unifexec import (
    Executor,
    Failure,
    Outcome,
    Results,
    Success,
    Task,
    ThreadExecutor,
    create_executor,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


def double(x: int) -> int:
    return 2 * x


def shout(x: str, *, mark: str = "!") -> str:
    return x + mark


def pair(x: int, y: str) -> tuple[int, str]:
    return x, y


async def fetch(x: int) -> bytes:
    return bytes(x)


async def six(a: int, b: int, c: int, d: int, e: int, f: int) -> bytes:
    return bytes([a, b, c, d, e, f])


def nothing() -> None: ...


def submits(ex: Executor, anything: Any, maybe: Callable[[int], Awaitable[str]]) -> None:
    """What is called and what it is called with must fit."""
    assert_type(ex.submit(nothing), Task[None])
    assert_type(ex.submit(maybe, 1), Task[str])
    assert_type(ex.submit(lambda: fetch(1)), Task[bytes])
    assert_type(ex.submit(functools.partial(fetch, 1)), Task[bytes])
    assert_type(ex.submit(functools.partial(shout, mark="?"), "a"), Task[str])
    assert_type(ex.submit(len, "abc"), Task[int])
    assert_type(ex.submit(anything, 1), Task[Any])
    ex.submit(shout, "a", mark=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.submit(double, 1, 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ex.submit(fetch(1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.submit(fn=double, x=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    wrong: Task[str] = ex.submit(double, 1)  # type: ignore[call-overload]  # pyright: ignore[reportAssignmentType]
    print(wrong)


def wraps(ex: Executor) -> None:
    """A wrapped function keeps its parameters, by name too."""
    assert_type(ex.wrap(shout)("a", mark="?"), Task[str])
    ex.wrap(shout)("a", make="?")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ex.wrap(double)()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ex.wrap(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

    class Scale:
        @ex.wrap
        def times(self, x: int) -> int:
            return 2 * x

    assert_type(Scale().times(1), Task[int])
    Scale().times("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def maps(ex: Executor, words: Iterator[str], how: Literal["raise", "return"]) -> None:
    """Iterables are checked position by position up to five, and counted."""
    assert_type(ex.map(lambda x: x + 1, [1]), Results[int])
    assert_type(ex.map(lambda x, y: (y, x), [1], words), Results[tuple[str, int]])
    assert_type(ex.map(str, range(3)), Results[str])
    assert_type(ex.map(pair, range(3), words, strict=True, ordered=False), Results[tuple[int, str]])
    assert_type(ex.map(six, [1], [1], [1], [1], [1], [1]), Results[bytes])
    assert_type(ex.map(six, [1], [1], [1], [1], [1], [1], errors="return"), Results[Outcome[bytes]])
    assert_type(ex.map(double, [1], errors=how), Results[int] | Results[Outcome[int]])
    ex.map(pair, [1], [2])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(pair, [1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(fetch, words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(double)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ex.map(double, 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(double, [1], chunksize="2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(double, [1], strict=None)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def results(ex: Executor) -> None:
    """Results are an iterator, and a context manager of themselves."""
    found: Iterator[int] = ex.map(double, [1])
    assert_type(next(ex.map(double, [1])), int)
    with ex.map(double, [1], errors="return") as outcomes:
        assert_type([outcome.index for outcome in outcomes], list[int])
    print(found)


def gathers(ex: Executor, i: Task[int], s: Task[str], many: list[Task[int]]) -> None:
    """Exact per position to eight, then one type for all."""
    assert_type(ex.gather(i, i, i, i, i, i, i, i, i), Task[tuple[int, ...]])
    assert_type(ex.gather(*many, errors="return"), Task[tuple[Outcome[int], ...]])
    assert_type(ex.gather(*many, errors="group").result(), tuple[int, ...])
    assert_type(
        ex.gather(i, s, i, s, i, s, i, s, errors="return").result(),
        tuple[
            Outcome[int],
            Outcome[str],
            Outcome[int],
            Outcome[str],
            Outcome[int],
            Outcome[str],
            Outcome[int],
            Outcome[str],
        ],
    )
    assert_type(ex.gather(ex.gather(i), s), Task[tuple[tuple[int], str]])
    ex.gather(i, 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.gather(fetch(1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.gather(many)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.gather(Future[int]())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.gather(i, errors="first")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def outcomes(outcome: Outcome[int]) -> int:
    """Success and Failure are all there is."""
    assert_type(outcome.unwrap(), int)
    match outcome:
        case Success(value):
            assert_type(value, int)
            return value
        case Failure(error):
            assert_type(error, BaseException)
            return 0
        case _:
            assert_never(outcome)


def executors(ex: Executor, kind: str) -> None:
    """An executor of any kind is an Executor; an unknown keyword is refused."""
    some: Executor = create_executor(kind)
    view: Executor = ex.with_options(
        time_limit=1.0, rerun_lost=1, name="n", context=[], abort=False
    )
    standard: concurrent.futures.Executor = create_executor(kind)
    plain: concurrent.futures.Executor = ThreadExecutor(2).with_options(name="n")
    ThreadExecutor("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ThreadExecutor(workers=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ex.with_options(time_limit="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pool: Executor = concurrent_pool()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(some, view, standard, plain, pool)


def completed(tasks: list[Task[int]]) -> list[int]:
    """What takes futures takes tasks."""
    concurrent.futures.wait(tasks)
    return [task.result() for task in concurrent.futures.as_completed(tasks)]


def concurrent_pool() -> concurrent.futures.Executor:
    """Lacks gather and the rest of the contract."""
    raise NotImplementedError
