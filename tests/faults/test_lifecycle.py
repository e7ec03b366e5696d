"""How workers come and go: `max_tasks_per_child`, `idle_timeout`, finalizers, `stats()`."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from contextvars import ContextVar, copy_context
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from weakref import ref

import anyio
import pytest

from unifexec import (
    AsyncExecutor,
    Executor,
    ExecutorClosedError,
    InitializerError,
    ProcessExecutor,
    SerialExecutor,
    ThreadExecutor,
    TimeLimitError,
    WorkerLostError,
    create_executor,
)
from unifexec._backends.callbacks import Callbacks

from . import jobs
from .programs import is_running, run, wait_for

KINDS = ["thread", "process", "async"]


def pids_of(executor: ProcessExecutor) -> set[int]:
    return {worker.pid for worker in executor.stats().workers if worker.pid is not None}


@pytest.mark.parametrize("most", [1, 3])
def test_max_tasks_per_child(most: int) -> None:
    """A worker leaves after so many tasks, of `submit` and of batches alike."""
    with ProcessExecutor(1, max_tasks_per_child=most) as executor:
        pids = [executor.submit(os.getpid).result(20) for _ in range(6)]
        assert len(set(pids)) == 6 // most
        pids += executor.map(lambda _: os.getpid(), range(6), chunksize=2)
        assert max(pids.count(pid) for pid in pids) == most
        assert wait_for(lambda: not any(map(is_running, set(pids) - pids_of(executor))))


def test_idle_workers_leave_and_come_back() -> None:
    """After `idle_timeout` no process is there; the next task gets a new one."""
    with ProcessExecutor(2, idle_timeout=0.1) as executor:
        before = set(executor.map(lambda _: jobs.pid_after(0.05), range(4), chunksize=1))
        assert wait_for(lambda: not executor.stats().workers)
        assert wait_for(lambda: not any(map(is_running, before)))
        assert executor.submit(os.getpid).result(20) not in before


def test_a_busy_worker_is_not_idle() -> None:
    """A task may run much longer than `idle_timeout`, and its worker is used again at once."""
    with ProcessExecutor(1, idle_timeout=0.2) as executor:
        first = executor.submit(jobs.pid_after, 0.5).result(20)
        assert executor.submit(os.getpid).result(20) == first


@pytest.mark.parametrize("kind", ["serial", *KINDS])
def test_finalizers_run_where_initializers_ran(kind: str, tmp_path: Path) -> None:
    """As many as workers came; once for an async executor, whose workers are places."""
    path = str(tmp_path / "log")
    with create_executor(
        kind,
        max_workers=2,
        initializer=jobs.append,
        initargs=(path, "i"),
        finalizer=partial(jobs.append, path, "f"),
    ) as executor:
        list(executor.map(jobs.slow_square, [1, 2], [0.2, 0.2]))
    text = Path(path).read_text()
    assert text.count("i") == text.count("f") == (2 if kind in ("thread", "process") else 1)
    assert text.startswith("i")
    assert text.endswith("f")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_finalizer_that_raises_is_logged(
    kind: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """It harms nothing else."""
    finalizer = partial(jobs.raise_new, error, ("no end",), {})
    with create_executor(kind, max_workers=1, finalizer=finalizer) as executor:
        assert executor.submit(jobs.square, 2).result(20) == 4
    assert wait_for(lambda: any("finalizer" in text for text in caplog.messages))


def test_a_serial_initializer_is_over_when_any_thread_runs_a_task() -> None:
    """Only what it submits itself runs before."""
    said: list[str] = []
    begun = threading.Event()

    def initialize() -> None:
        executor.submit(said.append, "its own")
        begun.set()
        time.sleep(0.1)
        said.append("initialized")

    with SerialExecutor(initializer=initialize) as executor:
        first = threading.Thread(target=executor.submit, args=(said.append, "a task"))
        first.start()
        assert begun.wait(10)
        executor.submit(said.append, "a task")
        first.join()
    assert said == ["its own", "initialized", "a task", "a task"]


def test_a_serial_finalizer_runs_once() -> None:
    """Also if two close at once, who both wait for it, and if it closes the executor itself."""
    said: list[str] = []
    begun = threading.Event()

    def finalize() -> None:
        begun.set()
        executor.shutdown()
        time.sleep(0.1)
        said.append("finalized")

    def close() -> None:
        executor.shutdown()
        said.append("closed")

    executor = SerialExecutor(finalizer=finalize)
    assert executor.submit(abs, -1).result() == 1
    first = threading.Thread(target=close)
    first.start()
    assert begun.wait(10)
    close()
    first.join()
    assert said == ["finalized", "closed", "closed"]


def test_a_finalizer_that_hangs_does_not_outlast_ctrl_c() -> None:
    """Leaving by an exception gives it the grace, and no more."""
    with (
        pytest.raises(ZeroDivisionError),
        ProcessExecutor(1, grace=0.1, finalizer=partial(jobs.swallow_everything, 30)) as executor,
    ):
        pid = executor.submit(os.getpid).result(20)
        raise ZeroDivisionError
    assert wait_for(lambda: not is_running(pid))


@pytest.mark.parametrize("kind", KINDS)
def test_stats_count_what_runs_and_what_waits(kind: str, tmp_path: Path) -> None:
    """Queued and running while it is so, done and failed at the end; a frozen picture."""
    with create_executor(kind, max_workers=1) as executor:
        assert executor.stats()[:6] == (0, 0, 0, 0, 0, 0)
        first = executor.submit(jobs.wait_for_file, str(tmp_path / "go"))
        others = [executor.submit(jobs.square, x) for x in range(3)]
        others.append(executor.submit(jobs.raise_new, ValueError, (), {}))
        assert wait_for(lambda: executor.stats()[:2] == (4, 1))
        (worker,) = executor.stats().workers
        assert (worker.pid is not None) is (kind == "process")
        assert worker.worker == 0
        (tmp_path / "go").touch()
        for task in [first, *others]:
            task.exception(20)
        assert wait_for(lambda: executor.stats()[:6] == (0, 0, 4, 1, 0, 0))
        before = executor.stats()
        assert before.workers[0].busy_seconds > 0
        with pytest.raises(AttributeError):
            before.done = 7  # type: ignore[misc]


def test_stats_count_the_lost_and_the_abandoned() -> None:
    """A dead worker's task is lost; a thread that does not stop is abandoned until it does."""
    with ProcessExecutor(1) as processes:
        with pytest.raises(WorkerLostError):
            processes.submit(jobs.die, "exit").result(20)
        assert wait_for(lambda: processes.stats().lost == 1)
    go = threading.Event()
    with ThreadExecutor(1) as threads:
        with pytest.raises(TimeLimitError):
            threads.with_options(time_limit=0.01).submit(go.wait).result(20)
        assert wait_for(lambda: threads.stats().abandoned == 1)
        assert threads.submit(jobs.square, 2).result(20) == 4
        go.set()
        assert wait_for(lambda: threads.stats().abandoned == 0)


