"""`share`: a value that many tasks read, sent once to each worker instead of once per task.

These two give the same results::

    executor.map(partial(look_up, table), words)  # the table travels with the function
    with share(table) as shared:  # here it travels once per worker,
        list(executor.map(partial(find, shared), words))  # as ``shared.value`` in the task

On a serial, thread or async executor ``.value`` is the object itself, and nothing is copied.
"""

from __future__ import annotations

import threading
from weakref import WeakSet, WeakValueDictionary

from unifexec import _definitions, _pickling
from unifexec._running import this_worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, Self, TypeVar

    from unifexec._segments import Cargo, Inbox

    T = TypeVar("T")
else:
    from unifexec._core.outcome import Generic

    T = "T"

__all__ = ["Shared", "share"]


def share(value: T) -> Shared[T]:
    """Return a handle of a value that many tasks read.

    Give the handle to tasks of any executor, as an argument or in a closure; they read
    ``handle.value``. Use it as a context manager, or call `Shared.close`; a handle that is
    dropped is closed as well.

    In a process executor's tasks ``.value`` is a copy that each worker makes once, when the
    first task asks for it, and keeps until the handle is closed and all tasks that were given
    it are done. Large buffers (numpy arrays and all else that supports out-of-band pickling)
    lie in shared memory, once for all workers, and are **read-only** there.

    **Do not change the value** after this call, nor in a task. It is taken when the first
    task that has the handle is submitted to a process executor: what is changed before that is
    seen by all workers, what is changed after it by none; and tasks on threads see any change.

    Never blocks for long but for the pickling, which happens in that first submit. A value
    that cannot be serialised fails the tasks submitted to processes with
    `SerializationError`, and works everywhere else. Callable from any thread.

    .. versionadded:: 0.1
    """
    return Shared(value)


class Shared(Generic[T]):
    """A handle of a shared value; made by `share`."""

    __slots__ = (
        "__weakref__", "_cargo", "_home", "_lock", "_open", "_packing", "_source", "_value",
    )  # fmt: skip

    def __init__(self, value: T) -> None:
        self._value: Any = value
        self._open = True
        self._cargo: Cargo | None = None  # the value as bytes, once a process wanted it
        self._home: int | None = None  # in a worker: its number where it came from
        self._source: tuple[Inbox, bytes | memoryview] | None = None  # in a worker, until read
        self._lock = threading.RLock()  # held while the value is packed or unpacked
        self._packing = False

    @property
    def value(self) -> T:
        """The value. Raises ``RuntimeError`` once the handle is closed."""
        if not self._open:
            raise RuntimeError(_CLOSED)
        if self._source is not None:
            self._unpack()
        value: T = self._value
        return value

    def close(self) -> None:
        """Let go of the value; workers do when the last task that was given it is done.

        Twice is fine. Never blocks. On threads, tasks that read ``.value`` only after this
        call fail: close it when they are done.
        """
        self._open = False
        self._value = self._cargo = self._source = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._open:
            return "<Shared, closed>"
        if self._source is not None:
            return "<Shared, not read yet>"
        return f"<Shared {type(self._value).__name__}>"

    # -- to another process --

    def __reduce__(self) -> Any:
        """By its number; who collects the handles sends the value itself (`collecting`)."""
        if _here.cargos is not None:
            cargo = self._pack()
            _here.cargos.append(cargo)
            return _arrived, (cargo.token,)
        if self._home is not None and _definitions.here.homeward:
            return _arrived, (self._home,)
        raise TypeError(
            "a shared handle travels only with the tasks of an executor (their function and "
            "arguments): anywhere else send its .value"
        )

    def _pack(self) -> Cargo:
        """The value as bytes: taken once, at the first call."""
        with self._lock:
            value = self.value
            if self._cargo is not None:
                return self._cargo
            if self._packing:  # by this thread, which holds the lock
                raise TypeError("a shared value cannot hold its own handle")
            self._packing = True
            try:
                cargo = _packed(value)
            finally:
                self._packing = False
            if self._open:  # else it was closed meanwhile, and keeps nothing
                self._cargo = cargo
                _handles[cargo.token] = self
            return cargo

    def _unpack(self) -> None:
        """In a worker, at the first use."""
        import pickle

        with self._lock:
            if self._source is None:
                return
            inbox, data = self._source
            stream, buffers = inbox.open(data)
            self._value = pickle.loads(stream, buffers=[each.toreadonly() for each in buffers])
            self._source = None


_CLOSED = (
    "this shared handle is closed: close it (or leave its `with`) only when the tasks that read "
    "its .value are done, or share() the value anew"
)
_handles: WeakValueDictionary[int, Shared[Any]] = WeakValueDictionary()


def _packed(value: Any) -> Cargo:
    from unifexec._segments import Cargo, load_sealed
    from unifexec.errors import SerializationError

    try:
        parts = _pickling.dumps_apart(_pickling.bytes_apart(value))
    except Exception as error:
        raise SerializationError(_pickling.explain("the shared value", value, error)) from error
    large = sum(map(len, parts)) >= _pickling.LARGE
    cargo = Cargo(parts, load_sealed if large else None)
    cargo.rooms = WeakSet()
    return cargo


# -- which handles a call has --


class _Here(threading.local):
    cargos: list[Cargo] | None = None


_here = _Here()


class collecting:  # noqa: N801  (it reads as a verb, as `contextlib.suppress` does)
    """While a call is pickled: gives the list of what its handles need to have sent."""

    def __enter__(self) -> list[Cargo]:
        self._before = _here.cargos
        _here.cargos = []
        return _here.cargos

    def __exit__(self, *exc_info: object) -> None:
        _here.cargos = self._before


def dumps_homeward(value: Any) -> list[Any]:
    """In a worker: a result, which may hold handles and classes that came with its task."""
    here = _definitions.here
    before, here.homeward = here.homeward, True
    try:
        return _pickling.dumps_apart(_pickling.bytes_apart(value))
    finally:
        here.homeward = before


def _arrived(token: int) -> Shared[Any]:
    """The handle of that number in this process."""
    handle = _handles.get(token)
    if handle is not None:
        return handle
    worker = this_worker()
    if worker is None or token not in worker.shared:
        raise LookupError("the shared value is not in this process: its handle was closed")
    handle = Shared(None)
    handle._home = token
    handle._source = worker.inbox, worker.shared[token]
    _kept[token] = _handles[token] = handle
    return handle


def dropped(token: int) -> None:
    """In a worker: nobody needs it any more, where it came from."""
    handle = _kept.pop(token, None)
    if handle is not None:
        handle.close()


_kept: dict[int, Shared[Any]] = {}  # in a worker: those received
