"""The types that users meet, as mypy and pyright see them. Checked by both, never run.

A deliberate error carries a coded ignore for each checker, which both report when it is not
needed any more: so the error itself is under test.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, assert_type

from unifexec import (
    AsyncExecutor,
    Executor,
    Failure,
    Outcome,
    ProcessExecutor,
    Results,
    SerialExecutor,
    Success,
    Task,
    ThreadExecutor,
    create_executor,
)

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable


def double(x: int) -> int:
    return 2 * x


async def fetch(url: str, *, retries: int = 0) -> bytes:
    return url.encode() * retries


def add(a: int, b: float, c: str = "") -> str:
    return f"{a + b}{c}"


def five(a: int, b: str, c: float, d: bytes, e: bool) -> list[int]:
    return [a, int(b), int(c), len(d), e]


def six(a: int, b: int, c: int, d: int, e: int, f: int) -> float:
    return a + b + c + d + e + f / 2


class Thing:
    def method(self, x: int) -> str:
        return str(x)

    async def coroutine(self, x: int) -> float:
        return x / 2


def submits(ex: Executor) -> None:
    assert_type(ex.submit(double, 1), Task[int])
    assert_type(ex.submit(double, x=1), Task[int])
    assert_type(ex.submit(fetch, "url"), Task[bytes])
    assert_type(ex.submit(fetch, "url", retries=2), Task[bytes])
    assert_type(ex.submit(add, 1, 2.0, c="x").result(), str)
    assert_type(ex.submit(Thing().method, 1), Task[str])
    assert_type(ex.submit(Thing().coroutine, 1), Task[float])
    assert_type(ex.submit(partial(double, 1)), Task[int])
    assert_type(ex.submit(lambda: 1), Task[int])
    assert_type(ex.submit(Thing), Task[Thing])
    ex.submit(double, "no")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.submit(double)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ex.submit(fetch, "url", retry=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ex.submit(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def wraps(ex: Executor) -> None:
    assert_type(ex.wrap(double)(1), Task[int])
    assert_type(ex.wrap(fetch)("url", retries=1), Task[bytes])
    ex.wrap(double)("no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def maps(ex: Executor) -> None:
    assert_type(ex.map(double, [1, 2]), Results[int])
    assert_type(ex.map(fetch, ["a"]), Results[bytes])
    assert_type(ex.map(add, [1], [2.0]), Results[str])
    assert_type(ex.map(five, [1], ["2"], [3.0], [b"4"], [True]), Results[list[int]])
    assert_type(ex.map(six, [1], [2], [3], [4], [5], [6]), Results[float])
    assert_type(ex.map(double, [1], errors="return"), Results[Outcome[int]])
    assert_type(ex.map(fetch, ["a"], errors="return"), Results[Outcome[bytes]])
    assert_type(ex.map(double, [1], chunksize=2, buffersize=3, timeout=1.5), Results[int])
    ex.map(double, ["no"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(double, [1], errors="no")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ex.map(double, [1], chunks=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    for x in ex.map(double, [1]):
        assert_type(x, int)


async def awaits(ex: Executor) -> None:
    assert_type(await ex.submit(double, 1), int)
    assert_type(await ex.submit(fetch, "url"), bytes)
    assert_type(await ex.gather(ex.submit(double, 1), ex.submit(fetch, "u")), tuple[int, bytes])
    async for page in ex.map(fetch, ["a"]):
        assert_type(page, bytes)
    async with ex.map(double, [1]) as results:
        assert_type(results, Results[int])


def gathers(ex: Executor, many: list[Task[int]]) -> None:
    a, b = ex.submit(double, 1), ex.submit(add, 1, 2.0)
    none: Task[tuple[int, ...]] = ex.gather()
    assert_type(none, Task[tuple[int, ...]])
    mixed: list[object] = [a, b]  # what a list of both is; it is refused, as the comments say
    ex.gather(*mixed)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(ex.gather(a), Task[tuple[int]])
    assert_type(ex.gather(a, b), Task[tuple[int, str]])
    assert_type(
        ex.gather(a, b, a, b, a, b, a, b), Task[tuple[int, str, int, str, int, str, int, str]]
    )
    assert_type(ex.gather(*many), Task[tuple[int, ...]])
    assert_type(ex.gather(a, b, errors="group"), Task[tuple[int, str]])
    assert_type(ex.gather(a, b, errors="return"), Task[tuple[Outcome[int], Outcome[str]]])
    ex.gather(double)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def outcomes(outcome: Outcome[int]) -> int:
    if isinstance(outcome, Success):
        assert_type(outcome.value, int)
        return outcome.value
    assert_type(outcome, Failure)
    assert_type(outcome.error, BaseException)
    return 0


def executors() -> None:
    for make in (SerialExecutor, ThreadExecutor, ProcessExecutor, AsyncExecutor):
        make(2)
    standard: list[concurrent.futures.Executor] = [ThreadExecutor(), ProcessExecutor()]
    standard += [SerialExecutor(), AsyncExecutor()]
    ours: list[Executor] = [SerialExecutor(), ThreadExecutor(), ProcessExecutor(), AsyncExecutor()]
    future: concurrent.futures.Future[int] = ThreadExecutor().submit(double, 1)
    assert_type(create_executor("serial"), SerialExecutor)
    assert_type(create_executor("thread", max_workers=2), ThreadExecutor)
    assert_type(create_executor("process"), ProcessExecutor)
    assert_type(create_executor("async"), AsyncExecutor)
    with create_executor("thread") as ex:
        assert_type(ex, ThreadExecutor)
        assert_type(ex.submit(double, 1), Task[int])
        assert_type(ex.map(fetch, ["a"]), Results[bytes])
        view: Executor = ex.with_options(time_limit=1.5, name="x")
        ex.with_options(time_limits=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    wants(view)
    wants(ThreadExecutor())
    print(standard, ours, future)


def wants(executor: Executor) -> Callable[[int], Task[int]]:
    """What users' own functions ask for."""
    return executor.wrap(double)
