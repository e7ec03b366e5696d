"""Large values to processes and back."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from benchmarks import floors, peers
from benchmarks.model import Group, Sizes, aim_within, must_be_faster, row
from benchmarks.peers import WORKERS
from benchmarks.tasks import look, same
from benchmarks.ways import floor, ours, peer, standard, timed
from unifexec.share import share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.model import Contender, Open, Run

ARRAY_BYTES = 16 << 20
SHARED_BYTES = 200_000_000


@cache
def large(size: int) -> Any:
    """So many bytes: an array of numpy where that is installed, which peers treat well."""
    if importlib.util.find_spec("numpy"):
        numpy = importlib.import_module("numpy")
        return numpy.resize(numpy.arange(256, dtype=numpy.uint8), size)
    return bytearray(bytes(range(256)) * (size // 256))


def fresh(size: int) -> Any:
    """A value that nobody has seen yet: some keep what they have sent once."""
    return large(size).copy()


def fresh_bytes(size: int) -> bytes:
    """As `fresh`, but nothing that anybody treats specially."""
    return bytes(memoryview(large(size)))


@row(
    "payload-array",
    must_be_faster(4, Group.STANDARD),
    aim_within(1.3, Group.FLOOR),
    sizes=Sizes(full=10, quick=3, tiny=1),
)
def payload_array() -> Iterator[Contender]:
    """16 MiB to a process and back."""
    yield ours("ProcessExecutor", there_and_back(peers.our_processes))
    yield floor("warm shared memory", lambda: floors.warm_shared_memory(large(ARRAY_BYTES)))
    yield standard("ProcessPoolExecutor", there_and_back(peers.standard_processes))
    yield standard("multiprocessing.Pool", there_and_back(peers.multiprocessing_pool))
    yield peer("loky", there_and_back(peers.loky_processes))
    yield peer("joblib", there_and_back(peers.joblib_processes))
    yield peer("pebble", there_and_back(peers.pebble_processes), share=0.5)
    yield peer("mpire", there_and_back(peers.mpire_processes))


def there_and_back(open_pool: peers.OpenPool) -> Open:
    """One value at a time, through the map that every pool has."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:

            def trip() -> float:
                value = fresh(ARRAY_BYTES)
                answers: list[Any] = []
                seconds = timed(lambda: answers.extend(pool.map(same, [value])))
                floors.expect(bytes(answers[0]), bytes(value))
                return seconds

            yield lambda count: sum(trip() for _ in range(count))

    return open_


@row(
    "payload-shared",
    must_be_faster(4, "joblib"),
    aim_within(1.5, Group.FLOOR),
    sizes=Sizes(full=20, quick=20, tiny=2),
)
def payload_shared() -> Iterator[Contender]:
    """One plain value of 200 MB, bytes, that 20 tasks in processes read."""
    yield from readers(fresh_bytes, joblib_share=0.1)
    processes = sent_each_time(peers.standard_processes, fresh_bytes)
    yield standard("ProcessPoolExecutor", processes, share=0.05)
    yield peer("loky", sent_each_time(peers.loky_processes, fresh_bytes), share=0.05)


@row(
    "payload-shared-array",
    aim_within(1.5, Group.FLOOR),
    sizes=Sizes(full=20, quick=20, tiny=2),
)
def payload_shared_array() -> Iterator[Contender]:
    """One array of 200 MB that 20 tasks in processes read: joblib keeps it in a mapped file."""
    yield from readers(fresh)


def readers(make: Callable[[int], Any], joblib_share: float = 1.0) -> Iterator[Contender]:
    """Those that may keep one value for many tasks."""
    yield ours("share", partial(shared_by_us, make))
    yield floor("one copy for all", lambda: floors.one_copy_for_all(large(SHARED_BYTES), WORKERS))
    yield peer("joblib", partial(joblib_shared, make), share=joblib_share)


@contextmanager
def shared_by_us(make: Callable[[int], Any]) -> Iterator[Run]:
    """``share(value)`` gives a handle that tasks take in the place of the value."""
    with peers.our_processes() as pool:

        def work(value: Any, count: int) -> list[int]:
            with share(value) as handle:
                tasks = [pool.submit(look, handle, index) for index in range(count)]
                return [pool.result(task) for task in tasks]

        yield on_fresh_values(work, make)


@contextmanager
def joblib_shared(make: Callable[[int], Any]) -> Iterator[Run]:
    """An array of numpy is written to a file once and mapped by the workers."""
    joblib = peers.library("joblib")
    delayed = joblib.delayed(look)
    with joblib.Parallel(n_jobs=WORKERS) as parallel:

        def work(value: Any, count: int) -> list[int]:
            results: list[int] = parallel(delayed(value, index) for index in range(count))
            return results

        yield on_fresh_values(work, make)


def sent_each_time(open_pool: peers.OpenPool, make: Callable[[int], Any]) -> Open:
    """The value is an argument of every task."""

    @contextmanager
    def open_() -> Iterator[Run]:
        with open_pool() as pool:

            def work(value: Any, count: int) -> list[int]:
                tasks = [pool.submit(look, value, index) for index in range(count)]
                return [pool.result(task) for task in tasks]

            yield on_fresh_values(work, make)

    return open_


def on_fresh_values(work: Callable[[Any, int], list[int]], make: Callable[[int], Any]) -> Run:
    """Time tasks on a value of their own, and see that they read what stands there."""

    def run(count: int) -> float:
        value = make(SHARED_BYTES)
        return timed(lambda: work(value, count), [look(value, index) for index in range(count)])

    return run


ROWS = [payload_array, payload_shared, payload_shared_array]
