"""Callables that the suite runs: importable, so that they reach any process."""

from __future__ import annotations

import os
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio

from unifexec import current_task

colour: ContextVar[str] = ContextVar("colour", default="unset")


class OddError(Exception):
    """An exception with attributes, and an ``__init__`` that wants two arguments."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text, code)
        self.code = code


class NeverEqual:
    """Compares and hashes badly."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare")

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'NeverEqual'")

    def __bool__(self) -> bool:
        raise RuntimeError("do not ask")


class Scale:
    """Has a method."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def times(self, x: int) -> int:
        return self.factor * x


def double(x: Any) -> Any:
    return x + x


async def double_async(x: Any) -> Any:
    await anyio.sleep(0)
    return x + x


def identity(x: Any) -> Any:
    return x


def add(*numbers: int, **more: int) -> int:
    return sum(numbers) + sum(more.values())


def never_equal(_: object) -> NeverEqual:
    return NeverEqual()


def raise_it(error: BaseException) -> None:
    raise error


async def raise_it_async(error: BaseException) -> None:
    await anyio.sleep(0)
    raise error


def reciprocal(x: float) -> float:
    return 1 / x


async def reciprocal_async(x: float) -> float:
    await anyio.sleep(0)
    return 1 / x


def raise_full() -> None:
    """Raise with everything an exception can carry."""
    try:
        raise KeyError("cause")
    except KeyError as cause:
        error = OddError("text", 42)
        error.add_note("a note")
        raise error from cause


def raise_group() -> None:
    raise ExceptionGroup("several", [OddError("one", 1), ValueError("two")])


def touch(folder: str, name: object) -> str:
    """Leave a mark: this ran."""
    with open(Path(folder) / str(name), "a") as file:
        file.write("x")
    return str(name)


def wait_for_file(folder: str, name: str, within: float = 20.0) -> str:
    """Say that we run, and wait until a file appears."""
    touch(folder, f"{name}.started")
    end = time.monotonic() + within
    while not (Path(folder) / name).exists():
        if time.monotonic() > end:
            raise TimeoutError(name)
        time.sleep(0.002)
    return name


async def wait_for_file_async(folder: str, name: str, within: float = 20.0) -> str:
    """As `wait_for_file`, as a coroutine."""
    touch(folder, f"{name}.started")
    with anyio.fail_after(within):
        while not (Path(folder) / name).exists():
            await anyio.sleep(0.002)
    return name


def sleep_with_finally(folder: str, seconds: float) -> None:
    """Sleep, and leave a mark on the way out."""
    try:
        touch(folder, "started")
        time.sleep(seconds)
    finally:
        touch(folder, "finally")


async def sleep_with_finally_async(folder: str, seconds: float) -> None:
    """As `sleep_with_finally`, as a coroutine."""
    try:
        touch(folder, "started")
        await anyio.sleep(seconds)
    finally:
        touch(folder, "finally")


def set_colour(value: str) -> str:
    """Return the colour seen, and set another."""
    seen = colour.get()
    colour.set(value)
    return seen


async def set_colour_async(value: str) -> str:
    """As `set_colour`, as a coroutine."""
    seen = colour.get()
    colour.set(value)
    await anyio.sleep(0.001)
    assert colour.get() == value
    return seen


def who_am_i() -> tuple[str, int, bool]:
    """What the current task knows of itself."""
    task = current_task()
    assert task is not None
    return task.name, task.index, task.worker >= 0


def count_down(executor: Any, depth: int) -> int:
    """Submit to our own executor and wait, so deep."""
    if depth == 0:
        return 0
    below: int = executor.submit(count_down, executor, depth - 1).result()
    return below + 1


async def count_down_async(executor: Any, depth: int) -> int:
    """As `count_down`, awaiting."""
    if depth == 0:
        return 0
    below: int = await executor.submit(count_down_async, executor, depth - 1)
    return below + 1


def map_inside(executor: Any, count: int) -> list[int]:
    """Map on our own executor."""
    return list(executor.map(double, range(count)))


async def map_inside_async(executor: Any, count: int) -> list[int]:
    """As `map_inside`, as a coroutine."""
    return [value async for value in executor.map(double_async, range(count))]


def gather_inside(executor: Any) -> tuple[int, ...]:
    """Gather on our own executor."""
    result: tuple[int, ...] = executor.gather(
        executor.submit(double, 1), executor.submit(double, 2)
    ).result()
    return result


def fibonacci(executor: Any, n: int) -> int:
    """Recursion by executor."""
    if n < 2:
        return n
    left = executor.submit(fibonacci, executor, n - 1)
    right = executor.submit(fibonacci, executor, n - 2)
    total: int = left.result() + right.result()
    return total


def process_id() -> int:
    return os.getpid()


class EmptyError(Exception):
    """False as a value."""

    def __len__(self) -> int:
        return 0


class Unbound:
    """A proxy that is bound to nothing: it cannot even be asked for its class."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            raise RuntimeError("bound to nothing")
        return super().__getattribute__(name)

    def __reduce__(self) -> Any:
        return Unbound, ()


class UnboundError(Exception):
    """An exception that cannot be asked for its class."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            raise RuntimeError("bound to nothing")
        return super().__getattribute__(name)

    def __reduce__(self) -> Any:
        return UnboundError, ()


def raise_or_return(value: Any) -> Any:
    """Raise an exception, return anything else."""
    if issubclass(type(value), BaseException):
        raise value
    return value
