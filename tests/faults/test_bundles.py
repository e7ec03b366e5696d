"""A backlog of single tasks goes to a process as one message; each stays a task of its own."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.faults import jobs
from unifexec import (
    ProcessExecutor,
    SerializationError,
    TaskCancelledError,
    WorkerLostError,
    _messages,
)
from unifexec._backends.child import Child
from unifexec._backends.process import KNOWN_WORKS, ProcessRoom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The kinds of messages that go to workers."""
    kinds: list[int] = []
    put = Child.put

    def noted(self: Child, kind: int, *args: Any) -> None:
        kinds.append(kind)
        put(self, kind, *args)

    monkeypatch.setattr(Child, "put", noted)
    return kinds


@contextmanager
def backlog(executor: ProcessExecutor) -> Iterator[None]:
    """What is submitted in here is sent afterwards, together."""
    for task in [executor.submit(jobs.square, 2) for _ in range(200)]:
        task.result(20)  # tasks are known to be quick now
    go, serve = threading.Event(), ProcessRoom.serve
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessRoom, "serve", lambda self: (go.wait(20), serve(self)))
        yield
        go.set()


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(1) as executor:
        yield executor


def test_L12_each_has_its_own_outcome(executor: ProcessExecutor, messages: list[int]) -> None:
    """Functions, arguments, failures and results of all kinds, side by side."""
    kept: list[int] = []

    async def late(x: int) -> int:
        await anyio.sleep(0)
        return x

    with backlog(executor):
        messages.clear()
        tasks = [
            executor.submit(jobs.square, 3),
            executor.submit(jobs.same, kept),
            executor.submit(jobs.raise_it, KeyError("mine")),
            executor.submit(int, "12", base=3),
            executor.submit(jobs.return_lock_inside, 1),
            executor.submit(late, 5),
            executor.submit(len, "four"),
            executor.submit(jobs.huge, 300_000),
            executor.submit(jobs.make, "no such thing"),
            executor.submit(lambda x: -x, 8),
        ]
        rest = [executor.submit(jobs.square, x) for x in range(40)]  # so they go together
        kept.append(1)  # too late
    told = [task.exception(20) or task.result(20) for task in tasks]
    assert [told[i] for i in (0, 1, 3, 5, 6, 9)] == [9, [], 5, 5, 4, -8]
    assert repr(told[2]) == "KeyError('mine')"
    assert type(told[4]) is SerializationError
    assert "'return_lock_inside'" in str(told[4])
    assert len(told[7]) == 300_000
    assert isinstance(told[8], Exception)
    assert messages.count(_messages.TASKS) >= 1
    names = [task.outcome().name for task in tasks]
    assert names[:4] == ["square", "same", "raise_it", "int"]
    assert [task.result(20) for task in rest] == [x * x for x in range(40)]


def test_each_has_its_own_time(executor: ProcessExecutor, messages: list[int]) -> None:
    """A slow one among quick ones; also a coroutine."""
    executor.submit(anyio.sleep, 0).result(20)  # what it imports takes its time too
    with backlog(executor):
        messages.clear()
        waits = executor.submit(anyio.sleep, 0.003)
        slow = executor.submit(time.sleep, 0.003)
        quick = [executor.submit(jobs.square, x) for x in range(40)]
    for task in [waits, slow, *quick]:
        task.result(20)
    assert waits.outcome().seconds >= 0.003
    assert slow.outcome().seconds >= 0.003
    seconds = sorted(task.outcome().seconds for task in quick)
    assert 0 < seconds[20] < 0.001  # the median: on a busy machine some may be slow
    assert messages.count(_messages.TASKS) >= 1


