"""`share`: one value for many tasks, on every executor."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import (
    ProcessExecutor,
    SerialExecutor,
    SerializationError,
    WorkerLostError,
    _messages,
    _segments,
    create_executor,
)
from unifexec._backends.child import Child
from unifexec.share import Shared, share

from .faults import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unifexec import Executor

SIZE = 1 << 20
KINDS: dict[str, Callable[[], Any]] = {
    "serial": partial(create_executor, "serial"),
    "portable": partial(create_executor, "serial", portable=True),
    "thread": partial(create_executor, "thread", max_workers=2),
    "async": partial(create_executor, "async", max_workers=2),
    "process": partial(create_executor, "process", max_workers=1),
    "forkserver": partial(create_executor, "process", max_workers=1, start_method="forkserver"),
}


@pytest.fixture(name="executor", params=KINDS)
def fixture_executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor of each kind."""
    with KINDS[request.param]() as executor:
        yield executor


@pytest.fixture(name="processes")
def fixture_processes() -> Iterator[ProcessExecutor]:
    """One worker process."""
    with ProcessExecutor(1) as executor:
        yield executor


def held_by_workers(executor: ProcessExecutor) -> int:
    """How many shared values the workers have, as the caller knows."""
    children = list(executor._room._children.values())  # type: ignore[attr-defined]
    return sum(len(child.shared) for child in children)


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll, for at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.002)


@pytest.mark.parametrize(
    "value", [None, 0, [1, {"a": (2, None)}], "text", b"x" * SIZE, bytearray(b"y" * SIZE)]
)
def test_L1_the_value_is_equal_everywhere(executor: Executor, value: Any) -> None:
    """A task reads an equal value of the same type, small or large."""
    with share(value) as shared:
        found = executor.submit(jobs.value_of, shared).result(30)
    assert type(found) is type(value)
    assert found == value


def test_a_map_and_a_closure_take_it(executor: Executor) -> None:
    """The handle is an argument of items, part of a partial, or captured by a closure."""
    with share(jobs.block(3, SIZE)) as shared:
        ends = [(3, 3)] * 4
        looked = executor.map(jobs.look_at, [shared] * 4)
        assert [each[:2] for each in looked] == ends
        looked = executor.map(partial(jobs.look_at, shared), range(4))
        assert [each[:2] for each in looked] == ends
        assert list(executor.map(lambda _: jobs.ends(shared.value), range(4))) == ends


def test_coroutines_and_async_callers(executor: Executor) -> None:
    """A coroutine as a task, awaited by another."""

    async def read(shared: Shared[list[int]]) -> int:
        await asyncio.sleep(0)
        return sum(shared.value)

    async def main() -> int:
        with share([1, 2, 3]) as shared:
            return await executor.submit(read, shared)

    assert asyncio.run(main()) == 6


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_where_memory_is_shared_it_is_the_object_itself(kind: str) -> None:
    """Nothing is copied, and nothing needs to be picklable."""
    lock = threading.Lock()
    with KINDS[kind]() as executor, share(lock) as shared:
        assert executor.submit(jobs.value_of, shared).result(10) is lock


