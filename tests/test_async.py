"""What only coroutines do: cancelling them, what they have of time-outs inside, who wakes whom."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import weakref
from contextvars import ContextVar, copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from unifexec import (
    AsyncExecutor,
    ExecutorClosedError,
    Success,
    TaskCancelledError,
    ThreadExecutor,
    current_task,
)
from unifexec._loops import AsyncioJobs, Job
from unifexec._wait import LoopEvent, checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
PATIENCE = 20.0  # seconds

colour: ContextVar[str] = ContextVar("colour", default="unset")


async def nothing(x: int) -> int:
    """Never wait."""
    return x


# -- what a coroutine has inside works as in any task of asyncio --


async def too_late() -> int:
    """A time limit of its own, caught; returns how many cancellations are left over."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def too_late_by_anyio() -> int:
    """As `too_late`, by a cancel scope."""
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep(60)
    assert scope.cancelled_caught
    return 0


async def too_late_by_wait_for() -> int:
    """As `too_late`, by the older function."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    return 0


@pytest.mark.parametrize("fn", [too_late, too_late_by_anyio, too_late_by_wait_for])
def test_time_outs_inside_a_coroutine(fn: Any) -> None:
    """They end what they are about, and leave no cancellation behind."""
    with AsyncExecutor(1) as executor:
        assert [executor.submit(fn).result(PATIENCE) for _ in range(3)] == [0, 0, 0]


def test_a_task_group_inside_a_coroutine() -> None:
    """A failing child cancels the group, and what comes out is the group's exception."""

    async def fail() -> None:
        raise ValueError("child")

    async def parent() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(60)

    with AsyncExecutor(1) as executor:
        error = executor.submit(parent).exception(PATIENCE)
        assert isinstance(error, ExceptionGroup)
        assert repr(error.exceptions) == "(ValueError('child'),)"


class Steps:
    """What a coroutine has come to, seen from another thread."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.started = threading.Event()


async def clean_up_slowly(steps: Steps) -> None:
    """Wait, and wait in ``finally``."""
    try:
        steps.started.set()
        await anyio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        steps.seen.append("clean")


async def be_stopped_within_a_time_limit(steps: Steps) -> None:
    """A time-out of its own is not taken for the cancellation, nor the other way round."""
    async with asyncio.timeout(60):
        try:
            steps.started.set()
            await asyncio.sleep(60)
        finally:
            steps.seen.append("clean")


async def be_stopped_within_a_scope(steps: Steps) -> None:
    """As `be_stopped_within_a_time_limit`, by anyio."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            try:
                steps.started.set()
                await anyio.sleep(60)
            finally:
                steps.seen.append("clean")


@pytest.mark.parametrize(
    "fn", [clean_up_slowly, be_stopped_within_a_time_limit, be_stopped_within_a_scope]
)
def test_L15_abort_cancels_once(fn: Any) -> None:
    """What a ``finally`` block awaits is not cancelled again."""
    steps = Steps()
    with AsyncExecutor(1) as executor:
        task = executor.submit(fn, steps)
        steps.started.wait(PATIENCE)
        assert task.abort()
        with pytest.raises(TaskCancelledError, match="stopped while it ran"):
            task.result(PATIENCE)
    assert steps.seen == ["clean"]


def test_L15_a_swallowed_cancellation() -> None:
    """A coroutine that ends all the same, in time, has its value for an outcome."""
    steps = Steps()

    async def swallow() -> str:
        try:
            steps.started.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "all the same"

    with AsyncExecutor(1) as executor:
        task = executor.submit(swallow)
        steps.started.wait(PATIENCE)
        assert task.abort()
        assert task.result(PATIENCE) == "all the same"


def test_L13_items_cannot_cancel_their_successors() -> None:
    """Each is a task of the loop of its own: who kept a reference to it holds nothing else."""
    kept: list[Any] = []

    async def cancel_the_others(x: int) -> int:
        for task in kept:
            task.cancel()
        kept.append(asyncio.current_task())
        await asyncio.sleep(0)
        return x

    with AsyncExecutor(1) as executor:
        assert list(executor.map(cancel_the_others, range(100))) == list(range(100))
    assert len(set(kept)) == 100


def test_L19_items_that_share_a_place_have_contexts_of_their_own() -> None:
    """Also what they leave running keeps that of its item."""
    left: list[Awaitable[Any]] = []

    async def later() -> tuple[str, int]:
        await asyncio.sleep(0.05)
        task = current_task()
        assert task is not None
        return colour.get(), task.index

    async def leave_one_running(x: int) -> str:
        seen = colour.get()
        colour.set(str(x))
        left.append(asyncio.get_running_loop().create_task(later()))
        await asyncio.sleep(0)
        return seen

    async def look_at_them() -> list[Any]:
        return await asyncio.gather(*left)

    with AsyncExecutor(1) as executor:
        assert set(executor.map(leave_one_running, range(200))) == {"unset"}
        assert executor.submit(look_at_them).result(PATIENCE) == [(str(x), x) for x in range(200)]


