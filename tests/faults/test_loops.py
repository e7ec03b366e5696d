"""Tasks that mistreat the event loop they run on, and programs that mistreat the executor's."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import AsyncExecutor, TaskCancelledError, ThreadExecutor, create_executor

from . import jobs
from .programs import run, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["serial", "thread", "process", "async"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_L13_a_child_that_exits_ends_no_loop(kind: str, error: type[BaseException]) -> None:
    """The loop ends by it as well, if nobody minds: the next coroutine runs all the same."""
    with create_executor(kind, max_workers=1) as executor:
        outcome = executor.submit(jobs.raise_in_a_child, error).exception(20)
        assert isinstance(outcome, error)
        assert executor.submit(jobs.add_soon, 1, 2).result(20) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_L13_who_cancels_all_tasks_of_its_loop_cancels_no_carrier(kind: str) -> None:
    """As helpers for a graceful end do: the next coroutine runs, and the close ends."""
    with create_executor(kind, max_workers=1) as executor:
        executor.submit(jobs.cancel_all_others).exception(20)
        assert executor.submit(jobs.add_soon, 1, 2).result(20) == 3


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
@pytest.mark.parametrize("fn", [jobs.fail_here, jobs.fail_soon, jobs.return_what_fails])
def test_L11_a_traceback_goes_on_with_the_task(kind: str, fn: Callable[[], object]) -> None:
    """Behind the caller's way to the result: nothing of how the task was carried."""
    with create_executor(kind, max_workers=1) as executor:
        for ask in executor.submit(fn).result, lambda: list(executor.map(lambda _: fn(), [1])):
            with pytest.raises(LookupError) as caught:
                ask()
            names = [frame.name for frame in traceback.extract_tb(caught.tb)]
            assert "unwrap" in names
            theirs = names[names.index("unwrap") + 1 :]
            assert theirs[-1] in ("fail_here", "fail_soon")
            assert theirs[0] in (theirs[-1], "<lambda>")
            assert len(theirs) <= 2


@pytest.mark.parametrize("how", ["end of run", "cancel all"])
def test_L20_a_loop_that_is_left_is_given_back(how: str) -> None:
    """A service in the background is cancelled with its executor's carrier: the loop ends."""
    text = """
import asyncio
async def serve(begun):
    begun.set()
    await asyncio.sleep(100)
async def service(begun):
    async with AsyncExecutor(grace=0.1) as ex: await ex.submit(serve, begun)
async def main():
    begun = asyncio.Event()
    service_task = asyncio.create_task(service(begun))
    await begun.wait()
    if sys.argv[1] == "cancel all":
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks: task.cancel()
        await asyncio.wait(tasks)
asyncio.run(main())
print("run ended")
"""
    assert run(text, how) == (0, "run ended\n", "")


