"""`ThreadExecutor`: tasks in the threads of this process."""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from functools import partial
from time import monotonic

from unifexec._backends.cores import usable_cores
from unifexec._backends.executor import LocalExecutor
from unifexec._backends.lanes import Lane
from unifexec._backends.room import LEAST_SLEEP, Place, Room, arguments_of
from unifexec._backends.setup import Setup, checked_workers
from unifexec._backends.trips import Calls, TaskCalls, Trip
from unifexec._core.checks import check_count, check_seconds
from unifexec._core.outcome import Failure, outcome_of
from unifexec._core.runs import Limits
from unifexec._running import (
    FLUSH_SECONDS,
    CurrentTask,
    Interrupted,
    gil_is_enabled,
    presentable,
)
from unifexec.errors import InitializerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Any

    from unifexec._core.batches import Batch
    from unifexec._core.outcome import Success
    from unifexec._core.runs import Run, Worker
    from unifexec._core.task import Task
    from unifexec._gate import Gate, Seat
    from unifexec.abc import Traits


class GatedPlace(Place):
    """A place in a worker process: it is held together with the one place of the process."""

    __slots__ = ("seat",)

    def __init__(self, room: Room, number: int, seat: Seat) -> None:
        super().__init__(room, number)
        self.seat = seat

    def leave(self) -> None:
        """The task waits: another may run, of ours or of the process."""
        self.seat.leave()
        super().leave()

    def enter(self, granted: Callable[[], object]) -> None:
        """The task wants to go on: first among us, then in the process."""
        seat, wish = self.seat, self.seat.wish
        super().enter(lambda: seat.gate.enter(seat, wish, granted))


