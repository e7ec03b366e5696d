"""L15, L16: time limits and aborts really stop work, on time, and the capacity is back."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from unifexec import (
    AsyncExecutor,
    ProcessExecutor,
    SerialExecutor,
    TaskCancelledError,
    ThreadExecutor,
    TimeLimitError,
    WaitTimeoutError,
    current_task,
)
from unifexec._backends.child import Child

from . import jobs
from .programs import is_running, wait_for

if TYPE_CHECKING:
    from pathlib import Path

IN_TIME = 1.0  # seconds that a busy machine may be late
portable = partial(SerialExecutor, portable=True)


@pytest.mark.parametrize(
    "task", [time.sleep, jobs.block_in_read, jobs.spin, jobs.swallow_everything]
)
def test_L16_process_is_stopped_on_time(task: object) -> None:
    """A task that sleeps, blocks, computes, or ignores all that should stop it ends on time."""
    with ProcessExecutor(1) as executor:
        executor.submit(jobs.square, 1).result(20)
        start = time.monotonic()
        with pytest.raises(TimeLimitError, match=r"0\.3 s"):
            executor.with_options(time_limit=0.3).submit(task, 30).result(20)  # type: ignore[arg-type]
        assert 0.3 <= time.monotonic() - start < 0.3 + IN_TIME
        assert executor.submit(jobs.square, 3).result(20) == 9


def test_L16_process_that_holds_its_gil() -> None:
    """Native code that neither releases the GIL nor looks at signals is stopped on time."""
    with ProcessExecutor(1) as executor:
        executor.submit(jobs.square, 1).result(20)
        start = time.monotonic()
        task = executor.with_options(time_limit=0.3).submit(jobs.hold_the_gil, 30_000_000)
        with pytest.raises(TimeLimitError):
            task.result(20)
        assert time.monotonic() - start < 0.3 + IN_TIME
        assert executor.submit(jobs.square, 3).result(20) == 9


def test_L16_an_import_is_not_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task stopped while it imports a package leaves no half of it to the tasks after it."""
    package = tmp_path / "slow_to_import"
    package.mkdir()
    (package / "part.py").touch()
    (package / "__init__.py").write_text(
        "from .part import *\nimport time\ntime.sleep(0.3)\n__all__ = part.__name__\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with ProcessExecutor(1, grace=10) as executor:
        pid = executor.submit(os.getpid).result(20)
        with pytest.raises(TimeLimitError):
            limited = executor.with_options(time_limit=0.1)
            limited.submit(jobs.import_and_sleep, "slow_to_import", 30).result(20)
        assert executor.submit(jobs.import_and_sleep, "slow_to_import", 0).result(20) == pid


def test_L16_only_the_slow_item_of_a_batch() -> None:
    """In a batch the slow item is stopped; those behind it run elsewhere meanwhile."""
    with ProcessExecutor(2) as executor:
        outcomes = list(
            executor.with_options(time_limit=1.0).map(
                time.sleep, [0, 0, 30, 0, 0, 0, 0, 0], chunksize=8, errors="return"
            )
        )
        kinds = [type(outcome).__name__ for outcome in outcomes]
        assert kinds == ["Success"] * 2 + ["Failure"] + ["Success"] * 5


def test_L10_a_slow_item_holds_nobody_up() -> None:
    """Items behind a slow one are taken back and run elsewhere, whatever the chunk size."""
    with ProcessExecutor(2) as executor:
        list(executor.map(jobs.square, range(4)))
        results = executor.map(time.sleep, [1.5] + [0] * 30, chunksize=31, ordered=False)
        start = time.monotonic()
        for _ in range(30):
            next(results)
        assert time.monotonic() - start < 1.2
        next(results)


def test_L15_abort_runs_finally_blocks(tmp_path: Path) -> None:
    """An aborted task runs its ``finally`` blocks; its worker lives on."""
    path = tmp_path / "state"
    with ProcessExecutor(1) as executor:
        pid = executor.submit(jobs.os.getpid).result(20)
        task = executor.submit(jobs.sleep_with_finally, 30, str(path))
        assert wait_for(lambda: path.exists() and path.read_text() == "started")
        assert task.abort()
        with pytest.raises(TaskCancelledError):
            task.result(20)
        assert path.read_text() == "cleaned up"
        assert not task.cancelled()
        assert executor.submit(jobs.os.getpid).result(20) == pid


def test_L15_a_lost_signal_is_sent_again(tmp_path: Path) -> None:
    """As where it comes just before a task waits in the system: nothing wakes that."""
    path = tmp_path / "state"
    with ProcessExecutor(1, grace=20) as executor:
        task = executor.submit(jobs.lose_first_signal, 30, str(path))
        assert wait_for(lambda: path.exists() and path.read_text() == "started")
        assert task.abort()
        with pytest.raises(TaskCancelledError):
            task.result(10)
        assert path.read_text() == "cleaned up"


def test_L15_what_had_not_begun_when_its_grace_was_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not obey when it has: it is ended one grace later, and the close does not hang."""
    original, looks = Child.kill_at, []

    def kill_at(child: Child, mark: int) -> bool:
        looks.append(mark)
        return original(child, mark if len(looks) > 1 else mark + (1 << 40))

    monkeypatch.setattr(Child, "kill_at", kill_at)
    with ProcessExecutor(1, grace=0.2) as executor:
        task = executor.submit(jobs.swallow_everything, 30, str(tmp_path / "started"))
        assert wait_for((tmp_path / "started").exists)
        assert task.abort()
        assert isinstance(task.exception(10), TaskCancelledError)
        assert len(looks) == 2


def test_L15_a_signal_handler_of_a_task_s_own_is_not_called_again(tmp_path: Path) -> None:
    """It has the signal that is to stop the task: once, and the grace is the limit."""
    path = tmp_path / "calls"
    with ProcessExecutor(1, grace=0.5) as executor:
        task = executor.submit(jobs.keep_the_signal, 30, str(path))
        assert wait_for(path.exists)
        assert task.abort()
        with pytest.raises(TaskCancelledError):
            task.result(10)
        assert path.read_text() == "called "


def test_L16_finally_blocks_run_within_the_grace(tmp_path: Path) -> None:
    """A task over its limit has the grace for them, and its worker lives on if that is enough."""
    path = tmp_path / "state"
    with ProcessExecutor(1, grace=10) as executor:
        pid = executor.submit(os.getpid).result(20)
        limited = executor.with_options(time_limit=0.2)
        task = limited.submit(jobs.sleep_with_finally, 30, str(path))
        assert isinstance(task.exception(20), TimeLimitError)
        assert executor.submit(os.getpid).result(20) == pid
        assert path.read_text() == "cleaned up"


@pytest.mark.parametrize("make", [SerialExecutor, portable])
def test_L16_nothing_begins_when_the_time_of_a_map_is_over(make: Any) -> None:
    """Also where asking for a result is what begins its item."""

    def take(results: Any) -> Any:
        return next(results)

    async def take_awaiting(results: Any) -> Any:
        return await anext(results)

    with make() as executor:
        for ask in (take, lambda results: asyncio.run(take_awaiting(results))):
            before = executor.stats().done
            results = executor.map(time.sleep, [0.8] * 3, timeout=0.6)
            assert ask(results) is None  # it is there, if late
            with pytest.raises(WaitTimeoutError):
                ask(results)
            assert executor.stats().done == before + 1
        assert list(executor.map(abs, [], timeout=0)) == []  # the end is no result to wait for
        assert list(executor.map(time.sleep, [0.8], timeout=0.6)) == [None]


def test_L15_abort_hits_only_its_own_task() -> None:
    """Aborting tasks at random moments never stops the neighbours on the same worker."""
    with ProcessExecutor(1) as executor:
        for _ in range(40):
            doomed = executor.submit(jobs.spin, 0.002)
            innocent = executor.submit(jobs.square, 4)
            doomed.abort()
            assert innocent.result(20) == 16


def test_L15_children_of_a_task_end_with_its_worker(tmp_path: Path) -> None:
    """A process that a task started is ended with the worker that is killed for it."""
    path = tmp_path / "pid"
    with ProcessExecutor(1, grace=0.1) as executor:
        task = executor.with_options(time_limit=1.0).submit(
            jobs.start_child_and_ignore, str(path), 30
        )
        assert isinstance(task.exception(20), TimeLimitError)
        child = int(path.read_text())
        assert wait_for(lambda: not is_running(child))


def test_L16_a_task_that_left_its_process_group() -> None:
    """It is stopped all the same, and its worker replaced."""
    with ProcessExecutor(1, grace=0.1) as executor:
        pid = executor.submit(os.getpid).result(20)
        with pytest.raises(TimeLimitError):
            executor.with_options(time_limit=0.3).submit(jobs.leave_the_group, 30).result(20)
        assert executor.submit(os.getpid).result(20) != pid
        assert wait_for(lambda: not is_running(pid))


def test_L15_abort_false_lets_started_work_finish(tmp_path: Path) -> None:
    """``with_options(abort=False)``: neither abort nor a failing sibling stops it."""
    path = tmp_path / "state"
    with ProcessExecutor(2) as executor:
        task = executor.with_options(abort=False).submit(jobs.sleep_with_finally, 0.5, str(path))
        assert wait_for(path.exists)
        assert not task.abort()
        with pytest.raises(ValueError, match="sibling"):
            executor.gather(task, executor.submit(jobs.raise_it, ValueError("sibling"))).result(20)
        assert task.result(20) is None


def test_L16_thread_is_replaced_and_counted() -> None:
    """A plain function over its limit fails on time; its thread is replaced, and counted."""
    release = threading.Event()
    with ThreadExecutor(1, grace=0.05) as executor:
        limited = executor.with_options(time_limit=0.1)
        for count in range(1, 4):
            with pytest.raises(TimeLimitError):
                limited.submit(release.wait).result(20)
            assert executor.submit(jobs.square, 3).result(20) == 9
            assert executor.stats().abandoned == count
        release.set()
        assert wait_for(lambda: executor.stats().abandoned == 0)


def test_L16_abandoned_threads_are_capped(caplog: pytest.LogCaptureFixture) -> None:
    """Beyond ``max_abandoned`` the capacity is not given back, and a warning says so."""
    release = threading.Event()
    with ThreadExecutor(1, grace=0.05, max_abandoned=1) as executor:
        limited = executor.with_options(time_limit=0.1)
        for _ in range(2):
            with pytest.raises(TimeLimitError):
                limited.submit(release.wait).result(20)
        assert wait_for(lambda: "max_abandoned" in caplog.text)
        waiting = executor.submit(jobs.square, 3)
        assert executor.stats().abandoned == 1
        assert not waiting.done()
        release.set()
        assert waiting.result(20) == 9


def test_L16_a_thread_is_told_to_stop() -> None:
    """A plain function sees ``current_task().stop_requested`` and may end by itself."""
    seen = threading.Event()

    def patient() -> None:
        task = current_task()
        assert task is not None
        while not task.stop_requested:
            time.sleep(0.001)
        seen.set()

    with ThreadExecutor(1) as executor:
        task = executor.with_options(time_limit=0.1).submit(patient)
        assert isinstance(task.exception(20), TimeLimitError)
        assert seen.wait(20)
        assert executor.submit(jobs.square, 2).result(20) == 4
        assert executor.stats().abandoned == 0


def test_L15_an_aborted_thread_is_told_to_stop() -> None:
    """``abort()`` returns False for a plain function in a thread, which sees that it was called."""
    begun = threading.Event()

    def patient() -> str:
        task = current_task()
        assert task is not None
        begun.set()
        while not task.stop_requested:
            time.sleep(0.001)
        return "ended by itself"

    with ThreadExecutor(1) as executor:
        task = executor.submit(patient)
        assert begun.wait(20)
        assert not task.abort()
        assert task.result(20) == "ended by itself"


def test_L20_a_thread_is_told_that_its_executor_is_left() -> None:
    """Leaving by an exception asks running functions to stop."""
    begun, ended = threading.Event(), threading.Event()

    def patient() -> None:
        task = current_task()
        assert task is not None
        begun.set()
        while not task.stop_requested:
            time.sleep(0.001)
        ended.set()

    with pytest.raises(ZeroDivisionError), ThreadExecutor(1) as executor:
        executor.submit(patient)
        assert begun.wait(20)
        raise ZeroDivisionError
    assert ended.wait(20)


@pytest.mark.parametrize(
    "kind", [SerialExecutor, portable, ThreadExecutor, ProcessExecutor, AsyncExecutor]
)
@pytest.mark.parametrize("async_backend", ["asyncio", "trio"])
def test_L16_coroutine_is_cancelled_on_time(kind: Any, async_backend: str) -> None:
    """A coroutine over its limit is cancelled, on either loop; the worker goes on."""
    with kind(1, async_backend=async_backend) as executor:
        executor.submit(anyio.sleep, 0).result(20)
        start = time.monotonic()
        with pytest.raises(TimeLimitError):
            executor.with_options(time_limit=0.2).submit(anyio.sleep, 30).result(20)
        assert time.monotonic() - start < 0.2 + IN_TIME
        assert executor.submit(jobs.square, 3).result(20) == 9


@pytest.mark.parametrize("kind", [ThreadExecutor, ProcessExecutor, AsyncExecutor])
@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_L16_coroutine_that_swallows_every_cancellation(
    kind: type, library: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On either loop, in any place: it fails on time, its place is free, nothing else is said."""
    with kind(1, async_backend=library, grace=0.1) as executor:
        executor.submit(anyio.sleep, 0).result(20)
        limited = executor.with_options(time_limit=0.1)
        start = time.monotonic()
        with pytest.raises(TimeLimitError):
            limited.submit(jobs.swallow_cancellation, library, 1.5).result(20)
        assert executor.submit(jobs.square, 3).result(20) == 9
        assert time.monotonic() - start < 1.5
    assert caplog.messages == []


def test_L16_coroutine_that_swallows_its_cancellation() -> None:
    """It fails on time all the same; past the grace its place is given to others."""
    ended = threading.Event()

    async def stubborn() -> None:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                await asyncio.sleep(0) if False else None
        ended.set()

    with AsyncExecutor(1, grace=0.1) as executor:
        with pytest.raises(TimeLimitError):
            executor.with_options(time_limit=0.1).submit(stubborn).result(20)
        assert executor.submit(jobs.square, 3).result(20) == 9
        assert ended.wait(20)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_L16_serial_stops_for_an_async_caller(backend: str) -> None:
    """The caller's own loop is blocked meanwhile, and is no help in stopping the coroutine."""

    async def main() -> None:
        async with SerialExecutor(async_backend=backend) as executor:
            with pytest.raises(TimeLimitError):
                await executor.with_options(time_limit=0.2).submit(anyio.sleep, 30)

    start = time.monotonic()
    anyio.run(main, backend=backend)
    assert time.monotonic() - start < 0.2 + IN_TIME


def test_L16_serial_stops_a_coroutine_and_what_it_waits_for() -> None:
    """Nested coroutines block the loop of the outer one: they are stopped with it."""
    inner = []

    async def outer() -> None:
        inner.append(executor.submit(anyio.sleep, 30))
        await inner[0]

    with SerialExecutor() as executor:
        start = time.monotonic()
        with pytest.raises(TimeLimitError):
            executor.with_options(time_limit=0.2).submit(outer).result(20)
        assert time.monotonic() - start < 0.2 + IN_TIME
        assert isinstance(inner[0].exception(20), TaskCancelledError)
        assert executor.stats().abandoned == 0


def test_L16_serial_stops_an_inner_coroutine_only() -> None:
    """A limit of the nested task is no business of the one around it."""

    async def outer() -> str:
        with pytest.raises(TimeLimitError):
            await executor.with_options(time_limit=0.2).submit(anyio.sleep, 30)
        return "went on"

    with SerialExecutor() as executor:
        assert executor.submit(outer).result(20) == "went on"


def test_L16_serial_limit_that_is_over_before_the_coroutine_begins() -> None:
    """A plain function that returns a coroutine too late: that is stopped at once."""

    def late() -> object:
        time.sleep(0.2)
        return anyio.sleep(30)

    with SerialExecutor() as executor:
        start = time.monotonic()
        with pytest.raises(TimeLimitError):
            executor.with_options(time_limit=0.1).submit(late).result(20)
        assert time.monotonic() - start < 0.2 + IN_TIME


def test_L16_serial_gives_up_what_swallows_its_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller goes on after the grace; so do four of them out of sight, and no fifth."""
    release = threading.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                pass

    with SerialExecutor() as executor:
        limited = executor.with_options(time_limit=0.05)
        for count in range(1, 5):
            with pytest.raises(TimeLimitError):
                limited.submit(stubborn).result(20)
            assert executor.submit(anyio.sleep, 0).result(20) is None
            assert executor.stats().abandoned == count
        timer = threading.Timer(1.0, release.set)
        timer.start()
        with pytest.raises(TimeLimitError):
            limited.submit(stubborn).result(20)
        assert release.is_set()
        assert "max_abandoned" in caplog.text
        timer.join()
        assert wait_for(lambda: executor.stats().abandoned == 0)


def test_L20_serial_stops_a_coroutine_of_another_thread() -> None:
    """Leaving by an exception stops the coroutines that other threads wait for."""
    started = threading.Event()
    errors: list[BaseException | None] = []

    async def begin_and_sleep() -> None:
        started.set()
        await asyncio.sleep(30)

    def call() -> None:
        errors.append(executor.submit(begin_and_sleep).exception(20))

    caller = threading.Thread(target=call)
    with pytest.raises(ZeroDivisionError), SerialExecutor() as executor:
        caller.start()
        assert started.wait(20)
        raise ZeroDivisionError
    caller.join(20)
    assert [type(error) for error in errors] == [TaskCancelledError]


def test_L16_three_time_outs_three_classes() -> None:
    """Too long for the task, for the wait, and the task's own: told apart, all TimeoutErrors."""
    with ThreadExecutor(1, grace=0.01) as executor:
        own = executor.submit(jobs.raise_it, TimeoutError("its own"))
        with pytest.raises(TimeoutError) as caught:
            own.result(20)
        assert type(caught.value) is TimeoutError
        release = threading.Event()
        waiting = executor.submit(release.wait)
        with pytest.raises(WaitTimeoutError):
            waiting.result(0.01)
        release.set()
        limited = executor.with_options(time_limit=0.05).submit(time.sleep, 0.3)
        with pytest.raises(TimeLimitError):
            limited.result(20)
        assert issubclass(WaitTimeoutError, TimeoutError)
        assert issubclass(TimeLimitError, TimeoutError)


@pytest.mark.parametrize("grace", [0.01, 10])
def test_L16_limit_in_the_middle_of_a_result(monkeypatch: pytest.MonkeyPatch, grace: float) -> None:
    """It expires for sure when some of 100 MB have arrived: one outcome, and a worker as good."""
    size = 100_000_000
    original = Child.receive
    waited: list[int] = []

    def wait_once(child: Child) -> bool:
        answer = original(child)
        if not waited and 0 < child._large_filled < size:
            waited.append(child._large_filled)
            time.sleep(2.5)  # the parent is busy for longer than limit and grace
        return answer

    monkeypatch.setattr(Child, "receive", wait_once)
    # Without shared memory large values go through the pipe.
    with ProcessExecutor(1, grace=grace, initializer=jobs.forbid_segments) as executor:
        executor.submit(jobs.square, 1).result(20)
        task = executor.with_options(time_limit=2.0).submit(jobs.huge, size)
        behind = executor.submit(jobs.square, 3)
        error = task.exception(30)
        assert error is None or isinstance(error, TimeLimitError)
        assert waited
        assert behind.result(30) == 9
        assert executor.submit(jobs.square, 4).result(30) == 16


def test_L16_limit_while_the_result_is_sent() -> None:
    """A limit that expires while 100 MB are on their way gives the result or the limit."""
    with ProcessExecutor(1, initializer=jobs.forbid_segments) as executor:
        executor.submit(jobs.square, 1).result(20)
        for limit in (0.02, 0.05, 0.1):
            task = executor.with_options(time_limit=limit).submit(jobs.huge, 100_000_000)
            error = task.exception(30)
            assert error is None or isinstance(error, TimeLimitError)
            assert executor.submit(jobs.square, 3).result(30) == 9


@pytest.mark.parametrize("kind", [ThreadExecutor, ProcessExecutor, AsyncExecutor])
def test_L20_leaving_by_an_exception_gives_up_what_swallows_its_cancellation(kind: Any) -> None:
    """A coroutine that never stops does not hold the error that leaves the block."""
    start = time.monotonic()
    with pytest.raises(ZeroDivisionError), kind(1, grace=0.05) as executor:
        executor.submit(anyio.sleep, 0).result(20)
        executor.submit(jobs.swallow_cancellation, "asyncio", 3.0)
        while not executor.stats().running:
            time.sleep(0.001)
        start = time.monotonic()
        raise ZeroDivisionError
    assert time.monotonic() - start < 2
    assert wait_for(lambda: not any("async-loop" in t.name for t in threading.enumerate()))


def test_L16_a_task_that_says_much_is_stopped_in_order(tmp_path: Path) -> None:
    """Whatever it sends when it is told to stop: its ``finally`` blocks run, its worker stays."""
    with ProcessExecutor(1) as executor:
        pid = executor.submit(os.getpid).result(20)
        for number in range(5):
            path = tmp_path / str(number)
            task = executor.with_options(time_limit=0.15).submit(jobs.log_for_ever, str(path))
            assert isinstance(task.exception(20), TimeLimitError)
            assert executor.submit(os.getpid).result(20) == pid
            assert path.exists()
