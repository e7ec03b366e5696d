"""Errors, sorted by who is at fault: your call, your task, the worker.

Your call
    Bad arguments raise the built-in ``TypeError`` or ``ValueError`` at the call;
    using a closed executor raises `ExecutorClosedError`; waiting where waiting can
    never end raises `DeadlockError`; giving up waiting raises `WaitTimeoutError`.
Your task
    Its own exception arrives untouched. A task that was stopped fails with
    `TaskCancelledError` or `TimeLimitError`; a value that cannot travel between
    processes fails with `SerializationError`, an exception that cannot, with
    `RemoteError`.
The worker
    It died while it ran your task (`WorkerLostError`), or could not be set up
    (`InitializerError`).
"""

from concurrent.futures import BrokenExecutor, CancelledError

__all__ = [
    "DeadlockError",
    "ExecutorClosedError",
    "InitializerError",
    "RemoteError",
    "SerializationError",
    "TaskCancelledError",
    "TimeLimitError",
    "UnifexecError",
    "WaitTimeoutError",
    "WorkerLostError",
]


class UnifexecError(Exception):
    """Base class of the errors that unifexec itself raises.

    But for bad arguments: those raise the built-in ``TypeError`` or ``ValueError``.
    """


class ExecutorClosedError(UnifexecError, RuntimeError):
    """The executor was shut down (or belongs to another process after a fork).

    Raised by every verb of a closed executor. It is a ``RuntimeError``, as
    ``concurrent.futures`` raises there.
    """


class DeadlockError(UnifexecError, RuntimeError):
    """Waiting here would never end: this thread must itself run the awaited task.

    Raised at once by ``result()`` or a ``for`` loop in the thread of an event loop that
    has to run the task. Use ``await`` or ``async for`` there.
    """


class WaitTimeoutError(UnifexecError, TimeoutError):
    """*Your wait* ended; the task goes on.

    Raised by ``result(timeout=)``, ``exception(timeout=)``, ``shutdown(timeout=)`` and by the
    iteration of ``map(timeout=)``. Its siblings: `TimeLimitError` (the task ran too long), and a
    ``TimeoutError`` that the task itself raised.
    """


class TaskCancelledError(UnifexecError, CancelledError):
    """The task was cancelled before it started, or stopped by ``abort`` while it ran.

    It is a ``concurrent.futures.CancelledError`` and, unlike ``asyncio.CancelledError``,
    an ordinary ``Exception``: no task group swallows it.
    """


class TimeLimitError(UnifexecError, TimeoutError):
    """The task ran longer than ``with_options(time_limit=)`` allows.

    It is stopped where that is possible.
    """


class SerializationError(UnifexecError, TypeError):
    """A function, argument or result cannot travel between processes.

    The message names the object and the path of attributes that leads to it.
    """


class RemoteError(UnifexecError):
    """The task failed, but its exception cannot be rebuilt here.

    The message carries the type and text of the original; its traceback, as written by
    the worker, hangs below as the cause.
    """


class WorkerLostError(UnifexecError, BrokenExecutor):
    """The worker that ran this task died: the task may have run, wholly or in part.

    A lost task is neither a success nor a failure of its own. Where running twice is
    safe, ``with_options(rerun_lost=n)`` runs it again.

    Attributes:
        pid: process id of the worker, or None where workers are not processes.
        exitcode: its exit status; negative is the number of the signal that ended it;
            None if unknown.
    """

    pid: "int | None" = None
    exitcode: "int | None" = None


class InitializerError(UnifexecError, BrokenExecutor):
    """No worker could be set up for the task; why is the cause.

    The executor's ``initializer`` failed, or its own event loop could not be made: waiting tasks
    fail with it, and so does every later ``submit``. Or no worker could be started, for lack of
    descriptors, memory or threads: the tasks that wait fail, if no other worker is there, and
    later ones try again.
    """
