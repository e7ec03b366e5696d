"""`AsyncExecutor`: tasks on one event loop, of asyncio or trio."""

from __future__ import annotations

import inspect
import threading
from collections import deque
from contextvars import copy_context

import anyio

from unifexec._backends.calls import Call, Common, PlainCall, SetUp, Unawaited
from unifexec._backends.executor import LocalExecutor
from unifexec._backends.lanes import Lane
from unifexec._backends.room import Room
from unifexec._backends.setup import Setup, checked_workers
from unifexec._core.checks import check_count, check_seconds
from unifexec._core.outcome import Failure, outcome_of
from unifexec._core.runs import Limits
from unifexec._loops import cancelled_by_others, jobs_here, run_lasting
from unifexec._running import REFUSAL, shown
from unifexec._wait import LoopEvent, give_way, without_ctrl_c
from unifexec.errors import DeadlockError, WorkerLostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from types import TracebackType
    from typing import Any, Self

    from anyio.abc import TaskGroup

    from unifexec._core.batches import Batch
    from unifexec._core.runs import Crew, Run, Worker
    from unifexec._core.task import Task
    from unifexec._loops import Jobs
    from unifexec.abc import Traits

DEFAULT_WORKERS = 1000  # tasks at once; a bound, since sockets and memory have one too


