"""Coroutines on event loops: jobs, and a lasting loop on a thread of its own.

Used wherever a task turns out to be a coroutine: by threads, by worker processes, by the
serial executor, and by `AsyncExecutor`, whose tasks live on such a loop. All through anyio,
so that asyncio and trio behave alike.
"""

from __future__ import annotations

import sys
from _queue import SimpleQueue
from threading import Thread

import anyio

from unifexec._running import Interrupted, current, presentable
from unifexec._wait import LoopEvent
from unifexec.errors import TaskCancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context
    from typing import Any

    from anyio.abc import TaskGroup

    from unifexec._running import CurrentTask


class Job:
    """One coroutine on one loop, in a loop task and a context of its own.

    ``done(succeeded, value or exception)`` is called on the loop, once.
    """

    def __init__(
        self,
        task: CurrentTask | None,
        make: Callable[[], Awaitable[Any]],
        done: Callable[[bool, Any], object],
    ) -> None:
        self.task = task
        self._make = make
        self._done = done
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    def start(self, group: TaskGroup, context: Context) -> None:
        """Start it; in a task of the loop. The job's own task copies ``context``."""
        _name_the_loop(context)
        context.run(group.start_soon, self._run)

    def stop(self) -> None:
        """Cancel the coroutine; on the loop's thread."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def _run(self) -> None:
        succeeded, value = False, None
        try:
            with anyio.CancelScope() as scope:
                self._scope = scope
                if self._stopped:
                    scope.cancel()
                succeeded, value = await self._outcome()
        except BaseException as stray:  # a cancellation that is not ours
            self._done(False, self._not_ours(stray))
            if type(stray).__module__.partition(".")[0] == "trio":
                raise  # it belongs to a scope around us, which waits for it
            return  # asyncio's would take the whole group with it
        if scope.cancelled_caught:
            succeeded, value = False, Interrupted()
        self._done(succeeded, value)

    async def _outcome(self) -> tuple[bool, Any]:
        if self.task is not None:
            current.set(self.task)
        try:
            return True, await self._make()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # whatever it is, no loop of ours dies of it (L13)
            return False, presentable(error)

    def _not_ours(self, stray: BaseException) -> BaseException:
        if self._stopped:
            return Interrupted()
        error = TaskCancelledError("the task was cancelled by its own event loop")
        error.__cause__ = stray
        return error


class Loop:
    """One lasting event loop on a daemon thread, that runs coroutines until it is closed.

    Its main task starts the jobs (anyio needs a task for that) and stops them.
    """

    def __init__(self, backend: str, name: str) -> None:
        self._requests: SimpleQueue[Callable[[TaskGroup], object]] = SimpleQueue()
        self._ending = False
        ready: SimpleQueue[Any] = SimpleQueue()
        self._thread = Thread(target=self._serve, args=(backend, ready), name=name, daemon=True)
        self._thread.start()
        bell = ready.get()
        if isinstance(bell, BaseException):
            raise bell
        self._bell: LoopEvent = bell

    def _serve(self, backend: str, ready: SimpleQueue[Any]) -> None:
        try:
            anyio.run(self._main, ready, backend=backend)
        except BaseException as error:  # above all: the backend is not installed
            ready.put(error)

    async def _main(self, ready: SimpleQueue[Any]) -> None:
        bell = LoopEvent()
        async with anyio.create_task_group() as group:
            ready.put(bell)
            while not self._ending:
                await bell.wait()
                while not self._requests.empty():
                    self._requests.get()(group)
            group.cancel_scope.cancel()

    def _request(self, what: Callable[[TaskGroup], object]) -> None:
        self._requests.put(what)
        self._bell.set()

    def start(self, job: Job, context: Context) -> None:
        """Start a job; from any thread."""
        self._request(lambda group: job.start(group, context))

    def stop(self, job: Job) -> None:
        """Stop a job; from any thread."""
        self._request(lambda group: job.stop())

    def run(
        self,
        task: CurrentTask | None,
        awaitable: Awaitable[Any],
        context: Context,
        started: Callable[[Job], object] = lambda job: None,
    ) -> Any:
        """Run an awaitable to its end, blocking this thread; return or raise its outcome."""
        answer: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

        async def wait_for_it() -> Any:
            return await awaitable

        job = Job(task, wait_for_it, lambda succeeded, value: answer.put((succeeded, value)))
        self.start(job, context)
        started(job)
        try:
            succeeded, value = answer.get()
        except BaseException:  # Ctrl-C, or a signal that stops the task
            self.stop(job)
            raise
        if succeeded:
            return value
        raise value

    def close(self) -> None:
        """End the loop, cancelling what still runs on it, and wait for its thread."""
        self._ending = True
        self._bell.set()
        self._thread.join()


def run_here(backend: str, awaitable: Awaitable[Any]) -> Any:
    """Run an awaitable on a loop of its own, in this thread."""

    async def wait_for_it() -> Any:
        return await awaitable

    return anyio.run(wait_for_it, backend=backend)


def _name_the_loop(context: Context) -> None:
    """Make a context that came from elsewhere tell the truth about where it runs.

    anyio notes the running library in a context variable, which travels with the caller's
    context: from a trio program to a loop of asyncio, say.
    """
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        here = sniffio.current_async_library()
        context.run(sniffio.current_async_library_cvar.set, here)
