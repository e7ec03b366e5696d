"""L12b, L22, L25: large arguments and results are private copies, whatever they came through."""

from __future__ import annotations

import errno
import os
import resource
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from unifexec import ProcessExecutor, SerializationError, WorkerLostError, _segments
from unifexec.share import share

from . import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 2 << 20  # large enough for shared memory, and for private memory that is used again
HUGE = _segments.WARM_SIZE + 100


@pytest.fixture(name="executor")
def fixture_executor() -> Iterator[ProcessExecutor]:
    """One worker, so that the next task meets the same memory."""
    with ProcessExecutor(1) as executor:
        yield executor


@pytest.fixture(name="no_memory")
def fixture_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for shared memory in this process."""

    def full() -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(_segments, "_create", full)


def warm(executor: ProcessExecutor) -> int:
    """How many segments the caller keeps."""
    room = executor._room
    return len(room._segments._segments)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [SIZE, HUGE])
def test_L1_there_and_back(executor: ProcessExecutor, size: int) -> None:
    """A large block arrives whole, in a worker and back, and can be written to."""
    block = jobs.block(7, size)
    again = executor.submit(jobs.overwrite, block, 8).result(30)
    assert jobs.ends(again) == (8, 8)
    assert jobs.ends(block) == (7, 7)
    again.data[0] = 9


def test_one_segment_serves_many_tasks(executor: ProcessExecutor) -> None:
    """Memory is kept warm: tasks one after the other take the same segment, both ways."""
    for number in range(10):
        again = executor.submit(jobs.overwrite, jobs.block(1, SIZE), number).result(30)
        assert jobs.ends(again) == (number, number)
    assert warm(executor) == 1
    (child,) = executor._room._children.values()  # type: ignore[attr-defined]
    assert len(child.inbox._maps) == 1


def test_L12b_arguments_are_taken_at_the_call(executor: ProcessExecutor) -> None:
    """Changing a large argument after ``submit`` changes nothing, also while it waits."""
    blocks = [jobs.block(number, SIZE) for number in range(20)]
    tasks = [executor.submit(jobs.ends, block) for block in blocks]
    for block in blocks:
        jobs.overwrite(block, 99)
    assert [task.result(30) for task in tasks] == [(number, number) for number in range(20)]
    assert warm(executor) <= _segments.MOST


def test_a_task_may_keep_its_argument(executor: ProcessExecutor) -> None:
    """What a task keeps is not overwritten by the arguments of later ones."""
    for number in range(6):
        executor.submit(jobs.keep, jobs.block(number, SIZE)).result(30)
    kept = executor.submit(jobs.kept_ends).result(30)
    assert kept == [(number, number) for number in range(6)]


def test_the_caller_may_keep_results(executor: ProcessExecutor) -> None:
    """What the caller keeps is not overwritten by later results."""
    kept = [executor.submit(jobs.block, number, SIZE).result(30) for number in range(12)]
    assert [jobs.ends(block) for block in kept] == [(number, number) for number in range(12)]


def test_results_that_come_faster_than_they_are_taken(executor: ProcessExecutor) -> None:
    """A worker does not write its next result over one that its caller has not taken yet."""
    results = executor.map(jobs.block, range(40), [8 * SIZE] * 40, chunksize=40)
    for number, block in enumerate(results):
        assert bytes(block.data) == bytes([number]) * (8 * SIZE)


def test_dropped_results_leave_their_memory_to_later_ones(executor: ProcessExecutor) -> None:
    """Private memory is used again, but only when nothing refers to any part of it."""
    part = executor.submit(jobs.block, 1, SIZE).result(30).data[5:10]
    for number in range(2, 8):
        executor.submit(jobs.block, number, SIZE).result(30)
    assert bytes(part) == b"\1" * 5
    (child,) = executor._room._children.values()  # type: ignore[attr-defined]
    assert len(child.inbox._recycler._buffers) <= 2


def test_L4_items_of_a_map_do_not_alias(executor: ProcessExecutor) -> None:
    """One block as several items is a block for each."""
    block = jobs.block(1, SIZE)
    again = executor.map(jobs.overwrite, [block] * 6, range(6), chunksize=3)
    assert [jobs.ends(each) for each in again] == [(number, number) for number in range(6)]


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_large_bytes_keep_their_type(executor: ProcessExecutor, kind: type) -> None:
    """What is sent apart from its pickle arrives as what it was, also inside other things."""
    value = kind(range(256)) * (SIZE >> 8)
    for sent in (value, [value], (value, value[:10])):
        again = executor.submit(jobs.same, sent).result(30)
        assert (type(again), again) == (type(sent), sent)
    assert type(executor.submit(jobs.same, value).result(30)) is kind


@pytest.mark.usefixtures("no_memory")
def test_without_room_the_pipe_carries_it(executor: ProcessExecutor) -> None:
    """Where shared memory is full or missing, large arguments travel all the same."""
    tasks = [executor.submit(jobs.overwrite, jobs.block(1, SIZE), number) for number in range(3)]
    assert [jobs.ends(task.result(30)) for task in tasks] == [(0, 0), (1, 1), (2, 2)]
    assert warm(executor) == 0


def test_a_worker_without_room_uses_the_pipe(executor: ProcessExecutor) -> None:
    """A result travels by the pipe where the worker gets no shared memory."""
    executor.submit(jobs.forbid_segments).result(30)
    assert jobs.ends(executor.submit(jobs.block, 5, SIZE).result(30)) == (5, 5)
    (child,) = executor._room._children.values()  # type: ignore[attr-defined]
    assert not child.inbox._maps


def test_a_segment_that_cannot_be_handed_over(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where descriptors cannot be sent, the pipe carries what lies in the segment."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EAGAIN, "try again")

    monkeypatch.setattr("unifexec._backends.parcels.send_descriptor", refuse)
    again = executor.submit(jobs.overwrite, jobs.block(1, SIZE), 3).result(30)
    assert jobs.ends(again) == (3, 3)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_worker_with_too_many_files(first: bool) -> None:
    """It cannot map what it is handed: that task fails, and the segment is handed over again."""
    with ProcessExecutor(1) as executor:
        pid = executor.submit(os.getpid).result(30)
        if not first:
            executor.submit(jobs.ends, jobs.block(1, SIZE)).result(30)
        executor.submit(jobs.hold_all_files).result(30)
        with pytest.raises((SerializationError, OSError), match="no room|Too many open files"):
            executor.submit(jobs.ends, jobs.block(2, 2 * SIZE)).result(30)
        assert executor.submit(jobs.release_files).result(30) == pid
        for number in range(5):
            task = executor.submit(jobs.ends, jobs.block(number, 2 * SIZE))
            assert task.result(30) == (number, number)
        assert warm(executor) == (1 if first else 2)


def test_a_function_with_a_shared_value_of_a_worker_with_too_many_files() -> None:
    """As above: what the function refers to is handed over again, too."""
    with ProcessExecutor(1) as executor, share(jobs.block(7, SIZE)) as shared:
        pid = executor.submit(os.getpid).result(30)
        ends = partial(jobs.ends_of_shared, shared)
        executor.submit(jobs.hold_all_files).result(30)
        assert executor.submit(ends).exception(30) is not None
        assert executor.submit(jobs.release_files).result(30) == pid
        for _ in range(3):
            assert executor.submit(ends).result(30) == (7, 7)


def test_a_parent_with_too_many_files(executor: ProcessExecutor) -> None:
    """It cannot map what a worker hands it: those results are lost, and no later ones."""
    executor.submit(jobs.block, 1, SIZE).result(30)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        for number in range(_segments.MOST + 1):
            error = executor.submit(jobs.block, number, 2 * SIZE).exception(30)
            assert isinstance(error, SerializationError)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    (child,) = executor._room._children.values()  # type: ignore[attr-defined]  # of a process room
    before = len(child.inbox._maps)
    for number in range(5):
        task = executor.submit(jobs.block, number, 2 * SIZE)
        assert jobs.ends(task.result(30)) == (number, number)
    assert len(child.inbox._maps) == before + 1


def test_a_segment_that_was_not_mapped_is_idle() -> None:
    """Its receiver cannot say so, as it would after it has read it."""
    pool = _segments.Pool(lambda token: None)
    segment = pool.load([memoryview(b"first")])
    assert pool.load([memoryview(b"busy")]) is not segment
    pool.unmapped(segment.token)
    assert pool.load([memoryview(b"again")]) is segment


def test_L22_death_while_reading_an_argument(tmp_path: Path, executor: ProcessExecutor) -> None:
    """A worker that dies over an argument costs that task; the segment is used again."""
    value = jobs.DiesWhenRead(str(tmp_path / "read"), jobs.block(4, SIZE))
    with pytest.raises(WorkerLostError):
        executor.submit(repr, value).result(30)
    for number in range(5):
        task = executor.submit(jobs.ends, jobs.block(number, SIZE))
        assert task.result(30) == (number, number)
    assert warm(executor) <= 2  # the carrier may hold on to the lost one until it has more to do
    busy = [segment.busy for segment in executor._room._segments._segments]  # type: ignore[attr-defined]
    assert sum(busy) <= 1


def test_L22_the_next_worker_gets_the_argument_as_it_was(
    tmp_path: Path, executor: ProcessExecutor
) -> None:
    """A task that is run again sees its argument as submitted, not as the dead run left it."""
    again = executor.with_options(rerun_lost=1)
    task = again.submit(jobs.overwrite_then_die, jobs.block(6, SIZE), str(tmp_path / "died"))
    assert task.result(30) == (6, 6)


def test_L22_death_while_sending_a_result(executor: ProcessExecutor) -> None:
    """A worker that dies before its result is whole costs that task only."""
    executor.submit(jobs.block, 1, SIZE).result(30)
    with pytest.raises(WorkerLostError):
        executor.submit(jobs.result_that_kills, 2, SIZE).result(30)
    assert jobs.ends(executor.submit(jobs.block, 3, SIZE).result(30)) == (3, 3)


def test_L22_results_outlive_their_worker(executor: ProcessExecutor) -> None:
    """Memory that came from a worker is the caller's own when that worker dies."""
    results = [executor.submit(jobs.block, 1, size).result(30) for size in (SIZE, HUGE)]
    with pytest.raises(WorkerLostError):
        executor.submit(jobs.die, "SIGKILL").result(30)
    assert [jobs.ends(block) for block in results] == [(1, 1), (1, 1)]