def test_workers_start_though_the_search_path_holds_what_is_no_path() -> None:
    """The interpreter itself passes over it, too."""
    text = """
sys.path.append(None)
with ProcessExecutor(1) as ex: print(ex.submit(abs, -3).result(10))
"""
    assert run(text) == (0, "3\n", "")


FEW_FILES = """
import resource
def files(number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, 1024))
def held():
    return max(map(int, os.listdir("/proc/self/fd"))) + 1
"""


@pytest.mark.parametrize(
    ("what", "text", "cure"),
    [
        ("no interpreter", "kept, sys.executable = sys.executable, None", "sys.executable = kept"),
        ("no descriptors", FEW_FILES + "files(12)", "files(1024)"),
    ],
)
def test_workers_cannot_be_started_with(what: str, text: str, cure: str) -> None:
    """Tasks say why; and once there is what lacked, tasks run as if nothing had been."""
    text += f"""
with ProcessExecutor(2) as ex:
    for n in range(3):
        error = ex.submit(abs, -3).exception(10)
        told = "no worker could be set up" in str(error) and error.__cause__ is not None
        print(type(error).__name__, told)
    {cure}
    print(ex.submit(abs, -3).result(10), ex.stats().failed)
"""
    assert run(text) == (0, "InitializerError True\n" * 3 + "3 3\n", "")


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_L22_a_loop_that_cannot_be_made(
    backend: str, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was accepted fails, and says why; later verbs do, too; and the close returns."""
    go = threading.Event()

    def refuse(*args: object, **kwargs: object) -> None:
        go.wait(20)
        raise OSError("no loop today")

    monkeypatch.setattr("asyncio.events.new_event_loop", refuse)
    monkeypatch.setattr("unifexec._loops.anyio.run", refuse)
    fn = jobs.add_soon if is_async else jobs.pair
    initializer = partial(int, 1)
    with AsyncExecutor(2, initializer=initializer, async_backend=backend) as executor:
        tasks = [executor.submit(fn, 3, 4) for _ in range(3)]
        results, both = executor.map(fn, [1, 2], [3, 4]), executor.gather(*tasks)
        go.set()
        for wait in (*[task.result for task in (*tasks, both)], lambda _: list(results)):
            with pytest.raises(InitializerError, match="no worker .*no loop today") as caught:
                wait(20)
            assert isinstance(caught.value.__cause__, OSError)
        for verb in (executor.submit, executor.map):
            with pytest.raises(InitializerError, match="no loop today") as caught:
                verb(fn, [3], [4])
            assert isinstance(caught.value.__cause__, OSError)


def test_L22_there_are_no_descriptors_for_a_loop() -> None:
    """A task says why, and the program comes to its end."""
    text = f"""{FEW_FILES}
import asyncio, unifexec._backends.aio
async def nothing(): pass
ex = AsyncExecutor(2)
files(held())
try: error = ex.submit(nothing).exception(10)
finally: files(1024)
print(type(error).__name__, error.__cause__)
ex.shutdown()
"""
    assert run(text)[:2] == (0, "InitializerError [Errno 24] Too many open files\n")


@pytest.mark.parametrize("kind", KINDS)
def test_L22_a_carrier_that_fails_in_the_midst_of_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a thread runs is finished, what a process runs is lost; the rest is refused."""
    with create_executor(kind, max_workers=1) as executor:
        started, go = tmp_path / "started", tmp_path / "go"
        running = executor.submit(jobs.start_and_wait, str(started), str(go))
        assert wait_for(started.exists)
        waiting = executor.submit(jobs.square, 3)
        break_carrier(executor, monkeypatch)
        with pytest.raises(InitializerError, match="deaf"):
            waiting.result(20)
        go.touch()
        error = running.exception(20)
        if kind == "process":
            assert isinstance(error, WorkerLostError)
            assert isinstance(error.__cause__, OSError)
        else:
            assert error is None
        with pytest.raises(InitializerError, match="deaf"):
            executor.map(jobs.square, [3])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("where", ["own", "caller's"])
def test_L22_a_loop_that_fails_in_the_midst_of_it(
    where: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its coroutines are lost, and the close returns; on the caller's loop, too."""

    async def main(executor: AsyncExecutor) -> None:
        assert [x async for x in executor.map(anyio.sleep, [0] * 4)] == [None] * 4
        side_by_side = executor.map(anyio.sleep, [60] * 4)
        running = executor.submit(anyio.sleep, 60)
        while executor.stats().running < 5 or not executor._room._asleep:
            await anyio.sleep(0.001)
        break_carrier(executor, monkeypatch)
        with pytest.raises(WorkerLostError, match="deaf"):
            await running
        with pytest.raises(WorkerLostError, match="deaf"):
            await anext(side_by_side)
        with pytest.raises(InitializerError, match="deaf"):
            executor.submit(anyio.sleep, 60)

    async def on_my_loop() -> None:
        async with AsyncExecutor() as executor:
            await main(executor)

    if where == "own":
        with AsyncExecutor(async_backend=backend) as executor:
            anyio.run(main, executor, backend=backend)
    else:
        anyio.run(on_my_loop, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_L22_coroutines_of_a_loop_that_fails_may_want_something_yet(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they end they are told that nothing runs any more; they do not wait for it."""
    told: list[BaseException] = []

    async def ask_at_the_end() -> None:
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await executor.submit(anyio.sleep, 0)
                except BaseException as error:
                    told.append(error)

    with AsyncExecutor(async_backend=backend) as executor:
        running = executor.submit(ask_at_the_end)
        assert wait_for(lambda: executor.stats().running and executor._room._asleep)
        break_carrier(executor, monkeypatch)
        with pytest.raises(WorkerLostError, match="deaf"):
            running.result(20)
    assert wait_for(lambda: told)
    assert isinstance(told[0], (InitializerError, ExecutorClosedError))  # as it is closing


def break_carrier(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails when it goes to sleep, and is woken if it sleeps already."""

    def fail() -> None:
        monkeypatch.undo()
        raise OSError("deaf")

    monkeypatch.setattr(executor._room, "seconds_to_deadline", fail)
    executor._room.wake()


def test_a_second_worker_that_cannot_be_started() -> None:
    """The first does its work; when there is what lacked, there are two."""
    text = f"""{FEW_FILES}
ex = ProcessExecutor(2)
pid = ex.submit(os.getpid).result(10)
files(held() + 1)
tasks = [ex.submit(os.getpid) for n in range(20)]
print({{task.result(10) for task in tasks}} == {{pid}})
files(1024)
while len(ex.stats().workers) < 2:
    [ex.submit(time.sleep, 0.05) for n in range(4)]
    time.sleep(0.05)
ex.shutdown()
"""
    assert run(text) == (0, "True\n", "")


def test_there_is_no_room_for_files() -> None:
    """Workers need no directory for temporary files (Linux)."""
    text = """
import tempfile; tempfile.tempdir = '/nowhere'
with ProcessExecutor(1) as ex: print(ex.submit(abs, -3).result(10))
"""
    assert run(text) == (0, "3\n", "")


@pytest.mark.parametrize("as_what", ["an error", "words", "the initializer's error"])
def test_there_is_no_memory_for(as_what: str) -> None:
    """What a worker says, and this process cannot hold: its task fails, and nothing else."""
    text = f"""
import logging, resource
logging.basicConfig(format="%(message).60s")
def much(): return "x" * 200_000_000
def fail(): raise ValueError(much())
def speak(): logging.getLogger("much").warning(much())
def at_once(): pass
kind = {as_what!r}
ex = ProcessExecutor(1, initializer=fail if "init" in kind else at_once)
task = ex.submit(time.sleep, 1)  # it was started, and its memory is its own
while not ex.stats().workers or ex.stats().workers[0].pid is None: time.sleep(0.01)
used = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")]
most = used[0] * 1024 + 150_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
error = ex.submit(fail if "error" in kind else speak).exception(20)
print(type(error).__name__, "no memory" in str(error))
if "init" not in kind: print(ex.submit(abs, -3).result(20))
ex.shutdown()
"""
    code, out, err = run(text)
    assert (code, out) == {
        "an error": (0, "SerializationError True\n3\n"),
        "words": (0, "NoneType False\n3\n"),
        "the initializer's error": (0, "InitializerError True\n"),
    }[as_what]
    assert ("is lost" in err) == (as_what == "words"), err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, ValueError])
def test_L27_whatever_a_callback_raises_is_logged(
    kind: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Those behind it run, now and later."""

    def call_back(task: object) -> None:
        raise error("not today")

    with create_executor(kind, max_workers=1) as executor:
        for add_first in (call_back, lambda task: None):
            called = threading.Event()
            task = executor.submit(jobs.pid_after, 0.2)
            task.add_done_callback(add_first)
            task.add_done_callback(lambda task, called=called: called.set())
            assert called.wait(10)
    assert [text for text in caplog.messages if "callback" in text]


def test_L27_closing_does_not_wait_for_calls_that_another_took() -> None:
    """Two close at once: what the one sees in the queue, the other takes before it can."""

    class Calls(SimpleQueue):  # type: ignore[type-arg]  # it is not generic when it runs
        def empty(self) -> bool:
            is_empty = super().empty()
            while not super().empty():
                for call in self.get_nowait():
                    call()
            return is_empty

    callbacks = Callbacks()
    callbacks._calls = Calls()
    closing = threading.Thread(target=callbacks.flush, daemon=True)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()


TWO_WAIT = """
import gc, threading, time
from unifexec import ThreadExecutor
gc.disable()
gc.set_threshold(1)
gc.callbacks.append(lambda phase, info: time.sleep(0.002))  # now the other thread has its turn
held = []
with ThreadExecutor(1) as executor:
    for _ in range(20):
        task = executor.submit(time.sleep, 0.02)
        both = threading.Barrier(2)
        def wait():
            held.append([{} for _ in range(100)])  # the interpreter has no spare ones left
            both.wait()
            gc.enable()
            task.watch(int)
        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        gc.disable()
        task.result(20)
        del task
gc.collect()
print("alive")
"""


def test_L27_two_threads_wait_for_a_task_while_garbage_is_collected() -> None:
    """CPython 3.11 breaks an object whose ``__dict__`` they both ask for: we never do."""
    code, out, err = run(TWO_WAIT)
    assert (code, out) == (0, "alive\n"), err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_async", [False, True])
def test_L27_callbacks_have_run_when_a_close_returns(kind: str, is_async: bool) -> None:
    """Whether it blocks or is awaited; one that is awaited lets the loop go on."""
    called: list[str] = []
    turns: list[int] = []

    def call_back(task: object) -> None:
        time.sleep(0.3)
        called.append("callback")

    async def count_turns() -> None:
        while not called:
            turns.append(len(called))
            await anyio.sleep(0.01)

    async def close_on_a_loop() -> None:
        async with anyio.create_task_group() as group:
            async with create_executor(kind, max_workers=1) as executor:
                executor.submit(jobs.pid_after, 0.1).add_done_callback(call_back)
                group.start_soon(count_turns)
            assert called

    if is_async:
        anyio.run(close_on_a_loop)
        assert len(turns) > 2
    else:
        with create_executor(kind, max_workers=1) as executor:
            executor.submit(jobs.pid_after, 0.1).add_done_callback(call_back)
        assert called


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_callback_does_not_outlast_the_timeout_of_a_close(kind: str) -> None:
    """The timeout bounds the whole of it."""
    executor = create_executor(kind, max_workers=1)
    released = threading.Event()
    task = executor.submit(jobs.square, 2)
    task.add_done_callback(lambda task: released.wait(20))
    assert task.result(20) == 4
    begin = time.monotonic()
    try:
        executor.shutdown(timeout=1.0)
    finally:
        took = time.monotonic() - begin
        released.set()
        executor.shutdown()
    assert took < 4.0  # not the 5 s that a close without a timeout waits for callbacks


holder: ContextVar[object] = ContextVar("holder", default=None)


@pytest.mark.parametrize("kind", ["serial", *KINDS])
@pytest.mark.parametrize("how", ["argument", "closure", "context", "coroutine", "map"])
def test_L21_a_dropped_executor_goes_though_its_tasks_knew_it(kind: str, how: str) -> None:
    """Whatever held it is let go of with the last task: it is collected, and closes."""
    gone = copy_context().run(_use_and_drop, create_executor(kind, max_workers=2), how)
    assert wait_for(lambda: (gc.collect(), gone())[1] is None, 5)


def _use_and_drop(executor: Executor, how: str) -> ref[Executor]:
    if how == "argument":
        assert executor.submit(jobs.ask, executor).result(20) == 3
    elif how == "closure":
        assert executor.submit(lambda: jobs.ask(executor)).result(20) == 3
    elif how == "context":
        holder.set(executor)
        assert executor.submit(abs, -3).result(20) == 3
    elif how == "coroutine":
        assert executor.submit(jobs.ask_async, executor).result(20) == 3
    else:
        assert list(executor.map(jobs.ask, [executor] * 3)) == [3] * 3
    return ref(executor)


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_stats_do_not_count_a_task_that_waits_as_running(kind: str) -> None:
    """A task that waits for others has given up its place."""
    with create_executor(kind, max_workers=2) as executor:

        def inner() -> int:
            deadline = time.monotonic() + 10
            while (running := executor.stats().running) > 1 and time.monotonic() < deadline:
                time.sleep(0.01)  # until the outer task has come to wait
            return running

        def outer() -> int:
            return executor.submit(inner).result(20)

        assert executor.submit(outer).result(20) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_initializer_that_raises_is_told_at_the_next_submit(kind: str) -> None:
    """With its own exception as the cause; nothing is tried for ever."""
    initializer = partial(jobs.raise_new, ValueError, ("no beginning",), {})
    with create_executor(kind, max_workers=2, initializer=initializer) as executor:
        with pytest.raises(InitializerError) as caught:
            executor.submit(jobs.square, 1).result(20)
        assert "no beginning" in repr(caught.value.__cause__)
        with pytest.raises(InitializerError, match="no beginning"):
            executor.submit(jobs.square, 1)


def test_an_async_initializer_runs_once_on_the_loop() -> None:
    """Before the first task, whatever the number of places."""
    seen: list[str] = []

    async def begin() -> None:
        seen.append(threading.current_thread().name)

    async def where() -> str:
        return threading.current_thread().name

    with AsyncExecutor(3, initializer=begin) as executor:
        names = list(executor.map(lambda _: where(), range(6)))
    assert seen == names[:1]
    assert len(set(names)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_initializer_whose_error_cannot_say_what_it_is(kind: str) -> None:
    """All who wait are told all the same."""
    initializer = partial(jobs.raise_new, jobs.NoReprError, (), {})
    with create_executor(kind, max_workers=1, initializer=initializer) as executor:
        for _ in range(2):
            with pytest.raises(InitializerError, match="NoReprError"):
                executor.submit(abs, -1).result(20)


def test_executors_given_to_tasks_are_not_taken_for_those_before_them() -> None:
    """Each is known by a name of its own, however short the others lived."""
    with ProcessExecutor(1) as executor:
        for _ in range(20):
            with ThreadExecutor(1) as inner:
                assert executor.submit(jobs.ask, inner).result(20) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_begun_is_not_accepted(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no thread to be had, submit and map say so, and nothing of them runs later."""
    ran: list[int] = []
    executor = create_executor(kind, max_workers=1)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(ran.append, 1)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.map(ran.append, [1, 2])
    assert executor.submit(jobs.square, 3).result(20) == 9
    executor.shutdown()
    assert ran == []
    assert executor.stats().done == 1


@pytest.mark.parametrize("hook", ["said", "raises too"])
@pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])
def test_L27_a_logger_that_raises_ends_nothing(
    kind: str, hook: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error of a callback, and that of the logger, are on standard error; the next one runs."""

    class Raises(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise ZeroDivisionError("in the filter")

    def fail(task: object) -> None:
        raise ValueError("in the callback")

    def raise_too(*told: object) -> None:
        raise ZeroDivisionError("in the hook")

    if hook == "raises too":
        monkeypatch.setattr(sys, "excepthook", raise_too)
    monkeypatch.setattr(logging.getLogger("unifexec"), "filters", [Raises()])
    called: list[object] = []
    with create_executor(kind, max_workers=1) as executor:
        executor.submit(time.sleep, 0.05).add_done_callback(fail)
        executor.submit(time.sleep, 0.1).add_done_callback(called.append)
    assert len(called) == 1
    errors = capsys.readouterr().err
    assert ("in the filter" in errors, "in the callback" in errors) == (hook == "said",) * 2


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_L27_a_logger_that_raises_keeps_no_close_from_its_end(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a finalizer raises."""

    class Raises(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise ZeroDivisionError("in the filter")

    monkeypatch.setattr(logging.getLogger("unifexec"), "filters", [Raises()])
    with create_executor(kind, max_workers=1, finalizer=partial(int, "no number")) as executor:
        assert executor.submit(abs, -1).result(20) == 1
    assert "in the filter" in capsys.readouterr().err
