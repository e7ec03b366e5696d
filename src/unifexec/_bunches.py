"""What a worker process is given to run, and the values it has not sent: see `_worker`.

Functions and arguments as they come, many items as one *bunch*, and the memory that the worker
shares with its parent. A worker loads it to begin with, and what it imports.
"""

from __future__ import annotations

import pickle
import struct
from functools import partial
from time import perf_counter

from unifexec import _records
from unifexec._running import claims, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from unifexec._segments import Inbox

ITEM_HEAD = struct.Struct("!QI??")  # in front of ITEM: work, index, limited, one argument
COUNT = struct.Struct("!I")
SCRATCH = struct.Struct("=QQQQ")  # shared memory: the mark, then whose values lie behind it
COUNT_WORD = 3  # the word that tells how many there are
SCRATCH_SIZE = 1 << 16  # bytes of shared memory: the words, and the values
IN_BUNCH = (1 << 63) + 1  # the mark of a worker that is at the item behind its last value
OFFSET_BITS = 20  # of a mark: batches hold fewer items than this can count
NO_ROOM = b"\x80\x02cunifexec._bunches\nno_room\n(tR."  # a pickle that calls `no_room`


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
    """Items of a map that came together, and how far they are.

    The main thread runs them, and keeps their values in memory that the parent shares
    (`Scratch`); the control thread takes back those that have not started, and sends what is
    done when it does.
    """

    width = 1  # values that each item leaves there

    def __init__(
        self, run: int, work: Work, index: int, items: list[Any], flat: bool, unary: bool
    ) -> None:
        self.run = run
        self.index = index
        self._work = work
        self.flat = flat  # items are arguments as they are, else bytes
        self.unary = unary  # items are the one argument of a call
        self.todo: Iterator[Any] = claims(items)
        self.first = 0  # the offset of the first of which a value is kept
        self.sent = 0  # so many of those kept were sent
        self.pickles = False  # there may be a pickle among them
        self.words: memoryview | None = None  # of the `Scratch`, while it runs
        self.since = perf_counter()

    @property
    def kept(self) -> int:
        """Items whose values are kept."""
        words = self.words
        return 0 if words is None else words[COUNT_WORD]

    @property
    def offset(self) -> int:
        """The item that runs."""
        return self.first + self.kept

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
        if self.flat:
            return fn if self.unary else partial(_spread, fn)
        return partial(_load_argument if self.unary else _load_arguments, fn, self._work.name)

    def begin(self, first: int) -> None:
        """All values before this item were sent, or given otherwise."""
        self.first, self.sent, self.pickles = first, 0, False
        self.since = perf_counter()

    def waited(self, seconds: float) -> None:
        """The item that runs turned out to be a coroutine, which took so long."""

    def seconds_of_last(self) -> float:
        """How long the item took that is over now, about."""
        return (perf_counter() - self.since) / (self.kept + 1 - self.sent)


class TaskBunch(Bunch):
    """Single tasks that came together: each has a function of its own, and is timed by itself."""

    width = 2  # its value, and the seconds that it took

    def __init__(self, run: int, works: list[Work], items: list[Any]) -> None:
        super().__init__(run, works[0], 0, list(zip(works, items, strict=True)), False, False)
        self._works = works
        self.seconds = 0.0  # of the last

    def at(self, offset: int) -> tuple[Work, int]:
        """Each has its own."""
        return self._works[min(offset, len(self._works) - 1)], 0  # a thread of the last may ask

    def call(self) -> Callable[[Any], Any]:
        """What runs one, and times it."""
        return self._call

    def _call(self, item: tuple[Work, Any]) -> Any:
        began = perf_counter()
        try:
            return load_and_call(*item)
        finally:
            self.seconds = perf_counter() - began

    def waited(self, seconds: float) -> None:
        """The task that runs turned out to be a coroutine, which took so long."""
        self.seconds += seconds

    def seconds_of_last(self) -> float:
        """How long the task took that is over now."""
        return self.seconds


class NoRoomError(Exception):
    """A value is too large for the room that is left in shared memory: it goes by itself."""

    def __init__(self, packed: Any) -> None:
        self.packed = packed  # bytes, or a cargo


class UnsendableError(Exception):
    """A value that cannot be serialised; the text says why."""


class Scratch:
    """The memory that a worker shares with its parent: what it is at, and what it did last.

    The words: the mark; then run, offset of the first value, and number of the items whose
    values lie behind them (`_records`). So values that were not sent yet survive the worker
    (L22), and a block that is sent is what lies there. A value is written before it is
    counted; and counting it says that the next item is taken up.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.words = memoryview(memory)[: SCRATCH.size].cast("Q")
        self.memory.seek(SCRATCH.size)

    def set_mark(self, value: int) -> None:
        """Say what the worker is at."""
        self.words[0] = value

    def leave(self) -> None:
        """In a process that a task forked: who is at work here now fails, and others see a copy."""
        words, self.words = self.words, memoryview(bytearray(self.words)).cast("Q")
        words.release()
        self.memory.close()

    def begin(self, run: int, first: int) -> None:
        """Forget the values: all of them were sent."""
        self.words[COUNT_WORD] = 0
        self.words[1], self.words[2] = run, first
        self.memory.seek(SCRATCH.size)

    def values(self) -> bytes:
        """Those that are counted; and one perhaps that is not counted yet."""
        return self.memory[SCRATCH.size : self.memory.tell()]


def mark_in(memory: mmap.mmap) -> int:
    """In the parent: what a worker is at; true when it is dead or stopped."""
    mark, run, first, count = SCRATCH.unpack_from(memory, 0)
    return mark_of(run, first + count) if mark == IN_BUNCH else mark


def kept_in(memory: mmap.mmap) -> tuple[int, int, int]:
    """In the parent, of a worker that died: run, offset of the first value, how many there are."""
    _, run, first, count = SCRATCH.unpack_from(memory, 0)
    return run, first, count


def values_in(memory: mmap.mmap, count: int) -> list[Any]:
    """So many of the values that are kept there."""
    values: list[Any] = _records.loads(_records.listed(count, memory[SCRATCH.size :]))
    return values


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
        argument = _records.loads(item)
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
            value = _records.loads(item)
        else:
            value = item if unary else (item, {})
        args, kwargs = ((value,), {}) if unary else value
    except Exception as error:
        raise _cannot_rebuild("function or arguments", work.name, error) from error
    return fn(*args, **kwargs)


def _cannot_rebuild(what: str, name: str, error: Exception) -> BaseException:
    from unifexec.errors import SerializationError

    text = f"{what} of {name!r} cannot be rebuilt in the worker: {shown(error)}"
    if isinstance(error, ModuleNotFoundError):
        text += (
            "; workers look for modules in sys.path as it was when they started: add the directory "
            "before the first task, or set PYTHONPATH, or define in the script what shall travel"
        )
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


def note_of(work: Work, index: int) -> str:
    """Where an exception comes from: a note on it, in the parent."""
    return f"raised in a worker process by task {work.name!r} (item {index})"
