"""L18: tasks that use executors: their own, others, and some that they make."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import (
    AsyncExecutor,
    ProcessExecutor,
    SerialExecutor,
    ThreadExecutor,
    TimeLimitError,
    WaitTimeoutError,
    create_executor,
)
from unifexec.testing import tasks

from . import jobs, nested
from .programs import is_running, wait_for

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 20.0
KINDS = ["serial", "thread", "process", "async"]
pools = pytest.mark.parametrize("pool", [ThreadExecutor, ProcessExecutor, AsyncExecutor])


@pools
@pytest.mark.parametrize("fn", [tasks.count_down, tasks.count_down_async])
def test_L18_fifty_deep_with_one_worker(pool: Any, fn: Any) -> None:
    """Each level waits for the next, blocking or awaiting, on one worker."""
    with pool(1) as executor:
        assert executor.submit(fn, executor, 50).result(PATIENCE) == 50


@pytest.mark.parametrize("pool", [ThreadExecutor, ProcessExecutor])
def test_L18_coroutines_that_block(pool: Any) -> None:
    """A coroutine may block the loop of its worker for a task of its own executor."""
    with pool(1) as executor:
        assert executor.submit(nested.block_down, executor, 20).result(PATIENCE) == 20


@pools
@pytest.mark.parametrize(
    "fn",
    [nested.leaves, nested.leaves_async, nested.joined_leaves, nested.joined_leaves_async],
)
def test_L18_trees_of_maps_and_gathers(pool: Any, fn: Any) -> None:
    """A map, or a gather, in every task of a tree."""
    with pool(1) as executor:
        assert executor.submit(fn, executor, 5).result(PATIENCE) == 32


@pools
@pytest.mark.parametrize("workers", [1, 3])
def test_L18_recursion(pool: Any, workers: int) -> None:
    """Fibonacci: each task waits for two, of which each waits for two."""
    with pool(workers) as executor:
        assert executor.submit(tasks.fibonacci, executor, 10).result(PATIENCE) == 55


@pytest.mark.parametrize("pool", [ThreadExecutor, AsyncExecutor])
def test_L18_under_a_users_lock(pool: Any) -> None:
    """A task that holds a lock may wait for one that does not need it, many at a time."""
    lock = threading.Lock()

    def outer(x: int) -> int:
        with lock:
            return int(executor.submit(tasks.double, x).result(PATIENCE))

    with pool(1) as executor:
        for x in range(20):  # one after the other: who wants the lock would take the place
            assert executor.submit(outer, x).result(PATIENCE) == 2 * x


@pytest.mark.parametrize("outside", KINDS)
@pytest.mark.parametrize("inside", KINDS)
@pytest.mark.parametrize("fn", [nested.use_own, nested.use_own_async])
def test_L18_a_task_makes_an_executor(outside: str, inside: str, fn: Any) -> None:
    """Of any kind, inside any kind; in a process as well."""
    with create_executor(outside, max_workers=1) as executor:
        assert executor.submit(fn, inside, 1).result(PATIENCE) == [1, 4, 9, 16]


@pytest.mark.parametrize("outside", KINDS)
@pytest.mark.parametrize("inside", KINDS)
@pytest.mark.parametrize("fn", [nested.use, nested.use_async])
def test_L18_a_task_waits_for_another_executor(outside: str, inside: str, fn: Any) -> None:
    """One that it was given; both with one worker."""
    with (
        create_executor(outside, max_workers=1) as first,
        create_executor(inside, max_workers=1) as second,
    ):
        assert first.submit(fn, second, 1).result(PATIENCE) == [1, 4, 9, 16]


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_L18_two_executors_that_wait_for_each_other(kind: str) -> None:
    """A task of one waits for one of the other, which waits for one of the first, and so on."""
    with (
        create_executor(kind, max_workers=1) as first,
        create_executor("thread", max_workers=1) as second,
    ):

        def ping(depth: int) -> int:
            return 0 if depth == 0 else second.submit(pong, depth - 1).result(PATIENCE) + 1

        def pong(depth: int) -> int:
            return 0 if depth == 0 else first.submit(ping, depth - 1).result(PATIENCE) + 1

        assert first.submit(ping, 20).result(PATIENCE) == 20


@pools
def test_L18_a_captured_executor_stays_in_the_worker(pool: Any) -> None:
    """In a worker process it computes in that process: nested use never multiplies processes."""
    with pool(1) as captured, ProcessExecutor(1) as executor:
        worker = executor.submit(os.getpid).result(PATIENCE)
        assert executor.submit(map_pids, captured).result(PATIENCE) == {worker}


@pytest.mark.parametrize("kind", KINDS)
def test_L18_a_captured_executor_keeps_its_event_loop(kind: str) -> None:
    """What stands for it in a worker process awaits on the same library."""
    pytest.importorskip("trio")
    with create_executor(kind, max_workers=1, async_backend="trio") as inner:
        assert inner.submit(nested.library).result(PATIENCE) == "trio"
        with ProcessExecutor(1) as outer:
            assert outer.submit(nested.use_for, inner, nested.library).result(PATIENCE) == "trio"


@pools
def test_L18_a_captured_executor_that_comes_home(pool: Any) -> None:
    """It is the one that was sent, not one more."""
    with pool(1) as captured, ProcessExecutor(1) as executor:
        assert executor.submit(jobs.home, captured).result(PATIENCE) is captured


def test_L18_captured_executors_are_let_go() -> None:
    """A worker keeps a few for the next task, and no more threads than those have."""
    with ProcessExecutor(1) as executor:
        for _ in range(40):
            with ThreadExecutor(1) as captured:
                assert executor.submit(map_pids, captured).result(PATIENCE)
        assert wait_for(lambda: executor.submit(threading.active_count).result(PATIENCE) < 40)


def map_pids(executor: Any) -> set[int]:
    return set(executor.map(nested.pid_of, range(10)))


@pytest.mark.parametrize("kind", ["thread", "async", "process"])
def test_L18_an_executor_made_in_a_worker_is_a_real_one(kind: str) -> None:
    """Threads and loops of the worker, or processes of its own."""
    with ProcessExecutor(1) as executor:
        inside, worker = executor.submit(nested.use_and_tell, kind).result(PATIENCE)
        assert (inside == worker) is (kind != "process")
        assert wait_for(lambda: kind != "process" or not is_running(inside))


def test_L18_what_a_task_leaves_open_ends_with_its_worker(tmp_path: Path) -> None:
    """An executor that a task made and nobody closed."""
    with ProcessExecutor(1) as executor:
        inside = executor.submit(nested.keep_open, str(tmp_path / "pid")).result(PATIENCE)
        assert is_running(inside)
    assert wait_for(lambda: not is_running(inside), 3)


def test_L18_executors_of_a_task_end_when_it_is_killed(tmp_path: Path) -> None:
    """A task over its time limit takes the workers that it made with it, busy as they are."""
    path = tmp_path / "pid"
    with ProcessExecutor(1, grace=0.1) as executor:
        limited = executor.with_options(time_limit=2.0)
        task = limited.submit(nested.keep_open_and_busy, str(path))
        assert isinstance(task.exception(PATIENCE), TimeLimitError)
        assert wait_for(lambda: not is_running(int(path.read_text())), 3)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_L18_a_task_uses_multiprocessing(method: str) -> None:
    """Tasks may start processes of their own, however these come to be."""
    with ProcessExecutor(1) as executor:
        assert executor.submit(nested.apply_in_pool, method, 7).result(PATIENCE) == 49
        assert executor.submit(tasks.double, 2).result(PATIENCE) == 4


def test_L18_multiprocessing_children_end_with_a_killed_task(tmp_path: Path) -> None:
    """A task over its time limit takes its children of multiprocessing with it."""
    path = tmp_path / "pid"
    with ProcessExecutor(1, grace=0.1) as executor:
        limited = executor.with_options(time_limit=2.0)
        task = limited.submit(nested.start_children_and_ignore, str(path))
        assert isinstance(task.exception(PATIENCE), TimeLimitError)
        assert wait_for(lambda: not is_running(int(path.read_text())), 3)
        assert executor.submit(tasks.double, 2).result(PATIENCE) == 4


@pools
@pytest.mark.parametrize("fn", [nested.lose_patience, nested.lose_patience_async])
def test_L18_a_wait_that_is_given_up(pool: Any, fn: Any, tmp_path: Path) -> None:
    """A task goes on when its wait has timed out, even if what it waited for has the place."""
    with pool(1) as executor:
        assert executor.submit(fn, executor, str(tmp_path)).result(PATIENCE) == "WAIT_FOR_FILEgo"
        assert executor.submit(tasks.double, 2).result(PATIENCE) == 4


@pytest.mark.parametrize("pool", [ThreadExecutor, AsyncExecutor])
def test_L18_a_nested_time_out_is_on_time(pool: Any) -> None:
    """``result(timeout=)`` and ``map(timeout=)`` inside a task raise, and the task goes on."""
    release = threading.Event()

    def outer() -> str:
        with pytest.raises(WaitTimeoutError):
            executor.submit(release.wait).result(0.05)
        with pytest.raises(WaitTimeoutError):
            next(executor.map(tasks.double, [1], timeout=0.05))
        return "went on"

    with pool(1) as executor:
        try:
            assert executor.submit(outer).result(5) == "went on"
        finally:
            release.set()


def test_L18_serial_nests_by_plain_calls() -> None:
    """The reference: each level is a call inside a call, in one thread."""
    with SerialExecutor() as executor:
        assert executor.submit(tasks.count_down, executor, 20).result() == 20
        assert executor.submit(tasks.fibonacci, executor, 8).result() == 21
