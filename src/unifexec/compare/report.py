"""Telling: the table as text and as JSON, and a sentence for each row.

The JSON is ``{"python", "cores", "rows": [{"key", "title", "items", "same_results",
"advice", "cells": [{"executor", "seconds", "speedup", "best", "digest", "error"}]}]}``.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unifexec.compare.measure import Cell
    from unifexec.compare.work import Row

CLEARLY = 1.15  # times faster: below that two executors are as good as each other

WHY = {
    "http": "the tasks only wait, and waiting overlaps where many may wait at once",
    "parse": "Python code needs the GIL, so only processes use several cores",
    "hash": "this native code releases the GIL, so threads use all cores without copying",
    "tiny": "calls this small cost about as much to share out as to make",
    "async": "coroutines that wait cost almost nothing side by side on one loop",
}


def same_results(cells: list[Cell]) -> bool:
    """Whether all executors gave the same."""
    return len({cell.digest for cell in cells}) == 1 and not any(cell.error for cell in cells)


def best_of(cells: list[Cell]) -> Cell | None:
    """The fastest that gave a result."""
    return min((cell for cell in cells if not cell.error), key=lambda c: c.seconds, default=None)


def advice(row: Row, cells: list[Cell]) -> str:
    """What to choose, in plain words, from what was measured."""
    best = best_of(cells)
    serial = cells[0]
    if best is None:
        return "No executor could run this."
    if best.kind == "serial" or (
        not serial.error and serial.seconds < CLEARLY * best.seconds
    ):
        return f"Choose serial here: nothing was clearly faster ({WHY['tiny']})."
    close = [
        cell.kind
        for cell in cells
        if cell is not best and not cell.error and cell.seconds < CLEARLY * best.seconds
    ]
    also = f" ({' and '.join(close)} did as well)" if close else ""
    times = serial.seconds / best.seconds if not serial.error else 0
    return f"Choose {best.kind}{also}: {times:.1f} times as fast as serial; {WHY[row.key]}."


def as_text(table: list[tuple[Row, list[Cell]]]) -> str:
    """The whole report."""
    lines = [
        f"unifexec compare · {platform.python_implementation()} {platform.python_version()}"
        f" · {os.cpu_count()} cores",
        "seconds and speed-up over serial, on executors that are open and warm; * is the best",
        "",
    ]
    kinds = [cell.kind for cell in table[0][1]] if table else []
    lines.append(f"{'work':36}" + "".join(f"{kind:>18}" for kind in kinds))
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
                "seconds": None if cell.error else cell.seconds,
                "speedup": None
                if cell.error or serial.error
                else serial.seconds / cell.seconds,
                "best": cell is best,
                "digest": cell.digest,
                "error": cell.error,
            }
            for cell in cells
        ],
    }
