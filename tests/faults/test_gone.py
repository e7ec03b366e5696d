"""L25: what is over is gone, at once: no circle of references waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import (
    ProcessExecutor,
    SerialExecutor,
    TaskCancelledError,
    ThreadExecutor,
    TimeLimitError,
    create_executor,
)
from unifexec._core import task as task_module

from .programs import run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unifexec import Results

LATE = 99


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """The collector does not help."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Tracked:
    """Something whose end can be seen."""


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
@pytest.mark.parametrize("how", ["submit", "map", "callback"])
def test_L25_what_was_taken_is_gone(kind: str, how: str) -> None:
    """A value, when nobody has it any more."""
    made: list[weakref.ref[Tracked]] = []

    def make(_: object) -> Tracked:
        value = Tracked()
        made.append(weakref.ref(value))
        return value

    with create_executor(kind, max_workers=1) as executor:
        if how == "map":
            assert all(executor.map(make, [Tracked(), Tracked()]))
        else:
            task = executor.submit(make, Tracked())
            called = threading.Event()
            if how == "callback":
                task.add_done_callback(lambda task: called.set())
            assert task.result(20)
            assert how != "callback" or called.wait(20)
            del task
        assert wait_for(lambda: not any(ref() for ref in made))


def by_exception(executor: Any, fn: Any) -> None:
    """A task fails, and its error is looked at."""
    assert isinstance(executor.submit(fn, 0).exception(20), ValueError)


def by_result(executor: Any, fn: Any) -> None:
    """It fails, and its error is caught."""
    task = executor.submit(fn, 0)
    try:
        task.result(20)
    except ValueError:
        del task  # else it, the error and this frame are a circle, as with any future


def by_burst(executor: Any, fn: Any) -> None:
    """Tasks that wait, and travel together, fail."""
    tasks = [executor.submit(fn, number) for number in range(5)]
    while tasks:
        assert isinstance(tasks.pop().exception(20), ValueError)


def by_map(executor: Any, fn: Any) -> None:
    """An item fails, and the map with it."""
    with suppress(ValueError):
        list(executor.map(fn, range(3)))


def by_late(executor: Any, fn: Any) -> None:
    """An item fails when the map is over, since one before it has."""
    with suppress(ValueError):
        list(executor.map(fn, [0, LATE], chunksize=1))


def by_outcomes(executor: Any, fn: Any) -> None:
    """Items fail, and are outcomes of a map."""
    assert len(list(executor.map(fn, range(5), errors="return"))) == 5


def by_await(executor: Any, fn: Any) -> None:
    """A coroutine awaits a task that fails."""

    async def main() -> None:
        task = executor.submit(fn, 0)
        try:
            await task
        except ValueError:
            del task

    asyncio.run(main())


def by_gather(executor: Any, fn: Any) -> None:
    """A gather fails with its first task."""
    task = executor.gather(*(executor.submit(fn, number) for number in range(3)))
    try:
        task.result(20)
    except ValueError:
        del task


USES = [
    by_exception, by_result, by_burst, by_map, by_late, by_outcomes, by_await, by_gather
]  # fmt: skip


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "coroutine"])
@pytest.mark.parametrize("use", USES)
def test_L25_what_failed_is_gone(kind: str, is_async: bool, use: Any) -> None:
    """An error has the frames of its task, and with them its values; it is let go."""
    made: list[weakref.ref[Tracked]] = []

    def fail(number: int) -> None:
        value = Tracked()
        made.append(weakref.ref(value))
        if number == LATE:
            sleep(0.1)
        raise ValueError(number)

    async def fail_async(number: int) -> None:
        fail(number)

    with create_executor(kind, max_workers=2) as executor:
        use(executor, fail_async if is_async else fail)
        assert wait_for(lambda: not any(ref() for ref in made))
        assert made


def behind_a_gate(executor: ThreadExecutor, count: int, fn: Any) -> list[Any]:
    """Tasks that waited, and travelled in bundles."""
    for task in [executor.submit(int) for _ in range(50)]:
        task.result(20)  # tasks are known to be quick now
    gate = threading.Event()
    executor.submit(gate.wait)
    tasks = [executor.submit(fn, number) for number in range(count)]
    gate.set()
    tasks[-1].exception(20)
    return tasks


