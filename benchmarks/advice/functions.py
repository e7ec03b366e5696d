"""Functions of real kinds, each pulling a lever of its own: what makes one executor right.

They import what they need when they run, so that a worker loads no more than it uses.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Place:
    """Where the functions find what they work on: a server, and a folder of their own."""

    url: str
    folder: Path


class Case(NamedTuple):
    """One function, its samples, and its lever in one line."""

    name: str
    lever: str
    fn: Callable[[Any], Any]
    samples: Callable[[Place], list[Any]]
    needs: tuple[str, ...]

    def is_possible(self) -> bool:
        """Whether the libraries that it needs are installed."""
        return all(importlib.util.find_spec(name) is not None for name in self.needs)


CASES: dict[str, Case] = {}


def case(
    lever: str, samples: Callable[[Place], list[Any]], *needs: str
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register the function below as a case."""

    def register(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CASES[fn.__name__] = Case(fn.__name__, lever, fn, samples, needs)
        return fn

    return register


def compute(steps: int) -> int:
    """Python code: about 30 ns for each step."""
    total = 0
    for number in range(steps):
        total += number & 7
    return total


WAITS = [0.001] * 15 + [0.03]
TEXT = "the quick brown fox, 17 of them, jumps over the lazy dog on 2024-05-06; " * 400


# -- waiting --


@case("a plain wait on a network: overlaps in threads", lambda p: [p.url])
def http_get(url: str) -> int:
    """Get a page from a server that takes its time."""
    from urllib.request import urlopen

    with urlopen(url, timeout=10) as answer:
        return len(answer.read())


@case("the same wait in a coroutine: one loop holds all of them", lambda p: [p.url])
async def http_get_async(url: str) -> int:
    """Get a page over a bare connection."""
    import anyio

    host, port = url.removeprefix("http://").strip("/").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        return sum([len(part) async for part in stream])


@case("a real async client: computes about as much as it waits", lambda p: [p.url], "httpx")
async def httpx_get(url: str) -> int:
    """Get a page with a client made for it."""
    import httpx

    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        return len((await client.get(url)).content)


@case("a short wait: the overhead of handing over begins to matter", lambda p: [0.001])
def sleep_1_ms(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


@case("a long wait: only the number of workers matters", lambda p: [0.05])
def sleep_50_ms(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


@case("a short wait in a coroutine: the loop's own speed is the limit", lambda p: [0.002])
async def nap_2_ms(seconds: float) -> None:
    """Wait."""
    import anyio

    await anyio.sleep(seconds)


@case("a long wait in a coroutine: a thousand at once", lambda p: [0.05])
async def nap_50_ms(seconds: float) -> None:
    """Wait."""
    import anyio

    await anyio.sleep(seconds)


@case("a wait of very different lengths: no worker may hold up the others", lambda p: WAITS)
def sleep_unevenly(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


@case("a program of its own that waits: its processor time is not ours", lambda p: ["0.01"])
def run_sleep(seconds: str) -> int:
    """Start a program that waits."""
    import subprocess

    return subprocess.run(["sleep", seconds], check=True).returncode


@case("a program of its own that computes: any executor uses all cores", lambda p: [30_000])
def run_shell_loop(steps: int) -> int:
    """Start a program that computes."""
    import subprocess

    loop = f"i=0; while [ $i -lt {steps} ]; do i=$((i+1)); done"
    return subprocess.run(["sh", "-c", loop], check=True).returncode


@case("a plain function with a loop of its own inside: waits all the same", lambda p: [0.005])
def run_own_loop(seconds: float) -> None:
    """Run a coroutine to its end."""
    import asyncio

    asyncio.run(asyncio.sleep(seconds))


# -- computing in Python: the GIL is held --


@case("tiny: the call costs less than handing it over", lambda p: list(range(1000)))
def add_one(x: int) -> int:
    """Do next to nothing."""
    return x + 1


@case("tiny, with a text to carry", lambda p: ["a name", "another name"])
def format_name(name: str) -> str:
    """Make a short text."""
    return f"<{name.title():>20}>"


@case("a cache hit: tiny from the second call on", lambda p: [18, 19, 20])
def cached_fibonacci(n: int) -> int:
    """Look a number up."""
    return _fibonacci_cached(n)


def _fibonacci_cached(n: int, known: dict[int, int] | None = None) -> int:
    cache = FIBONACCI if known is None else known
    if n not in cache:
        cache[n] = n if n < 2 else _fibonacci_cached(n - 1) + _fibonacci_cached(n - 2)
    return cache[n]


FIBONACCI: dict[int, int] = {}


@case("0.1 ms of Python: pays for a process only in batches", lambda p: [3_000])
def python_100_us(steps: int) -> int:
    """Compute."""
    return compute(steps)


@case("1 ms of Python: pays for a process", lambda p: [30_000])
def python_1_ms(steps: int) -> int:
    """Compute."""
    return compute(steps)


@case("30 ms of Python: the number of cores is all that matters", lambda p: [900_000])
def python_30_ms(steps: int) -> int:
    """Compute."""
    return compute(steps)


@case("Python work of very different lengths", lambda p: [3_000] * 19 + [300_000])
def python_unevenly(steps: int) -> int:
    """Compute."""
    return compute(steps)


@case("deep recursion: many Python frames", lambda p: [16, 17, 18])
def fibonacci(n: int) -> int:
    """Compute a number the slow way."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@case("a coroutine that never awaits: a loop cannot help, processes can", lambda p: [60_000])
async def compute_in_coroutine(steps: int) -> int:
    """Compute."""
    return compute(steps)


@case("parsing source: Python objects made in native code, GIL held", lambda p: [_library()])
def parse_ast(path: str) -> int:
    """Parse a source file."""
    import ast

    from unifexec.compare.work import ONE_PARSER

    with ONE_PARSER:
        return len(ast.parse(Path(path).read_bytes()).body)


def _library() -> str:
    import textwrap

    return textwrap.__file__


@case("regular expressions on a long text: native, GIL held", lambda p: [20, 30])
def search_text(times: int) -> int:
    """Find all dates and numbers."""
    import re

    return len(re.findall(r"\b(\d{4}-\d\d-\d\d|\d+)\b", TEXT * (times // 10)))


@case("a regular expression on a short text: tiny", lambda p: ["2024-05-06", "no date"])
def match_date(text: str) -> bool:
    """Match once."""
    import re

    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None


@case("encoding JSON: native, GIL held, made and left in the worker", lambda p: [2_000])
def encode_json(count: int) -> int:
    """Encode a list of objects."""
    import json

    return len(json.dumps([{"id": n, "name": str(n), "tags": [n, n + 1]} for n in range(count)]))


@case("decoding a text that has to travel", lambda p: [_json_text()])
def decode_json(text: str) -> int:
    """Decode a list of objects."""
    import json

    return len(json.loads(text))


def _json_text() -> str:
    import json

    return json.dumps([{"id": n, "name": str(n), "tags": [n, n + 1]} for n in range(3_000)])


@case("parsing XML: native, GIL held", lambda p: ["<row a='1'><b>text</b></row>" * 500])
def parse_xml(rows: str) -> int:
    """Parse a document."""
    from xml.etree import ElementTree as ET

    return len(ET.fromstring(f"<all>{rows}</all>"))


@case("parsing dates: library code in Python, some microseconds each", lambda p: ["06.05.2024"])
def parse_date(text: str) -> int:
    """Parse one date."""
    from datetime import datetime

    return datetime.strptime(text, "%d.%m.%Y").toordinal()  # noqa: DTZ007 - a date, no time


@case("sorting: one native call that holds the GIL to its end", lambda p: [60_000])
def sort_numbers(count: int) -> int:
    """Sort numbers in bad order."""
    return sum(sorted((n * 7919) % 100_003 for n in range(count))[:10])


@case("big integers: native code that lets no other thread run", lambda p: [40_000])
def power(exponent: int) -> int:
    """Compute a long number."""
    found: int = int.__pow__(7, exponent) % 10
    return found


@case("decimals: native code, GIL held", lambda p: [400])
def decimal_root(digits: int) -> str:
    """Compute many square roots."""
    from decimal import Context, Decimal

    context = Context(prec=digits)
    return str(sum((context.sqrt(Decimal(n)) for n in range(2, 60)), Decimal(0)))[:10]


# -- computing in native code that releases the GIL --


@case("hashing much: releases the GIL, threads use all cores", lambda p: [4_000_000])
def hash_much(size: int) -> str:
    """Hash so many bytes."""
    import hashlib

    return hashlib.sha256(bytes(size)).hexdigest()


@case("hashing little: below 2 kB the GIL is kept, and the call is tiny", lambda p: [b"x" * 64])
def hash_little(data: bytes) -> str:
    """Hash a few bytes."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


@case("deriving a key: long native call, GIL released", lambda p: [10_000, 12_000])
def derive_key(rounds: int) -> bytes:
    """Derive a key from a password."""
    import hashlib

    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", rounds)


@case("compressing: releases the GIL", lambda p: [6])
def compress_zlib(level: int) -> int:
    """Compress a text."""
    import zlib

    return len(zlib.compress(TEXT.encode() * 10, level))


@case("compressing hard: releases the GIL, and wants memory", lambda p: [3])
def compress_lzma(preset: int) -> int:
    """Compress a text."""
    import lzma

    return len(lzma.compress(TEXT.encode() * 4, preset=preset))


@case("array work on few numbers: Python overhead, GIL held", lambda p: [100], "numpy")
def numpy_small(count: int) -> float:
    """Some operations on a short array."""
    import numpy as np

    values = np.arange(count, dtype=float)
    return float((values * 2 + 1).sum())


@case("array work on many numbers: releases the GIL", lambda p: [300_000], "numpy")
def numpy_large(count: int) -> float:
    """Sort a long array."""
    import numpy as np

    values = np.random.default_rng(0).random(count)
    values.sort()
    return float(values[0])


@case("matrix products: the library uses all cores by itself", lambda p: [400], "numpy")
def numpy_matrix(size: int) -> float:
    """Multiply two matrices."""
    import numpy as np

    matrix = np.ones((size, size))
    return float((matrix @ matrix)[0, 0])


@case("memory traffic: the memory, not the cores, may be the limit", lambda p: [32_000_000])
def copy_memory(size: int) -> int:
    """Make and copy a large buffer."""
    buffer = bytearray(size)
    return len(bytes(buffer))


# -- files and databases --


@case("a small file: two short system calls", lambda p: [_file(p, "small", 1_000)])
def read_small_file(path: str) -> int:
    """Read a file that is in the cache."""
    with open(path, "rb") as file:
        return len(file.read())


@case("a large file: copying in the kernel, GIL released", lambda p: [_file(p, "large", 1 << 24)])
def read_large_file(path: str) -> int:
    """Read a file that is in the cache."""
    with open(path, "rb") as file:
        return len(file.read())


def _file(place: Place, name: str, size: int) -> str:
    path = place.folder / name
    path.write_bytes(bytes(size))
    return str(path)


@case("a query that computes: sqlite releases the GIL", lambda p: [_database(p)])
def query_database(path: str) -> int:
    """Join a table with itself."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as connection:
        query = "select count(*) from item a join item b on a.value < b.value where a.id < 40"
        return int(connection.execute(query).fetchone()[0])


@case("a database in memory: many short statements, driven by Python", lambda p: [300])
def fill_database(count: int) -> int:
    """Insert rows one by one."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table item (id integer, value integer)")
        for number in range(count):
            connection.execute("insert into item values (?, ?)", (number, number % 7))
        return int(connection.execute("select sum(value) from item").fetchone()[0])


def _database(place: Place) -> str:
    import sqlite3
    from contextlib import closing

    path = place.folder / "items.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table if not exists item (id integer, value integer)")
        rows = [(n, (n * 7919) % 1009) for n in range(3_000)]
        connection.executemany("insert into item values (?, ?)", rows)
    return str(path)


# -- mixed --


@case("a third Python, two thirds waiting: more workers than cores", lambda p: [60_000])
def compute_and_sleep(steps: int) -> int:
    """Compute, then wait twice as long."""
    found = compute(steps)
    time.sleep(0.004)
    return found


@case("native code and waiting: threads, more than cores", lambda p: [2_000_000])
def hash_and_sleep(size: int) -> str:
    """Hash, then wait."""
    found = hash_much(size)
    time.sleep(0.005)
    return str(found)


@case("a coroutine that computes and waits: the loop is full soon", lambda p: [30_000])
async def compute_and_nap(steps: int) -> int:
    """Compute, then wait."""
    import anyio

    found = compute(steps)
    await anyio.sleep(0.005)
    return found


# -- payloads --


@case("a huge input and next to no work: sending it costs more", lambda p: [bytes(4_000_000)])
def weigh_bytes(data: bytes) -> int:
    """Look at the size."""
    return len(data)


@case("a huge result that is quickly made", lambda p: [4_000_000])
def make_bytes(size: int) -> bytes:
    """Make many bytes."""
    return b"x" * size


@case("a result of many small objects: slow to serialise, some work", lambda p: [5_000])
def make_rows(count: int) -> list[tuple[int, str]]:
    """Make a list of rows."""
    return [(number, str(number)) for number in range(count)]


@case("a large array as input, light work", lambda p: _arrays(), "numpy")
def sum_array(values: Any) -> float:
    """Sum what was sent."""
    return float(values.sum())


def _arrays() -> list[Any]:
    import numpy as np

    return [np.ones(500_000)]


# -- what cannot go, and what must not be done twice at once --


class Guarded:
    """Something that holds a lock, which cannot be serialised."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


@case("an input that cannot travel, and waiting: threads are the only way", lambda p: [Guarded()])
def wait_guarded(thing: Guarded) -> bool:
    """Wait beside the lock."""
    time.sleep(0.005)
    return thing.lock.locked()


@case("an input that cannot travel, and Python work: nothing helps", lambda p: [Guarded()])
def compute_guarded(thing: Guarded) -> int:
    """Compute beside the lock."""
    return compute(60_000) + thing.lock.locked()


ONE_AT_A_TIME = threading.Lock()


@case("a lock around all of the work: threads queue up, processes do not", lambda p: [0.002])
def sleep_locked(seconds: float) -> None:
    """Wait, one at a time in each process."""
    with ONE_AT_A_TIME:
        time.sleep(seconds)


@case("a lock around a tenth of a wait: threads help nearly fully", lambda p: [0.01])
def sleep_partly_locked(seconds: float) -> None:
    """Wait, the last tenth of it one at a time in each process."""
    time.sleep(seconds * 0.9)
    with ONE_AT_A_TIME:
        time.sleep(seconds * 0.1)


@case("a pool of its own inside: it overlaps already, and can still overlap more", lambda p: [4])
def own_threads(count: int) -> int:
    """Wait in some threads of its own."""
    threads = [threading.Thread(target=time.sleep, args=(0.005,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count
