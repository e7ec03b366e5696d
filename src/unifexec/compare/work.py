"""The work that is compared: small functions, importable by worker processes.

They import what they need when they run, so that a worker loads no more than it uses.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# On 3.11 two threads that parse at once can fail with "AST constructor recursion depth
# mismatch" (python/cpython#106905); the GIL lets only one of them parse at a time anyway.
ONE_PARSER = Lock() if sys.version_info < (3, 12) else nullcontext()

HASH_ROUNDS = 60  # times over one file: long enough that hashing, not reading, is the work


def fetch(url: str) -> int:
    """Get a page over HTTP, never through a proxy; how long it is."""
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", parts.path)
        return len(connection.getresponse().read())
    finally:
        connection.close()


def count_nodes(path: str) -> tuple[tuple[str, int], ...]:
    """Parse a source file and count its syntax nodes by type."""
    import ast
    from collections import Counter
    from pathlib import Path

    with ONE_PARSER:
        tree = ast.parse(Path(path).read_bytes())
    return tuple(sorted(Counter(type(node).__name__ for node in ast.walk(tree)).items()))


def hash_file(path: str) -> str:
    """Hash a file many times over, in native code that releases the GIL."""
    import hashlib
    from pathlib import Path

    data, digest = Path(path).read_bytes() * 8, b""
    for _ in range(HASH_ROUNDS):
        digest = hashlib.sha256(digest + data).digest()
    return digest.hex()


def add_one(x: int) -> int:
    """Do next to nothing."""
    return x + 1


async def nap(milliseconds: int) -> int:
    """Wait in a coroutine."""
    import asyncio

    await asyncio.sleep(milliseconds / 1000)
    return milliseconds


def which_worker() -> int:
    """The worker that runs this; slow enough that idle workers get theirs."""
    import time

    from unifexec import current_task

    time.sleep(0.02)
    task = current_task()
    assert task is not None
    return task.worker


class Row(NamedTuple):
    """One kind of work: a function and its inputs."""

    key: str
    title: str
    fn: Callable[[Any], Any]
    items: list[Any]


def rows(url: str, scale: float = 1.0) -> list[Row]:
    """The five rows, for about 5 s in serial at most; a ``scale`` below 1.0 makes them smaller."""
    files = _library_files()

    def some(most: int) -> int:
        return max(4, int(most * scale))

    return [
        Row("http", "waiting: HTTP requests, 20 ms each", fetch, [url] * some(60)),
        Row("parse", "Python CPU work: parsing sources", count_nodes, (files * 10)[: some(150)]),
        Row("hash", "native CPU work: hashing files", hash_file, (files * 10)[: some(150)]),
        Row("tiny", "very many tiny calls", add_one, list(range(some(10_000)))),
        Row("async", "coroutines that wait 1 ms", nap, [1] * some(2_000)),
    ]


def _library_files() -> list[str]:
    """Source files of the standard library, of like size, in an order that stays the same."""
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_paths()["stdlib"])
    sized = [(path.stat().st_size, str(path)) for path in folder.glob("*.py")]
    return [path for size, path in sorted(sized) if 20_000 < size < 60_000]