def test_L16_items_behind_a_slow_one_do_not_wait_for_it() -> None:
    """Quick items travel together; what is behind one that turns out slow goes elsewhere."""
    go = threading.Event()

    async def wait_at(x: int) -> int:
        while x == 700 and not go.is_set():
            await asyncio.sleep(0.001)
        return x

    with AsyncExecutor(2) as executor:
        results = executor.map(wait_at, range(1000), ordered=False)
        seen = [next(results) for _ in range(999)]
        assert 700 not in seen
        go.set()
        assert list(results) == [700]


@BACKENDS
def test_tasks_that_never_wait_do_not_hold_the_loop(backend: str) -> None:
    """Others get their turns, on the caller's own loop; however many tasks were submitted."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0)
            turns += 1

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(count_turns)
            async with AsyncExecutor(10) as executor:
                for x in range(5000):
                    executor.submit(nothing, x)
            group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert turns > 10


def test_a_thread_that_looks_like_the_loop_of_a_closed_executor_may_wait() -> None:
    """Identities of threads are used again, and the next thread is likely to get this one."""
    refused: list[Exception] = []

    def close_again(executor: AsyncExecutor) -> None:
        try:
            executor.shutdown()
        except Exception as error:
            refused.append(error)

    for _ in range(20):
        with AsyncExecutor(1) as executor:
            assert executor.submit(abs, -1).result(20) == 1
        again = threading.Thread(target=close_again, args=(executor,))
        again.start()
        again.join()
    assert not refused


def test_arguments_do_not_wait_for_the_garbage_collector() -> None:
    """Nothing that carries them refers to itself."""

    class Argument:
        pass

    async def take(argument: Argument) -> None:
        await asyncio.sleep(0)

    def submit_one(executor: AsyncExecutor) -> weakref.ref[Argument]:
        argument = Argument()
        executor.submit(take, argument).result(PATIENCE)
        return weakref.ref(argument)

    gc.disable()
    try:
        with AsyncExecutor(1) as executor:
            seen = submit_one(executor)
        assert seen() is None
    finally:
        gc.enable()


# -- items of a map that run side by side, as a crew --

PLACES = 8


def crew_of(executor: AsyncExecutor, fn: Callable[[Any], Any], items: list[Any]) -> Any:
    """A map whose items are sent as one, since all places are free."""
    assert list(executor.map(nothing, range(PLACES))) == list(range(PLACES))
    return executor.map(fn, items)


@BACKENDS
def test_items_that_end_let_go_of_what_they_were_given(backend: str) -> None:
    """They do not wait for a slow one that was sent with them."""

    class Argument:
        pass

    go = threading.Event()

    async def take(pair: tuple[int, Argument]) -> int:
        while pair[0] == 0 and not go.is_set():
            await anyio.sleep(0.001)
        return pair[0]

    items = [(number, Argument()) for number in range(PLACES)]
    seen = [weakref.ref(argument) for _, argument in items]
    with AsyncExecutor(PLACES, async_backend=backend) as executor:
        results = crew_of(executor, take, items)
        items.clear()
        give_up = monotonic() + PATIENCE
        while executor.stats().done < 2 * PLACES - 1 and monotonic() < give_up:
            threading.Event().wait(0.001)
        gc.collect()  # where a loop task refers to itself
        assert [ref() is None for ref in seen] == [False] + [True] * (PLACES - 1)
        go.set()
        assert list(results) == list(range(PLACES))


@BACKENDS
def test_L18_items_side_by_side_wait_for_tasks_of_their_executor(backend: str) -> None:
    """Each gives up its place meanwhile, and gets one again."""

    async def main() -> list[int]:
        async with AsyncExecutor(PLACES) as executor:
            await executor.submit(nothing, 0)

            async def ask(x: int) -> int:
                return await executor.submit(nothing, 10 * x)

            assert [x async for x in executor.map(nothing, range(PLACES))]
            return [x async for x in executor.map(ask, range(3 * PLACES))]

    assert anyio.run(main, backend=backend) == [10 * x for x in range(3 * PLACES)]


@BACKENDS
def test_L14_an_item_that_fails_stops_those_beside_it(backend: str) -> None:
    """What ended before it is yielded, in order; what runs is cancelled."""
    cancelled: list[int] = []

    async def fail_at_3(x: int) -> int:
        if x < 3:
            return x
        await anyio.sleep(0.01)  # those beside it begin, and wait
        if x == 3:
            raise ZeroDivisionError
        try:
            await anyio.sleep(PATIENCE)
        finally:
            cancelled.append(x)
        return x

    with AsyncExecutor(PLACES, async_backend=backend) as executor:
        results = crew_of(executor, fail_at_3, list(range(PLACES)))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            next(results)
    assert sorted(cancelled) == [4, 5, 6, 7]


@BACKENDS
def test_L14_an_item_that_fails_stops_those_that_were_sent_before(backend: str) -> None:
    """Where order does not matter; by what other crew it fails does not either."""
    cancelled: list[int] = []

    async def fail_late(x: int) -> int:
        if x > PLACES:
            raise ZeroDivisionError
        try:
            await anyio.sleep(0.001 if x % 2 else PATIENCE)
        except BaseException:
            cancelled.append(x)
            raise
        return x

    with AsyncExecutor(PLACES, async_backend=backend) as executor:
        assert list(executor.map(nothing, range(PLACES))) == list(range(PLACES))
        results = executor.map(fail_late, list(range(2 * PLACES)), ordered=False)
        with pytest.raises(ZeroDivisionError):
            list(results)
    assert set(range(0, PLACES, 2)) <= set(cancelled)


@BACKENDS
def test_L20_leaving_by_an_exception_stops_items_side_by_side(backend: str) -> None:
    """All of them, and none is waited for longer than it takes to stop."""
    stopped: list[int] = []
    begun = threading.Semaphore(0)

    async def wait(x: int) -> None:
        begun.release()
        try:
            await anyio.sleep(PATIENCE)
        finally:
            stopped.append(x)

    start = monotonic()
    with pytest.raises(ZeroDivisionError), AsyncExecutor(PLACES, async_backend=backend) as executor:
        crew_of(executor, wait, list(range(PLACES)))
        assert all([begun.acquire(timeout=PATIENCE) for _ in range(PLACES)])
        raise ZeroDivisionError
    assert sorted(stopped) == list(range(PLACES))
    assert monotonic() - start < PATIENCE


def test_L10_items_of_an_iterator_are_sent_as_they_come() -> None:
    """Its next may depend on them: none waits for others to be sent with."""
    third = threading.Event()

    async def item(x: int) -> int:
        if x < 2:  # it gives up its place meanwhile
            await other.submit(third.wait, PATIENCE)
        else:
            third.set()
        return x

    def items() -> Iterator[int]:
        yield from range(3)
        seen.append(third.wait(PATIENCE))

    seen: list[bool] = []
    with AsyncExecutor(2) as executor, AsyncExecutor(2) as other:
        assert list(executor.map(item, items())) == [0, 1, 2]
    assert seen == [True]


@BACKENDS
def test_L02_unordered_items_of_several_crews_come_as_they_end(backend: str) -> None:
    """Also those that end in one turn of the loop."""
    ended: list[int] = []

    async def main() -> list[int]:
        go = anyio.Event()
        waiting = 0

        async def item(x: int) -> int:
            nonlocal waiting
            waiting += 1
            if waiting == 2 * PLACES:
                go.set()
            await go.wait()
            for _ in range(1 + x % PLACES):
                await anyio.lowlevel.checkpoint()
            ended.append(x)
            return x

        async with AsyncExecutor(2 * PLACES) as executor:
            some = [x async for x in executor.map(nothing, range(2 * PLACES))]
            assert len(some) == 2 * PLACES
            first, second = range(PLACES), range(PLACES, 2 * PLACES)
            results = [executor.map(item, part, ordered=False) for part in (first, second)]
            each = [[x async for x in result] for result in results]
            return each[0] + each[1]

    yielded = anyio.run(main, backend=backend)
    assert yielded == sorted(ended, key=lambda x: x // PLACES)


def test_plain_functions_side_by_side() -> None:
    """They run in threads at the same time, each as the task that it is."""
    meet = threading.Barrier(PLACES)

    def who(x: int) -> tuple[int, int, str]:
        meet.wait(PATIENCE)
        task = current_task()
        assert task is not None
        return x, task.index, task.name

    with AsyncExecutor(PLACES) as executor:
        named = executor.with_options(name="who")
        assert list(executor.map(nothing, range(PLACES))) == list(range(PLACES))
        assert list(named.map(who, range(PLACES))) == [(x, x, "who") for x in range(PLACES)]


def test_a_callable_that_raises_when_it_is_looked_at() -> None:
    """It is called all the same, and the loop goes on."""

    class Odd:
        __name__ = "odd"

        def __getattribute__(self, name: str) -> Any:
            if name == "__call__" and sys._getframe(1).f_code.co_name == "is_coroutine_function":
                raise SystemExit(3)
            return object.__getattribute__(self, name)

        def __call__(self, x: int) -> int:
            return x

    with AsyncExecutor(PLACES) as executor:
        results = crew_of(executor, Odd(), list(range(PLACES)))
        assert list(results) == list(range(PLACES))


# -- jobs --


class Noted(Job):
    """A job that notes how it ended."""

    def __init__(self, fn: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.handle = None
        self.stop_requested = False
        self._fn = fn
        self.ends: list[tuple[bool, Any]] = []

    def begin(self) -> Any:
        return self._fn()

    def ended(self, succeeded: bool, value: Any) -> None:
        self.ends.append((succeeded, value))


def test_a_job_that_others_cancel_at_once_ends_once() -> None:
    """Even before its first step, as the end of ``asyncio.run`` may do on 3.11."""

    async def main() -> Noted:
        job = Noted(lambda: asyncio.sleep(60))
        async with AsyncioJobs() as jobs:
            before = asyncio.all_tasks()
            jobs.start(job, copy_context())
            (task,) = asyncio.all_tasks() - before
            task.cancel()
        return job

    ((succeeded, error),) = asyncio.run(main()).ends
    assert not succeeded
    assert isinstance(error, TaskCancelledError)
    assert isinstance(error.__cause__, asyncio.CancelledError)


def test_a_job_that_is_stopped_before_it_starts_awaits_what_was_made() -> None:
    """And is cancelled where it first waits."""
    seen: list[str] = []

    async def work() -> None:
        seen.append("begun")
        await asyncio.sleep(60)

    async def main() -> Noted:
        job = Noted(work)
        job.stop()
        async with AsyncioJobs() as jobs:
            jobs.start(job, copy_context())
        return job

    ((succeeded, _),) = asyncio.run(main()).ends
    assert not succeeded
    assert seen == ["begun"]


def test_tasks_that_others_cancel_before_they_begin_are_told() -> None:
    """By one that cancels all tasks of its loop, before the others have begun."""

    async def cancel_all(x: int) -> int:
        if x == 0:
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task() and "live" not in repr(task.get_coro()):
                    task.cancel()
        await asyncio.sleep(0.01)  # what is cancelled, where it has begun
        return x

    with AsyncExecutor(PLACES) as executor:
        assert list(executor.map(nothing, range(PLACES))) == list(range(PLACES))
        outcomes = list(executor.map(cancel_all, range(PLACES), errors="return", timeout=PATIENCE))
    assert isinstance(outcomes[0], Success)
    for outcome in outcomes[1:]:
        assert isinstance(outcome, Success) or isinstance(outcome.error, TaskCancelledError)
        assert outcome.seconds < PATIENCE  # and not since the machine was started


def test_leaving_jobs_by_an_exception_cancels_them() -> None:
    """And waits until they have ended."""

    async def main() -> Noted:
        job = Noted(lambda: asyncio.sleep(60))
        with pytest.raises(ZeroDivisionError):
            async with AsyncioJobs() as jobs:
                jobs.start(job, copy_context())
                raise ZeroDivisionError
        return job

    assert [succeeded for succeeded, _ in asyncio.run(main()).ends] == [False]


# -- waking coroutines --


def counted_calls(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """Calls into a loop from other threads, from now on."""
    calls: list[Any] = []
    original = loop.call_soon_threadsafe

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    loop.call_soon_threadsafe = call  # type: ignore[method-assign]
    return calls


def test_a_burst_of_answers_wakes_a_loop_once() -> None:
    """Not once for each coroutine that waits."""

    async def main(executor: ThreadExecutor) -> tuple[int, list[int]]:
        go = threading.Event()
        blockers = [executor.submit(go.wait) for _ in range(executor._max_workers)]
        tasks = [executor.submit(abs, x) for x in range(500)]
        together = asyncio.gather(*tasks)
        for _ in range(3):  # all of them wait now
            await asyncio.sleep(0)
        calls = counted_calls(asyncio.get_running_loop())
        go.set()
        for task in [*tasks, *blockers]:
            while not task._outcome:  # the loop does not turn meanwhile
                pass
        executor.submit(abs, 1).result(PATIENCE)  # who settled the last has told of it as well
        return len(calls), await together

    with ThreadExecutor(2) as executor:
        count, values = asyncio.run(main(executor))
    assert values == list(range(500))
    assert count == 1


@BACKENDS
def test_no_wake_up_is_lost_among_threads(backend: str) -> None:
    """Events that several threads set as fast as they can."""

    async def main() -> int:
        count = 0
        inbox: list[LoopEvent] = []
        ending = False

        def set_all() -> None:
            while not ending:
                try:
                    inbox.pop().set()
                except IndexError:
                    pass

        async def wait_often() -> None:
            nonlocal count
            for _ in range(100):
                event = LoopEvent()
                inbox.append(event)
                await event.wait()
                count += 1

        threads = [threading.Thread(target=set_all) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    for _ in range(20):
                        group.start_soon(wait_often)
        finally:
            ending = True
            for thread in threads:
                thread.join()
        return count

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert anyio.run(main, backend=backend) == 2000
    finally:
        sys.setswitchinterval(interval)


@BACKENDS
def test_a_wake_up_that_ctrl_c_tears_comes_with_the_next(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted call loses no later one."""

    async def main() -> None:
        first, second = LoopEvent(), LoopEvent()
        delivery = type(first._delivery)
        monkeypatch.setattr(delivery, "_call", interrupt)
        with pytest.raises(KeyboardInterrupt):
            await anyio.to_thread.run_sync(first.set)
        monkeypatch.undo()
        await anyio.to_thread.run_sync(second.set)
        with anyio.fail_after(PATIENCE):
            await second.wait()
            await first.wait()

    def interrupt(delivery: Any) -> None:
        raise KeyboardInterrupt

    anyio.run(main, backend=backend)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no such signal")
