"""The contenders that are libraries: ours, the standard one, and peers.

A *pool* is opened with its workers running. All pools are used in the same three ways, so that
a row is written once for all of them. What is not installed raises `UnavailableError`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import unifexec
from benchmarks.model import UnavailableError
from benchmarks.tasks import nothing, nothing_async, who

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Sequence

PEERS = (
    "aiometer",
    "aiomultiprocess",
    "anyio",
    "dask",
    "joblib",
    "loky",
    "mpire",
    "pebble",
    "streamable",
)
WORKERS = 2  # processes of every pool: more than one, and no more than a small machine has
WARM_SECONDS = 30.0  # nobody waits longer for a pool's processes


class Pool(NamedTuple):
    """How to use somebody's executor.

    Attributes:
        submit: ``submit(fn, *args)`` starts one call.
        result: waits for what submit returned.
        map: ``map(fn, items)`` gives the results in order.
    """

    submit: Callable[..., Any]
    result: Callable[[Any], Any]
    map: Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


OpenPool: TypeAlias = Callable[[], AbstractContextManager[Pool]]


def versions() -> dict[str, str]:
    """Every peer and its version, or that it is not installed."""
    return {name: version(name) for name in [*PEERS, "numpy"]}


def version(name: str) -> str:
    """The version of a distribution, or that it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def library(name: str) -> Any:
    """The module of a peer."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnavailableError("not installed") from error


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def take(future: Any) -> Any:
    """The result of a future of the usual kind."""
    return future.result()


def warm(pool: Pool) -> Pool:
    """Return when all its processes have done something."""
    deadline = time.monotonic() + WARM_SECONDS
    seen: set[int] = set()
    while len(seen) < WORKERS:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(seen)} of {WORKERS} processes came")
        seen.update(pool.map(who, [0.02] * (2 * WORKERS)))
    return pool


# -- threads --


def pool_of(executor: Any, **options: Any) -> Pool:
    """Any executor of the usual form; the options are its map's."""
    return Pool(executor.submit, take, partial(executor.map, **options))


@contextmanager
def our_threads(max_workers: int | None = None) -> Iterator[Pool]:
    """As many threads as by default, unless told."""
    with unifexec.ThreadExecutor(max_workers) as executor:
        yield pool_of(executor)


@contextmanager
def standard_threads(max_workers: int | None = None) -> Iterator[Pool]:
    """As `our_threads`."""
    with ThreadPoolExecutor(max_workers) as executor:
        yield pool_of(executor)


