"""What tasks cost, counted and not timed: messages, system calls and hand-overs for each.

A lost optimisation fails here, on any machine, however busy.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from contextvars import Context
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import AsyncExecutor, ProcessExecutor, ThreadExecutor, create_executor
from unifexec._backends.aio import AsyncRoom
from unifexec._backends.calls import Call
from unifexec._backends.child import Child
from unifexec._backends.lanes import Lane
from unifexec._backends.process import ProcessRoom
from unifexec._backends.room import Room
from unifexec._backends.thread import ThreadRoom
from unifexec._backends.trips import Contexts
from unifexec._core import batching, dispatch
from unifexec._core.batches import Batch, Bundle, Nobody, Single
from unifexec._core.maps import MapRun
from unifexec._core.options import Options
from unifexec._core.runs import Run
from unifexec._core.task import Task

if TYPE_CHECKING:
    from types import FrameType

MANY = 1000


def nothing() -> None:
    """Do nothing; a module's function, which travels as its name."""


def identity(x: int) -> int:
    return x


async def suspend(x: int) -> int:
    """Wait for one turn of the loop."""
    await asyncio.sleep(0)
    return x


def count_calls(monkeypatch: pytest.MonkeyPatch, *seams: tuple[type, str]) -> Counter[str]:
    """Count the calls of some methods from now on.

    How many tasks travel together follows from how long they take. Here they take a
    microsecond: what is counted is the same on a machine that is busy with other things.
    """
    counts: Counter[str] = Counter()
    monkeypatch.setattr(batching, "observe", lambda mean, seconds: 1e-6)

    def counted(cls: type, name: str) -> Any:
        original = getattr(cls, name)

        def call(self: Any, *args: Any) -> Any:
            counts[f"{cls.__name__}.{name}"] += 1
            return original(self, *args)

        return call

    for cls, name in seams:
        monkeypatch.setattr(cls, name, counted(cls, name))
    return counts


def test_a_backlog_of_submits_travels_in_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """To processes: far fewer messages and system calls than tasks."""
    go = threading.Event()
    with ProcessExecutor(2) as executor:
        for task in [executor.submit(nothing) for _ in range(100)]:
            task.result()  # how long they take is known now
        original = ProcessRoom.serve
        monkeypatch.setattr(ProcessRoom, "serve", lambda self: (go.wait(20), original(self)))
        tasks = [executor.submit(nothing) for _ in range(MANY)]
        counts = count_calls(monkeypatch, (ProcessRoom, "do_send"), (Child, "flush"))
        go.set()
        for task in tasks:
            task.result()
    assert counts["ProcessRoom.do_send"] < MANY / 2
    assert counts["Child.flush"] < MANY / 2


def test_items_of_a_map_travel_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any tuning."""
    counts = count_calls(monkeypatch, (ProcessRoom, "do_send"), (Child, "flush"))
    with ProcessExecutor(2) as executor:
        assert sum(executor.map(identity, range(MANY * 5))) == sum(range(MANY * 5))
    assert counts["ProcessRoom.do_send"] < MANY * 5 / 2  # they are larger where nobody disturbs


def test_a_bundle_goes_to_a_thread_by_one_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the lanes serve themselves: the carrier of threads hardly wakes."""
    begin = threading.Event()
    with ThreadExecutor(1) as executor:
        for task in [executor.submit(nothing) for _ in range(100)]:
            task.result()
        executor.submit(begin.wait)
        tasks = [executor.submit(nothing) for _ in range(MANY)]
        counts = count_calls(monkeypatch, (ThreadRoom, "do_send"), (Lane, "put"))
        begin.set()
        for task in tasks:
            task.result()
        assert counts["ThreadRoom.do_send"] < MANY / 2
        assert counts["Lane.put"] < MANY / 2


def test_one_wake_up_is_enough_for_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """While who was woken has not come to look, nobody is woken again."""
    with ThreadExecutor(2) as threads, ProcessExecutor(2) as processes:
        for executor in threads, processes:
            executor.submit(nothing).result()
            room = executor._room
            while not room._asleep:  # it says that it is done a moment earlier
                pass
            with room._turn:  # nobody decides: whoever is woken leaves it to us
                counts = count_calls(monkeypatch, (type(room), "wake"))
                tasks = [executor.submit(nothing) for _ in range(MANY)]
            room.wake()  # and we to them: of processes only the carrier may serve
            for task in tasks:
                task.result()
            assert counts[f"{type(room).__name__}.wake"] < 10


