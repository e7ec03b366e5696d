"""unifexec: one typed `Executor` over serial code, threads, processes and asyncio.

Change one word, and nothing else changes::

    with create_executor("thread") as executor:  # or "process", "async", "serial"
        print(list(executor.map(fetch, urls)))

The names below are reached lazily: importing the package loads nothing heavy and starts
nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from unifexec._backends.aio import AsyncExecutor as AsyncExecutor
    from unifexec._backends.create import create_executor as create_executor
    from unifexec._backends.process import ProcessExecutor as ProcessExecutor
    from unifexec._backends.serial import SerialExecutor as SerialExecutor
    from unifexec._backends.thread import ThreadExecutor as ThreadExecutor
    from unifexec._core.outcome import Failure as Failure
    from unifexec._core.outcome import Success as Success
    from unifexec._core.results import Results as Results
    from unifexec._core.task import Task as Task
    from unifexec._running import current_task as current_task
    from unifexec.abc import Executor as Executor
    from unifexec.abc import Outcome as Outcome
    from unifexec.abc import Traits as Traits
    from unifexec.errors import DeadlockError as DeadlockError
    from unifexec.errors import ExecutorClosedError as ExecutorClosedError
    from unifexec.errors import InitializerError as InitializerError
    from unifexec.errors import RemoteError as RemoteError
    from unifexec.errors import SerializationError as SerializationError
    from unifexec.errors import TaskCancelledError as TaskCancelledError
    from unifexec.errors import TimeLimitError as TimeLimitError
    from unifexec.errors import UnifexecError as UnifexecError
    from unifexec.errors import WaitTimeoutError as WaitTimeoutError
    from unifexec.errors import WorkerLostError as WorkerLostError

__version__ = "0.1.0"

_HOMES = {
    "AsyncExecutor": "_backends.aio",
    "DeadlockError": "errors",
    "Executor": "abc",
    "ExecutorClosedError": "errors",
    "Failure": "_core.outcome",
    "InitializerError": "errors",
    "Outcome": "abc",
    "ProcessExecutor": "_backends.process",
    "RemoteError": "errors",
    "Results": "_core.results",
    "SerialExecutor": "_backends.serial",
    "SerializationError": "errors",
    "Success": "_core.outcome",
    "Task": "_core.task",
    "TaskCancelledError": "errors",
    "ThreadExecutor": "_backends.thread",
    "TimeLimitError": "errors",
    "Traits": "abc",
    "UnifexecError": "errors",
    "WaitTimeoutError": "errors",
    "WorkerLostError": "errors",
    "create_executor": "_backends.create",
    "current_task": "_running",
}

__all__ = [
    "AsyncExecutor",
    "DeadlockError",
    "Executor",
    "ExecutorClosedError",
    "Failure",
    "InitializerError",
    "Outcome",
    "ProcessExecutor",
    "RemoteError",
    "Results",
    "SerialExecutor",
    "SerializationError",
    "Success",
    "Task",
    "TaskCancelledError",
    "ThreadExecutor",
    "TimeLimitError",
    "Traits",
    "UnifexecError",
    "WaitTimeoutError",
    "WorkerLostError",
    "create_executor",
    "current_task",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
