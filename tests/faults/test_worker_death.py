"""L22: a worker that dies costs the one task it ran, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from unifexec import Failure, InitializerError, ProcessExecutor, Success, WorkerLostError

from . import jobs
from .programs import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    """Two workers."""
    with ProcessExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize(
    ("how", "exitcode"),
    [
        ("exit", 3),
        ("SIGKILL", -signal.SIGKILL),
        ("SIGSEGV", -signal.SIGSEGV),
        ("SIGABRT", -signal.SIGABRT),
        ("memory", -signal.SIGKILL),
    ],
)
def test_L22_only_the_guilty_task_is_lost(
    executor: ProcessExecutor, how: str, exitcode: int
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
    assert "'die' (item 0)" in str(caught.value)
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


@pytest.mark.parametrize("what", ["RebuildKills", "PickleKills"])
def test_L22_death_while_serialising(executor: ProcessExecutor, what: str) -> None:
    """Dying while an argument is rebuilt or a result is pickled is the task's own death."""
    if what == "RebuildKills":
        guilty = executor.submit(type, jobs.RebuildKills())
    else:
        guilty = executor.submit(jobs.make, what)
    with pytest.raises(WorkerLostError):
        guilty.result(20)
    assert executor.submit(jobs.square, 2).result(20) == 4


def test_L22_death_while_sending_a_large_result(executor: ProcessExecutor) -> None:
    """Killed half-way through writing 100 MB: that task is lost, or had been sent whole."""
    size = 100_000_000
    task = executor.submit(jobs.huge, size)
    other = executor.submit(jobs.square, 5)
    assert wait_for(lambda: executor.stats().running or task.done())
    for worker in executor.stats().workers:
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
    try:
        assert len(task.result(30)) == size
    except WorkerLostError as error:
        assert error.exitcode == -signal.SIGKILL
    try:
        assert other.result(30) == 25
    except WorkerLostError as error:
        assert error.exitcode == -signal.SIGKILL
    assert executor.submit(jobs.square, 6).result(30) == 36


def test_L22_death_while_reading_a_large_argument(executor: ProcessExecutor) -> None:
    """Killed while 100 MB are on their way: the task had not started, and runs elsewhere."""
    pids = {executor.submit(os.getpid).result(20) for _ in range(20)}
    payload = jobs.huge(100_000_000)
    task = executor.submit(len, payload)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        assert task.result(30) == len(payload)
    except WorkerLostError as error:  # it had all of it, and had started
        assert error.exitcode == -signal.SIGKILL
    assert executor.submit(jobs.square, 6).result(30) == 36


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


def test_L22_rerun_not_after_an_exception(executor: ProcessExecutor, tmp_path: Path) -> None:
    """A task that raised is not lost: it runs once."""
    task = executor.with_options(rerun_lost=3).submit(jobs.raise_it, ValueError("no"))
    assert isinstance(task.exception(20), ValueError)


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
