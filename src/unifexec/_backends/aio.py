"""`AsyncExecutor`: tasks on one event loop, of asyncio or trio."""

from __future__ import annotations

import inspect
import threading
from time import perf_counter

import anyio

from unifexec._backends.lanes import Lane
from unifexec._backends.local import LocalExecutor, Place, Room, Setup, both, checked_workers
from unifexec._core.checks import check_count, check_seconds
from unifexec._core.dispatch import Limits
from unifexec._core.outcome import Failure, Success
from unifexec._loops import Job
from unifexec._running import CurrentTask, is_awaitable, presentable, run_task
from unifexec._wait import LoopEvent, without_ctrl_c
from unifexec.errors import DeadlockError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context
    from types import TracebackType
    from typing import Any, Self

    from anyio.abc import TaskGroup

    from unifexec._core.dispatch import Run, Worker
    from unifexec._core.task import Task
    from unifexec.abc import Traits

DEFAULT_WORKERS = 1000  # tasks at once; a bound, since sockets and memory have one too


class Call:
    """One task that runs: as a job on the loop, or first as a plain function in a lane."""

    __slots__ = ("job", "lane", "task")

    def __init__(self, task: CurrentTask) -> None:
        self.task = task
        self.job: Job | None = None
        self.lane: Lane | None = None


class Unawaited:
    """What a plain function returned is to be awaited, on the loop."""

    __slots__ = ("awaitable", "context")

    def __init__(self, awaitable: Awaitable[Any], context: Context) -> None:
        self.awaitable = awaitable
        self.context = context


