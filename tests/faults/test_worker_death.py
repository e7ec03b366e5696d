"""L22: a worker that dies costs the one task it ran, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from unifexec import (
    Failure,
    InitializerError,
    ProcessExecutor,
    SerializationError,
    Success,
    ThreadExecutor,
    TimeLimitError,
    WorkerLostError,
    _segments,
)
from unifexec._backends.child import Child

from . import jobs
from .programs import is_running, is_stopped, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    """Two workers."""
    with ProcessExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize(
    ("how", "exitcode", "told"),
    [
        ("exit", 3, "exited with code 3"),
        ("SIGKILL", -signal.SIGKILL, "SIGKILL"),
        ("SIGSEGV", -signal.SIGSEGV, "SIGSEGV"),
        ("SIGABRT", -signal.SIGABRT, "SIGABRT"),
        ("memory", -signal.SIGKILL, "SIGKILL (killed from outside, or out of memory)"),
    ],
)
def test_L22_only_the_guilty_task_is_lost(
    executor: ProcessExecutor, how: str, exitcode: int, told: str
) -> None:
    """The guilty task says how its worker ended; all around it finish; the executor goes on."""
    before = [executor.submit(jobs.square, x) for x in range(5)]
    guilty = executor.submit(jobs.die, how)
    after = [executor.submit(jobs.square, x) for x in range(5)]
    with pytest.raises(WorkerLostError) as caught:
        guilty.result(20)
    assert caught.value.exitcode == exitcode
    assert caught.value.pid is not None
    assert str(caught.value.pid) in str(caught.value)
    assert "while it ran 'die';" in str(caught.value)
    assert told in str(caught.value)
    assert [task.result(20) for task in before + after] == [0, 1, 4, 9, 16] * 2
    assert executor.submit(jobs.square, 7).result(20) == 49


def test_L22_death_in_the_middle_of_a_batch(executor: ProcessExecutor, tmp_path: Path) -> None:
    """Of a batch exactly the guilty item is lost; all others run exactly once."""
    outcomes = list(executor.map(jobs.die_at, range(60), [29] * 60, chunksize=30, errors="return"))
    lost = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [outcome.index for outcome in lost] == [29]
    assert "item 29" in str(lost[0].error)
    values = [outcome.value for outcome in outcomes if isinstance(outcome, Success)]
    assert values == [x * x for x in range(60) if x != 29]


def test_L22_nothing_runs_twice(executor: ProcessExecutor, tmp_path: Path) -> None:
    """While workers are killed in the middle of batches, no item runs more than once."""
    results = executor.map(
        jobs.note_and_square, range(300), [str(tmp_path)] * 300, chunksize=25, errors="return"
    )
    stop = threading.Event()

    def kill_again_and_again() -> None:
        while not stop.wait(0.05):
            for worker in executor.stats().workers:
                if worker.busy_seconds and worker.pid is not None:
                    os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_again_and_again)
    killer.start()
    try:
        outcomes = [next(results) for _ in range(40)]
    finally:
        stop.set()
        killer.join()
    outcomes += list(results)
    assert len(outcomes) == 300
    for outcome in outcomes:
        file = tmp_path / str(outcome.index)
        times = len(file.read_text()) if file.exists() else 0
        if isinstance(outcome, Success):
            assert (outcome.value, times) == (outcome.index**2, 1)
        else:
            assert isinstance(outcome.error, WorkerLostError)
            assert times <= 1


def test_L22_death_while_idle_costs_nothing(executor: ProcessExecutor) -> None:
    """Workers killed while they wait are replaced; no task notices."""
    for _ in range(5):
        assert executor.submit(jobs.square, 3).result(20) == 9
        for worker in executor.stats().workers:
            if worker.pid is not None:
                os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize(("what", "exitcode"), [("RebuildKills", 7), ("PickleKills", 8)])
def test_L22_death_while_serialising(what: str, exitcode: int, tmp_path: Path) -> None:
    """Dying while an argument is rebuilt or a result is pickled is the task's own death.

    Those before and behind it, on the same worker, run once.
    """
    folder = str(tmp_path)
    with ProcessExecutor(1) as executor:
        before = [executor.submit(jobs.note_and_square, x, folder) for x in range(10)]
        if what == "RebuildKills":
            guilty = executor.submit(jobs.square, jobs.RebuildKills())  # type: ignore[arg-type]
        else:
            guilty = executor.submit(jobs.make, what)
        after = [executor.submit(jobs.note_and_square, x, folder) for x in range(10, 20)]
        with pytest.raises(WorkerLostError) as caught:
            guilty.result(20)
        assert caught.value.exitcode == exitcode
        assert [task.result(20) for task in before + after] == [x * x for x in range(20)]
    assert [(tmp_path / str(x)).read_text() for x in range(20)] == ["x"] * 20


SIZE = 100_000_000


def kill_once(
    monkeypatch: pytest.MonkeyPatch, after: str, when: Callable[[Child], bool]
) -> list[int]:
    """Have a worker killed at this moment of its parent's traffic; who was."""
    original = getattr(Child, after)
    killed: list[int] = []

    def then_kill(child: Child) -> object:
        answer = original(child)
        if not killed and when(child):
            killed.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        return answer

    monkeypatch.setattr(Child, after, then_kill)
    return killed