@contextmanager
def pebble_threads() -> Iterator[Pool]:
    """As many threads as the standard executor has by default."""
    with library("pebble").ThreadPool(max_workers=default_threads()) as pool:

        def submit(fn: Callable[..., Any], *args: Any) -> Any:
            return pool.schedule(fn, args=args)

        def map_(fn: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            results: Iterable[Any] = pool.map(fn, items).result()
            return results

        yield Pool(submit, take, map_)


@contextmanager
def joblib_threads() -> Iterator[Pool]:
    """As many threads as the standard executor has by default; it has a map only."""
    joblib = library("joblib")
    options = {"n_jobs": default_threads(), "prefer": "threads", "return_as": "generator"}
    with joblib.Parallel(**options) as parallel:
        yield Pool(no_submit, take, partial(joblib_map, joblib.delayed, parallel))


@contextmanager
def streamable_threads() -> Iterator[Pool]:
    """As many threads as the standard executor has by default; it has a map only."""
    stream = library("streamable").stream

    def map_(fn: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        results: Iterable[Any] = stream(items).map(fn, concurrency=default_threads())
        return results

    yield Pool(no_submit, take, map_)


@contextmanager
def dask_threads() -> Iterator[Pool]:
    """Its scheduler on threads; a map only, which computes a graph."""
    dask = library("dask")

    def map_(fn: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        delayed = dask.delayed(fn, pure=False)
        results: Iterable[Any] = dask.compute(
            *[delayed(item) for item in items], scheduler="threads", num_workers=default_threads()
        )
        return results

    yield Pool(no_submit, take, map_)


def default_threads() -> int:
    """As many as the standard executor has by default."""
    return min(32, usable_cores() + 4)


def no_submit(fn: Callable[..., Any], *args: Any) -> Any:
    """For those that have a map only."""
    raise UnavailableError("has no submit")


def joblib_map(
    delayed: Any, parallel: Any, fn: Callable[[Any], Any], items: Sequence[Any]
) -> Iterable[Any]:
    """A map in joblib's words."""
    call = delayed(fn)
    results: Iterable[Any] = parallel(call(item) for item in items)
    return results


# -- processes: started by spawn wherever there is a choice, since a program that has threads
# cannot be forked safely, and this one has --


@contextmanager
def our_processes(chunksize: int | None = None) -> Iterator[Pool]:
    """Defaults, but for the number of workers."""
    with unifexec.ProcessExecutor(WORKERS) as executor:
        yield warm(pool_of(executor, chunksize=chunksize))


@contextmanager
def standard_processes(chunksize: int = 1) -> Iterator[Pool]:
    """``ProcessPoolExecutor``, whose default ``chunksize`` is 1."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as executor:
        warm(pool_of(executor))
        yield pool_of(executor, chunksize=chunksize)


@contextmanager
def multiprocessing_pool() -> Iterator[Pool]:
    """``multiprocessing.Pool``, whose ``map`` chooses a chunk size by itself."""
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:

        def submit(fn: Callable[..., Any], *args: Any) -> Any:
            return pool.apply_async(fn, args)

        yield warm(Pool(submit, lambda answer: answer.get(), pool.map))
        pool.close()
        pool.join()


@contextmanager
def loky_processes() -> Iterator[Pool]:
    """The executor of loky."""
    with library("loky").ProcessPoolExecutor(WORKERS) as executor:
        yield warm(pool_of(executor))


@contextmanager
def joblib_processes() -> Iterator[Pool]:
    """``Parallel`` with its default backend and batches that size themselves; a map only.

    It keeps its idle processes for the next one.
    """
    joblib = library("joblib")
    with joblib.Parallel(n_jobs=WORKERS) as parallel:
        yield warm(Pool(no_submit, take, partial(joblib_map, joblib.delayed, parallel)))


@contextmanager
def pebble_processes() -> Iterator[Pool]:
    """``ProcessPool``; its map is given no chunk size."""
    context = multiprocessing.get_context("spawn")
    with library("pebble").ProcessPool(max_workers=WORKERS, context=context) as pool:

        def submit(fn: Callable[..., Any], *args: Any) -> Any:
            return pool.schedule(fn, args=args)

        def map_(fn: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            results: Iterable[Any] = pool.map(fn, items).result()
            return results

        yield warm(Pool(submit, take, map_))


@contextmanager
def mpire_processes() -> Iterator[Pool]:
    """``WorkerPool``, kept alive; its map chooses a chunk size by itself."""
    workers = library("mpire").WorkerPool
    with workers(n_jobs=WORKERS, start_method="spawn", keep_alive=True) as pool:

        def submit(fn: Callable[..., Any], *args: Any) -> Any:
            return pool.apply_async(fn, args)

        def map_(fn: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            results: Iterable[Any] = pool.imap(fn, ((item,) for item in items), len(items))
            return results

        yield warm(Pool(submit, lambda answer: answer.get(), map_))


# -- processes, called from coroutines --


class Awaited(NamedTuple):
    """``await call(item)`` does `nothing` with an item in another process.

    Attributes:
        run: runs a coroutine, like `asyncio.run`, in the loop that the call belongs to.
    """

    run: Callable[[Coroutine[Any, Any, float]], float]
    call: Callable[[int], Awaitable[int]]


@contextmanager
def our_processes_awaited() -> Iterator[Awaited]:
    """``await executor.submit(...)``."""
    with our_processes() as pool, asyncio.Runner() as runner:
        yield Awaited(runner.run, partial(pool.submit, nothing))


@contextmanager
def standard_processes_awaited() -> Iterator[Awaited]:
    """``await loop.run_in_executor(...)``."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as executor, asyncio.Runner() as runner:
        warm(pool_of(executor))
        in_executor = runner.get_loop().run_in_executor
        yield Awaited(runner.run, partial(in_executor, executor, nothing))


@contextmanager
def anyio_processes_awaited() -> Iterator[Awaited]:
    """``await anyio.to_process.run_sync(...)``; its processes end with what the loop runs."""
    run_sync = library("anyio.to_process").run_sync
    yield Awaited(asyncio.run, partial(run_sync, nothing))


@contextmanager
def aiomultiprocess_awaited() -> Iterator[Awaited]:
    """``await pool.apply(...)``, which takes coroutine functions only."""
    make = library("aiomultiprocess").Pool

    async def make_in_loop() -> Any:
        return make(WORKERS)

    with asyncio.Runner() as runner:
        pool = runner.run(make_in_loop())
        yield Awaited(runner.run, lambda item: pool.apply(nothing_async, (item,)))
        pool.terminate()
        runner.run(pool.join())