class AsyncRoom(Room):
    """Workers are places on one event loop; the carrier is a task of that loop."""

    name = "unifexec-async-loop"
    batches = False  # a run is one task: coroutines start in turn, none waits behind a slow one
    crews = True

    def __init__(self, limits: Limits, setup: Setup) -> None:
        super().__init__(limits, setup)
        self._bell: LoopEvent | None = None
        self._bound = False  # to the caller's loop
        self._loop_ident: int | None = None
        self._jobs: Jobs
        self._starting: deque[Call] = deque()  # jobs that the carrier starts with its next step
        self._over: list[tuple[Call, bool, Any, float]] = []  # ends that nobody was told of
        self._named: Context | None = None  # the context that was told of the loop last
        self._seen: Any = None  # the function that was looked at last, and
        self._awaits = False  # whether that is a coroutine function
        self._set_up_done = False
        self._lost: BaseException | None = None  # why we have no loop
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
        try:
            run_lasting(self.setup.async_backend, self.live)
        except BaseException:
            if self._lost is None:  # else another thread carries already
                raise

    def lose(self, why: BaseException) -> None:
        """No coroutine goes on without its loop; plain functions do."""
        self._lost, self._bell = why, None
        self.dispatch.write_out_crews()
        for run in list(self.dispatch.runs.values()):
            if run.carried is None or run.carried.on_loop:
                self._lose(run.number, run.batch.name)

    def _lose(self, number: int, name: str) -> None:
        """Posted before whatever its job may say: that comes late."""
        error = WorkerLostError(
            f"the event loop of {name!r} is gone ({shown(self._lost)}); "
            "it may have run, wholly or in part"
        )
        error.__cause__ = self._lost
        self.post(self.dispatch.answered, number, [Failure(error)])

    def claim_loop(self) -> bool:
        """Whether the caller's loop may be ours; False if we have one, or it is already."""
        if not self._role_taken.acquire(False):
            return False
        self._bound = True
        self._loop_ident = threading.get_ident()
        return True

    async def live(self) -> None:
        """Carry on until all is closed; shielded, since closing ends it and nothing else."""
        with anyio.CancelScope(shield=True):
            try:
                await self._live()
            except Exception as why:
                if self._lost is None:
                    self._break_down_elsewhere(why)
            finally:
                self._loop_ident = None  # the next thread may have the same

    def _break_down_elsewhere(self, why: BaseException) -> None:
        """Not on the loop: its coroutines have yet to end, and may want something of us."""
        self._lost = why
        self._carrier = threading.Thread(
            target=self._break_down, args=(why,), name=self.name, daemon=True
        )
        self._carrier.start()

    async def _live(self) -> None:
        async with jobs_here() as self._jobs:
            self._loop_ident = threading.get_ident()
            self._bell = LoopEvent()
            try:
                await self._take_steps(self._bell, cancelled_by_others())
            except BaseException as why:  # also what a signal handler raises, on the caller's loop
                self.lose(why)  # before the jobs are cancelled, and say that
                self._break_down_elsewhere(why)
                raise

    async def _take_steps(
        self, bell: LoopEvent, cancelled: tuple[type[BaseException], ...]
    ) -> None:
        """A step for each turn of the loop: decide on all that was posted, start what is to run.

        Jobs are started when all is decided and the turn given back: from 3.12 on their
        coroutines run at once, here, and what they do is no part of a decision. Those that
        end without ever waiting have posted their answers then; we look at these after a
        turn of the loop, for a long map of such must not hold it.
        """
        while True:
            self.serve()
            self._jobs.start_all(self._starting)
            if self.closed:
                break
            try:
                if self.nothing_to_serve():
                    self._named = self._seen = None  # they may hold the executor itself
                    await bell.wait(self.seconds_to_deadline())
                else:
                    await give_way()
            except cancelled:  # by who cancels all tasks of a loop: a task of ours, or its end
                if self._bound:
                    self.request_close(cancel=True, abort=True)
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

    def join(self, deadline: float | None) -> None:
        """As everywhere; but a loop of our own cannot end while a coroutine given up goes on."""
        if self.dispatch.abandoned:
            self._carrier = None
        super().join(deadline)

    # -- actions --

    def do_spawn(self, worker: Worker) -> None:
        """A worker is a place on the loop; the first one sets the loop up."""
        if self._set_up_done or self.setup.initializer is None:
            self.post(self.dispatch.ready, worker.number)
        else:
            self._set_up_done = True
            self._jobs.start(SetUp(self, worker), copy_context())

    def do_send(self, run: Run) -> None:
        """Run a task: a coroutine function on the loop, a plain one in a lane."""
        common = Common(self, run.batch, run.number)
        run.carried = call = common.call(common, run.batch.items[0], run.worker.index, 0)
        if run.batch.options.time_limit is not None:
            self._post_here(self.dispatch.started, run.number, 0)
        self._take_up(common, [call])

    def do_send_crew(self, crew: Crew) -> None:
        """Run the items of a batch side by side; each call lets go of its own."""
        common, batch = Common(self, crew.batch, crew.number), crew.batch
        items, batch.items = batch.items, [None] * len(batch)
        call = common.call
        crew.carried = [
            call(common, item, worker.index, offset)
            for item, worker, offset in zip(items, crew.workers, range(len(items)), strict=True)
        ]
        self._take_up(common, crew.carried)

    def _take_up(self, common: Common, calls: list[Any]) -> None:
        if common.call is Call:
            self._starting.extend(calls)
        else:
            for call in calls:
                self._put_in_a_lane(call)

    def awaits(self, batch: Batch) -> bool:
        """Whether its function is a coroutine function; looked at once for items of a map."""
        if batch.context is not self._named:
            self._named = batch.context
            self._jobs.name_the_loop(batch.context)
        if batch.work is not self._seen:
            self._seen, self._awaits = batch.work, is_coroutine_function(batch.work)
        return self._awaits

    def _put_in_a_lane(self, call: PlainCall) -> None:
        try:
            lane = self._idle_lanes.pop() if self._idle_lanes else self._lane()
        except RuntimeError:  # no new threads: the interpreter is shutting down
            self._call(call)
        else:
            call.lane = lane
            lane.put(lambda: self._call(call))

    def _lane(self) -> Lane:
        number = len(self._lane_threads)
        lane = Lane(f"unifexec-async-{number}", self.setup.async_backend)
        self._lane_threads.append(lane.thread)
        return lane

    def _call(self, call: PlainCall) -> None:
        """Call a plain function; on a lane."""
        self.post(self._called, call, *call.call())

    def _called(
        self, call: PlainCall, succeeded: bool, value: Any, seconds: float, now: float
    ) -> None:
        """A plain function returned; on the loop."""
        lane, call.lane = call.lane, None
        if lane is not None and lane.thread in self._lane_threads:  # else it was given up
            self._idle_lanes.append(lane)
        if type(value) is Unawaited:  # asked so, nothing of a value's own runs
            call.go_on_with(value, seconds)
            if self._lost is None:
                self._starting.append(call)
            else:
                self._lose(call.number, call.name)
        else:
            self.ended((call, succeeded, value, seconds))

    def ended(self, end: tuple[Call, bool, Any, float]) -> None:
        """A task is over: its call, whether it succeeded, value or error, seconds; on the loop.

        All that end in one turn of it are told as one.
        """
        end[0].over = True
        if not self._over:
            self._post_here(self._tell_over)
        self._over.append(end)

    def _tell_over(self, now: float) -> None:
        """What is told later than it came is only what follows: the end of a task.

        In the order in which they ended; values of one crew that follow each other in columns.
        """
        over, self._over = self._over, []
        answers: list[tuple[Any, ...]] = []
        last = None
        offsets: list[int] = []  # of the last crew
        values: list[Any] = []
        times: list[float] = []
        for call, succeeded, value, seconds in over:
            common = call.common
            if not (succeeded and common.many):
                answers.append((call.number, outcome_of(succeeded, value, seconds)))
                last = None
                continue
            if common is not last:
                offsets, values, times = [], [], []
                answers.append((common.number, offsets, values, times))
                last = common
            offsets.append(call.offset)
            values.append(value)
            times.append(seconds)
        self.dispatch.answered_each(answers, now)

    def _post_here(self, event: Callable[..., object], *args: Any) -> None:
        """As `post`, on the loop itself: the carrier is woken without a call across threads."""
        self._mailbox.put((event, args))
        self._wake_here()

    def _wake_here(self) -> None:
        if self._asleep:
            self.wake() if self._bell is None else self._bell.set_here()

    def do_abort(self, run: Run) -> None:
        """Ask the task to stop: a coroutine will, a plain function may."""
        call = run.carried
        if not call.over:
            call.stop_requested = True
            if call.on_loop:
                call.stop()
                self._post_here(self.dispatch.stopping, run.number, run.cursor)

    def do_discard(self, run: Run) -> None:
        """Let it go on by itself; nobody waits for its lane any more."""
        call, lane = run.carried, run.carried.lane
        if lane is not None:
            self._lane_threads.remove(lane.thread)
            lane.end()
        self._jobs.give_up(call)
        self._post_here(self.dispatch.discarded, run.number)

    def do_closed(self) -> None:
        """Nothing is left."""
        try:
            if self._set_up_done or self.setup.initializer is None:
                self.setup.finalize()
        finally:
            for lane in self._idle_lanes:
                lane.end()
            super().do_closed()

    def can_stop(self, task: Task[Any]) -> bool:
        """A coroutine can be stopped, a plain function in a thread cannot (L15)."""
        for run in list(self.dispatch.runs.values()):
            if run.batch.sink is task and run.carried is not None:
                return bool(run.carried.on_loop)
        return False