@pytest.fixture
def over_the_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessExecutor]:
    """An executor without shared memory: large values go through its pipes."""

    def full() -> int:
        raise OSError("no shared memory")

    monkeypatch.setattr(_segments, "_create", full)
    with ProcessExecutor(2, initializer=jobs.forbid_segments) as executor:
        yield executor


def test_L22_death_half_way_through_a_large_result(
    over_the_pipe: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when some of its 100 MB have arrived: that task is lost, and no other."""
    executor = over_the_pipe
    killed = kill_once(monkeypatch, "receive", lambda child: 0 < child._large_filled < SIZE)
    task = executor.submit(jobs.huge, SIZE)
    others = [executor.submit(jobs.square, x) for x in range(5)]
    with pytest.raises(WorkerLostError) as caught:
        task.result(30)
    assert (caught.value.pid, caught.value.exitcode) == (killed[0], -signal.SIGKILL)
    assert [other.result(30) for other in others] == [0, 1, 4, 9, 16]
    assert len(executor.submit(jobs.huge, SIZE).result(30)) == SIZE


def test_L22_death_half_way_through_a_large_argument(
    over_the_pipe: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when some of the 100 MB are on their way: the task had not started, runs elsewhere.

    The worker is stopped first. One that reads as fast as its parent writes would have it all
    before anybody could say that half of it is on its way.
    """
    executor = over_the_pipe
    original = Child.flush
    killed: list[int] = []

    def stop_then_kill(child: Child) -> bool:
        is_large = bool(child._output) and len(child._output[-1]) >= SIZE
        if killed or not is_large:
            return original(child)
        os.kill(child.pid, signal.SIGSTOP)
        assert wait_for(lambda: is_stopped(child.pid))
        all_sent = original(child)
        if not all_sent and len(child._output[-1]) < SIZE:
            killed.append(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        return all_sent

    monkeypatch.setattr(Child, "flush", stop_then_kill)
    task = executor.submit(len, jobs.huge(SIZE))
    others = [executor.submit(jobs.square, x) for x in range(5)]
    assert task.result(30) == SIZE
    assert len(killed) == 1
    assert [other.result(30) for other in others] == [0, 1, 4, 9, 16]
    assert executor.stats().lost == 0


def test_L22_children_of_a_task_end_with_its_death(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    """A worker that dies of its task takes with it what the task had started."""
    path = tmp_path / "pid"
    assert isinstance(
        executor.submit(jobs.start_child_and_die, str(path)).exception(20), WorkerLostError
    )
    assert wait_for(lambda: not is_running(int(path.read_text())))


def test_L22_a_task_that_closes_its_workers_pipe(executor: ProcessExecutor) -> None:
    """It cannot answer, and is lost."""
    task = executor.submit(os.closerange, 3, 1000)
    assert isinstance(task.exception(20), WorkerLostError)
    assert executor.submit(jobs.square, 2).result(20) == 4


def test_L03_a_task_that_forks_is_answered_once(tmp_path: Path) -> None:
    """Both processes return from the task; the worker's answer counts, and moves nobody else's.

    The copy runs none of those behind it.
    """
    folder = str(tmp_path)
    with ProcessExecutor(1) as executor:
        for forking in range(2, 8):
            columns = range(10), [forking] * 10, [folder] * 10
            results = executor.map(jobs.fork_and_return, *columns, chunksize=10)
            assert list(results) == [x * x for x in range(10)]
        assert executor.submit(jobs.fork_and_return, 3, 3, folder).result(20) == 9
        executor.submit(jobs.wait_for_children).result(20)
    assert [(tmp_path / str(x)).read_text() for x in (0, 5, 9)] == ["x" * 6] * 3


def test_L22_a_task_that_breaks_standard_output() -> None:
    """What it leaves there cannot be flushed; its worker answers all the same."""
    with ProcessExecutor(1) as executor:
        pid = executor.submit(os.getpid).result(20)
        assert executor.submit(jobs.break_standard_output).result(20) is None
        assert executor.submit(os.getpid).result(20) == pid
        assert executor.submit(jobs.die, "exit").exception(20)  # it would complain at its exit


@pytest.mark.parametrize("when", ["put", "joined"])
def test_what_cannot_be_sent_fails_its_task(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """What is not whole when the parent's memory ends is answered by nobody else, either."""
    before = executor.submit(jobs.pid_after, 1)
    assert wait_for(before.running)
    put = Child.put

    def put_by_half(child: Child, kind: int, number: int, offset: int, *payload: bytes) -> None:
        put(child, kind, number, offset, *payload)
        if b"fails" in b"".join(payload):
            raise MemoryError

    def join(child: Child) -> None:
        if b"fails" in b"".join(child._small):
            raise MemoryError
        join_small(child)

    join_small = Child._join_small
    if when == "put":
        monkeypatch.setattr(Child, "put", put_by_half)
    else:
        monkeypatch.setattr(Child, "_join_small", join)
    task = executor.submit(jobs.same, "fails")
    with pytest.raises(SerializationError, match=r"could not be sent.*MemoryError"):
        task.result(20)
    outcomes = executor.map(jobs.same, ["fails", "works"], chunksize=1, errors="return")
    assert [type(outcome) for outcome in outcomes] == [Failure, Success]
    assert before.result(20) is not None


def test_L22_a_worker_that_cannot_be_heard(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system can watch no more pipes for a moment, another worker is started."""
    selector, failures = executor._room._selector, [OSError("no space left")]  # type: ignore[attr-defined]  # of a process room
    register = selector.register

    def refuse(*args: object) -> object:
        if failures:
            raise failures.pop()
        return register(*args)

    monkeypatch.setattr(selector, "register", refuse)
    assert executor.submit(jobs.square, 3).result(20) == 9
    assert not failures


def test_L22_a_worker_whose_pipe_the_caller_closed(executor: ProcessExecutor) -> None:
    """Whoever closes descriptors that are ours loses a worker, and no more."""
    list(executor.map(jobs.pid_after, [0.3] * 4, chunksize=1))
    child = min(executor._room._children.values(), key=lambda child: child.pid)  # type: ignore[attr-defined]  # of a process room
    os.close(child._lifeline)
    assert wait_for(lambda: not is_running(child.pid))
    assert len(set(executor.map(jobs.pid_after, [0.3] * 4, chunksize=1))) == 2


def test_L22_all_workers_at_once(tmp_path: Path) -> None:
    """Every worker dies at the same time: each costs the one task it ran."""
    with ProcessExecutor(3) as executor:
        marks = [tmp_path / str(x) for x in range(3)]
        doomed = [executor.submit(jobs.sleep_with_finally, 30, str(mark)) for mark in marks]
        waiting = [executor.submit(jobs.square, x) for x in range(10)]
        assert wait_for(lambda: all(mark.exists() for mark in marks))
        pids = [worker.pid for worker in executor.stats().workers]
        for pid in pids:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        for task in doomed:
            assert isinstance(task.exception(20), WorkerLostError)
        assert [task.result(20) for task in waiting] == [x * x for x in range(10)]
        assert executor.stats().lost == 3


def test_L22_rerun_lost_runs_it_again(executor: ProcessExecutor, tmp_path: Path) -> None:
    """With the caller's word that it is safe, a lost task is run again, so often."""
    path = str(tmp_path / "attempts")
    assert executor.with_options(rerun_lost=2).submit(jobs.die_while, path, 2).result(20) == 2
    path = str(tmp_path / "too many")
    task = executor.with_options(rerun_lost=2).submit(jobs.die_while, path, 9)
    assert isinstance(task.exception(20), WorkerLostError)
    assert len((tmp_path / "too many").read_text()) == 3


def test_L22_rerun_lost_in_a_batch(executor: ProcessExecutor, tmp_path: Path) -> None:
    """The one item that was lost runs again; its neighbours do not."""
    path, folder = str(tmp_path / "attempts"), str(tmp_path)

    def work(x: int) -> int:
        return jobs.die_while(path, 1) if x == 5 else jobs.note_and_square(x, folder)

    results = list(executor.with_options(rerun_lost=1).map(work, range(10), chunksize=10))
    assert results == [1 if x == 5 else x * x for x in range(10)]
    assert len((tmp_path / "attempts").read_text()) == 2
    assert all((tmp_path / str(x)).read_text() == "x" for x in range(10) if x != 5)


def test_L22_rerun_not_after_an_exception(executor: ProcessExecutor, tmp_path: Path) -> None:
    """A task that raised is not lost: it runs once."""
    path = tmp_path / "ran"

    def work() -> None:
        jobs.append(str(path), "x")
        raise ValueError("no")

    task = executor.with_options(rerun_lost=3).submit(work)
    assert isinstance(task.exception(20), ValueError)
    assert path.read_text() == "x"


def test_L22_rerun_not_after_a_time_limit(executor: ProcessExecutor, tmp_path: Path) -> None:
    """A task whose worker was killed for its limit is not lost: it runs once."""
    path = tmp_path / "ran"

    def work() -> None:
        jobs.append(str(path), "x")
        jobs.swallow_everything(30)

    task = executor.with_options(rerun_lost=3, time_limit=0.5).submit(work)
    assert isinstance(task.exception(20), TimeLimitError)
    assert executor.submit(jobs.square, 2).result(20) == 4
    executor.shutdown()
    assert path.read_text() == "x"


@pytest.mark.parametrize("how", ["exit", "SIGKILL"])
def test_L22_initializer_that_dies(how: str) -> None:
    """Waiting tasks fail with its death, once, and the next submit says so."""
    with ProcessExecutor(2, initializer=jobs.die, initargs=(how,)) as executor:
        tasks = [executor.submit(jobs.square, x) for x in range(3)]
        for task in tasks:
            with pytest.raises(InitializerError) as caught:
                task.result(20)
            assert isinstance(caught.value.__cause__, WorkerLostError)
        with pytest.raises(InitializerError):
            executor.submit(jobs.square, 1)


def test_L22_no_respawn_loop(tmp_path: Path) -> None:
    """An initializer that dies is tried once in each place at most, whoever asks again."""
    path = tmp_path / "tried"
    with ProcessExecutor(2, initializer=jobs.count_and_die, initargs=(str(path),)) as executor:
        tasks = [executor.submit(jobs.square, x) for x in range(10)]
        assert all(isinstance(task.exception(20), InitializerError) for task in tasks)
        for _ in range(5):
            with pytest.raises(InitializerError):
                executor.submit(jobs.square, 1)
    assert 1 <= len(path.read_text()) <= 2


def test_L22_initializer_that_raises_for_a_spare_thread() -> None:
    """The first thread was set up; one that a waiting task needs besides it cannot be."""
    calls: list[None] = []

    def once() -> None:
        calls.append(None)
        if len(calls) > 1:
            raise OSError("only once")

    with ThreadExecutor(1, initializer=once) as executor:
        outer = executor.submit(lambda: executor.submit(jobs.square, 2).result())
        with pytest.raises(InitializerError, match="'square'.*only once"):
            outer.result(20)
        with pytest.raises(InitializerError, match="only once"):
            executor.submit(jobs.square, 1)


def test_L22_initializer_that_raises() -> None:
    """Waiting tasks fail with its own exception as the cause, each with one of its own."""
    error = ValueError("no set-up today")
    with ProcessExecutor(2, initializer=jobs.raise_it, initargs=(error,)) as executor:
        tasks = [executor.submit(jobs.square, x) for x in range(3)]
        errors = [task.exception(20) for task in tasks]
        assert len({id(error) for error in errors}) == 3
        for error_seen in errors:
            assert isinstance(error_seen, InitializerError)
            assert isinstance(error_seen.__cause__, ValueError)
            assert "no set-up today" in str(error_seen)
        with pytest.raises(InitializerError, match="no set-up today"):
            executor.submit(jobs.square, 1)
