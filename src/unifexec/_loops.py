"""Coroutines on event loops: jobs, and a lasting loop on a thread of its own.

Used wherever a task turns out to be a coroutine: by threads, by worker processes, by the
serial executor, and by `AsyncExecutor`, whose tasks live on such a loop.
"""

from __future__ import annotations

import sys
from _queue import SimpleQueue
from threading import Thread

import anyio

from unifexec._running import Interrupted, current, presentable
from unifexec._wait import LoopEvent, running_trio
from unifexec.errors import TaskCancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable
    from contextvars import Context
    from types import TracebackType
    from typing import Any, Protocol, Self, TypeAlias

    from unifexec._running import CurrentTask

    class Answer(Protocol):
        """Where the outcome of one job goes."""

        def put(self, item: tuple[bool, Any], /) -> None:
            """On the loop, once."""

        def get(self) -> tuple[bool, Any]:
            """Wait for it."""
            ...


class Job:
    """One coroutine on one loop, in a loop task and a context of its own.

    Subclasses say what it runs (`begin`) and who is told (`ended`); both on the loop. They
    have the attributes below, and set them when they are made: None and False.
    """

    __slots__ = ()  # so that it mixes with other classes

    handle: Any  # what can be cancelled: asyncio's task, trio's cancel scope
    stop_requested: bool

    def context(self) -> Context:
        """Its own, for `start_all`."""
        raise NotImplementedError

    def begin(self) -> Awaitable[Any]:
        """Make what is to be awaited; in the job's own context."""
        raise NotImplementedError

    def ended(self, succeeded: bool, value: Any) -> None:
        """Called once, with the value or the exception."""
        raise NotImplementedError

    def stop(self) -> None:
        """Cancel the coroutine; on the loop's thread."""
        self.stop_requested = True  # type: ignore[misc]  # the slot is the subclass's
        if self.handle is not None:
            self.handle.cancel()

    def started(self, handle: Any) -> None:
        """It runs, and this is what can be cancelled."""
        self.handle = handle
        if self.stop_requested:
            handle.cancel()

    def failed(self, error: BaseException) -> None:
        """Whatever it raised, no loop of ours dies of it (L13)."""
        self.ended(False, presentable(error))

    def cancelled(self, stray: BaseException) -> None:
        """It ended by its loop's cancellation: by ours, or by one that is not."""
        if self.stop_requested:
            self.ended(False, Interrupted())
            return
        error = TaskCancelledError("the task was cancelled by its own event loop")
        error.__cause__ = stray
        self.ended(False, error)


