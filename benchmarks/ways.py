"""The ways of using a pool that rows measure: each turns the opener of a pool into a contender."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.floors import expect
from benchmarks.model import Contender, Group
from benchmarks.tasks import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.model import Open, Run
    from benchmarks.peers import OpenPool


def ours(name: str, open_: Open, *, share: float = 1.0) -> Contender:
    """Ours."""
    return Contender(name, Group.OURS, open_, share)


def floor(name: str, open_: Open, *, share: float = 1.0) -> Contender:
    """One of `benchmarks.floors`."""
    return Contender(name, Group.FLOOR, open_, share)


def standard(name: str, open_: Open, *, share: float = 1.0) -> Contender:
    """The standard library."""
    return Contender(name, Group.STANDARD, open_, share)


def peer(name: str, open_: Open, *, share: float = 1.0) -> Contender:
    """Somebody else's."""
    return Contender(name, Group.PEER, open_, share)


def opened(run: Run) -> Open:
    """A contender that needs no setting up."""

    @contextmanager
    def open_() -> Iterator[Run]:
        yield run

    return open_


def timed(work: Callable[[], Any], expected: Any = None) -> float:
    """The seconds that it took; what it gives must be right."""
    start = time.perf_counter()
    results = work()
    seconds = time.perf_counter() - start
    if expected is not None:
        expect(results, expected)
    return seconds


def burst(open_pool: OpenPool, fn: Callable[[int], int] = nothing) -> Open:
    """Submit all, then take all results; ``fn`` gives back what it is given."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:

            def work(count: int) -> list[Any]:
                tasks = [pool.submit(fn, item) for item in range(count)]
                return [pool.result(task) for task in tasks]

            yield lambda count: timed(lambda: work(count), list(range(count)))

    return open_


def round_trips(open_pool: OpenPool) -> Open:
    """Submit one, take its result, and so on; the median, times the number of them."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:

            def run(count: int) -> float:
                submit, result = pool.submit, pool.result
                return count * median(
                    timed(lambda item=item: result(submit(nothing, item)), item)  # type: ignore[misc]
                    for item in range(count)
                )

            yield run

    return open_


@lru_cache(maxsize=8)
def work_of(
    fn: Callable[[Any], Any], make_items: Callable[[int], Sequence[Any]], count: int
) -> tuple[Sequence[Any], list[Any]]:
    """Items and what must come of them, made once for all contenders."""
    items = make_items(count)
    return items, [fn(item) for item in items]


def mapped(
    open_pool: OpenPool,
    fn: Callable[[Any], Any],
    make_items: Callable[[int], Sequence[Any]],
    known: Callable[[Any], Any] | None = None,
) -> Open:
    """Map a function over items, taking the results one by one.

    ``known`` gives the same results as ``fn``, for those that take long.
    """

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:

            def run(count: int) -> float:
                items, expected = work_of(known or fn, make_items, count)
                return timed(lambda: list(pool.map(fn, items)), expected)

            yield run

    return open_