def test_L25_what_failed_in_a_bundle_is_gone() -> None:
    """Also with those beside it."""
    made: list[weakref.ref[Tracked]] = []

    def fail(number: int) -> None:
        value = Tracked()
        made.append(weakref.ref(value))
        raise ValueError(number)

    with ThreadExecutor(1) as executor:
        tasks = behind_a_gate(executor, 200, fail)
        while tasks:
            assert isinstance(tasks.pop().exception(20), ValueError)
        assert wait_for(lambda: not any(ref() for ref in made)), sum(bool(ref()) for ref in made)


@pytest.mark.parametrize("limit", [None, 60], ids=["as_a_block", "one_by_one"])
def test_L25_an_error_does_not_keep_what_its_neighbours_returned(limit: float | None) -> None:
    """Whoever keeps the error of one task of a bundle, however they are answered."""
    made: list[weakref.ref[Tracked]] = []

    def make(number: int) -> Tracked:
        if number == 100:
            raise ValueError(number)
        value = Tracked()
        made.append(weakref.ref(value))
        return value

    with ThreadExecutor(1) as executor:
        view = executor.with_options(time_limit=limit)
        tasks = behind_a_gate(view, 200, make)
        error = tasks[100].exception(20)
        del tasks
        assert wait_for(lambda: not any(ref() for ref in made)), sum(bool(ref()) for ref in made)
        assert isinstance(error, ValueError)


def test_L25_a_cancelled_task_is_gone() -> None:
    """Whoever asks for its exception is told so by one that knows our frames."""
    with ThreadExecutor(1) as executor:
        gate = threading.Event()
        executor.submit(gate.wait, 20)
        task = executor.submit(int)
        gone = weakref.ref(task)
        assert task.cancel()
        with suppress(TaskCancelledError):
            task.exception(20)
        del task
        gate.set()
        assert wait_for(lambda: gone() is None)


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
@pytest.mark.parametrize("how", ["an item failed", "closed", "told"])
def test_L25_what_the_inputs_raised_is_gone(kind: str, how: str) -> None:
    """Whether anybody is told of it or not."""
    made: list[weakref.ref[Tracked]] = []

    def inputs() -> Iterator[str]:
        value = Tracked()
        made.append(weakref.ref(value))
        yield "x" if how == "an item failed" else "1"
        raise KeyError

    with create_executor(kind, max_workers=1) as executor:
        results = executor.map(int, inputs())
        with suppress(ValueError, KeyError):
            next(results)
            if how == "closed":
                results.close()
            next(results, None)
        del results
        assert wait_for(lambda: not any(ref() for ref in made))
        assert made


@pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])
def test_L08_what_interrupts_a_pull_does_not_hold_the_results(kind: str) -> None:
    """While it is handled they are dropped already, as by ``break``."""
    made: list[weakref.ref[Results[int]]] = []

    def inputs() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyboardInterrupt

    def remembered(results: Results[int]) -> Results[int]:
        made.append(weakref.ref(results))
        return results

    with create_executor(kind, max_workers=1) as executor:
        try:
            for _ in remembered(executor.map(abs, inputs(), buffersize=1)):
                pass
        except KeyboardInterrupt:
            assert made[0]() is None
        else:
            pytest.fail("nothing interrupted it")


def test_L25_a_coroutine_that_was_given_up_is_gone() -> None:
    """When it ends at last; its executor lent it the caller's thread."""
    made: list[weakref.ref[Tracked]] = []

    async def stubborn(_: Tracked) -> None:
        end = monotonic() + 1
        while monotonic() < end:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    def use(executor: SerialExecutor) -> None:
        value = Tracked()
        made.append(weakref.ref(value))
        with suppress(TimeLimitError):
            executor.with_options(time_limit=0.1).submit(stubborn, value).result(20)

    with SerialExecutor() as executor:
        use(executor)
        assert executor.stats().abandoned == 1
        assert wait_for(lambda: not made[0]())