class ThreadRoom(Room):
    """Workers are threads; the carrier is one more, that sleeps when there is nothing to do."""

    def __init__(self, limits: Limits, setup: Setup, name: str) -> None:
        super().__init__(limits, setup)
        self.name = f"{name}-carrier"
        self._lane_name = name
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting_lanes: SimpleQueue[Lane] = SimpleQueue()
        self._wakes_at: float | None = None  # the carrier, if it sleeps
        self.gate: Gate | None = None  # in a worker process: its one place

    @property
    def traits(self) -> Traits:  # type: ignore[override]
        """How this executor differs from the others."""
        from unifexec.abc import Traits

        return Traits(
            kind="thread",
            concurrency="threads that share the memory of the process",
            parallel_python=not gil_is_enabled(),
            shares_memory=True,
            can_abort=False,
            crash_isolated=False,
            start_method="thread",
            best_for="waiting for files, networks and databases; native code without the GIL",
        )

    # -- the carrier --

    def wake(self) -> None:
        """Wake a lane that waits for work, or else the carrier.

        The lane may have got work meanwhile, and come to us late. But then who gave it work
        looks into the mailbox once more, after this letter was put there.
        """
        try:
            lane: Lane = self.dispatch.idle[-1].carried[0]
        except (IndexError, TypeError):  # none is idle, or not set up
            self._bell.put(None)
        else:
            lane.wake(self._serve_on_lane)

    def carry(self) -> None:
        """Serve and sleep, until all is closed.

        A lane that is deciding looks for more when it is done. It needs the interpreter for
        that, which we would keep from it if we asked for its turn again and again.
        """
        while not self.closed:
            self.serve()
            self._wakes_at = self._deadline
            if self.nothing_to_serve():
                self._sleep(self.seconds_to_deadline())
            elif self._decider:
                self._sleep(LEAST_SLEEP)
            self._asleep = False

    def carry_plainly(self) -> None:
        """What it sleeps on is a queue already."""
        self.carry()

    def _sleep(self, seconds: float | None) -> None:
        if not self.closed:
            try:
                self._bell.get(timeout=seconds)
            except Empty:
                pass

    def _serve_on_lane(self) -> None:
        """Serve, and wake the carrier if it must look earlier than it would.

        It notes when it wakes before it looks for the last time (`carry`): a deadline that
        comes after that is seen here, one that comes before is seen there.
        """
        self.serve()
        deadline, wakes_at = self._deadline, self._wakes_at
        if self.closed or (deadline is not None and (wakes_at is None or deadline < wakes_at)):
            self._bell.put(None)

    def _tell_on_lane(self, event: Callable[..., object], *args: Any) -> None:
        """As `post`, where the thread can serve itself."""
        self._mailbox.put((event, args))
        self._serve_on_lane()

    def threads(self) -> list[threading.Thread]:
        """The lanes; those given up are not among them."""
        return self._threads

    def prepare(self) -> None:
        """Start a lane here, as the standard library does, while there are too few.

        An interpreter that shuts down starts no more threads (from 3.12 on), and may do so
        before the carrier comes to it. (Who gives up a lane takes it away first, and then says
        that we are not ready.)
        """
        if len(self._threads) < self.max_workers and not self.dispatch.idle:
            self._prepare_lane()
        super().prepare()
        if len(self._threads) < self.max_workers:
            self._unready = True

    def _prepare_lane(self) -> None:
        try:
            self._waiting_lanes.put(self._new_lane())
        except RuntimeError:  # no more threads
            if not self._threads:
                raise
        if self.closed:  # a signal handler closed it meanwhile
            self._end_waiting_lanes()

    # -- actions --

    def do_spawn(self, worker: Worker) -> None:
        """Make a worker: one lane, and later spare ones for tasks that wait."""
        try:
            lane = self._lane()
        except RuntimeError as error:  # no more threads, or the interpreter is shutting down
            self.post(self.dispatch.spawn_failed, worker.number, error)
            return
        worker.carried = [lane]
        lane.put(lambda: self._set_up(worker))

    def _lane(self) -> Lane:
        """One that waits, or a new one."""
        try:
            return self._waiting_lanes.get_nowait()
        except Empty:
            return self._new_lane()

    def _new_lane(self) -> Lane:
        name = f"{self._lane_name}-{len(self._threads)}"
        lane = Lane(name, self.setup.async_backend)
        self._threads.append(lane.thread)
        return lane

    def do_closed(self) -> None:
        """Nothing is left: lanes that nobody took may go.

        First closed, then this look; who puts a lane there puts first, and looks then.
        """
        super().do_closed()
        self._end_waiting_lanes()

    def _end_waiting_lanes(self) -> None:
        while True:
            try:
                self._waiting_lanes.get_nowait().end()
            except Empty:
                return

    def _set_up(self, worker: Worker) -> None:
        try:
            self.setup.initialize()
        except BaseException as error:
            self._tell_on_lane(self._failed_to_set_up, worker, presentable(error))
        else:
            self._tell_on_lane(self.dispatch.ready, worker.number)

    def _failed_to_set_up(self, worker: Worker, error: BaseException, now: float) -> None:
        worker.carried.pop().end()
        self.dispatch.init_failed(worker.number, error, now)

    def do_send(self, run: Run) -> None:
        """Run a batch on an idle lane of its worker, or on a spare one (L18)."""
        busy = {other.carried.lane for other in run.worker.runs if other.carried is not None}
        idle = [lane for lane in run.worker.carried if lane not in busy]
        try:
            lane = idle[0] if idle else self._spare_lane(run.worker)
        except RuntimeError as error:  # no more threads, or the interpreter is shutting down
            refused = [Failure(_no_thread(run.batch.name, error)) for _ in run.batch.items]
            self.post(self.dispatch.answered, run.number, refused)
            return
        run.carried = Trip(run, lane, Place(self, run.number))
        travel = partial(self._way_of(run.batch), run)
        lane.put(travel if idle else partial(self._set_up_spare, run, travel))

    def _way_of(self, batch: Batch) -> Callable[[Run], None]:
        """How a batch is run: with as little done for each item as it allows."""
        if batch.options.time_limit is None and self.gate is None:
            if batch.plain:
                return self._travel_plain
            if batch.single:
                return self._travel_tasks
        return self._travel

    def _spare_lane(self, worker: Worker) -> Lane:
        """One more thread of a worker whose others wait, or were given up."""
        lane = self._lane()
        worker.carried.append(lane)
        return lane

    def _set_up_spare(self, run: Run, travel: Callable[[], None]) -> None:
        """As `_set_up`, on a spare lane, before its first run."""
        try:
            self.setup.initialize()
        except BaseException as error:
            self._tell_on_lane(self._failed_to_set_up_spare, run, presentable(error))
        else:
            travel()

    def _failed_to_set_up_spare(self, run: Run, error: BaseException, now: float) -> None:
        if run.carried.lane in run.worker.carried:  # else it was given up meanwhile
            run.worker.carried.remove(run.carried.lane)
            run.carried.lane.end()
        self.dispatch.not_set_up(run.number, error, now)

    def do_withdraw(self, run: Run) -> None:
        """Take back what has not started, and hand over what is done."""
        if run.carried is None:
            return  # no thread could be started for it: it is answered
        left = list(run.carried.todo)
        self.post(self._flush, run)
        self.post(self.dispatch.withdrawn, run.number, len(left))

    def do_abort(self, run: Run) -> None:
        """Ask the running task to stop: a coroutine will, a plain function may."""
        if run.carried is None:
            return
        trip: Trip = run.carried  # the lane may have gone on: that item is not touched
        task = trip.task.stop(run.cursor)
        if task is not None and trip.lane.stop(task):
            self.post(self.dispatch.stopping, run.number, run.cursor)
        self.post(self._flush, run)

    def do_discard(self, run: Run) -> None:
        """Give the lane up: it ends when its task does."""
        lane = run.carried.lane
        list(run.carried.todo)  # nobody takes them any more
        run.worker.carried.remove(lane)
        self._threads.remove(lane.thread)
        self._unready = True
        lane.end()
        self.post(self.dispatch.discarded, run.number)

    def do_stop(self, worker: Worker) -> None:
        """Let the lanes finish and end."""
        for lane in worker.carried:
            lane.put(self.setup.finalize)
            lane.end()
        self.post(self.dispatch.gone, worker.number)

    # -- on the lanes --

    def _travel(self, run: Run) -> None:
        """Run the items of a batch, one after the other, each with an outcome of its own."""
        trip: Trip = run.carried
        limited = run.batch.options.time_limit is not None
        flushed = monotonic()
        for item in trip.todo:
            if trip.done and (limited or monotonic() - flushed > FLUSH_SECONDS):
                flushed = monotonic()
                self._tell_on_lane(self._flush, run)
            if limited:
                self._tell_on_lane(self.dispatch.started, run.number, len(trip.done))
            trip.done.append(self._run_item(run, len(trip.done), item))
        self._tell_on_lane(self._flush, run)

    def _run_item(self, run: Run, offset: int, item: Any) -> Success[Any] | Failure:
        batch, index = run.batch.at(offset)
        if batch.aborted:
            return Failure(Interrupted())
        args, kwargs = arguments_of(batch, item)
        place = Place(self, run.number)
        seat = None
        if self.gate is not None:
            seat = self.gate.seat()
            place = GatedPlace(self, run.number, seat)
            seat.wait()
        task = CurrentTask(batch.name, index, run.worker.index, place)
        run.carried.task.begin(task)
        answer = run.carried.lane.run(task, batch.context.copy(), batch.work, args, kwargs)
        try:
            if seat is not None:
                seat.leave()
            return outcome_of(*answer)
        finally:
            del answer  # an error's frames know this one: do not let it hold the error

    def _travel_plain(self, run: Run) -> None:
        """As `_travel`, for items of which only the values are wanted, and no time limit."""
        calls = Calls(run)
        flushed = monotonic()
        while calls.some():
            now = monotonic()
            if now - flushed > FLUSH_SECONDS:
                self._tell_on_lane(self._flush_plain, run)
                flushed = now
        self._tell_on_lane(self._flush_plain, run)

    def _travel_tasks(self, run: Run) -> None:
        """As `_travel`, for single tasks without a time limit."""
        calls = TaskCalls(run)
        while calls.some():
            self._tell_on_lane(self._flush_tasks, run)
        self._tell_on_lane(self._flush_tasks, run)

    def _flush(self, run: Run, now: float) -> None:
        """Hand over what is done; on who serves."""
        way = self._way_of(run.batch)
        if way == self._travel_plain:
            self._flush_plain(run, now)
        elif way == self._travel_tasks:
            self._flush_tasks(run, now)
        else:
            self._flush_outcomes(run, now)

    def _flush_outcomes(self, run: Run, now: float) -> None:
        _, done = run.carried.take()
        if done:
            self.dispatch.answered(run.number, done, now)

    def _flush_tasks(self, run: Run, now: float) -> None:
        first, done = run.carried.take()
        if done:
            seconds = run.carried.seconds[first : first + len(done)]
            self.dispatch.answered_tasks(run.number, done, seconds, now)

    def _flush_plain(self, run: Run, now: float) -> None:
        trip: Trip = run.carried
        first, done = trip.take()
        if not done:
            return
        each, trip.since = (now - trip.since) / len(done), now
        begin = 0
        for end in sorted(offset - first for offset in list(trip.failed)):
            if end < len(done):  # else it is not in what we took
                failure = trip.failed.pop(first + end)
                failure.seconds = each
                self._hand_over(run, done[begin:end], each, now)
                self.dispatch.answered(run.number, [failure], now)
                begin = end + 1
        self._hand_over(run, done[begin:] if begin else done, each, now)

    def _hand_over(self, run: Run, values: list[Any], seconds: float, now: float) -> None:
        if values:
            self.dispatch.answered_block(run.number, values, seconds, now)

    # -- what tasks ask --

    def can_stop(self, task: Task[Any]) -> bool:
        """A coroutine can be stopped, a plain function in a thread cannot (L15).

        The newest run of it counts: others were cut short, and it was taken from them.
        """
        for run in reversed(list(self.dispatch.runs.values())):
            for offset, batch in enumerate(run.batch.parts()):
                if batch.sink is task and run.carried is not None:
                    return self._can_stop(run, offset, batch)
        return False

    def _can_stop(self, run: Run, offset: int, batch: Batch) -> bool:
        """What waits in a bundle shall not start.

        1. We say so, 2. look how far the lane is.
        a. The lane says that it is at the task, b. looks whether it shall start.
        Whichever comes first, one of us sees the other.
        """
        batch.aborted = len(run.batch) > 1
        at = len(run.carried.done)
        return offset > at or (offset == at and run.carried.lane.stoppable())


