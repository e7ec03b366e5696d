"""Many tasks, much waiting, and whether anybody must tune anything."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import unifexec
from benchmarks import floors, peers
from benchmarks.model import (
    PER_RUN,
    TIMES_IDEAL,
    TIMES_SMALL,
    Contender,
    Group,
    Sizes,
    aim_at_most,
    must_be_at_most,
    must_stay_within,
    row,
)
from benchmarks.peers import WORKERS
from benchmarks.rows.process import pipe_map, turns_per_second, uneven_turns
from benchmarks.rows.thread import one_thread
from benchmarks.tasks import integers, spin, spun, square, wait, wait_async
from benchmarks.ways import burst, floor, mapped, opened, ours, peer, standard, timed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from benchmarks.model import Open, Run

# -- many tasks --

FEW = 1_000
REPEATS = 10  # of the few: one run of them is over in no time


@row(
    "scale-submit",
    must_be_at_most(1.5),
    aim_at_most(1.1),
    sizes=Sizes(full=1_000_000, quick=100_000, tiny=2_000),
    unit=TIMES_SMALL,
)
def scale_submit() -> Iterator[Contender]:
    """The cost of one task of a million submitted at once, over that of one of a thousand."""
    yield ours("ThreadExecutor", growing(burst(peers.our_threads)))
    yield floor("one thread and a queue", growing(burst(one_thread)))
    yield standard("ThreadPoolExecutor", growing(burst(peers.standard_threads)), share=0.1)


def growing(open_run: Open) -> Open:
    """The cost per task of many over the cost per task of few, in the same round."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_run() as run:

            def grown(count: int) -> float:
                few = sorted(run(FEW) for _ in range(REPEATS))[REPEATS // 2] / FEW
                return run(count) / count / few

            yield grown

    return open_


# -- much waiting --

AT_ONCE = 50
REQUEST = 0.020  # seconds


@row(
    "requests-thread",
    must_stay_within(1.05, Group.FLOOR),
    sizes=Sizes(full=500, quick=500, tiny=50),
    unit=TIMES_IDEAL,
)
def requests_thread() -> Iterator[Contender]:
    """500 requests of 20 ms, 50 at once, in threads: time over the ideal."""
    yield ours("ThreadExecutor.map", requests_on(partial(peers.our_threads, AT_ONCE)))
    yield floor("threads on one iterator", opened(requests_on_floor_threads))
    threads = partial(peers.standard_threads, AT_ONCE)
    yield standard("ThreadPoolExecutor.map", requests_on(threads))


def ideal(count: int) -> float:
    """The seconds that so many requests must take."""
    return count / AT_ONCE * REQUEST


def requests(count: int) -> list[float]:
    """How long each request takes."""
    return [REQUEST] * count


def requests_on(open_pool: peers.OpenPool) -> Open:
    """Requests through the map of a pool."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:

            def run(count: int) -> float:
                items = requests(count)
                return timed(lambda: list(pool.map(wait, items)), items) / ideal(count)

            yield run

    return open_


def requests_on_floor_threads(count: int) -> float:
    """The floor of waiting in threads."""
    return floors.threads_on_one_iterator(wait, requests(count), AT_ONCE) / ideal(count)


@row(
    "requests-async",
    must_stay_within(1.05, Group.FLOOR),
    sizes=Sizes(full=500, quick=500, tiny=50),
    unit=TIMES_IDEAL,
)
def requests_async() -> Iterator[Contender]:
    """500 requests of 20 ms, 50 at once, in coroutines: time over the ideal."""
    yield ours("AsyncExecutor.map", requests_in_a_loop(request_ours))
    yield floor("workers on one iterator", requests_in_a_loop(request_floor))
    yield standard("gather and Semaphore", requests_in_a_loop(request_semaphore))
    yield peer("aiometer", requests_in_a_loop(request_aiometer))
    yield peer("streamable", requests_in_a_loop(request_streamable))


def requests_in_a_loop(work: Callable[[int], Awaitable[list[Any]]]) -> Open:
    """The time from inside a loop that runs already."""

    async def measured(count: int) -> float:
        start = perf_counter()
        results = await work(count)
        seconds = perf_counter() - start
        floors.expect(results, requests(count))
        return seconds / ideal(count)

    return opened(lambda count: asyncio.run(measured(count)))


async def request_ours(count: int) -> list[float]:
    """In the caller's loop."""
    async with unifexec.AsyncExecutor(AT_ONCE) as executor:
        return [result async for result in executor.map(wait_async, requests(count))]


async def request_floor(count: int) -> list[float]:
    """Long-lived tasks."""
    return await floors.workers_on_one_iterator(wait_async, requests(count), AT_ONCE)


async def request_semaphore(count: int) -> list[float]:
    """As the standard library's documentation would have it."""
    bound = asyncio.Semaphore(AT_ONCE)

    async def one(seconds: float) -> float:
        async with bound:
            return await wait_async(seconds)

    return await asyncio.gather(*[one(seconds) for seconds in requests(count)])


async def request_aiometer(count: int) -> list[float]:
    """All at once, but for the bound."""
    calls = [partial(wait_async, seconds) for seconds in requests(count)]
    results: list[float] = await peers.library("aiometer").run_all(calls, max_at_once=AT_ONCE)
    return results


async def request_streamable(count: int) -> list[float]:
    """A stream with concurrency."""
    stream = peers.library("streamable").stream(requests(count))
    return [result async for result in stream.map(wait_async, concurrency=AT_ONCE)]


# -- no tuning needed --

PROBED = 2_000  # tiny items whose time tells how many fill a run


@cache
def tiny_items_per_millisecond() -> int:
    """How many tiny items our own map does here with its defaults, so that runs are long enough."""
    items = integers(PROBED * 10)
    with peers.our_processes() as pool:
        list(pool.map(square, items[:PROBED]))
        seconds = timed(lambda: list(pool.map(square, items)))
    return max(1, int(len(items) / seconds / 1000))


def tiny(milliseconds: int) -> list[int]:
    """Integers for so long a run."""
    return integers(milliseconds * tiny_items_per_millisecond())


def medium(milliseconds: int) -> list[int]:
    """Tasks of one millisecond for so long a run."""
    return [int(turns_per_second() / 1000)] * (milliseconds * WORKERS)


def heavy_tailed(milliseconds: int) -> list[int]:
    """Tasks of 0.1 to 20 ms for so long a run."""
    mean = sum(uneven_turns(1000)) / 1000 / turns_per_second()
    return uneven_turns(max(WORKERS, int(milliseconds / 1000 * WORKERS / mean)))


def untuned(
    fn: Callable[[Any], Any], items: Callable[[int], Sequence[Any]], chunks: list[int]
) -> Iterator[Contender]:
    """Our defaults against our own map with each chunk size that may be best."""
    known = spun if fn is spin else None
    yield ours("defaults", mapped(peers.our_processes, fn, items, known))
    for chunk in chunks:
        opener = mapped(partial(peers.our_processes, chunk), fn, items, known)
        yield Contender(f"chunksize={chunk}", Group.TUNED_OURS, opener)
    yield floor(f"{chunks[-1]} per message", pipe_map(fn, items, chunks[-1], known))


MILLISECONDS = Sizes(full=1_200, quick=300, tiny=20)


@row("untuned-tiny", must_stay_within(1.1, Group.TUNED_OURS), sizes=MILLISECONDS, unit=PER_RUN)
def untuned_tiny() -> Iterator[Contender]:
    """Tiny tasks in processes, over a second: our defaults and our best chunk size."""
    return untuned(square, tiny, [64, 256, 1024])


@row("untuned-medium", must_stay_within(1.1, Group.TUNED_OURS), sizes=MILLISECONDS, unit=PER_RUN)
def untuned_medium() -> Iterator[Contender]:
    """Tasks of 1 ms in processes, over a second: our defaults and our best chunk size."""
    return untuned(spin, medium, [16, 4, 1])


@row("untuned-heavy", must_stay_within(1.1, Group.TUNED_OURS), sizes=MILLISECONDS, unit=PER_RUN)
def untuned_heavy() -> Iterator[Contender]:
    """Tasks of 0.1 to 20 ms in processes, over a second: our defaults and our best chunk size."""
    return untuned(spin, heavy_tailed, [16, 4, 1])


ROWS = [
    scale_submit,
    requests_thread,
    requests_async,
    untuned_tiny,
    untuned_medium,
    untuned_heavy,
]
