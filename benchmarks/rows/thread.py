"""Threads: what a task costs."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import floors, peers
from benchmarks.model import Group, Sizes, aim_within, must_be_faster, row
from benchmarks.peers import Pool
from benchmarks.tasks import nothing
from benchmarks.ways import burst, floor, opened, ours, peer, standard, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.model import Contender, Open, Run


@row(
    "thread-submit",
    must_be_faster(4, Group.STANDARD),
    aim_within(4, Group.FLOOR),
    sizes=Sizes(full=20_000, quick=10_000),
)
def thread_submit() -> Iterator[Contender]:
    """Submit calls that do nothing to threads, then take all results."""
    yield ours("ThreadExecutor", burst(peers.our_threads))
    yield floor("one thread and a queue", burst(one_thread))
    yield standard("ThreadPoolExecutor", burst(peers.standard_threads))
    yield peer("pebble", burst(peers.pebble_threads), share=0.5)


@contextmanager
def one_thread() -> Iterator[Pool]:
    """The floor, used as a pool."""
    with floors.one_thread_and_a_queue() as submit:
        yield Pool(submit, lambda reply: reply.result(), map)


@row(
    "thread-map",
    must_be_faster(60, Group.STANDARD),
    aim_within(3, Group.FLOOR),
    sizes=Sizes(full=100_000, quick=50_000),
)
def thread_map() -> Iterator[Contender]:
    """Map a function that does nothing over many items in threads, results dropped as they come."""
    yield ours("ThreadExecutor.map", drained(peers.our_threads))
    yield floor("map, the built-in", opened(drain_the_builtin))
    yield standard("ThreadPoolExecutor.map", drained(peers.standard_threads), share=0.2)
    yield peer("pebble", drained(peers.pebble_threads), share=0.2)
    yield peer("joblib", drained(peers.joblib_threads), share=0.05)
    yield peer("streamable", drained(peers.streamable_threads), share=0.05)
    yield peer("dask", drained(peers.dask_threads), share=0.02)


def drained(open_pool: peers.OpenPool) -> Open:
    """A map whose results nobody keeps."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:
            yield lambda count: timed(lambda: deque(pool.map(nothing, range(count)), maxlen=0))

    return open_


def drain_the_builtin(count: int) -> float:
    """Each item's function must be called, and its result handed over: only that."""
    return timed(lambda: deque(map(nothing, range(count)), maxlen=0))


ROWS = [thread_submit, thread_map]
