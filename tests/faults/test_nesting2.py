"""L18: tasks that use executors, their own or others, to any depth, and lock nothing up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from unifexec import (
    AsyncExecutor,
    ProcessExecutor,
    ThreadExecutor,
    TimeLimitError,
    WaitTimeoutError,
    create_executor,
)
from unifexec.testing import tasks

from . import jobs
from .programs import is_running, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from unifexec import Executor

KINDS = ["serial", "thread", "process", "async"]
IN_TIME = 40  # seconds: a deadlock would last for ever


@pytest.mark.parametrize("fn", [tasks.count_down, tasks.count_down_async])
@pytest.mark.parametrize("kind", KINDS)
def test_L18_fifty_deep_with_one_worker(kind: str, fn: Any) -> None:
    """Each task submits the next and waits for it; plain and by await."""
    if (kind, fn) == ("serial", tasks.count_down_async):
        return  # coroutines below one another on one stack: each would need a loop of its own
    with create_executor(kind, max_workers=1) as executor:
        assert executor.submit(fn, executor, 50).result(IN_TIME) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_L18_fibonacci(kind: str) -> None:
    """A tree of tasks, every one of which waits for two others."""
    with create_executor(kind, max_workers=2) as executor:
        assert executor.submit(tasks.fibonacci, executor, 11).result(IN_TIME) == 89


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_L18_under_a_lock_that_the_awaited_task_does_not_need(kind: str) -> None:
    """The waiting task keeps its lock; the others run all the same, and find it taken."""
    lock = threading.Lock()

    def awaited() -> bool:
        return lock.locked()

    with create_executor(kind, max_workers=1) as executor:

        def waiting() -> bool:
            with lock:
                return executor.submit(awaited).result(IN_TIME)

        assert executor.submit(waiting).result(IN_TIME) is True
        assert not lock.locked()


@pytest.mark.parametrize("inner", ["serial", "thread", "process", "async"])
@pytest.mark.parametrize("outer", ["thread", "process", "async"])
def test_L18_tasks_make_executors_of_their_own(outer: str, inner: str) -> None:
    """Every kind inside every kind, worker processes inside worker processes too."""
    with create_executor(outer, max_workers=1) as executor:
        assert executor.submit(use_a_new_one, inner, 4).result(IN_TIME) == [0, 1, 4, 9]
        assert executor.submit(jobs.square, 3).result(IN_TIME) == 9


def use_a_new_one(kind: str, count: int) -> list[int]:
    with create_executor(kind, max_workers=2) as executor:
        assert executor.submit(jobs.square, 5).result(IN_TIME) == 25
        return list(executor.map(jobs.square, range(count)))


@pytest.mark.parametrize("other", ["thread", "async", "process"])
@pytest.mark.parametrize("kind", ["thread", "async"])
def test_L18_tasks_wait_for_each_other_across_executors(kind: str, other: str) -> None:
    """To and fro, each executor with one worker: who waits gives up its place."""
    with (
        create_executor(kind, max_workers=1) as one,
        create_executor(other, max_workers=1) as two,
    ):

        def to_and_fro(depth: int) -> int:
            if depth == 0:
                return 0
            if two.traits.shares_memory:
                return 1 + two.submit(lambda: one.submit(to_and_fro, depth - 1).result()).result()
            return 1 + two.submit(jobs.square, 0).result() + one.submit(to_and_fro, 0).result()

        assert one.submit(to_and_fro, 5).result(IN_TIME) in (1, 5)


def test_L18_an_executor_captured_by_several_tasks_of_a_process() -> None:
    """In a worker it stands for that worker: no further process, and one task at a time."""
    with ProcessExecutor(2) as executor:
        rows = list(executor.map(processes_below, [executor] * 8, chunksize=2))
        for pid, below in rows:
            assert below == [pid] * 3
        assert len({pid for pid, _ in rows}) <= 2


def processes_below(executor: Executor) -> tuple[int, list[int]]:
    import os

    return os.getpid(), list(executor.map(lambda _: os.getpid(), range(3)))


@pytest.mark.parametrize("kind", ["thread", "process", "async"])
def test_L18_a_wait_inside_a_task_may_time_out(kind: str) -> None:
    """Its place comes back to it all the same."""
    with create_executor(kind, max_workers=1) as executor:
        assert executor.submit(wait_too_short, executor).result(IN_TIME) == "timed out, then 16"


def wait_too_short(executor: Executor) -> str:
    slow = executor.submit(jobs.slow_square, 4, 0.2)
    try:
        slow.result(0.01)
    except WaitTimeoutError:
        return f"timed out, then {slow.result(IN_TIME)}"
    return "in time"


def test_L18_a_coroutine_awaits_tasks_of_every_kind() -> None:
    """One coroutine of an async executor, tasks of three others, one gather."""

    async def main() -> tuple[int, ...]:
        async with (
            AsyncExecutor(1) as loop,
            ThreadExecutor(1) as threads,
            ProcessExecutor(1) as processes,
        ):

            async def inside() -> tuple[int, ...]:
                return await loop.gather(
                    loop.submit(jobs.square, 1),
                    threads.submit(jobs.square, 2),
                    processes.submit(jobs.square, 3),
                )

            return await loop.submit(inside)

    assert anyio.run(main) == (1, 4, 9)
    assert anyio.run(main, backend="trio") == (1, 4, 9)


def test_L18_tasks_start_processes_of_their_own() -> None:
    """By multiprocessing, inside a worker process."""
    with ProcessExecutor(1) as executor:
        assert executor.submit(jobs.call_multiprocessing, 6).result(IN_TIME) == 36


def test_L16_the_children_of_a_task_end_with_its_worker(tmp_path: Path) -> None:
    """What a task started by multiprocessing is gone when its worker was killed for it."""
    path = tmp_path / "pid"
    with ProcessExecutor(1, grace=0.1) as executor:
        executor.submit(jobs.square, 1).result(IN_TIME)
        task = executor.with_options(time_limit=1.0).submit(
            jobs.start_multiprocessing_and_ignore, str(path), 30
        )
        with pytest.raises(TimeLimitError):
            task.result(IN_TIME)
        child = int(path.read_text())
        assert wait_for(lambda: not is_running(child))


def test_L18_workers_of_a_workers_executor_go_with_it(tmp_path: Path) -> None:
    """A process executor inside a worker that is killed leaves no worker behind."""
    path = tmp_path / "pid"
    with ProcessExecutor(1, grace=0.1) as executor:
        task = executor.with_options(rerun_lost=0).submit(jobs.hold_a_worker, str(path))
        assert wait_for(lambda: path.exists() and path.read_text().endswith("\n"), 20)
        inner = int(path.read_text())
        task.abort()
        assert wait_for(lambda: not is_running(inner))
