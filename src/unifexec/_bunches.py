"""What a worker process is given to run, and the values it has not sent: see `_worker`.

Functions and arguments as they come, many items as one *bunch*, and the memory that the worker
shares with its parent. A worker loads it to begin with: of the package, `_pickling` and `_running`.
"""

from __future__ import annotations

import marshal
import pickle
import struct
from functools import partial
from io import BytesIO
from time import perf_counter

from unifexec import _pickling
from unifexec._running import claims, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from unifexec._segments import Inbox

ITEM_HEAD = struct.Struct("!QI??")  # in front of ITEM: work, index, limited, one argument
COUNT = struct.Struct("!I")
MARK = struct.Struct("=Q")
SCRATCH = struct.Struct("=QQQQ")  # shared memory: the mark, then whose values lie behind it
END = 3  # the word that tells where the values end
SCRATCH_SIZE = 1 << 15  # bytes of shared memory: the words, and the values
OFFSET_BITS = 20  # of a mark: batches hold fewer items than this can count
NO_ROOM = b"cunifexec._bunches\nno_room\n(tR."  # a pickle that calls `no_room`


def no_room() -> None:
    """Instead of function or arguments for which this process has no memory."""
    raise MemoryError("this process has no room for them")


def mark_of(run: int, offset: int) -> int:
    """What a worker writes into shared memory before it touches an item."""
    return run << OFFSET_BITS | offset + 1


class Work:
    """A function, as it came from `process.Work`: rebuilt once if lasting, else for every task."""

    __slots__ = ("context", "data", "fn", "lasting", "name")

    def __init__(self, name: str, lasting: bool, data: bytes, context: bytes | None) -> None:
        self.name = name
        self.lasting = lasting
        self.data = data
        self.context = context
        self.fn: Callable[..., Any] | None = None

    def load(self) -> Callable[..., Any]:
        """The function."""
        if self.fn is not None:
            return self.fn
        fn: Callable[..., Any] = pickle.loads(self.data)
        if self.lasting:
            self.fn = fn
        return fn


class Bunch:
    """Items of a map that came together, and the values of those that are done and not sent.

    Or single tasks: then each has a function of its own, and is timed by itself.

    The main thread runs them; the control thread takes back those that have not started, and
    sends what is done when it does. Values are appended by the one, and sent under a lock.
    """

    def __init__(
        self, run: int, work: Work, index: int, items: list[Any], one_pickle: bool, unary: bool
    ) -> None:
        self.run = run
        self.index = index
        self._work = work
        self.one_pickle = one_pickle  # items are arguments as they are, else bytes
        self.unary = unary  # items are the one argument of a call
        self.todo: Iterator[Any] = claims(items)
        self.offset = 0  # the item that runs
        self.values: list[Any] = []  # since the last that was not a plain success
        self.first = 0  # the offset of the first of them
        self.sent = 0  # so many of them were sent
        self.seconds: list[float] | None = None  # of single tasks, as `values`
        self.since = perf_counter()

    def __len__(self) -> int:
        """Items before the one that runs; see `CurrentRun`."""
        return self.offset

    def at(self, offset: int) -> tuple[Work, int]:
        """What names an item, and its index."""
        return self._work, self.index + offset

    def call(self) -> Callable[[Any], Any]:
        """What runs one item."""
        fn = self._work.fn
        if fn is None or self._work.context is not None:
            return partial(load_and_call, self._work, unary=self.unary)
        if self.one_pickle:
            return fn if self.unary else partial(_spread, fn)
        return partial(_load_argument if self.unary else _load_arguments, fn, self._work.name)

    def begin(self) -> None:
        """All values before this item were sent, or given otherwise."""
        self.values, self.first, self.sent = [], self.offset, 0
        self.since = perf_counter()

    def waited(self, seconds: float) -> None:
        """The item that runs turned out to be a coroutine, which took so long."""

    def seconds_of_last(self) -> float:
        """How long the item took that is over now, about."""
        return (perf_counter() - self.since) / (self.offset + 1 - self.first - self.sent)


class TaskBunch(Bunch):
    """Single tasks that came together."""

    seconds: list[float]

    def __init__(self, run: int, works: list[Work], items: list[Any]) -> None:
        super().__init__(run, works[0], 0, list(zip(works, items, strict=True)), False, False)
        self._works = works
        self.seconds = []

    def at(self, offset: int) -> tuple[Work, int]:
        """Each has its own."""
        return self._works[offset], 0

    def call(self) -> Callable[[Any], Any]:
        """What runs one, and times it."""
        return self._call

    def _call(self, item: tuple[Work, Any]) -> Any:
        began = perf_counter()
        try:
            return load_and_call(*item)
        finally:
            self.seconds.append(perf_counter() - began)

    def begin(self) -> None:
        """All values before this task were sent, or given otherwise."""
        super().begin()
        self.seconds = []

    def waited(self, seconds: float) -> None:
        """The task that runs turned out to be a coroutine, which took so long."""
        self.seconds[-1] += seconds

    def seconds_of_last(self) -> float:
        """How long the task took that is over now."""
        return self.seconds[-1] if self.seconds else 0.0