def test_L22_a_death_costs_the_guilty_one(executor: ProcessExecutor, tmp_path: Path) -> None:
    """Those before it keep their results, those behind it run elsewhere, each once."""
    with backlog(executor):
        before = [executor.submit(jobs.note_and_square, x, str(tmp_path)) for x in range(5)]
        guilty = executor.submit(jobs.count_and_die, str(tmp_path / "guilty"))
        behind = [executor.submit(jobs.note_and_square, x, str(tmp_path)) for x in range(5, 10)]
    assert [task.result(20) for task in [*before, *behind]] == [x * x for x in range(10)]
    with pytest.raises(WorkerLostError, match="'count_and_die'"):
        guilty.result(20)
    assert (tmp_path / "guilty").stat().st_size == 1
    assert {path.name for path in tmp_path.iterdir()} == {"guilty", *map(str, range(10))}


def test_L15_one_that_waits_is_aborted(executor: ProcessExecutor, tmp_path: Path) -> None:
    """It never runs; those round it do."""
    with backlog(executor):
        first = executor.submit(jobs.wait_for_file, str(tmp_path / "go"))
        second = executor.submit(jobs.append, str(tmp_path / "second"), "ran")
        third = executor.submit(jobs.square, 3)
    second.abort()
    (tmp_path / "go").touch()
    with pytest.raises(TaskCancelledError):
        second.result(20)
    assert (first.result(20), third.result(20)) == (None, 9)
    assert not (tmp_path / "second").exists()


def test_L10_a_slow_one_holds_nobody_up(tmp_path: Path) -> None:
    """Those behind it are taken back, and run elsewhere."""
    with ProcessExecutor(2) as executor:
        with backlog(executor):
            slow = [executor.submit(jobs.wait_for_file, str(tmp_path / "go"))]
            quick = [executor.submit(jobs.square, x) for x in range(50)]
        assert [task.result(20) for task in quick] == [x * x for x in range(50)]
        (tmp_path / "go").touch()
        slow[0].result(20)


def test_more_functions_than_a_worker_keeps(executor: ProcessExecutor, messages: list[int]) -> None:
    """A bundle that would crowd out its own functions goes in single messages."""
    functions = [eval(f"lambda: {number}") for number in range(3 * KNOWN_WORKS)]
    with backlog(executor):
        messages.clear()
        tasks = [executor.submit(fn) for fn in functions]
    assert [task.result(20) for task in tasks] == list(range(len(functions)))


@pytest.mark.parametrize("options", [{}, {"time_limit": 20.0}], ids=["plain", "limited"])
@pytest.mark.parametrize("errors", ["raise", "return"])
@pytest.mark.parametrize("together", [True, False])
def test_L12_a_single_argument_of_any_kind(
    executor: ProcessExecutor, errors: Any, options: Any, together: bool
) -> None:
    """Whether it travels as it is, pickled, by cloudpickle or in shared memory."""

    class Local:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Local)

        __hash__ = None  # type: ignore[assignment]

    items: list[Any] = [
        1,
        "two",
        b"three",
        None,
        (4, 5),
        [6],
        {"seven": 7},
        Local(),
        bytes(300_000),
    ]
    view = executor.with_options(**options)
    for chosen in [items] if together else [[item] * 3 for item in items]:
        results = list(view.map(jobs.same, chosen, errors=errors, chunksize=len(chosen)))
        values = results if errors == "raise" else [outcome.unwrap() for outcome in results]
        assert values == chosen
        pairs = list(view.map(jobs.pair, chosen, chosen, errors=errors, chunksize=len(chosen)))
        both = pairs if errors == "raise" else [outcome.unwrap() for outcome in pairs]
        assert both == [(item, item) for item in chosen]


def test_items_of_a_class_that_travels_by_value_go_together(
    executor: ProcessExecutor, messages: list[int]
) -> None:
    """As those of a script do: not in a message for each."""

    class Local:
        pass

    list(executor.map(repr, [Local() for _ in range(20)], chunksize=20))
    assert _messages.ITEMS in messages
    assert _messages.ITEM not in messages


def test_a_builtin_function_travels_as_its_name(executor: ProcessExecutor) -> None:
    """As a module's function does: it is not pickled anew for every task."""
    room = executor._room
    works = {room.pack_work(fn, executor._options)[0] for fn in (len, len, os.getpid, os.getpid)}
    assert len(works) == 2
    assert executor.submit(len, "abc").result(20) == 3