class Unbuildable:
    """It cannot be rebuilt, and a frame of the attempt has something."""

    def __reduce__(self) -> Any:
        return _fail_to_build, ()


BUILT: list[weakref.ref[Tracked]] = []


def _fail_to_build() -> None:
    value = Tracked()
    BUILT.append(weakref.ref(value))
    raise ValueError


def test_L25_what_could_not_be_rebuilt_is_gone() -> None:
    """Its task failed like any other."""
    BUILT.clear()
    with SerialExecutor(portable=True) as executor:
        assert executor.submit(id, Unbuildable()).exception(20) is not None
    assert [ref() for ref in BUILT] == [None]


FAILED: list[weakref.ref[Tracked]] = []


def fail_far_away(number: int) -> None:
    """A task of a worker process."""
    value = Tracked()
    FAILED.append(weakref.ref(value))
    raise ValueError(number)


async def fail_far_away_async(number: int) -> None:
    """As a coroutine."""
    fail_far_away(number)


def left_there() -> tuple[int, int]:
    """How many failed in this worker, and how many of their values are still there."""
    return len(FAILED), sum(ref() is not None for ref in FAILED)


@pytest.mark.parametrize("fn", [fail_far_away, fail_far_away_async])
def test_L25_what_failed_is_gone_from_its_worker(fn: Any) -> None:
    """Before the next task runs there."""
    with ProcessExecutor(1) as executor:
        executor.submit(gc.disable).result(20)
        assert isinstance(executor.submit(fn, 0).exception(20), ValueError)
        assert executor.submit(left_there).result(20) == (1, 0)
        assert len(list(executor.map(fn, range(5), errors="return"))) == 5
        for task in [executor.submit(fn, number) for number in range(300)]:
            assert isinstance(task.exception(20), ValueError)
        assert executor.submit(left_there).result(20) == (306, 0)


CTRL_C = """
import gc, os, signal, time, weakref
from unifexec import SerialExecutor
gc.disable()
class Tracked: pass
made = []
def work():
    value = Tracked()
    made.append(weakref.ref(value))
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)
def use(executor):
    try:
        executor.submit(work)
    except KeyboardInterrupt:
        pass
with SerialExecutor() as executor:
    use(executor)
    print([ref() for ref in made])
"""


def test_L25_what_ctrl_c_ended_is_gone() -> None:
    """In a task of the caller's own thread, as in a plain call."""
    code, out, err = run(CTRL_C)
    assert (code, out) == (0, "[None]\n"), err


def test_L25_who_is_interrupted_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alarm that raises in the midst of `Task._made`: the next one clears up."""

    class Raises(dict):  # type: ignore[type-arg]  # its types do not matter here
        def copy(self) -> Any:
            raise KeyboardInterrupt

    with ThreadExecutor(1) as executor:
        task, other = executor.submit(int), executor.submit(int)
        making = Raises()
        monkeypatch.setattr(task_module, "_making", making)
        with pytest.raises(KeyboardInterrupt):
            task._made("_made_waiters", [1])
        left = dict(making)
        assert left
        monkeypatch.setattr(task_module, "_making", left)
        other._made("_made_waiters", [2])
        assert not left
        assert (task._made("_made_waiters", [3]), other._made("_made_waiters", [4])) == ([1], [2])


@pytest.mark.parametrize("fails", [False, True])
def test_L25_arguments_of_a_map_are_gone_with_it(fails: bool) -> None:
    """Whether its items fail or not, without the garbage collector."""

    class Item:
        pass

    def use(item: Item) -> None:
        if fails:
            raise ZeroDivisionError

    with ThreadExecutor(1) as executor:
        items = [Item() for _ in range(40)]
        refs = [weakref.ref(item) for item in items]
        assert len(list(executor.map(use, items, errors="return"))) == 40
        with suppress(ZeroDivisionError):
            list(executor.map(use, items))
        del items
        assert wait_for(lambda: not any(ref() is not None for ref in refs))