class AsyncRoom(Room):
    """Workers are places on one event loop; the carrier is a task of that loop."""

    name = "unifexec-async-loop"
    batches = False

    def __init__(self, limits: Limits, setup: Setup) -> None:
        super().__init__(limits, setup)
        self._bell: LoopEvent | None = None
        self._bound = False  # to the caller's loop
        self._loop_ident: int | None = None
        self._group: TaskGroup
        self._set_up_done = False
        self._idle_lanes: list[Lane] = []
        self._lane_threads: list[threading.Thread] = []

    @property
    def traits(self) -> Traits:  # type: ignore[override]
        """How this executor differs from the others."""
        from unifexec.abc import Traits

        return Traits(
            kind="async",
            concurrency="coroutines that take turns on one thread; plain functions in threads",
            parallel_python=False,
            shares_memory=True,
            can_abort=False,
            crash_isolated=False,
            start_method="loop",
            best_for="thousands of coroutines that wait for networks",
        )

    # -- the carrier --

    def wake(self) -> None:
        """Wake the carrier."""
        if self._bell is not None:
            self._bell.set()

    def needs_carrier(self) -> bool:
        """Not if the caller's loop is ours (`claim_loop`)."""
        return not self._bound

    def carry(self) -> None:
        """Live on a loop of our own."""
        anyio.run(self.live, backend=self.setup.async_backend)

    def claim_loop(self) -> bool:
        """Whether the caller's loop may be ours; False if we have one."""
        self._bound = self._post_taken.acquire(False)
        if self._bound:
            self._loop_ident = threading.get_ident()
        return self._bound

    async def live(self) -> None:
        """Carry on until all is closed; shielded, since closing ends it and nothing else."""
        with anyio.CancelScope(shield=True):
            await self._live()

    async def _live(self) -> None:
        async with anyio.create_task_group() as self._group:
            self._loop_ident = threading.get_ident()
            self._bell = bell = LoopEvent()
            while True:
                self.serve()
                if self.closed:
                    break
                if self.nothing_to_serve():
                    left = self.seconds_to_deadline()
                    with anyio.move_on_after(float("inf") if left is None else left):
                        await bell.wait()
                self._asleep = False

    def check_blocking(self) -> None:
        """Raise on the loop's own thread: it must run what would be waited for."""
        if threading.get_ident() == self._loop_ident:
            raise DeadlockError(
                "blocking the event loop that must run this task would never end: use 'await', "
                "'async for' or 'async with'"
            )

    def threads(self) -> list[threading.Thread]:
        """The lanes; those given up are not among them."""
        return self._lane_threads

    # -- actions --

    def do_spawn(self, worker: Worker) -> None:
        """A worker is a place on the loop; the first one sets the loop up."""
        if self._set_up_done or self.setup.initializer is None:
            self.post(self.dispatch.ready, worker.number)
        else:
            self._set_up_done = True
            self._group.start_soon(self._set_up, worker)

    async def _set_up(self, worker: Worker) -> None:
        assert self.setup.initializer is not None
        try:
            made: Any = self.setup.initializer(*self.setup.initargs)
            if is_awaitable(made):
                await made
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            self.post(self.dispatch.init_failed, worker.number, presentable(error))
        else:
            self.post(self.dispatch.ready, worker.number)

    def do_send(self, run: Run) -> None:
        """Run a task: a coroutine function on the loop, a plain one in a lane."""
        batch, work = run.batch, run.batch.work
        args, kwargs = both(batch.items[0])
        place = Place(self, run.number)
        task = CurrentTask(batch.name, batch.first, run.worker.index, place)
        run.carried = Call(task)
        context = work.context.copy()
        if batch.options.time_limit is not None:
            self._post_here(self.dispatch.started, run.number, 0)
        if is_coroutine_function(work.fn):
            self._start_job(run, context, lambda: work.fn(*args, **kwargs), 0.0)
        else:
            self._put_in_a_lane(run, lambda: self._call(run, context, work.fn, args, kwargs))

    def _put_in_a_lane(self, run: Run, call: Callable[[], object]) -> None:
        try:
            lane = self._idle_lanes.pop() if self._idle_lanes else self._lane()
        except RuntimeError:  # no new threads: the interpreter is shutting down
            call()
        else:
            run.carried.lane = lane
            lane.put(call)

    def _lane(self) -> Lane:
        number = len(self._lane_threads)
        lane = Lane(f"unifexec-async-{number}", self.setup.async_backend)
        self._lane_threads.append(lane.thread)
        return lane

    def _call(self, run: Run, context: Context, fn: Any, args: Any, kwargs: Any) -> None:
        """Call a plain function; on a lane."""
        answer = run_task(run.carried.task, context, fn, args, kwargs, Unawaited)
        self.post(self._called, run, *answer)

    def _called(self, run: Run, succeeded: bool, value: Any, seconds: float, now: float) -> None:
        """A plain function returned; on the loop."""
        lane, run.carried.lane = run.carried.lane, None
        if lane is not None and lane.thread in self._lane_threads:
            self._idle_lanes.append(lane)
        elif lane is not None:  # it was given up
            lane.end()
        if isinstance(value, Unawaited):

            async def wait_for_it() -> Any:
                return await value.awaitable

            self._start_job(run, value.context, wait_for_it, seconds)
        else:
            self._answer(run, succeeded, value, seconds)

    def _start_job(
        self, run: Run, context: Context, make: Callable[[], Awaitable[Any]], before: float
    ) -> None:
        start = perf_counter() - before
        job = Job(
            run.carried.task,
            make,
            lambda succeeded, value: self._answer(run, succeeded, value, perf_counter() - start),
        )
        run.carried.job = job
        if run.carried.task.stop_requested:
            job.stop()
        job.start(self._group, context)

    def _answer(self, run: Run, succeeded: bool, value: Any, seconds: float) -> None:
        outcome = Success(value, seconds=seconds) if succeeded else Failure(value, seconds=seconds)
        self._post_here(self.dispatch.answered, run.number, [outcome])

    def _post_here(self, event: Callable[..., object], *args: Any) -> None:
        """As `post`, on the loop itself: the carrier is woken without a call across threads."""
        self._mailbox.put((event, args))
        if self._asleep and self._bell is not None:
            self._bell.set_here()

    def do_withdraw(self, run: Run) -> None:
        """Batches hold one item: there is nothing to take back."""
        self.post(self.dispatch.withdrawn, run.number, 0)

    def do_abort(self, run: Run) -> None:
        """Ask the task to stop: a coroutine will, a plain function may."""
        run.carried.task.stop_requested = True
        if run.carried.job is not None:
            run.carried.job.stop()
            self.post(self.dispatch.stopping, run.number, run.cursor)

    def do_discard(self, run: Run) -> None:
        """Let it go on by itself; nobody waits for its lane any more."""
        if run.carried.lane is not None:
            self._lane_threads.remove(run.carried.lane.thread)
        self.post(self.dispatch.discarded, run.number)

    def do_stop(self, worker: Worker) -> None:
        """There is nothing to stop."""
        self.post(self.dispatch.gone, worker.number)

    def do_closed(self) -> None:
        """Nothing is left."""
        if self._set_up_done or self.setup.initializer is None:
            self.setup.finalize()
        for lane in self._idle_lanes:
            lane.end()
        super().do_closed()

    def can_stop(self, task: Task[Any]) -> bool:
        """A coroutine can be stopped, a plain function in a thread cannot (L15)."""
        for run in list(self.dispatch.runs.values()):
            if run.batch.sink is task and run.carried is not None:
                return run.carried.job is not None
        return False