@pytest.mark.parametrize("kind", KINDS)
def test_L13_a_plain_function_whose_own_loop_cancels_it(kind: str) -> None:
    """No task group of the caller's takes it for a cancellation of its own."""
    with create_executor(kind, max_workers=1) as executor:
        error = executor.submit(jobs.raise_new, asyncio.CancelledError, (), {}).exception(20)
    assert isinstance(error, TaskCancelledError)
    assert isinstance(error.__cause__, asyncio.CancelledError)


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_an_awaited_close_leaves_the_loop_to_finalizers(kind: str) -> None:
    """They may take their time, and may need the loop that waits."""

    async def main() -> list[str]:
        loop, said = asyncio.get_running_loop(), list[str]()

        async def say() -> None:
            said.append("on the loop")

        def finalize() -> None:
            if kind == "thread":
                asyncio.run_coroutine_threadsafe(say(), loop).result(10)

        async with create_executor(kind, max_workers=1, finalizer=finalize) as executor:
            assert await executor.submit(abs, -1) == 1
        return said

    assert asyncio.run(main()) == (["on the loop"] if kind == "thread" else [])


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_a_callable_whose_attributes_cannot_be_asked_for(kind: str) -> None:
    """It is called, like any other."""

    class Odd:
        def __getattr__(self, name: str) -> Any:
            if name == "__qualname__":
                return "Odd"
            raise KeyError(name)

        def __call__(self, x: int) -> int:
            return x

    with create_executor(kind, max_workers=1) as executor:
        assert executor.submit(Odd(), 1).result(20) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_trio_that_is_missing_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, with its cure."""
    monkeypatch.setitem(sys.modules, "trio", None)
    with pytest.raises(ModuleNotFoundError, match="pip install trio"):
        create_executor(kind, async_backend="trio")


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_L17_others_that_wait_keep_a_task_alive(kind: str) -> None:
    """A thread in ``result()`` is a waiter, too."""
    got: list[object] = []
    begun = threading.Event()

    async def work() -> int:
        begun.set()
        await asyncio.sleep(0.5)
        return 42

    async def give_up_soon(task: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await task

    with create_executor(kind, max_workers=1) as executor:
        task = executor.submit(work)
        waiting = threading.Thread(target=lambda: got.append(task.result(20)))
        waiting.start()
        assert begun.wait(10)
        while not task._watchers:
            time.sleep(0.001)
        asyncio.run(give_up_soon(task))
        waiting.join()
    assert got == [42]


def test_L16_two_graces_that_end_at_once() -> None:
    """A limit's and a close's, on a loop that was blocked: one task is given up once."""
    stop = threading.Event()

    async def main() -> float:
        begin = 0.0
        with pytest.raises(ValueError, match="leave"):
            async with AsyncExecutor(grace=0.3) as executor:
                limited = executor.with_options(time_limit=0.1).submit(stop.wait, 20)
                other = executor.submit(stop.wait, 20)
                while not limited.done():  # its limit is over, and its grace begins
                    await asyncio.sleep(0.001)
                asyncio.get_running_loop().call_later(0.1, time.sleep, 0.6)
                begin = time.monotonic()
                raise ValueError("leave")
        took = time.monotonic() - begin
        assert isinstance(limited.exception(0), TimeoutError)
        assert isinstance(other.exception(0), TaskCancelledError)
        return took

    try:
        assert asyncio.run(main()) < 10
    finally:
        stop.set()


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_L16_no_more_are_given_up_than_may_be(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also when many graces end at once; and who ends after the close leaves no thread."""
    stop = threading.Event()
    executor: Any = create_executor(kind, max_workers=4, max_abandoned=1, grace=0.1)
    try:
        limited = executor.with_options(time_limit=0.1)
        tasks = [limited.submit(stop.wait, 20) for _ in range(4)]
        for task in tasks:
            assert isinstance(task.exception(20), TimeoutError)
        assert wait_for(lambda: len(caplog.messages) == 3)
        assert wait_for(lambda: executor.stats().abandoned == 1)  # it is told, and then counted
    finally:
        stop.set()
        executor.shutdown()


def test_L15_abort_keeps_a_task_of_a_bundle_from_starting() -> None:
    """If it says so, it is so, however far the lane is ahead of what the core knows."""
    broken = 0
    for round_ in range(100):
        started: set[int] = set()

        def note(x: int, started: set[int] = started) -> int:
            started.add(x)
            time.sleep(0.0001)
            return x

        with ThreadExecutor(1) as executor:
            for task in [executor.submit(note, -x) for x in range(1, 30)]:
                task.result(20)
            tasks = [executor.submit(note, x) for x in range(60)]
            time.sleep(0.0001 * (round_ % 30))
            stopped = [task for task in tasks[::5] if task.abort()]
        broken += sum(not task.cancelled() and task.exception() is None for task in stopped)
    assert not broken


def test_L15_abort_of_a_task_that_was_taken_out_of_a_bundle() -> None:
    """It runs elsewhere now, and cannot be stopped there: the bundle has no say any more."""
    with ThreadExecutor(2) as executor:
        for task in [executor.submit(int) for _ in range(50)]:
            task.result(20)  # tasks are known to be quick now
        gate, go = threading.Event(), threading.Event()
        begun = [threading.Event(), threading.Event()]

        def slow(number: int) -> int:
            begun[number].set()
            go.wait(20)
            return number

        for _ in range(2):
            executor.submit(gate.wait, 20)
        before = [executor.submit(int) for _ in range(600)]
        both = [executor.submit(slow, number) for number in range(2)]
        behind = [executor.submit(int) for _ in range(200)]
        gate.set()
        assert all(event.wait(10) for event in begun)
        assert [task.abort() for task in both] == [False, False]
        go.set()
        assert [task.result(20) for task in both] == [0, 1]
        assert not any(task.result(20) for task in [*before, *behind])


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_L03_an_exception_with_a_mind_of_its_own(kind: str) -> None:
    """Whatever its class makes of tracebacks, it is an outcome."""

    class Odd(Exception):  # noqa: N818  (a user need not name it Error)
        def with_traceback(self, traceback: Any) -> Any:
            raise ValueError("no")

    def fail() -> None:
        raise Odd

    with create_executor(kind, max_workers=1) as executor:
        task = executor.submit(fail)
        assert isinstance(task.exception(20), Odd)
        with pytest.raises(Odd):
            task.result()