@pytest.mark.parametrize("kind", ["thread", "process", "async"])
def test_no_wake_up_is_lost(kind: str) -> None:
    """Who decides is slow between any two lines of taking what came; debuggers are as slow."""

    def slow(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code is not Room._take_incoming.__code__:
            return None
        sleep(0.002)
        return slow

    threading.settrace(slow)
    try:
        with create_executor(kind, max_workers=4) as executor:
            executor.submit(nothing).result()
            for _ in range(10):
                first = executor.submit(nothing)
                sleep(0.006)
                second = executor.submit(nothing)
                first.result()
                second.result()
                sleep(0.01)  # nobody decides any more, or the test is only less sharp
                executor.submit(nothing).result(5)
    finally:
        threading.settrace(None)  # type: ignore[arg-type]


def test_a_backlog_is_divided_whatever_came_before() -> None:
    """Its tasks may be a thousand times as long as those before them."""
    assert batching.batch_size(8, 1e-6, 100) <= 100 / 4
    assert batching.batch_size(2, 1e-6, 10_000) > 1000


def test_a_batch_is_over_before_patience_is() -> None:
    """Else what is behind would be taken back from every batch."""
    assert batching.BATCH_SECONDS < dispatch.PATIENCE


def test_the_carrier_leaves_the_interpreter_to_who_decides() -> None:
    """A lane that decides has more to look at than it knows: it is not asked again and again."""
    with ThreadExecutor(1) as executor:
        executor.submit(nothing).result()
        room = executor._room
        with room._turn:
            room._decider = threading.get_ident()
            served: list[None] = []
            serve = room.serve
            room.serve = lambda: (served.append(None), serve())  # type: ignore[assignment]
            room._mailbox.put((lambda now: None, ()))
            room._bell.put(None)
            sleep(0.05)  # in which the carrier would ask thousands of times
            room._decider = 0
        room.serve()
        assert 0 < len(served) < 100


def test_calls_that_set_no_context_variable_share_a_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the caller has set none either."""
    made: list[Context] = []
    make = Contexts.__init__

    def make_and_count(self: Contexts, *args: Any) -> None:
        make(self, *args)
        fresh = self.fresh
        self.fresh = lambda: (made.append(context := fresh()), context)[1]

    monkeypatch.setattr(Contexts, "__init__", make_and_count)

    def run_them() -> None:
        with ThreadExecutor(1) as executor:
            assert list(executor.map(identity, range(MANY))) == list(range(MANY))
            for task in [executor.submit(nothing) for _ in range(MANY)]:
                task.result()

    Context().run(run_them)
    assert 0 < len(made) < 2 * MANY / 5


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_task_that_succeeded_has_no_dict_of_its_own(kind: str) -> None:
    """A second attribute after `__init__` costs more than all the rest of settling a task.

    CPython keeps what an object has without one, as long as there is room for it.
    """
    with create_executor(kind, max_workers=1) as executor:
        tasks = [executor.submit(nothing) for _ in range(MANY)]
        for task in tasks:
            task.result()
        assert dict not in map(type, gc.get_referents(*tasks))


def test_what_each_task_sets_is_no_attribute_of_its_class() -> None:
    """The interpreter sets such an attribute by a way that takes ten times as long."""
    with ThreadExecutor(1) as executor:
        task = executor.submit(nothing)
        task.result()
    assert not vars(task).keys() & vars(Task).keys() - {"__dict__"}
    batch = Batch(Nobody(""), None, [], Options(), "", 0)
    assert not vars(batch).keys() & vars(Batch).keys()
    single = Single(Nobody(""), None, (), Options())
    assert not vars(single).keys() & (vars(Batch).keys() | vars(Single).keys())


def test_one_task_at_a_time_needs_no_carrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that waits for work is woken itself, decides, and runs the task."""
    woken: list[int] = []
    with ThreadExecutor(1) as executor:
        executor.submit(nothing).result()
        bell = executor._room._bell
        monkeypatch.setattr(executor._room, "_bell", _CountingBell(bell, woken))
        for _ in range(100):
            executor.submit(nothing).result()
            while not executor._room.dispatch.idle:  # it says that it is done a moment earlier
                pass
        count = len(woken)
    assert count < 50


class _CountingBell:
    def __init__(self, bell: Any, rung: list[int]) -> None:
        self._bell, self._rung = bell, rung
        self.get = bell.get

    def put(self, item: Any) -> None:
        self._rung.append(1)
        self._bell.put(item)


def test_a_task_that_nobody_waits_for_by_the_standard_library_has_no_condition() -> None:
    """It is most of what a `Future` costs."""
    with ThreadExecutor(1) as executor:
        task = executor.submit(nothing)
        task.result()
        made = [value for value in vars(task).values() if isinstance(value, threading.Condition)]
        assert made == []


def test_a_task_that_waits_is_few_objects() -> None:
    """The garbage collector looks at each of them, and there may be very many tasks."""
    go = threading.Event()
    with ThreadExecutor(1) as executor:
        executor.submit(go.wait)
        executor.submit(nothing)
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            tasks = [executor.submit(nothing) for _ in range(MANY)]
            made = len(gc.get_objects()) - before
        finally:
            gc.enable()
            go.set()
        tasks[-1].result()
    assert made < 3.2 * MANY


def test_bundles_are_only_for_what_waits() -> None:
    """A lone task pays nothing, and none waits for company."""
    sent: list[bool] = []
    with ThreadExecutor(1) as executor:
        room = executor._room
        original = room.do_send

        def do_send(run: Any) -> None:
            sent.append(isinstance(run.batch, Bundle))
            original(run)

        room.do_send = do_send  # type: ignore[method-assign]
        for _ in range(20):
            executor.submit(nothing).result()
    assert sent == [False] * 20


def test_coroutines_that_end_in_one_turn_of_the_loop_are_one_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The carrier of an async executor decides on all of them at once."""
    counts = count_calls(monkeypatch, (AsyncRoom, "serve"))

    async def main() -> list[int]:
        async with AsyncExecutor(100) as executor:
            return [x async for x in executor.map(suspend, range(MANY))]

    assert asyncio.run(main()) == list(range(MANY))
    assert counts["AsyncRoom.serve"] < MANY / 10


def test_items_of_a_map_of_coroutines_are_decided_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch, one run and one answer for many; each has only its own call."""
    seams = (MapRun, "_submit_batch"), (Run, "__init__"), (AsyncRoom, "do_send_crew")
    counts = count_calls(monkeypatch, *seams, (Call, "__init__"))

    async def main() -> list[int]:
        async with AsyncExecutor(100) as executor:
            return [x async for x in executor.map(suspend, range(10 * MANY))]

    assert asyncio.run(main()) == list(range(10 * MANY))
    assert counts["Call.__init__"] == 10 * MANY
    assert counts["Run.__init__"] < MANY  # the first 100, as places come one by one
    assert counts["MapRun._submit_batch"] < MANY
    assert counts["AsyncRoom.do_send_crew"] < MANY
