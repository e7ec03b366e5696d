"""Tasks of the soak: each notes in a file that it runs, then behaves or misbehaves.

Importable by worker processes. ``note`` is where and under which number to note it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.faults.jobs import NeedsKeywordError, ReduceRaisesError, swallow_everything
from unifexec import current_task

if TYPE_CHECKING:
    from unifexec import Executor

    Note = tuple[str, int]

ENTRY = struct.Struct("<II")  # the number of a task, and the process that runs it
LONG = 30.0  # seconds: nobody waits for a task of this length to end by itself


def write(note: Note) -> None:
    """Note one start of a task; an appended entry is whole or not there."""
    path, number = note
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, ENTRY.pack(number, os.getpid()))
    finally:
        os.close(fd)


def starts_of(path: str) -> list[tuple[int, int]]:
    """Every start noted so far."""
    with open(path, "rb") as file:
        data = file.read()
    return list(ENTRY.iter_unpack(data[: len(data) // ENTRY.size * ENTRY.size]))


def square(note: Note, x: int) -> int:
    write(note)
    return x * x


def nap(note: Note, x: int) -> int:
    write(note)
    time.sleep(x / 1000)
    return x * x


async def square_later(note: Note, x: int) -> int:
    write(note)
    await asyncio.sleep(x / 1000)
    return x * x


def fail(note: Note, x: int) -> None:
    """Raise what is hard to carry, and what must not end its worker."""
    write(note)
    raise (
        NeedsKeywordError("soak", code=x),
        SystemExit(x),
        KeyboardInterrupt(),
        StopIteration(x),
        ReduceRaisesError(x),
        ValueError(threading.Lock()),
    )[x % 6]


def take(note: Note, x: int, something: Any) -> int:
    """Take an argument that may not travel."""
    write(note)
    return x * x


def give_a_lock(note: Note, x: int) -> Any:
    """Return what cannot travel."""
    write(note)
    return threading.Lock()


def die(note: Note, x: int) -> None:
    """End this process in one of several ways."""
    write(note)
    if x % 3 == 0:
        os._exit(3)
    os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV)[x % 2])
    time.sleep(LONG)


def die_at_first(note: Note, x: int) -> int:
    """Die, unless this was tried before."""
    write(note)
    if [number for number, _ in starts_of(note[0])].count(note[1]) == 1:
        os._exit(4)
    return x * x


def wait_to_be_ended(note: Note, x: int) -> None:
    """Wait for a kill, an abort or a time limit; a plain function in a thread is asked."""
    write(note)
    task = current_task()
    assert task is not None
    end = time.monotonic() + LONG
    while not task.stop_requested and time.monotonic() < end:
        time.sleep(0.005)


async def wait_to_be_ended_later(note: Note, x: int) -> None:
    write(note)
    await asyncio.sleep(LONG)


def refuse_to_end(note: Note, x: int) -> None:
    """Ignore what should stop it."""
    write(note)
    swallow_everything(LONG)


def ask_others(note: Note, x: int, executor: Executor) -> int:
    """Use the executor one runs on, by all three verbs."""
    write(note)
    tasks = [executor.submit(pow, x, 2), executor.submit(pow, 0, 2)]
    return sum(executor.gather(*tasks).result()) + sum(executor.map(abs, [0, 0]))


def item(note: Note, x: int, fate: str) -> int:
    """One item of a map, with its own fate."""
    write(note)
    if fate == "fail":
        raise ValueError(x)
    if fate == "die":
        os._exit(5)
    return x * x


def refuse_to_begin(how: str) -> None:
    """Fail as an initializer."""
    if how == "die":
        os._exit(6)
    raise ValueError("this initializer fails")