class AsyncioJobs:
    """The jobs of one loop of asyncio: plain tasks of it, each for itself.

    anyio's task group and a cancel scope for each would cost ten times what a task does, and
    cancel again and again, also what a ``finally`` block awaits. A job is cancelled once, as
    any task of asyncio; what its coroutine has of time-outs, groups and scopes inside works as
    it does there.
    """

    def __init__(self) -> None:
        import asyncio

        self._asyncio = asyncio
        self._loop = asyncio.get_running_loop()
        self._running: dict[Job, Any] = {}  # and its task: the loop itself keeps none alive

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Wait for those that still run; if we leave by an exception, cancel them first."""
        cancelled: BaseException | None = None
        if error is not None:
            self.cancel()
        while self._running:
            try:
                await self._asyncio.wait(list(self._running.values()))
            except self._asyncio.CancelledError as again:
                cancelled = again
                self.cancel()
        if cancelled is not None and error is None:
            raise cancelled

    def cancel(self) -> None:
        """Cancel them all."""
        for job in self._running:
            job.stop()

    def give_up(self, job: Job) -> None:
        """It does not stop: nobody waits for it any more."""
        self._running.pop(job, None)

    if sys.version_info >= (3, 12):

        def start(self, job: Job, context: Context) -> None:
            """Start a job, at once: what never waits needs no turn of the loop."""
            task = self._asyncio.Task(
                self._run(job), loop=self._loop, context=context, eager_start=True
            )
            if not task.done():
                self._running[job] = job.handle = task
                if job.stop_requested:
                    task.cancel()

        def start_all(self, jobs: deque[Any]) -> None:
            """As `start`, for jobs in turn, with their contexts; and take them out.

            Written out: with every job of a long map a call less counts.
            """
            new, loop, run, running = self._asyncio.Task, self._loop, self._run, self._running
            while jobs:
                job = jobs.popleft()
                task = new(run(job), loop=loop, context=job.context(), eager_start=True)
                if not task.done():
                    running[job] = job.handle = task
                    if job.stop_requested:
                        task.cancel()

    else:

        def start_all(self, jobs: deque[Any]) -> None:
            """Start jobs in turn, with their contexts, and take them out."""
            _start_all(self, jobs)

        def start(self, job: Job, context: Context) -> None:
            """Start a job, with the loop's next turn."""
            task = self._loop.create_task(self._run_later(job), context=context)
            self._running[job] = task
            task.add_done_callback(lambda task: self._over(job))

        async def _run_later(self, job: Job) -> None:
            """We cancel it from its first step on, so that what we made is awaited."""
            job.started(self._running[job])
            await self._run(job)

        def _over(self, job: Job) -> None:
            """A task that others cancel before its first step never comes to say so."""
            if self._running.pop(job, None) is not None:
                job.cancelled(self._asyncio.CancelledError())

    async def _run(self, job: Job) -> None:
        try:
            value = await job.begin()
        except self._asyncio.CancelledError as stray:
            self._running.pop(job, None)
            job.cancelled(stray)
        except BaseException as error:
            self._running.pop(job, None)
            job.failed(error)
        else:
            self._running.pop(job, None)
            job.ended(True, value)

    def name_the_loop(self, context: Context) -> None:
        """Make a context that came from elsewhere tell the truth about where it runs."""
        _name_the_loop(context, "asyncio")


class TrioJobs:
    """The jobs of one loop of trio: tasks of a nursery, each in a cancel scope."""

    def __init__(self) -> None:
        import trio

        self._trio = trio
        self._manager = trio.open_nursery()
        self._nursery: Any = None

    async def __aenter__(self) -> Self:
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._manager.__aexit__(kind, error, traceback)

    def cancel(self) -> None:
        """Cancel them all."""
        self._nursery.cancel_scope.cancel()

    def give_up(self, job: Job) -> None:
        """A nursery waits for all its tasks, whatever they do."""

    def start_all(self, jobs: deque[Any]) -> None:
        """Start jobs in turn, with their contexts, and take them out."""
        _start_all(self, jobs)

    def start(self, job: Job, context: Context) -> None:
        """Start a job, with the loop's next turn. Its own task copies ``context``."""
        context.run(self._nursery.start_soon, self._run, job)

    async def _run(self, job: Job) -> None:
        value: Any = None
        try:
            with self._trio.CancelScope() as scope:
                job.started(scope)
                value = await job.begin()
        except self._trio.Cancelled as stray:
            job.cancelled(stray)
            raise  # it belongs to a scope around us, which waits for it
        except BaseException as error:
            job.failed(error)
        else:
            job.ended(*((False, Interrupted()) if scope.cancelled_caught else (True, value)))

    def name_the_loop(self, context: Context) -> None:
        """Make a context that came from elsewhere tell the truth about where it runs."""
        _name_the_loop(context, "trio")


Jobs: TypeAlias = "AsyncioJobs | TrioJobs"


def _start_all(to: Jobs, jobs: deque[Any]) -> None:
    while jobs:
        job = jobs.popleft()
        to.start(job, job.context())


def jobs_here() -> Jobs:
    """For the jobs of the running loop; to be entered by ``async with``."""
    return AsyncioJobs() if running_trio() is None else TrioJobs()


class Errand(Job):
    """A job of `Loop.run`, whose thread waits for its answer."""

    __slots__ = ("_awaitable", "answer", "handle", "stop_requested", "task")

    def __init__(self, task: CurrentTask | None, awaitable: Awaitable[Any], answer: Answer) -> None:
        self._awaitable = awaitable
        self.answer = answer
        self.handle = None
        self.stop_requested = False
        self.task = task

    def begin(self) -> Awaitable[Any]:
        """What is to be awaited is there already."""
        if self.task is not None:
            current.set(self.task)
        return self._awaitable

    def ended(self, succeeded: bool, value: Any) -> None:
        """Tell the thread."""
        self.answer.put((succeeded, value))