def is_coroutine_function(fn: Any) -> bool:
    """Whether calling ``fn`` only makes a coroutine, which is safe to do on the loop."""
    try:
        return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
            getattr(fn, "__call__", None)  # noqa: B004  (an object with an async __call__)
        )
    except REFUSAL:  # an object whose attributes cannot be asked for
        return False


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
        grace = check_seconds("grace", grace, none=False)
        if max_abandoned is None:
            max_abandoned = 4 * workers
        max_abandoned = check_count("max_abandoned", max_abandoned, least=0)
        limits = Limits(workers, grace=grace, max_abandoned=max_abandoned)
        setup = Setup(initializer, initargs, finalizer, async_backend, awaits=True)
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
        if self._binding is None or self._room.inherited():
            await super().__aexit__(kind, error, traceback)
        else:
            binding, self._binding = self._binding, None
            await without_ctrl_c(self._unbind)(binding, error)

    async def _unbind(self, binding: TaskGroup, error: BaseException | None) -> None:
        """Close, and give the loop back; Ctrl-C while we wait gives up what still runs."""
        try:
            await super().__aexit__(None if error is None else type(error), error, None)
        finally:
            await binding.__aexit__(None, None, None)

    def __reduce__(self) -> Any:
        """In another process: an async executor of that process (L18)."""
        from unifexec._backends.create import inherited

        return inherited, (
            self._key,
            "async",
            self._room.max_workers,
            self._room.setup.async_backend,
        )
