"""Telling: the table as text and as JSON, and a sentence for each row.

The JSON is ``{"python", "cores", "rows": [{"key", "title", "items", "same_results",
"advice", "cells": [{"executor", "workers", "seconds", "speedup", "best", "digest", "error"}]}]}``.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from unifexec.compare.measure import Cell
    from unifexec.compare.work import Row

CLEARLY = 1.15  # times faster: below that two executors are as good as each other
RULE = (
    f"advised is not always the *: of those less than {(CLEARLY - 1) * 100:.0f} % slower, it is "
    "the simplest that suits"
)


class Reason(NamedTuple):
    """Which executors should do well at a row, and why."""

    kinds: tuple[str, ...]  # the simplest first: it is chosen among equals; none: a plain loop
    why: str


REASONS = {
    "http": Reason(("thread", "async"), "tasks that only wait overlap, as many as have a worker"),
    "parse": Reason(("process",), "Python code holds the GIL, and each process has its own"),
    "hash": Reason(
        ("thread", "async", "process"),
        "this native code releases the GIL, so that threads use several cores too",
    ),
    "tiny": Reason((), "handing over so small a call costs many times what it does"),
    "async": Reason(("async",), "waiting coroutines need no thread each"),
}


def same_results(cells: list[Cell]) -> bool:
    """Whether all executors gave the same."""
    return len({cell.digest for cell in cells}) == 1 and not any(cell.error for cell in cells)


def best_of(cells: list[Cell]) -> Cell | None:
    """The fastest that gave a result."""
    return min((cell for cell in cells if not cell.error), key=lambda c: c.seconds, default=None)


def advice(row: Row, cells: list[Cell]) -> str:
    """What to choose, in plain words, from what was measured.

    Among executors that were about equally fast, the one that should be is chosen. Where
    what was measured is not what should be, that is said.
    """
    best, serial = best_of(cells), cells[0]
    if best is None:
        return "No executor could run this."
    if len({cell.digest for cell in cells if not cell.error}) > 1:
        return "The results differ: choose nothing before you know why."
    close = {c.kind: c for c in cells if not c.error and c.seconds < CLEARLY * best.seconds}
    reason = REASONS[row.key]
    if not reason.kinds:
        return f"Choose a plain loop: {reason.why}. Of the executors {best.kind} was the fastest."
    usual = [kind for kind in reason.kinds if kind in close]
    if "serial" in close:
        because = reason.why if "serial" in usual else f"usually it is {_or(reason.kinds)}"
        return f"Choose serial: nothing was clearly faster here; {because}."
    chosen = close[usual[0]] if usual else best
    others = [kind for kind in close if kind != chosen.kind]
    also = f" ({' and '.join(others)} did about as well)" if others else ""
    fast = (
        "" if serial.error else f", {serial.seconds / chosen.seconds:.1f} times as fast as serial"
    )
    because = reason.why if usual else f"but usually {_or(reason.kinds)}, since {reason.why}"
    return f"Choose {chosen.kind}{also}{fast} with {_workers(chosen)}; {because}."


def _or(kinds: tuple[str, ...]) -> str:
    return " or ".join(kinds)


def _workers(cell: Cell) -> str:
    return f"{cell.workers} worker{'s' if cell.workers != 1 else ''}"


def as_text(table: list[tuple[Row, list[Cell]]]) -> str:
    """The whole report."""
    lines = [
        (
            f"unifexec compare · {platform.python_implementation()} {platform.python_version()}"
            f" · {os.cpu_count()} cores"
        ),
        "seconds and speed-up over serial; * is the fastest. Each is the better of two rounds (of",
        "one on a slow machine), on workers that run already (at most 64 are warmed): their start",
        "is not in the time",
        RULE,
        "",
    ]
    kinds = [cell.kind for cell in table[0][1]] if table else []
    lines.append(f"{'work':36}" + "".join(f"{kind:>18}" for kind in kinds))
    if table:
        counts = "".join(f"{_workers(cell):>18}" for cell in table[0][1])
        lines.append(f"{'':36}{counts}")
    for row, cells in table:
        best = best_of(cells)
        shown = "".join(f"{_cell(cell, cells[0], cell is best):>18}" for cell in cells)
        lines.append(f"{row.title:36}{shown}")
    lines.append("")
    for row, cells in table:
        lines.append(f"{row.title}:")
        lines.extend(f"  {cell.kind} failed: {cell.error}" for cell in cells if cell.error)
        lines.append(f"  {advice(row, cells)}")
        lines.append(f"  same results: {'yes' if same_results(cells) else 'no'}")
    return "\n".join(lines)


def _cell(cell: Cell, serial: Cell, best: bool) -> str:
    if cell.error:
        return "error"
    times = "" if serial.error else f" ({serial.seconds / cell.seconds:.1f}x)"
    return f"{'*' if best else ''}{cell.seconds:.2f} s{times}"


def as_data(table: list[tuple[Row, list[Cell]]]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "rows": [_row_data(row, cells) for row, cells in table],
    }


def _row_data(row: Row, cells: list[Cell]) -> dict[str, Any]:
    best = best_of(cells)
    serial = cells[0]
    return {
        "key": row.key,
        "title": row.title,
        "items": len(row.items),
        "same_results": same_results(cells),
        "advice": advice(row, cells),
        "cells": [
            {
                "executor": cell.kind,
                "workers": cell.workers,
                "seconds": None if cell.error else cell.seconds,
                "speedup": None if cell.error or serial.error else serial.seconds / cell.seconds,
                "best": cell is best,
                "digest": cell.digest,
                "error": cell.error,
            }
            for cell in cells
        ],
    }
