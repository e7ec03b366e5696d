"""Coroutines, and plain functions called from them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import unifexec
from benchmarks import floors, peers
from benchmarks.model import Group, Sizes, aim_within, must_be_faster, row
from benchmarks.tasks import nothing, suspend
from benchmarks.ways import floor, opened, ours, peer, standard

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterator

    from benchmarks.model import Contender, Open, Run

BOUND = 100  # coroutines at once


@row(
    "coroutine-map",
    must_be_faster(3, Group.STANDARD, since=(3, 12)),
    aim_within(3, Group.FLOOR),
    sizes=Sizes(full=100_000, quick=20_000),
)
def coroutine_map() -> Iterator[Contender]:
    """Run many coroutines that give way once, 100 at a time, results in order."""
    yield ours("AsyncExecutor.map", in_a_loop(map_ours))
    yield floor("workers on one iterator", in_a_loop(map_floor))
    yield standard("gather and Semaphore", in_a_loop(map_semaphore))
    yield peer("anyio", in_a_loop(map_anyio), share=0.5)
    yield peer("aiometer", in_a_loop(map_aiometer), share=0.5)
    yield peer("streamable", in_a_loop(map_streamable), share=0.5)


def in_a_loop(work: Callable[[int], Awaitable[list[Any]]]) -> Open:
    """The time from inside a loop that runs already."""

    async def measured(count: int) -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        results = await work(count)
        seconds = loop.time() - start
        floors.expect(results, list(range(count)))
        return seconds

    return opened(lambda count: asyncio.run(measured(count)))


async def map_ours(count: int) -> list[int]:
    """In the caller's loop."""
    async with unifexec.AsyncExecutor(BOUND) as executor:
        return [result async for result in executor.map(suspend, range(count))]


async def map_floor(count: int) -> list[Any]:
    """Long-lived tasks."""
    return await floors.workers_on_one_iterator(suspend, range(count), BOUND)


async def map_semaphore(count: int) -> list[int]:
    """As the standard library's documentation would have it."""
    bound = asyncio.Semaphore(BOUND)

    async def one(item: int) -> int:
        async with bound:
            return await suspend(item)

    return await asyncio.gather(*[one(item) for item in range(count)])


async def map_anyio(count: int) -> list[int]:
    """A task group and a limiter."""
    anyio = peers.library("anyio")
    limiter = anyio.CapacityLimiter(BOUND)
    results = [0] * count

    async def one(item: int) -> None:
        async with limiter:
            results[item] = await suspend(item)

    async with anyio.create_task_group() as group:
        for item in range(count):
            group.start_soon(one, item)
    return results


async def map_aiometer(count: int) -> list[int]:
    """``run_on_each`` drops results, so `run_all` it is."""
    aiometer = peers.library("aiometer")
    calls = [partial(suspend, item) for item in range(count)]
    results: list[int] = await aiometer.run_all(calls, max_at_once=BOUND)
    return results


async def map_streamable(count: int) -> list[int]:
    """A stream with concurrency."""
    stream = peers.library("streamable").stream
    results: AsyncIterable[int] = stream(range(count)).map(suspend, concurrency=BOUND)
    return [result async for result in results]


@row(
    "coroutine-to-thread",
    must_be_faster(5, Group.STANDARD),
    aim_within(3, Group.FLOOR),
    sizes=Sizes(full=5_000, quick=5_000),
)
def coroutine_to_thread() -> Iterator[Contender]:
    """Call plain functions from coroutines, all gathered, in threads."""
    yield ours("ThreadExecutor, gather", gathered_on_ours(gather_ours))
    yield floor("one thread that answers a loop", gathered_on_floor)
    yield standard("asyncio.to_thread", in_a_loop(gather_to_thread))
    yield peer("anyio.to_thread", in_a_loop(gather_anyio), share=0.5)


@row(
    "coroutine-asyncio-gather",
    aim_within(3, Group.FLOOR),
    sizes=Sizes(full=5_000, quick=5_000),
)
def coroutine_asyncio_gather() -> Iterator[Contender]:
    """The same tasks, joined by `asyncio.gather`, which wraps each in a task of the loop."""
    yield ours("ThreadExecutor, asyncio.gather", gathered_on_ours(gather_by_asyncio))
    yield floor("one thread that answers a loop", gathered_on_floor)
    yield standard("asyncio.to_thread", in_a_loop(gather_to_thread))


def gathered_on_ours(gather: Callable[[Any, int], Awaitable[list[Any]]]) -> Open:
    """Calls on threads of ours, joined in this way."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with unifexec.ThreadExecutor() as executor, in_a_loop(partial(gather, executor))() as run:
            yield run

    return open_


async def gather_ours(executor: Any, count: int) -> list[int]:
    """As our documentation has it."""
    tasks = [executor.submit(nothing, item) for item in range(count)]
    return list(await executor.gather(*tasks))


async def gather_by_asyncio(executor: Any, count: int) -> list[int]:
    """As who knows only asyncio would do it."""
    tasks = [executor.submit(nothing, item) for item in range(count)]
    results: list[int] = await asyncio.gather(*tasks)
    return results


@contextmanager
def gathered_on_floor() -> Iterator[Run]:
    """The floor, gathered."""
    with floors.thread_that_answers_a_loop() as submit:

        async def work(count: int) -> list[int]:
            calls = [submit(nothing, item) for item in range(count)]
            results: list[int] = await asyncio.gather(*calls)
            return results

        with in_a_loop(work)() as run:
            yield run


async def gather_to_thread(count: int) -> list[int]:
    """The standard way."""
    return await asyncio.gather(*[asyncio.to_thread(nothing, item) for item in range(count)])


async def gather_anyio(count: int) -> list[int]:
    """Its limiter lets 40 threads run."""
    anyio = peers.library("anyio")
    run_sync = peers.library("anyio.to_thread").run_sync
    results = [0] * count

    async def one(item: int) -> None:
        results[item] = await run_sync(nothing, item)

    async with anyio.create_task_group() as group:
        for item in range(count):
            group.start_soon(one, item)
    return results


ROWS = [coroutine_map, coroutine_to_thread, coroutine_asyncio_gather]