@BACKENDS
def test_a_signal_handler_wakes_a_loop_that_sleeps(backend: str) -> None:
    """On the loop's own thread, in the middle of its sleep."""

    async def main() -> None:
        event = LoopEvent()
        before = signal.signal(signal.SIGUSR1, lambda number, frame: event.set())
        timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGUSR1])
        timer.start()
        try:
            with anyio.move_on_after(PATIENCE):  # its end would wake the loop as well
                await event.wait()
        finally:
            timer.join()
            signal.signal(signal.SIGUSR1, before)

    start = monotonic()
    anyio.run(main, backend=backend)
    assert monotonic() - start < PATIENCE / 2


def test_setting_an_event_of_a_closed_loop_does_nothing() -> None:
    """Nobody waits there any more."""

    async def main() -> tuple[LoopEvent, Any]:
        return LoopEvent(), asyncio.get_running_loop()

    event, loop = asyncio.run(main())
    event.set()
    event.set()
    assert loop.is_closed()


@BACKENDS
def test_an_event_may_be_waited_for_so_long(backend: str) -> None:
    """And be set, and waited for again."""

    async def main() -> float:
        event = LoopEvent()
        await event.wait(0.01)
        event.set()
        with anyio.fail_after(PATIENCE):
            await event.wait()
        start = monotonic()
        await event.wait(0.05)
        return monotonic() - start

    assert anyio.run(main, backend=backend) > 0.04


