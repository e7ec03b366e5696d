"""Measuring: one row of work through one executor."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from unifexec import create_executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from unifexec.compare.work import Row

KINDS = ("serial", "thread", "process", "async")
CELL_SECONDS = 20.0  # no cell takes longer
DEFAULT_WORKERS = {"thread": 32, "async": 1000}  # where more workers than cores make sense


class Cell:
    """What one executor did with one row: seconds and a digest, or an error."""

    def __init__(self, kind: str, seconds: float, digest: str, error: str | None = None) -> None:
        self.kind = kind
        self.seconds = seconds
        self.digest = digest
        self.error = error


def measure(kind: str, row: Row, workers: int | None) -> Cell:
    """Run a row on a warm executor; its start is not in the time."""
    count = workers or DEFAULT_WORKERS.get(kind)
    try:
        with create_executor(kind, max_workers=None if kind == "serial" else count) as executor:
            list(executor.map(row.fn, row.items[:4], timeout=CELL_SECONDS))
            start = time.perf_counter()
            results = list(executor.map(row.fn, row.items, timeout=CELL_SECONDS))
            seconds = time.perf_counter() - start
    except Exception as error:
        return Cell(kind, 0.0, "", f"{type(error).__name__}: {error}")
    return Cell(kind, seconds, digest_of(results))


def digest_of(results: Iterable[Any]) -> str:
    """A short name for what came out: equal results, equal digests."""
    return hashlib.sha256(repr(list(results)).encode()).hexdigest()[:12]


def measure_all(
    rows: list[Row], workers: int | None, progress: Callable[[str], object]
) -> list[tuple[Row, list[Cell]]]:
    """Every row through every executor."""
    table = []
    for row in rows:
        cells = []
        for kind in KINDS:
            progress(f"{row.title}: {kind} …")
            cells.append(measure(kind, row, workers))
        table.append((row, cells))
    progress("")
    return table
