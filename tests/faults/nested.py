"""Tasks that use executors: their own, others, and some that they make; importable by workers."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import sniffio

from unifexec import Executor, ProcessExecutor, WaitTimeoutError, create_executor
from unifexec.testing.tasks import touch, wait_for_file

from .jobs import square, swallow_everything

if TYPE_CHECKING:
    from collections.abc import Callable

kept: list[Any] = []  # what a task leaves in its worker


def pid_of(_: object) -> int:
    return os.getpid()


def use(executor: Executor, x: int) -> list[int]:
    """All verbs, waiting by blocking."""
    joined = executor.gather(executor.submit(square, x), executor.submit(square, x + 1))
    return [*joined.result(), *executor.map(square, [x + 2, x + 3])]


async def use_async(executor: Executor, x: int) -> list[int]:
    """All verbs, awaiting."""
    joined = await executor.gather(executor.submit(square, x), executor.submit(square, x + 1))
    return [*joined, *[item async for item in executor.map(square, [x + 2, x + 3])]]


def use_own(kind: str, x: int) -> list[int]:
    """Make an executor, use it, close it."""
    with create_executor(kind, max_workers=2) as executor:
        return use(executor, x)


async def use_own_async(kind: str, x: int) -> list[int]:
    """As `use_own`, as a coroutine."""
    async with create_executor(kind, max_workers=2) as executor:
        return await use_async(executor, x)


def use_and_tell(kind: str) -> tuple[int, int]:
    """The process that an executor of our own computes in, and ours."""
    with create_executor(kind, max_workers=1) as executor:
        return executor.submit(os.getpid).result(), os.getpid()


def keep_open(path: str) -> int:
    """Make an executor and leave it open; its worker's number goes into a file."""
    executor = ProcessExecutor(1)
    kept.append(executor)
    pid = executor.submit(os.getpid).result()
    Path(path).write_text(str(pid))
    return pid


def keep_open_and_busy(path: str) -> None:
    """As `keep_open`, with work on both sides that does not end by itself."""
    keep_open(path)
    kept[-1].submit(time.sleep, 60)
    swallow_everything(60)


def apply_in_pool(method: str, x: int) -> int:
    """Compute in a child of multiprocessing that was started in this way."""
    import multiprocessing
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
        with multiprocessing.get_context(method).Pool(1) as pool:
            result: int = pool.apply(square, (x,))
            return result


def start_children_and_ignore(path: str) -> None:
    """Start a child of multiprocessing, tell its number, and ignore all that stops."""
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=swallow_everything, args=(60,))
    child.start()
    Path(path).write_text(str(child.pid))
    swallow_everything(60)


def leaves(executor: Executor, depth: int) -> int:
    """Count the leaves of a binary tree, a map at every node."""
    if depth == 0:
        return 1
    return sum(executor.map(leaves, [executor] * 2, [depth - 1] * 2))


async def leaves_async(executor: Executor, depth: int) -> int:
    """As `leaves`, as a coroutine."""
    if depth == 0:
        return 1
    below = executor.map(leaves_async, [executor] * 2, [depth - 1] * 2)
    return sum([count async for count in below])


def joined_leaves(executor: Executor, depth: int) -> int:
    """Count the leaves of a binary tree, a gather at every node."""
    if depth == 0:
        return 1
    below = [executor.submit(joined_leaves, executor, depth - 1) for _ in range(2)]
    return sum(executor.gather(*below).result())


async def joined_leaves_async(executor: Executor, depth: int) -> int:
    """As `joined_leaves`, as a coroutine."""
    if depth == 0:
        return 1
    below = [executor.submit(joined_leaves_async, executor, depth - 1) for _ in range(2)]
    return sum(await executor.gather(*below))


async def block_down(executor: Executor, depth: int) -> int:
    """A coroutine that blocks its own loop for another task of its executor, so deep."""
    if depth == 0:
        return 0
    return executor.submit(block_down, executor, depth - 1).result() + 1


def lose_patience(executor: Executor, folder: str) -> str:
    """Give up waiting for a task that has the place; let it end while we wait for another."""
    task = executor.submit(wait_for_file, folder, "go")
    while not (Path(folder) / "go.started").exists():
        try:
            task.result(0.01)
        except WaitTimeoutError:
            pass
    threading.Timer(0.1, touch, [folder, "go"]).start()
    return executor.submit(task.name.upper).result() + task.result()


async def lose_patience_async(executor: Executor, folder: str) -> str:
    """As `lose_patience`, by a cancelled scope."""
    task = executor.with_options(abort=False).submit(wait_for_file, folder, "go")

    async def wait() -> None:
        await task

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        while not (Path(folder) / "go.started").exists():
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    threading.Timer(0.1, touch, [folder, "go"]).start()
    return await executor.submit(task.name.upper) + await task


async def library() -> str:
    """Which event loop runs this."""
    await anyio.sleep(0)
    return sniffio.current_async_library()


def use_for(executor: Executor, fn: Callable[[], Any]) -> Any:
    """Run something on an executor that was captured."""
    return executor.submit(fn).result()
