"""`create_executor`: an executor by one word; and executors that travelled to a process."""

from __future__ import annotations

from collections import deque
from importlib import import_module
from weakref import WeakValueDictionary

from unifexec._running import this_worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, overload

    from unifexec._backends.aio import AsyncExecutor
    from unifexec._backends.executor import LocalExecutor
    from unifexec._backends.process import ProcessExecutor
    from unifexec._backends.serial import SerialExecutor
    from unifexec._backends.thread import ThreadExecutor

KINDS = {
    "serial": ("serial", "SerialExecutor"),
    "thread": ("thread", "ThreadExecutor"),
    "process": ("process", "ProcessExecutor"),
    "async": ("aio", "AsyncExecutor"),
}

if TYPE_CHECKING:

    @overload
    def create_executor(kind: Literal["serial"], **options: Any) -> SerialExecutor: ...
    @overload
    def create_executor(kind: Literal["thread"], **options: Any) -> ThreadExecutor: ...
    @overload
    def create_executor(kind: Literal["process"], **options: Any) -> ProcessExecutor: ...
    @overload
    def create_executor(kind: Literal["async"], **options: Any) -> AsyncExecutor: ...
    @overload
    def create_executor(kind: str, **options: Any) -> LocalExecutor: ...


def create_executor(kind: str, **options: Any) -> Any:
    """Make an executor by one word; equivalent to calling its class.

    These two are equivalent::

        create_executor("thread", max_workers=4)
        ThreadExecutor(max_workers=4)

    Arguments:
        kind: ``"serial"``, ``"thread"``, ``"process"`` or ``"async"``.
        options: passed to the class; see there.

    Raises:
        ValueError: an unknown kind; the message lists the known ones.
        TypeError: an option that the class does not have.
    """
    if kind not in [*KINDS]:  # which also takes what cannot be hashed
        known = ", ".join(map(repr, KINDS))
        raise ValueError(f"unknown kind of executor {kind!r}: the known ones are {known}")
    module, name = KINDS[kind]
    made = getattr(import_module(f"unifexec._backends.{module}"), name)
    for option in options:
        if option not in made.__init__.__annotations__:
            raise TypeError(_unknown(kind, option, made))
    return made(**options)


_CURES = {
    **dict.fromkeys(("processes", "n_jobs", "workers", "max_threads"), "max_workers="),
    "mp_context": "start_method=",
    "backend": "async_backend=, or another kind",
    **dict.fromkeys(("time_limit", "name", "abort", "context", "rerun_lost"), "with_options()"),
}  # fmt: skip


def _unknown(kind: str, option: str, made: Any) -> str:
    """Says what options there are, and which of them is meant."""
    known = ", ".join(name for name in made.__init__.__annotations__ if name != "return")
    cure = f"; use {_CURES[option]}" if option in _CURES else ""
    return f"an executor of kind {kind!r} has no option {option!r}{cure}: its options are {known}"


_stand_ins: WeakValueDictionary[object, Any] = WeakValueDictionary()
_kept: deque[Any] = deque(maxlen=16)  # stand-ins that live on between tasks


def inherited(key: object, kind: str, max_workers: int, async_backend: str) -> Any:
    """The executor that stands, in another process, for one that was captured there (L18).

    One per process and original, however often it travels; back home it is the original, also
    when a task brings it. A process executor becomes threads on the one place of its worker, so
    that nested use never multiplies processes.
    """
    from unifexec._backends.executor import originals

    executor = originals.get(key) or _stand_ins.get(key)
    if executor is None:
        executor = _stand_ins.setdefault(key, _stand_in(kind, max_workers, async_backend))
        executor._key = key
        _kept.append(executor)
    return executor


def _stand_in(kind: str, max_workers: int, async_backend: str) -> Any:
    options: dict[str, Any] = {"max_workers": max_workers, "async_backend": async_backend}
    if kind != "process":
        return create_executor(kind, **options)
    executor = create_executor("thread", **options)
    worker = this_worker()
    if worker is not None:
        executor._room.gate = worker.gate
    return executor
