"""Processes: what a task costs, and whether the cores are kept busy."""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from functools import cache, partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks import floors, peers
from benchmarks.model import (
    TIMES_IDEAL,
    Contender,
    Group,
    Sizes,
    aim_faster,
    aim_within,
    must_be_faster,
    must_stay_within,
    row,
)
from benchmarks.peers import WORKERS, Awaited
from benchmarks.tasks import integers, nothing, orders, price, spin, spun, square
from benchmarks.ways import (
    burst,
    floor,
    mapped,
    ours,
    peer,
    round_trips,
    standard,
    timed,
    work_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from benchmarks.model import Open, Run


@row(
    "process-submit",
    must_be_faster(15, "ProcessPoolExecutor"),
    must_be_faster(6, "multiprocessing.Pool"),
    aim_within(8, Group.FLOOR),
    sizes=Sizes(full=10_000, quick=4_000),
)
def process_submit() -> Iterator[Contender]:
    """Submit calls that do nothing to processes, then take all results."""
    yield ours("ProcessExecutor", burst(peers.our_processes))
    yield floor("64 calls per message over a pipe", pipe_burst)
    yield standard("ProcessPoolExecutor", burst(peers.standard_processes), share=0.5)
    yield standard("multiprocessing.Pool", burst(peers.multiprocessing_pool))
    yield peer("loky", burst(peers.loky_processes), share=0.2)
    yield peer("pebble", burst(peers.pebble_processes), share=0.2)
    yield peer("mpire", burst(peers.mpire_processes), share=0.5)


@contextmanager
def pipe_burst() -> Iterator[Run]:
    """The floor of separate calls."""
    with floors.PipeWorkers(WORKERS) as workers:
        yield lambda count: timed(
            lambda: workers.burst(nothing, range(count), per_message=64), list(range(count))
        )


@row(
    "process-roundtrip",
    must_be_faster(4, "ProcessPoolExecutor"),
    aim_within(1.5, Group.FLOOR),
    sizes=Sizes(full=2_000, quick=500),
)
def process_roundtrip() -> Iterator[Contender]:
    """Call a process, take the result, and so on: the median of one trip."""
    yield ours("ProcessExecutor", round_trips(peers.our_processes))
    yield floor("one call over a pipe", pipe_round_trips)
    yield standard("ProcessPoolExecutor", round_trips(peers.standard_processes))
    yield standard("multiprocessing.Pool", round_trips(peers.multiprocessing_pool))
    yield peer("loky", round_trips(peers.loky_processes))
    yield peer("pebble", round_trips(peers.pebble_processes))
    yield peer("mpire", round_trips(peers.mpire_processes), share=0.2)


@contextmanager
def pipe_round_trips() -> Iterator[Run]:
    """The floor of one call at a time."""
    with floors.PipeWorkers(1) as workers:

        def run(count: int) -> float:
            call = workers.call
            return count * median(timed(lambda: call(nothing, 1), 1) for _ in range(count))

        yield run


@row(
    "process-roundtrip-async",
    aim_within(3, "one call over a pipe"),
    sizes=Sizes(full=2_000, quick=500),
)
def process_roundtrip_async() -> Iterator[Contender]:
    """Call a process from a coroutine, await the result, and so on: the median of one trip."""
    yield ours("ProcessExecutor", awaited_trips(peers.our_processes_awaited))
    yield floor("one call over a pipe", pipe_round_trips)
    yield floor("a pipe read by the loop", awaited_trips(pipe_awaited))
    yield standard("run_in_executor", awaited_trips(peers.standard_processes_awaited))
    yield peer("anyio.to_process", awaited_trips(peers.anyio_processes_awaited))
    yield peer("aiomultiprocess", awaited_trips(peers.aiomultiprocess_awaited), share=0.05)


@contextmanager
def pipe_awaited() -> Iterator[Awaited]:
    """The floor of one call at a time from a coroutine."""
    with floors.pipe_read_by_the_loop() as call, asyncio.Runner() as runner:
        yield Awaited(runner.run, partial(call, nothing))


def awaited_trips(open_pool: Callable[[], AbstractContextManager[Awaited]]) -> Open:
    """As `round_trips`, from a coroutine."""

    async def trips(call: Callable[[int], Any], count: int) -> float:
        await call(0)  # some start their processes with the first call of each loop
        seconds = []
        for item in range(count):
            start = perf_counter()
            floors.expect(await call(item), item)
            seconds.append(perf_counter() - start)
        return count * median(seconds)

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as (run, call):
            yield lambda count: run(trips(call, count))

    return open_


@row(
    "process-map-ints",
    must_be_faster(50, "ProcessPoolExecutor.map"),
    must_stay_within(2, Group.TUNED_STANDARD),
    aim_within(1.2, Group.TUNED_STANDARD),
    sizes=Sizes(full=100_000, quick=50_000),
)
def process_map_ints() -> Iterator[Contender]:
    """Map x * x over integers in processes, nothing tuned."""
    return maps(square, integers, per_message=1000)


@row(
    "process-map-dicts",
    must_stay_within(3, Group.TUNED_STANDARD),
    aim_within(1.5, Group.TUNED_STANDARD),
    sizes=Sizes(full=100_000, quick=50_000),
)
def process_map_dicts() -> Iterator[Contender]:
    """Map small records to small records in processes, nothing tuned."""
    return maps(price, orders, per_message=500)


def maps(
    fn: Callable[[Any], Any], make_items: Callable[[int], Sequence[Any]], per_message: int
) -> Iterator[Contender]:
    """Every map over small items."""

    def on(open_pool: peers.OpenPool) -> Open:
        return mapped(open_pool, fn, make_items)

    yield ours("ProcessExecutor.map", on(peers.our_processes))
    yield floor(f"{per_message} items per message", pipe_map(fn, make_items, per_message))
    yield standard("ProcessPoolExecutor.map", on(peers.standard_processes), share=0.05)
    yield standard("multiprocessing.Pool.map", on(peers.multiprocessing_pool))
    for chunk in [100, 1_000, 5_000]:
        opener = on(partial(peers.standard_processes, chunk))
        yield Contender(f"chunksize={chunk}", Group.TUNED_STANDARD, opener)
    yield peer("loky", on(peers.loky_processes), share=0.02)
    yield peer("joblib", on(peers.joblib_processes), share=0.1)
    yield peer("pebble", on(peers.pebble_processes), share=0.02)
    yield peer("mpire", on(peers.mpire_processes), share=0.5)


def pipe_map(
    fn: Callable[[Any], Any],
    make_items: Callable[[int], Sequence[Any]],
    per_message: int,
    known: Callable[[Any], Any] | None = None,
) -> Open:
    """The floor of a map."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with floors.PipeWorkers(WORKERS) as workers:

            def run(count: int) -> float:
                items, expected = work_of(known or fn, make_items, count)
                return timed(lambda: workers.map(fn, items, per_message), expected)

            yield run

    return open_


# -- tasks that differ --

SHORTEST, LONGEST = 0.0001, 0.020  # seconds


@cache
def turns_per_second() -> float:
    """How fast `spin` is here while all workers compute, once for all contenders."""
    turns = [200_000] * WORKERS
    with floors.PipeWorkers(WORKERS) as workers:
        return turns[0] / min(timed(lambda: workers.map(spin, turns, 1)) for _ in range(10))


@cache
def uneven_turns(count: int) -> list[int]:
    """Work of 0.1 to 20 ms with a heavy tail: most are short, and most of the work is in few."""
    chance = random.Random(1)
    spread = LONGEST / SHORTEST
    seconds = [SHORTEST * spread ** (chance.random() ** 3) for _ in range(count)]
    return [int(each * turns_per_second()) for each in seconds]


@row(
    "process-uneven",
    must_be_faster(0.97, Group.FLOOR),
    aim_faster(1.0, Group.FLOOR),
    sizes=Sizes(full=400, quick=200),
    unit=TIMES_IDEAL,
)
def process_uneven() -> Iterator[Contender]:
    """Map tasks of 0.1 to 20 ms in processes: time over that of cores that never rest."""

    def on(open_pool: peers.OpenPool) -> Open:
        return over_ideal(mapped(open_pool, spin, uneven_turns, spun))

    yield ours("ProcessExecutor.map", on(peers.our_processes))
    yield floor("one item per message", over_ideal(pipe_map(spin, uneven_turns, 1, spun)))
    yield standard("ProcessPoolExecutor.map", on(peers.standard_processes))
    yield standard("multiprocessing.Pool.map", on(peers.multiprocessing_pool))
    yield peer("loky", on(peers.loky_processes))
    yield peer("joblib", on(peers.joblib_processes))
    yield peer("pebble", on(peers.pebble_processes))
    yield peer("mpire", on(peers.mpire_processes))


def over_ideal(open_run: Open) -> Open:
    """The time over what it would be if both cores worked all the time and nothing else did."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_run() as run:

            def divided(count: int) -> float:
                return run(count) / (sum(uneven_turns(count)) / turns_per_second() / WORKERS)

            yield divided

    return open_


ROWS = [
    process_submit,
    process_roundtrip,
    process_roundtrip_async,
    process_map_ints,
    process_map_dicts,
    process_uneven,
]