def is_coroutine_function(fn: Any) -> bool:
    """Whether calling ``fn`` only makes a coroutine, which is safe to do on the loop."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
        getattr(fn, "__call__", None)  # noqa: B004  (an object with an async __call__)
    )


class AsyncExecutor(LocalExecutor):
    """Run tasks as coroutines that take turns on one event loop, of asyncio or trio.

    Choose it for very many tasks that wait, written as ``async def``. Plain functions are
    accepted as well: they run in threads, so that the loop stays responsive.

    ``async with AsyncExecutor() as executor`` runs the tasks on the caller's own loop; it
    must be entered before the first task, and left by the task that entered it. Used in any
    other way, the executor starts a loop on a thread of its own with the first task, also
    inside a running loop.

    Arguments:
        max_workers: tasks that run at the same time, at least 1. Default: 1000.
        initializer, initargs: called once, on the loop, before the first task; may be an
            ``async def``. If it raises, waiting tasks and later submits fail with
            `InitializerError`.
        finalizer: called once, on the loop, at the end.
        async_backend: ``"asyncio"`` (the default) or ``"trio"``, for a loop of its own.
        grace: seconds (float) that a coroutine told to stop may take for it. Default 0.5.
        max_abandoned: tasks that do not stop and are given up. Default: 4 x ``max_workers``.

    A coroutine that blocks holds up all others; time limits cannot be on time then.
    """

    _room: AsyncRoom

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        finalizer: Callable[[], object] | None = None,
        async_backend: str = "asyncio",
        grace: float = 0.5,
        max_abandoned: int | None = None,
    ) -> None:
        workers = checked_workers(max_workers, DEFAULT_WORKERS)
        check_seconds("grace", grace)
        if max_abandoned is None:
            max_abandoned = 4 * workers
        check_count("max_abandoned", max_abandoned, least=0)
        limits = Limits(workers, grace=grace, max_abandoned=max_abandoned)
        setup = Setup(initializer, initargs, finalizer, async_backend)
        super().__init__(AsyncRoom(limits, setup))
        self._binding: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        await without_ctrl_c(self._bind)()
        return self

    async def _bind(self) -> None:
        if self._room.claim_loop():
            self._binding = anyio.create_task_group()
            await self._binding.__aenter__()
            self._binding.start_soon(without_ctrl_c(self._room.live))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._binding is None or self._inherited():
            await super().__aexit__(kind, error, traceback)
        else:
            await without_ctrl_c(self._unbind)(self._binding, error)

    async def _unbind(self, binding: TaskGroup, error: BaseException | None) -> None:
        """Close, and give the loop back; Ctrl-C while we wait gives up what still runs."""
        try:
            await super().__aexit__(None if error is None else type(error), error, None)
        except BaseException:
            self._room.request_close(cancel=True, abort=True)
            raise
        finally:
            await binding.__aexit__(None, None, None)

    def __reduce__(self) -> Any:
        """In another process: an async executor of that process (L18)."""
        from unifexec._backends.create import inherited

        return inherited, (self._key, "async", self._room.max_workers)
