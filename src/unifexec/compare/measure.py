"""Measuring: one row of work through one executor."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from unifexec import create_executor
from unifexec.compare.work import Row, which_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KINDS = ("serial", "thread", "process", "async")
CELL_SECONDS = 20.0  # no cell waits longer for its results
WARM_SECONDS = 10.0  # nor for its workers
MOST_WARMED = 64  # of the many workers that coroutines may have
SERIAL_SECONDS = 1.5  # what serial may take for a row, as estimated from a sample
ENOUGH_SECONDS = 40.0  # for all of it: after that a cell gets no second round
ROUNDS = 2  # an operating system may place processes badly for seconds: the better one counts


class Cell(NamedTuple):
    """What one executor did with one row: seconds and a digest, or an error."""

    kind: str
    workers: int
    seconds: float
    digest: str
    error: str | None = None


def measure(kind: str, row: Row, workers: int | None) -> Cell:
    """Run a row once on an executor whose workers all run; their start is not in the time.

    Without ``workers`` each executor has as many as it has by default.
    """
    count = 0
    try:
        with create_executor(kind, max_workers=None if kind == "serial" else workers) as executor:
            count = executor._max_workers
            _warm(executor, count, row)
            start = time.perf_counter()
            results = list(executor.map(row.fn, row.items, timeout=CELL_SECONDS))
            seconds = time.perf_counter() - start
    except Exception as error:
        return Cell(kind, count, 0.0, "", f"{type(error).__name__}: {error}")
    return Cell(kind, count, seconds, digest_of(results))


def _warm(executor: Any, workers: int, row: Row) -> None:
    """Return when every worker has done something, and some of the row's own work was done."""
    wanted = min(workers, MOST_WARMED)
    seen: set[int] = set()
    deadline = time.monotonic() + WARM_SECONDS
    while len(seen) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(seen)} of {wanted} workers ran within {WARM_SECONDS} s")
        tasks = [executor.submit(which_worker) for _ in range(wanted)]
        seen |= set(executor.gather(*tasks).result(WARM_SECONDS))
    list(executor.map(row.fn, row.items[:wanted], chunksize=1, timeout=WARM_SECONDS))


def fitted(row: Row) -> Row:
    """The row, shortened where this machine is too slow for all of it in serial.

    Work that fails is left as it is: each cell then shows its own error.
    """
    sample = row.items[:: max(1, len(row.items) // 20)]
    try:
        with create_executor("serial") as executor:
            list(executor.map(row.fn, sample[:1]))  # what it imports is not its speed
            start = time.perf_counter()
            list(executor.map(row.fn, sample, timeout=CELL_SECONDS))
            each = (time.perf_counter() - start) / len(sample)
    except Exception:
        return row
    return row._replace(items=row.items[: max(4, int(SERIAL_SECONDS / each))])


def digest_of(results: Iterable[Any]) -> str:
    """A short name for what came out: equal results, equal digests."""
    return hashlib.sha256(repr(list(results)).encode()).hexdigest()[:12]


def better(before: Cell | None, now: Cell) -> Cell:
    """The faster of two rounds; an error in either stays, and so does a changed result."""
    if before is None or now.error:
        return now
    if before.error:
        return before
    if before.digest != now.digest:
        return now._replace(error="the results of two rounds differ")
    return min(before, now, key=lambda cell: cell.seconds)


def measure_all(
    rows: list[Row], workers: int | None, progress: Callable[[str], object]
) -> list[tuple[Row, list[Cell]]]:
    """Every row through every executor; on a slow or busy machine not every row twice."""
    table, begin = [], time.monotonic()
    for whole in rows:
        progress(f"{whole.title}: how much of it …")
        row = fitted(whole)
        cells: dict[str, Cell] = {}
        for number in range(ROUNDS):
            if number and time.monotonic() - begin > ENOUGH_SECONDS:
                break
            for kind in KINDS:
                progress(f"{row.title}: {kind}, round {number + 1} of {ROUNDS} …")
                cells[kind] = better(cells.get(kind), measure(kind, row, workers))
        table.append((row, list(cells.values())))
    progress("")
    return table