class NoRoomError(Exception):
    """A value is too large for the room that is left in shared memory."""

    def __init__(self, value: Any) -> None:
        self.value = value


class UnsendableError(Exception):
    """A value that cannot be serialised; the text says why."""


class Scratch:
    """The memory that a worker shares with its parent: what it is at, and what it did last.

    The words: the mark; then run, offset of the first value, and end of the values that lie
    behind them. So values that were not sent yet survive the worker (L22). A value is written
    before the end is, and the end before the mark of the next item.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.words = memoryview(memory)[: SCRATCH.size].cast("Q")
        self.words[END] = SCRATCH.size

    def set_mark(self, value: int) -> None:
        """Say what the worker is at."""
        self.words[0] = value

    def leave(self) -> None:
        """In a process that a task forked: whoever writes here now fails."""
        self.words.release()
        self.memory.close()

    def begin(self, run: int, first: int) -> None:
        """Forget the values: all of them were sent."""
        self.words[END] = SCRATCH.size
        self.words[1], self.words[2] = run, first


class Pickled:
    """A value that is no atom, as it will travel."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def kept(memory: mmap.mmap) -> tuple[int, int, list[Any]]:
    """In the parent, of a worker that died: run, offset of the first value, and the values."""
    _, run, first, end = SCRATCH.unpack_from(memory, 0)
    values: list[Any] = []
    if end > SCRATCH.size:
        file = BytesIO(memory[SCRATCH.size : end])
        while file.tell() < end - SCRATCH.size:
            value = marshal.load(file)
            values.append(Pickled(value[0]) if type(value) is tuple else value)
    return run, first, values


def _spread(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return fn(*args)


class LargeCall:
    """Arguments in shared memory."""

    __slots__ = ("_inbox", "_payload")

    def __init__(self, inbox: Inbox, payload: bytes) -> None:
        self._inbox = inbox
        self._payload = payload

    def load(self) -> Any:
        """The arguments, with copies of their own of all large buffers."""
        return self._inbox.loads(memoryview(self._payload)[ITEM_HEAD.size :])


def _load_argument(fn: Callable[..., Any], name: str, item: memoryview) -> Any:
    try:
        argument = pickle.loads(item)
    except Exception as error:
        raise _cannot_rebuild("arguments", name, error) from error
    return fn(argument)


def _load_arguments(fn: Callable[..., Any], name: str, item: memoryview) -> Any:
    try:
        args, kwargs = pickle.loads(item)
    except Exception as error:
        raise _cannot_rebuild("arguments", name, error) from error
    return fn(*args, **kwargs)


def load_and_call(work: Work, item: Any, unary: bool = False) -> Any:
    """Rebuild function and arguments, inside the task: what fails here is the task's."""
    try:
        fn = work.load()
        if work.context is not None:
            for variable, value in pickle.loads(work.context):
                variable.set(value)
        if type(item) is LargeCall:
            value = item.load()
        elif isinstance(item, (memoryview, bytes)):
            value = pickle.loads(item)
        else:
            value = item if unary else (item, {})
        args, kwargs = ((value,), {}) if unary else value
    except Exception as error:
        raise _cannot_rebuild("function or arguments", work.name, error) from error
    return fn(*args, **kwargs)


def _cannot_rebuild(what: str, name: str, error: Exception) -> BaseException:
    from unifexec.errors import SerializationError

    text = f"{what} of {name!r} cannot be rebuilt in the worker: {shown(error)}"
    return SerializationError(text)


def loads_simple(payload: Any) -> Any:
    """Plain values, written by our own parent."""
    return pickle.loads(payload)


def joined(parts: Iterable[bytes]) -> bytes:
    """Several pickles as one message."""
    parts = list(parts)
    count = len(parts)
    lengths = struct.pack(f"!I{count}Q", count, *map(len, parts))
    return b"".join((lengths, *parts))


def split(data: memoryview) -> list[memoryview]:
    """What was `joined`."""
    (count,) = COUNT.unpack_from(data)
    lengths = struct.unpack_from(f"!{count}Q", data, COUNT.size)
    end = COUNT.size + 8 * count
    return [data[end : (end := end + length)] for length in lengths]


def data_of(value: Any) -> bytes:
    """A value of a bunch as bytes."""
    return value.data if type(value) is Pickled else _pickling.dumps(value)


def note_of(work: Work, index: int) -> str:
    """Where an exception comes from: a note on it, in the parent."""
    return f"raised in a worker process by task {work.name!r} (item {index})"
