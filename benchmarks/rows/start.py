"""Beginning: from nothing to a first result, more workers, and the import alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.fresh import asked
from benchmarks.model import (
    Sizes,
    Unit,
    aim_at_most,
    aim_within,
    must_stay_within,
    row,
)
from benchmarks.ways import floor, ours, peer, standard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.model import Contender

PER_START = Unit("per start", per_task=True, seconds=True)
PER_WORKER = Unit("per worker", per_task=True, seconds=True)
PER_IMPORT = Unit("per import", per_task=True, seconds=True)
MORE_WORKERS = 3  # after the first

# The way each library makes two or more workers and calls them, as a program sees it.
OURS = "from unifexec import ProcessExecutor; pool = ProcessExecutor({workers})"
SPAWN = (
    "from concurrent.futures import ProcessPoolExecutor; import multiprocessing as mp; "
    "pool = ProcessPoolExecutor({workers}, mp_context=mp.get_context('{method}'))"
)
LOKY = "from loky import ProcessPoolExecutor; pool = ProcessPoolExecutor({workers})"
PEBBLE = (
    "import pebble, multiprocessing as mp; pool = "
    "pebble.ProcessPool({workers}, context=mp.get_context('spawn'))"
)
MPIRE = (
    "import mpire; pool = mpire.WorkerPool({workers}, start_method='spawn'); "
    "pool.submit = lambda fn, *args: pool.apply_async(fn, args)"
)

FIRST_RESULT = """
from time import perf_counter
start = perf_counter()
{make}
{call}
print(perf_counter() - start, flush=True)
{end}
"""
SUBMIT = "assert pool.submit(abs, -1).result() == 1"
SCHEDULE = "assert pool.schedule(abs, args=(-1,)).result() == 1"
GET = "assert pool.submit(abs, -1).get() == 1"
SHUTDOWN = "pool.shutdown()"
CLOSE = "pool.close(); pool.join()"
STOP = "pool.stop_and_join()"

BARE_INTERPRETER = """
from time import perf_counter
start = perf_counter()
import os, pickle, sys
code = "import os, pickle; fn, x = pickle.loads(os.read(0, 999)); os.write(1, b'%d' % fn(x))"
there, call = os.pipe()
result, back = os.pipe()
moves = [(os.POSIX_SPAWN_DUP2, there, 0), (os.POSIX_SPAWN_DUP2, back, 1)]
os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ, file_actions=moves)
os.write(call, pickle.dumps((abs, -1)))
assert os.read(result, 1) == b"1"
print(perf_counter() - start)
"""


def first_result(make: str, call: str = SUBMIT, end: str = SHUTDOWN) -> str:
    """A program that tells how long its first result took, imports and all."""
    return FIRST_RESULT.format(make=make, call=call, end=end)


@row(
    "start-first-result",
    must_stay_within(1.3, "spawn"),
    sizes=Sizes(full=3, quick=1, tiny=1),
    unit=PER_START,
)
def start_first_result() -> Iterator[Contender]:
    """From a fresh interpreter to the first result of a process, imports included."""
    yield ours("ProcessExecutor", asked(first_result(OURS.format(workers=2))))
    yield floor("a bare interpreter", asked(BARE_INTERPRETER))
    for method in ["spawn", "forkserver"]:
        make = SPAWN.format(workers=2, method=method)
        yield standard(method, asked(first_result(make)))
    yield peer("loky", asked(first_result(LOKY.format(workers=2)), "loky"))
    pebble = first_result(PEBBLE.format(workers=2), SCHEDULE, CLOSE)
    yield peer("pebble", asked(pebble, "pebble"))
    mpire = first_result(MPIRE.format(workers=2), GET, STOP)
    yield peer("mpire", asked(mpire, "mpire"))


LATER_WORKERS = """
import sys
from time import perf_counter
from benchmarks.tasks import meet
{make}
{call}
start = perf_counter()
tasks = [pool.submit(meet, sys.argv[1], {workers}) for _ in range({workers})]
pids = {{task.{result}() for task in tasks}}
assert len(pids) == {workers}
print((perf_counter() - start) / {more}, flush=True)
{end}
"""

FORK = """
import os
from time import perf_counter
reader, writer = os.pipe()
start = perf_counter()
for _ in range({more}):
    if os.fork() == 0:
        os.write(writer, b"x")
        os._exit(0)
    os.read(reader, 1)
print((perf_counter() - start) / {more})
"""


def later_workers(
    make: str, call: str = SUBMIT, end: str = SHUTDOWN, result: str = "result"
) -> str:
    """A program that tells how long each worker after the first took to take part."""
    workers = MORE_WORKERS + 1
    made = make.format(workers=workers, method="spawn")
    return LATER_WORKERS.format(
        make=made, call=call, end=end, result=result, workers=workers, more=MORE_WORKERS
    )


@row(
    "start-later-workers",
    aim_at_most(0.010),
    sizes=Sizes(full=3, quick=1, tiny=1),
    unit=PER_WORKER,
)
def start_later_workers() -> Iterator[Contender]:
    """Three more workers after the first result, all taking part: the time per worker."""
    yield ours("ProcessExecutor", asked(later_workers(OURS)))
    yield floor("fork of a ready interpreter", asked(FORK.format(more=MORE_WORKERS)))
    yield standard("spawn", asked(later_workers(SPAWN)))
    yield standard("forkserver", asked(later_workers(SPAWN.replace("{method}", "forkserver"))))
    yield peer("loky", asked(later_workers(LOKY), "loky"))


IMPORT = """
from time import perf_counter
start = perf_counter()
{}
print(perf_counter() - start)
"""


@row(
    "start-import",
    must_stay_within(1.5, "concurrent.futures.thread"),
    aim_within(1.1, "concurrent.futures.thread"),
    sizes=Sizes(full=10, quick=5, tiny=1),
    unit=PER_IMPORT,
)
def start_import() -> Iterator[Contender]:
    """The import of the thread executor in a fresh interpreter."""
    ours_ = asked(IMPORT.format("from unifexec import ThreadExecutor"))
    base = asked(IMPORT.format("from concurrent.futures import Future"))
    standard_ = asked(IMPORT.format("import concurrent.futures.thread"))
    yield ours("ThreadExecutor", ours_)
    yield floor("the standard Future", base)
    yield standard("concurrent.futures.thread", standard_)
    for name in ["pebble", "anyio", "joblib", "mpire"]:
        yield peer(name, asked(IMPORT.format(f"import {name}"), name), share=0.3)


ROWS = [start_first_result, start_later_workers, start_import]