def _no_thread(name: str, why: RuntimeError) -> InitializerError:
    error = InitializerError(f"no thread could be started for {name!r}: {why}")
    error.__cause__ = why
    return error


class ThreadExecutor(LocalExecutor):
    """Run tasks in threads: they share the memory of the process, and wait side by side.

    Choose it for waiting (files, networks, databases) and for native code that releases the
    GIL. Python code runs on one core at a time, unless the interpreter is free-threaded.

    Arguments:
        max_workers: tasks that run at the same time, at least 1. Default: 4 more than the
            cores this process may really use (its affinity and its cgroup's quota), and at
            most 32, as ``ThreadPoolExecutor`` counts them.
        initializer, initargs: called in each worker thread before its first task; there may
            be more threads than workers, when tasks wait for tasks. If it raises, waiting
            tasks and later submits fail with `InitializerError`.
        finalizer: called in each worker thread when it ends.
        async_backend: ``"asyncio"`` (the default) or ``"trio"``: the loop that each worker
            keeps for the coroutines it is given.
        grace: seconds (float) that a coroutine told to stop may take for it. Default 0.5.
        max_abandoned: plain functions over their time limit cannot be stopped; so many of
            them may go on in threads of their own, while their workers take new tasks.
            Default: 4 times ``max_workers``.
        thread_name_prefix: name of the threads. Default ``"unifexec-thread"``.

    Threads start with the first task, are daemons, and end with the executor. Cancelling
    never touches a plain function that has started.
    """

    _room: ThreadRoom

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
        thread_name_prefix: str = "unifexec-thread",
    ) -> None:
        workers = checked_workers(max_workers, min(32, usable_cores() + 4))
        grace = check_seconds("grace", grace, none=False)
        if not isinstance(thread_name_prefix, str):
            raise TypeError(f"thread_name_prefix must be a str, got {thread_name_prefix!r}")
        if max_abandoned is None:
            max_abandoned = 4 * workers
        max_abandoned = check_count("max_abandoned", max_abandoned, least=0)
        limits = Limits(workers, grace=grace, max_abandoned=max_abandoned)
        setup = Setup(initializer, initargs, finalizer, async_backend)
        super().__init__(ThreadRoom(limits, setup, thread_name_prefix))

    def __reduce__(self) -> Any:
        """In another process: a thread executor of that process (L18)."""
        from unifexec._backends.create import inherited

        return inherited, (
            self._key,
            "thread",
            self._room.max_workers,
            self._room.setup.async_backend,
        )
