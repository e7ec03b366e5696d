"""Run the tables of a how-to page that show another library beside ours, row by row.

``python -m tests.side_by_side docs/how-to/migrate-from-joblib.md``

The ``py`` blocks of the page define what its rows use. A row begins with two cells of code; what
they give must be equal. It is a program of its own since the other libraries leave processes and
threads behind, and since those that start processes import the program once more.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from concurrent.futures import Executor, Future
from multiprocessing.managers import BaseManager
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|")


async def value(code: str, names: dict[str, Any]) -> Any:
    """Evaluate an expression, which may await."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    given = eval(compile(code, code, "eval", flags), names)
    return plain(await given if inspect.iscoroutine(given) else given)


def plain(given: Any) -> Any:
    """What can be compared: the result of a future, a list for a tuple, the use of an executor."""
    if isinstance(given, Future):
        return plain(given.result(timeout=60))
    if isinstance(given, tuple):
        return list(given)
    if isinstance(given, Executor | Pool | BaseManager):
        close(given)
        return "it opens and closes"
    return given


def close(what: Any) -> None:
    """Close an executor or a pool, ours or theirs."""
    if isinstance(what, Executor | BaseManager):
        what.shutdown()
    elif isinstance(what, Pool):
        what.close()
        what.join()


async def main(page: Path) -> int:
    """Compare the two sides of every row; the number of rows that differ."""
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__", "asyncio": asyncio}
    for block in BLOCK.findall(text):
        exec(block, names)
    differing = 0
    for line in text.splitlines():
        if line.startswith("| `"):
            row = ROW.match(line)
            assert row, f"not two cells of code: {line}"
            theirs, ours = [await value(cell, names) for cell in row.groups()]
            differing += theirs != ours
            print("same" if theirs == ours else f"{theirs!r} is not {ours!r}", *row.groups())
    for name in names.values():
        close(name)
    return differing


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
