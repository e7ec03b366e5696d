"""Functions that ask for advice, for `test_guidance.py`: a module, so that they can travel."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import itertools
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

    from unifexec.share import Shared

COUNTING = "UNIFEXEC_TEST_CALLS"  # names a file that `count_calls` appends to


async def fetch(address: str) -> int:
    """Get a page; how many bytes it has."""
    host, port = address.removeprefix("http://").strip("/").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(b"GET / HTTP/1.0\r\n\r\n")
        size = 0
        async for part in stream:
            size += len(part)
    return size


def parse(path: str) -> int:
    """Parse a source file; how many statements it has."""
    return len(ast.parse(Path(path).read_bytes()).body)


def hash_zeros(size: int) -> str:
    """Hash so many bytes."""
    return hashlib.sha256(bytes(size)).hexdigest()


add_one = lambda x: x + 1  # noqa: E731 - a lambda is what is asked about


class Connection:
    """Something that holds a socket deep inside."""

    def __init__(self, sock: socket.socket) -> None:
        self.parts = {"socket": sock}


def talk(connection: Connection) -> bytes:
    """Wait for an answer on an open socket."""
    connection.parts["socket"].setblocking(True)
    time.sleep(0.01)
    return b"answer"


def ask(sock: socket.socket) -> bytes:
    """Send a question and read the answer, on a connection that is for one at a time."""
    sock.sendall(b"question")
    return sock.recv(100)


ONE_AT_A_TIME, RELEASED = threading.Lock(), threading.Event()


def block_beside_itself(_: int) -> None:
    """Wait until released, if another call runs in this process; else for a moment."""
    if not ONE_AT_A_TIME.acquire(blocking=False):
        RELEASED.wait()
        return
    time.sleep(0.005)
    ONE_AT_A_TIME.release()


def fail(x: int) -> int:
    """Fail on every input."""
    raise LookupError(f"nothing for {x}")


class SilentError(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise LookupError("no words")


def fail_silently(x: int) -> int:
    """Fail on every input."""
    raise SilentError


def find(pair: tuple[Shared[set[int]], int]) -> bool:
    """Look something up in what is shared."""
    return pair[1] in pair[0].value


CALLS = itertools.count(1)


def fail_silently_now_and_then(x: int) -> int:
    """Fail every twentieth time, in each process."""
    return fail_silently(x) if next(CALLS) % 20 == 0 else sum(range(10_000))


def leave_elsewhere(x: int) -> int:
    """End the program, if called in another thread or process than at first."""
    if threading.current_thread() is not threading.main_thread():
        sys.exit(3)
    return sum(range(20_000))


def fail_late(x: int) -> int:
    """Fail on every input, after a while."""
    time.sleep(0.1)
    return fail(x)


def leave(code: int) -> None:
    """End the program."""
    sys.exit(code)


def count_up(x: int) -> Iterator[int]:
    """Give a generator, which is no work."""
    yield from range(x)


async def count_up_slowly(x: int) -> AsyncIterator[int]:
    """Give one that is to be awaited."""
    for number in range(x):
        yield number


class Shy:
    """Does not tell what it is."""

    def __repr__(self) -> str:
        raise LookupError("no name")


class Doubling:
    """Is called as a function is."""

    def __call__(self, x: int) -> int:
        """Compute next to nothing."""
        return sum([x, x])


class Locked:
    """Cannot go to another process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def double(self, x: int) -> int:
        """Compute next to nothing."""
        return sum([x, x])


def fail_if_negative(x: int) -> int:
    """Fail on some inputs, and wait for the others."""
    if x < 0:
        raise LookupError(f"nothing for {x}")
    time.sleep(0.002)
    return x


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def compute_and_sleep(seconds: float) -> None:
    """Compute in Python for so long, then rest as long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    time.sleep(seconds)


async def nap(seconds: float) -> None:
    """Wait in a coroutine."""
    await asyncio.sleep(seconds)


async def nap_without_await(seconds: float) -> None:
    """Wait in a coroutine as one should not: the loop waits, too."""
    time.sleep(seconds)


def fail_at_length(x: int) -> int:
    """Fail with an error of several lines."""
    raise LookupError(f"nothing for {x}\nnor for others")


def note_call(_: int) -> None:
    """Leave a trace of each call."""
    with open(os.environ[COUNTING], "a", encoding="ascii") as file:
        file.write("called\n")


def fails_elsewhere(home: int) -> int:
    """Work only in the process with this id."""
    if os.getpid() != home:
        raise LookupError("not at home")
    return sum(range(20_000))


class Proxy:
    """Stands for what is only there during a request."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError("no request")


proxy = Proxy()


def ask_a_proxy(seconds: float) -> object:
    """Wait, and give what the global stands for."""
    time.sleep(seconds)
    return proxy


def __getattr__(name: str) -> object:
    if name == "lazy":
        raise RuntimeError("not now")
    raise AttributeError(name)
