"""Lanes: daemon threads that run one piece of work at a time, and the tasks in them.

Daemons, since Ctrl-C must end the program even when a plain function cannot be stopped; the
normal end of the program waits for them through `ending`.
"""

from __future__ import annotations

import threading
from _queue import SimpleQueue

from unifexec._running import CurrentTask, current, run_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context
    from typing import Any

    from unifexec._loops import Errand, Loop


class Lane:
    """A daemon thread with an inbox; it ends when told to."""

    def __init__(self, name: str, async_backend: str) -> None:
        self._async_backend = async_backend
        self._inbox: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._loop: Loop | None = None
        self._job: Errand | None = None
        self._running: CurrentTask | None = None
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.start()

    def put(self, work: Callable[[], object]) -> None:
        """Run ``work`` after what was put before."""
        self._inbox.put(work)

    def wake(self, serve: Callable[[], object]) -> None:
        """Have a lane that waits for work serve, unless it has something to do, and serves then.

        Either it takes that after our look, and serves after what we came for; or we see that
        it took it, and put.
        """
        if self._inbox.empty():
            self._inbox.put(serve)

    def end(self) -> None:
        """End the thread after what was put before."""
        self._inbox.put(None)

    def _serve(self) -> None:
        while (work := self._inbox.get()) is not None:
            work()
            del work  # or an idle lane would keep the last task alive
        if self._loop is not None:
            self._loop.close()

    # -- on the lane's thread --

    def run(
        self,
        task: CurrentTask,
        context: Context,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[bool, Any, float]:
        """Run one task; what it returns is awaited, if it can be, on the lane's loop."""

        def wait(awaitable: Awaitable[Any], context: Context) -> Any:
            return self.await_value(task, awaitable, context)

        return run_task(task, context, fn, args, kwargs, wait)

    def await_value(self, task: CurrentTask, awaitable: Awaitable[Any], context: Context) -> Any:
        """Await what a task returned."""
        self._running = task
        context.run(current.set, task)
        try:
            return self._await(awaitable, context)
        finally:
            self._running = self._job = None

    def _await(self, awaitable: Awaitable[Any], context: Context) -> Any:
        if self._loop is None:
            from unifexec._loops import Loop, run_here

            try:
                self._loop = Loop(self._async_backend, self.thread.name + "-loop")
            except RuntimeError:  # no new threads: the interpreter is shutting down
                return run_here(self._async_backend, awaitable)
        return self._loop.run(self._running, awaitable, context, self._job_started)

    def _job_started(self, job: Errand) -> None:
        self._job = job
        if self._running is not None and self._running.stop_requested:
            self.stop(self._running)  # it was told to stop before it came to await

    # -- from any thread --

    def stop(self, task: CurrentTask) -> bool:
        """Ask a task to stop; True if it is a coroutine, which then really does."""
        task.stop_requested = True
        job, loop = self._job, self._loop
        if job is None or loop is None or job.task is not task:
            return False
        loop.stop(job)
        return True

    def stoppable(self) -> bool:
        """Whether the running task is a coroutine."""
        return self._job is not None