def test_L12_a_result_that_cannot_be_rebuilt(executor: ProcessExecutor) -> None:
    """It fails its own task; its segment is used again."""
    for _ in range(2):
        with pytest.raises(SerializationError, match="not here"):
            executor.submit(jobs.bad_result, SIZE).result(30)
    (child,) = executor._room._children.values()  # type: ignore[attr-defined]
    assert len(child.inbox._maps) == 1


def test_L25_nothing_is_left(executor: ProcessExecutor) -> None:
    """Tasks with large blocks of all sizes leave neither names nor descriptors behind."""

    def work() -> None:
        for size in (SIZE, HUGE, 3 * SIZE):
            executor.submit(jobs.overwrite, jobs.block(1, size), 2).result(30)

    def counts() -> tuple[int, int]:
        there = executor.submit(jobs.open_descriptors).result(30)
        return len(os.listdir("/proc/self/fd")), there

    names = set(os.listdir("/dev/shm"))
    work()
    here, there = counts()
    for _ in range(6):
        work()
    deadline = time.monotonic() + 10
    while (now := counts())[0] > here or now[1] > there:  # what was used once is just being closed
        assert time.monotonic() < deadline
    assert set(os.listdir("/dev/shm")) <= names


def test_L25_only_its_owner_can_open_it() -> None:
    """The memory is readable by nobody else, and has no name."""
    segment = _segments.Segment(4096)
    status = os.fstat(segment.fd)
    assert (status.st_uid, status.st_nlink) == (os.getuid(), 0)
    assert not status.st_mode & 0o077
    assert not os.get_inheritable(segment.fd)


def test_a_forked_child_does_not_free_its_parents_memory() -> None:
    """A cargo that is collected in a forked child stays where it is."""
    pool = _segments.Pool(lambda token: None)
    cargo = pool.cargo([memoryview(bytes(SIZE))])
    pid = os.fork()
    if pid == 0:
        del cargo
        os._exit(0)
    os.waitpid(pid, 0)
    assert isinstance(cargo.segment, _segments.WarmSegment)
    assert cargo.segment.busy


def test_idle_segments_hold_a_bounded_amount_of_memory() -> None:
    """Growing sizes retire smaller segments; the number and the bytes kept are bounded."""
    retired: list[int] = []
    pool = _segments.Pool(retired.append)
    for size in range(1 << 20, 60 << 20, 4 << 20):
        pool.cargo([memoryview(bytes(size))])
    kept = list(pool._segments)
    assert retired
    assert len(kept) <= _segments.MOST
    assert sum(segment.size for segment in kept) <= _segments.WARM_TOTAL