@BACKENDS
def test_checkpoints_let_others_run(backend: str) -> None:
    """At the latest after a millisecond."""

    async def main() -> int:
        others = False

        async def other() -> None:
            nonlocal others
            others = True

        await checkpoint()
        async with anyio.create_task_group() as group:
            group.start_soon(other)
            count = 0
            while not others and count < 10_000_000:
                await checkpoint()
                count += 1
        return count

    assert anyio.run(main, backend=backend) < 10_000_000


def test_checkpoints_are_seldom_on_asyncio() -> None:
    """Results that are there already need no turn of the loop each."""

    async def main() -> int:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count_turns())
        for _ in range(1000):
            await checkpoint()
        counting.cancel()
        return turns

    assert asyncio.run(main()) < 500


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_L21_an_executor_that_is_entered_twice(backend: str, nested: bool) -> None:
    """Leaving it closes it; entering it again, inside or after that, is no fault."""

    async def main() -> None:
        executor = AsyncExecutor(1)
        async with executor:
            assert await executor.submit(nothing, 1) == 1
            if nested:
                async with executor:
                    assert await executor.submit(nothing, 2) == 2
        async with executor:
            with pytest.raises(ExecutorClosedError):
                executor.submit(nothing, 3)

    anyio.run(main, backend=backend)


async def stop_the_loop() -> None:
    """What nobody should do on a loop that is not theirs."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)


def test_L13_a_task_that_stops_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    """The loop goes on, and so does the task."""
    with AsyncExecutor(2) as executor:
        assert executor.submit(stop_the_loop).result(PATIENCE) is None
        assert executor.submit(nothing, 1).result(PATIENCE) == 1
    assert capfd.readouterr().err == ""