def test_one_copy_per_worker(processes: ProcessExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tasks on a worker read the same object; the value travels once."""
    kinds: list[int] = []
    put = Child.put

    def counted(child: Child, kind: int, number: int, offset: int, *payload: bytes) -> None:
        kinds.append(kind)
        put(child, kind, number, offset, *payload)

    monkeypatch.setattr(Child, "put", counted)
    with share(jobs.block(1, SIZE)) as shared:
        seen = set(processes.map(jobs.identity_of, [shared] * 20))
        seen.add(processes.submit(lambda: jobs.identity_of(shared)).result(30))
    assert len(seen) == 1
    assert kinds.count(_messages.SHARED) == 1


def test_large_buffers_are_read_only_in_workers(processes: ProcessExecutor) -> None:
    """A task cannot change what other tasks read."""
    with share(jobs.block(1, SIZE)) as shared:
        assert isinstance(processes.submit(jobs.write_to, shared).exception(30), TypeError)
        assert processes.submit(jobs.look_at, shared).result(30)[:2] == (1, 1)


def test_an_array_of_numpy_is_read_only_and_not_copied(processes: ProcessExecutor) -> None:
    """An array that comes out of a handle is a view of shared memory."""
    numpy = pytest.importorskip("numpy")
    with share(numpy.zeros(SIZE)) as shared:
        flags = processes.submit(jobs.flags_of, shared).result(30)
    assert flags == {"writeable": False, "owndata": False}


def test_L12b_the_value_is_taken_at_the_first_submit(processes: ProcessExecutor) -> None:
    """Changed before it: seen by all workers. Changed after it: seen by none, new ones included."""
    value = [1]
    with share(value) as shared:
        value.append(2)
        assert processes.submit(jobs.value_of, shared).result(30) == [1, 2]
        value.append(3)
        assert processes.submit(jobs.value_of, shared).result(30) == [1, 2]
        with pytest.raises(WorkerLostError):
            processes.submit(jobs.die, "exit").result(30)
        assert processes.submit(jobs.value_of, shared).result(30) == [1, 2]


def test_L22_a_new_worker_has_the_value(processes: ProcessExecutor) -> None:
    """A worker that dies over a shared value is replaced by one that can read it."""
    with share(jobs.block(9, SIZE)) as shared:
        with pytest.raises(WorkerLostError):
            processes.submit(jobs.die_after_look, shared).result(30)
        assert processes.submit(jobs.look_at, shared).result(30)[:2] == (9, 9)


def test_several_executors_share_one_value(processes: ProcessExecutor) -> None:
    """A handle serves executors of all kinds at once."""
    with share(jobs.block(2, SIZE)) as shared, ProcessExecutor(1) as other:
        for executor in (processes, other, SerialExecutor()):
            assert executor.submit(jobs.look_at, shared).result(30)[:2] == (2, 2)


def test_L18_nested_executors(processes: ProcessExecutor) -> None:
    """A task hands the handle on: to its own executor, and to processes that it starts."""
    with share(jobs.block(5, SIZE)) as shared:
        nested = processes.submit(lambda: processes.submit(jobs.look_at, shared).result(20)[:2])
        assert nested.result(30) == (5, 5)
        assert processes.submit(jobs.look_in_own_processes, shared).result(30) == (5, 5)


def test_a_handle_comes_home_as_itself(executor: Executor) -> None:
    """A task that returns the handle returns the caller's own."""
    with share([1]) as shared:
        assert executor.submit(lambda: shared).result(30) is shared


@pytest.mark.parametrize("size", [10, SIZE])
def test_closing_releases_it_everywhere(processes: ProcessExecutor, size: int) -> None:
    """Workers drop the value; descriptors are given back on both sides."""
    shared = share(jobs.block(1, size))
    processes.submit(jobs.look_at, shared).result(30)
    shared.close()
    shared.close()
    wait_until(lambda: held_by_workers(processes) == 0)
    count = processes.submit(jobs.open_descriptors).result(30)
    here = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with share(jobs.block(1, size)) as again:
            processes.submit(jobs.look_at, again).result(30)
        wait_until(lambda: held_by_workers(processes) == 0)
    assert processes.submit(jobs.open_descriptors).result(30) == count
    assert len(os.listdir("/proc/self/fd")) == here


def test_a_dropped_handle_is_closed(processes: ProcessExecutor) -> None:
    """A handle that nobody refers to is released as by `close`."""
    processes.submit(jobs.look_at, share(jobs.block(1, SIZE))).result(30)
    wait_until(lambda: held_by_workers(processes) == 0)


def test_tasks_submitted_before_the_close_still_read_it(processes: ProcessExecutor) -> None:
    """In another process the value stays until the tasks that were given it are done."""
    with share(jobs.block(4, SIZE)) as shared:
        tasks = [processes.submit(jobs.look_at, shared) for _ in range(30)]
    assert {task.result(30)[:2] for task in tasks} == {(4, 4)}


def test_a_closed_handle_names_the_cure(executor: Executor) -> None:
    """Reading ``.value`` or submitting it after the close says what to do."""
    shared = share([1])
    shared.close()
    with pytest.raises(RuntimeError, match="share\\(\\) the value anew"):
        _ = shared.value
    error = executor.submit(jobs.value_of, shared).exception(30)
    assert isinstance(error, (RuntimeError, SerializationError))
    assert "share() the value anew" in str(error)


def test_L12_what_cannot_travel_fails_its_task(processes: ProcessExecutor) -> None:
    """The submit fails with the path to the object; the handle and the executor live on."""
    with share({"inside": [threading.Lock()]}) as shared:
        for _ in range(2):
            error = processes.submit(jobs.value_of, shared).exception(30)
            assert isinstance(error, SerializationError)
            assert "the shared value['inside'][0]" in str(error)
        assert processes.submit(jobs.square, 3).result(30) == 9


def test_L12_another_argument_is_blamed_rightly(processes: ProcessExecutor) -> None:
    """A handle beside something that cannot travel is not what the error names."""
    with share([1]) as shared:
        error = processes.submit(jobs.look_at, shared, threading.Lock()).exception(30)
    assert "args[1]" in str(error)


def test_elsewhere_a_handle_does_not_travel() -> None:
    """Plain pickling says what to send instead."""
    import pickle

    with share([1]) as shared, pytest.raises(TypeError, match="send its .value"):
        pickle.dumps(shared)


def test_without_room_the_pipe_carries_it(
    processes: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where shared memory is full or missing, the value travels once per worker all the same."""

    def full() -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(_segments, "_create", full)
    with share(jobs.block(6, SIZE)) as shared:
        seen = set(processes.map(jobs.identity_of, [shared] * 5))
        assert len(seen) == 1
        assert isinstance(processes.submit(jobs.write_to, shared).exception(30), TypeError)
    wait_until(lambda: held_by_workers(processes) == 0)


@pytest.mark.timeout(120)
def test_300_megabytes(processes: ProcessExecutor) -> None:
    """A large value is shared whole."""
    with share(jobs.block(8, 300_000_000)) as shared:
        assert processes.submit(jobs.look_at, shared).result(60)[:2] == (8, 8)


def test_many_threads_pack_it_once(processes: ProcessExecutor) -> None:
    """Submits from several threads at once take the value one time."""
    with share(jobs.block(1, SIZE)) as shared:
        barrier = threading.Barrier(4)
        found: list[Any] = []

        def submit() -> None:
            barrier.wait(10)
            found.append(processes.submit(jobs.identity_of, shared).result(30))

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1
        assert held_by_workers(processes) == 1


class Own:
    """A value that has a handle of its own."""

    def __init__(self) -> None:
        self.shared = share(self)


def test_L12_a_value_that_holds_its_own_handle(processes: ProcessExecutor) -> None:
    """It has no end: the task fails, and says why."""
    handle = Own().shared
    with pytest.raises(SerializationError, match="hold its own handle"):
        processes.submit(jobs.identity_of, handle).result(20)


class Closing:
    """A value that has its handle closed while it is taken."""

    handle: Shared[Any]

    def __reduce__(self) -> Any:
        type(self).handle.close()
        return list, ()


def test_a_handle_that_is_closed_while_its_value_is_taken(processes: ProcessExecutor) -> None:
    """It keeps nothing."""
    handle = Closing.handle = share(Closing())
    processes.submit(jobs.identity_of, handle).exception(20)
    assert handle._cargo is None
