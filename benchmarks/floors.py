"""Floors: the least work that any correct design can do, written by hand, one per kind of row.

A floor keeps no promise but the row's own: no errors, no cancelling, no time limits, no lost
workers. Nobody can offer those for less, so the distance to the floor is what they cost.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from benchmarks.pipe_worker import Inbox, send
from benchmarks.tasks import look, nothing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from typing import Self

    from benchmarks.model import Run

ROOT = Path(__file__).resolve().parent.parent
SHARED_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
MOST_BYTES = 60_000  # of a message: what fits into a pipe, so that nobody blocks while sending


# -- threads --


class Reply:
    """The least a future can be: a value, and a lock that is open when it is there."""

    __slots__ = ("_done", "_value")

    def __init__(self) -> None:
        self._done = threading.Lock()
        self._done.acquire()

    def set(self, value: object) -> None:
        """The value is there."""
        self._value = value
        self._done.release()

    def result(self) -> object:
        """Wait for the value."""
        with self._done:
            return self._value


@contextmanager
def one_thread_and_a_queue() -> Iterator[Callable[..., Reply]]:
    """A call must reach another thread and its result come back: one queue, one lock each."""
    queue: SimpleQueue[tuple[Reply, Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()

    def work() -> None:
        while call := queue.get():
            reply, fn, args = call
            reply.set(fn(*args))

    def submit(fn: Callable[..., Any], *args: Any) -> Reply:
        reply = Reply()
        queue.put((reply, fn, args))
        return reply

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield submit
    finally:
        queue.put(None)
        thread.join()


def threads_on_one_iterator(fn: Callable[[Any], Any], items: Sequence[Any], count: int) -> float:
    """Threads that wait side by side must each be told once what to do: they pull by themselves.

    The seconds it took.
    """
    todo = iter(items)  # a sequence's iterator may be shared by threads

    begin = threading.Event()

    def work() -> None:
        begin.wait()
        for item in todo:
            fn(item)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    begin.set()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


# -- processes --


class PipeWorker:
    """A bare interpreter at the other end of two pipes."""

    def __init__(self) -> None:
        theirs_in, self.outgoing = os.pipe()
        incoming, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pipe_worker", str(theirs_in), str(theirs_out)],
            pass_fds=[theirs_in, theirs_out],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.inbox = Inbox(incoming)

    def close(self) -> None:
        """Let it end."""
        os.close(self.outgoing)
        self._process.wait()
        os.close(self.inbox.pipe)


class PipeWorkers:
    """Calls must be pickled, cross a pipe and be unpickled, and so must results: only that.

    Many calls may share a message, since what is sent together costs one system call.
    """

    def __init__(self, count: int) -> None:
        self.workers = [PipeWorker() for _ in range(count)]
        self._selector = selectors.DefaultSelector()
        for worker in self.workers:
            self._selector.register(worker.inbox.pipe, selectors.EVENT_READ, worker)
            send(worker.outgoing, [(nothing, (1,))])
        for worker in self.workers:
            worker.inbox.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for worker in self.workers:
            worker.close()

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """One call and its result, there and back."""
        worker = self.workers[0]
        send(worker.outgoing, [(fn, args)])
        return worker.inbox.receive()[0]

    def call_all(
        self, messages: Iterator[list[tuple[Callable[..., Any], tuple[Any, ...]]]]
    ) -> list[Any]:
        """Send messages of calls as workers get free, one waiting behind each that is worked on.

        Answers come back message by message, in the order in which the messages were.
        """
        answers: dict[int, list[object]] = {}
        under_way: dict[PipeWorker, deque[int]] = {worker: deque() for worker in self.workers}
        numbered = enumerate(messages)

        def give(worker: PipeWorker) -> None:
            for number, calls in numbered:
                if send(worker.outgoing, calls) > MOST_BYTES:
                    raise ValueError("a message may block both ends: send fewer calls in one")
                under_way[worker].append(number)
                return

        for worker in self.workers * 2:
            give(worker)
        while any(under_way.values()):
            for key, _ in self._selector.select():
                worker = key.data
                worker.inbox.fill()
                while (values := worker.inbox.take()) is not None:
                    answers[under_way[worker].popleft()] = values
                    give(worker)
        return [value for number in range(len(answers)) for value in answers[number]]

    def burst(self, fn: Callable[..., Any], items: Sequence[Any], per_message: int) -> list[Any]:
        """Separate calls, each with its own function and arguments."""
        return self.call_all(
            [(fn, (item,)) for item in items[at : at + per_message]]
            for at in range(0, len(items), per_message)
        )

    def map(self, fn: Callable[[Any], Any], items: Sequence[Any], per_message: int) -> list[Any]:
        """One function over many items: it is sent once per message."""
        parts = self.call_all(
            [(each, (fn, items[at : at + per_message]))] for at in range(0, len(items), per_message)
        )
        return [value for part in parts for value in part]


def each(fn: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """In the worker: the items of one message."""
    return [fn(item) for item in items]


@contextmanager
def pipe_read_by_the_loop() -> Iterator[Callable[..., Awaitable[Any]]]:
    """An event loop must be woken by the pipe, and the future wake the coroutine: only that."""
    with PipeWorkers(1) as workers:
        worker = workers.workers[0]
        waiting: deque[asyncio.Future[Any]] = deque()

        def read() -> None:
            worker.inbox.fill()
            while (values := worker.inbox.take()) is not None:
                waiting.popleft().set_result(values[0])

        async def call(fn: Callable[..., Any], *args: Any) -> Any:
            loop = asyncio.get_running_loop()
            loop.add_reader(worker.inbox.pipe, read)
            future = loop.create_future()
            waiting.append(future)
            send(worker.outgoing, [(fn, args)])
            return await future

        yield call


# -- large values --


class Segment:
    """Memory that two processes see: a file without a disk, where there is one."""

    def __init__(self, value: Any) -> None:
        # Writing to the file copies faster than writing to its mapping, page by new page.
        self._file = tempfile.NamedTemporaryFile(dir=SHARED_MEMORY, buffering=0)  # noqa: SIM115
        rest = memoryview(value).cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]
        self.name = self._file.name

    def mapped(self) -> mmap.mmap:
        """The memory itself."""
        return mmap.mmap(self._file.fileno(), 0)

    def close(self) -> None:
        """Give the memory back."""
        self._file.close()


_attached: dict[str, mmap.mmap] = {}  # in a worker: segments it has seen


def attached(name: str) -> mmap.mmap:
    """In a worker: a segment by its name, mapped once."""
    if name not in _attached:
        with open(name, "r+b") as file:
            _attached[name] = mmap.mmap(file.fileno(), 0)
    return _attached[name]


def copy_across(incoming: str, outgoing: str) -> None:
    """In the worker: a task that returns its argument, a value of its own."""
    attached(outgoing)[:] = memoryview(attached(incoming))


def look_at(name: str, index: int) -> int:
    """In the worker: read a little of a shared value."""
    return look(attached(name), index)


def forget(name: str) -> None:
    """In the worker: the segment is not used any more."""
    if name in _attached:
        _attached.pop(name).close()


@contextmanager
def warm_shared_memory(value: Any) -> Iterator[Run]:
    """The argument must be copied once, being a snapshot, and so must the result: no pickle."""
    with (
        PipeWorkers(1) as workers,
        closing(Segment(value)) as there,
        closing(Segment(value)) as back,
    ):
        argument, result = there.mapped(), back.mapped()

        def run(count: int) -> float:
            start = time.perf_counter()
            for _ in range(count):
                argument[:] = memoryview(value).cast("B")
                workers.call(copy_across, there.name, back.name)
            seconds = time.perf_counter() - start
            expect(result[:], bytes(value))
            return seconds

        yield run


@contextmanager
def one_copy_for_all(value: Any, count: int) -> Iterator[Run]:
    """The value must be copied once to where all workers see it; tasks carry its name only."""
    with PipeWorkers(count) as workers:

        def run(tasks: int) -> float:
            start = time.perf_counter()
            with closing(Segment(value)) as segment:
                calls = [[(look_at, (segment.name, index))] for index in range(tasks)]
                values = workers.call_all(iter(calls))
                seconds = time.perf_counter() - start
                for worker in workers.workers:
                    send(worker.outgoing, [(forget, (segment.name,))])
                    worker.inbox.receive()
            expect(values, [look(value, index) for index in range(tasks)])
            return seconds

        yield run


# -- coroutines --


async def workers_on_one_iterator(
    fn: Callable[[Any], Awaitable[Any]], items: Sequence[Any], bound: int
) -> list[Any]:
    """A bound on coroutines needs no task per item: so many long-lived tasks pull by themselves."""
    results = [None] * len(items)
    todo = iter(enumerate(items))

    async def work() -> None:
        for index, item in todo:
            results[index] = await fn(item)

    await asyncio.gather(*[work() for _ in range(bound)])
    return results


@contextmanager
def thread_that_answers_a_loop() -> Iterator[Callable[..., asyncio.Future[Any]]]:
    """A call must cross to a thread and its result back; the loop is woken once for many."""
    queue: SimpleQueue[Any] = SimpleQueue()
    answers: deque[tuple[asyncio.Future[Any], Any]] = deque()
    woken = False  # a delivery is on its way; cleared before it looks, so no answer is left

    def work() -> None:
        nonlocal woken
        while call := queue.get():
            loop, future, fn, args = call
            answers.append((future, fn(*args)))
            if not woken:
                woken = True
                loop.call_soon_threadsafe(deliver)

    def deliver() -> None:
        nonlocal woken
        woken = False
        while answers:
            settle(*answers.popleft())

    def submit(fn: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        queue.put((loop, future, fn, args))
        return future

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield submit
    finally:
        queue.put(None)
        thread.join()


def settle(future: asyncio.Future[Any], value: object) -> None:
    """Set a result, unless its coroutine was cancelled."""
    if not future.done():
        future.set_result(value)


def expect(values: object, expected: object) -> None:
    """A contender that is fast and wrong does not count."""
    if values != expected:
        raise AssertionError(f"wrong results: {str(values)[:80]} instead of {str(expected)[:80]}")