def run_lasting(backend: str, main: Callable[..., Any], *args: Any) -> None:
    """As ``anyio.run``, on a loop that nothing ends but the end of ``main`` (L13).

    Where a task of asyncio raises ``SystemExit`` or ``KeyboardInterrupt``, asyncio tells who
    awaits it, and ends the loop besides.
    """
    if backend != "asyncio":
        anyio.run(main, *args, backend=backend)
        return
    import asyncio

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(main(*args))
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt):
                pass  # who awaits the task that raised it knows
            except RuntimeError:
                if task.done():  # else a task has stopped the loop, which goes on
                    break
        task.result()


def cancelled_by_others() -> tuple[type[BaseException], ...]:
    """What asyncio raises in a task that any other cancels; trio lets nobody do that."""
    error = getattr(sys.modules.get("asyncio"), "CancelledError", None)
    return () if error is None else (error,)


class Loop:
    """One lasting event loop on a daemon thread, that runs coroutines until it is closed.

    Its main task starts the jobs (anyio needs a task for that) and stops them.
    """

    def __init__(self, backend: str, name: str) -> None:
        self._requests: SimpleQueue[Callable[[Jobs], object]] = SimpleQueue()
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
            run_lasting(backend, self._main, ready)
        except BaseException as error:  # above all: the backend is not installed
            ready.put(error)

    async def _main(self, ready: SimpleQueue[Any]) -> None:
        bell = LoopEvent()
        cancelled = cancelled_by_others()
        async with jobs_here() as jobs:
            ready.put(bell)
            while not self._ending:
                try:
                    await bell.wait()
                except cancelled:  # by a task that cancels all tasks of its loop
                    continue
                while not self._requests.empty():
                    self._requests.get()(jobs)
            jobs.cancel()

    def _request(self, what: Callable[[Jobs], object]) -> None:
        self._requests.put(what)
        self._bell.set()

    def start(self, job: Job, context: Context) -> None:
        """Start a job; from any thread."""

        def start(jobs: Jobs) -> None:
            try:
                jobs.name_the_loop(context)
                jobs.start(job, context)
            except Exception as error:  # somebody waits for it, whatever is the matter
                job.failed(error)

        self._request(start)

    def stop(self, job: Job) -> None:
        """Stop a job; from any thread."""
        self._request(lambda jobs: job.stop())

    def run(
        self,
        task: CurrentTask | None,
        awaitable: Awaitable[Any],
        context: Context,
        started: Callable[[Errand], object] = lambda job: None,
        answer: Answer | None = None,
    ) -> Any:
        """Run an awaitable to its end, blocking this thread; return or raise its outcome.

        ``answer``: where the outcome is put, and waited for.
        """
        job = Errand(task, awaitable, answer or SimpleQueue())
        self.start(job, context)
        started(job)
        try:
            succeeded, value = job.answer.get()
        except BaseException:  # Ctrl-C, or a signal that stops the task
            self.stop(job)
            raise
        try:
            if succeeded:
                return value
            raise value
        finally:
            del value  # the traceback holds this frame: do not let it hold the error too

    def close(self) -> None:
        """End the loop, cancelling what still runs on it, and wait for its thread."""
        self.give_up()
        self._thread.join()

    def give_up(self) -> None:
        """As `close`, and do not wait: something that runs on it does not stop."""
        self._ending = True
        self._bell.set()

    def is_thread(self, ident: int) -> bool:
        """Whether the loop runs in this thread."""
        return self._thread.ident == ident


def run_here(backend: str, awaitable: Awaitable[Any]) -> Any:
    """Run an awaitable on a loop of its own, in this thread."""

    async def wait_for_it() -> Any:
        return await awaitable

    return anyio.run(wait_for_it, backend=backend)


def _name_the_loop(context: Context, here: str) -> None:
    """Tell those who look into the context which library runs here.

    anyio notes that in a context variable, which travels with the caller's context: from a
    trio program to a loop of asyncio, say.
    """
    named = getattr(sys.modules.get("sniffio"), "current_async_library_cvar", None)
    if named is not None and context.get(named, here) != here:
        context.run(named.set, here)
