"""A small but whole backend; ``docs/maintainers`` walks through it.

Every task has a thread of its own, which ends with it.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from unifexec._backends.executor import LocalExecutor
from unifexec._backends.lanes import Lane
from unifexec._backends.room import Place, Room, arguments_of
from unifexec._backends.setup import Setup, checked_workers
from unifexec._core.outcome import Failure, Success
from unifexec._core.runs import Limits
from unifexec._running import CurrentTask, presentable
from unifexec.abc import Traits

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from unifexec._core.runs import Run, Worker
    from unifexec._core.task import Task


class Trip:
    """What the room notes about a run, in ``run.carried``: the core never reads it."""

    def __init__(self, lane: Lane, task: CurrentTask) -> None:
        self.lane = lane
        self.task = task


class FreshRoom(Room):
    """Performs what `Dispatch` decides, and posts what happened; it decides nothing."""

    name = "fresh-carrier"
    batches = False  # every run has one item, so there is nothing to take back
    traits = Traits(
        kind="thread",
        concurrency="a thread for each task",
        parallel_python=False,
        shares_memory=True,
        can_abort=False,
        crash_isolated=False,
        start_method="thread",
        best_for="showing what a backend is",
    )

    def __init__(self, limits: Limits, setup: Setup) -> None:
        super().__init__(limits, setup)
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    # -- the carrier: a thread that serves, and sleeps when there is nothing to do --

    def wake(self) -> None:
        """Called from anywhere, so it must not block."""
        self._bell.put(None)

    def carry(self) -> None:
        """Serve and sleep, until all is closed."""
        while not self.closed:
            self.serve()
            if self.nothing_to_serve() and not self.closed:
                try:
                    self._bell.get(timeout=self.seconds_to_deadline())
                except Empty:
                    pass
            self._asleep = False

    def threads(self) -> list[threading.Thread]:
        """Those that closing waits for; not those given up."""
        return self._threads

    # -- actions: called by the carrier, so they must not block either --

    def do_spawn(self, worker: Worker) -> None:
        """A worker is a mere number here; but its initializer may fail."""
        self._lane().put(lambda: self._set_up(worker))

    def do_send(self, run: Run) -> None:
        """Run the one item, on a thread of its own."""
        task = CurrentTask(
            run.batch.name, run.batch.first, run.worker.index, Place(self, run.number)
        )
        run.carried = Trip(self._lane(), task)
        run.carried.lane.put(lambda: self._travel(run))

    def do_withdraw(self, run: Run) -> None:
        """Take back what has not started: nothing, as there are no batches."""
        self.post(self.dispatch.withdrawn, run.number, 0)

    def do_abort(self, run: Run) -> None:
        """Ask the task to stop; say so if it really will, so that it gets its grace."""
        if run.carried.lane.stop(run.carried.task):
            self.post(self.dispatch.stopping, run.number, run.cursor)

    def do_discard(self, run: Run) -> None:
        """Give it up: it goes on by itself, and nobody waits for its thread."""
        self._threads = [other for other in self._threads if other is not run.carried.lane.thread]
        self.post(self.dispatch.discarded, run.number)

    def do_stop(self, worker: Worker) -> None:
        """A worker shall go."""
        self.setup.finalize()
        self.post(self.dispatch.gone, worker.number)

    # -- on the threads of the tasks --

    def _set_up(self, worker: Worker) -> None:
        try:
            self.setup.initialize()
        except BaseException as error:
            self.post(self.dispatch.init_failed, worker.number, presentable(error))
        else:
            self.post(self.dispatch.ready, worker.number)

    def _travel(self, run: Run) -> None:
        fn, context = run.batch.work, run.batch.context
        args, kwargs = arguments_of(run.batch, run.batch.items[0])
        if run.batch.options.time_limit is not None:
            self.post(self.dispatch.started, run.number, 0)
        succeeded, value, seconds = run.carried.lane.run(
            run.carried.task, context.copy(), fn, args, kwargs
        )
        outcome: Any = Success(value) if succeeded else Failure(value)
        outcome.seconds = seconds
        self.post(self.dispatch.answered, run.number, [outcome])

    # -- what tasks ask --

    def can_stop(self, task: Task[Any]) -> bool:
        """A coroutine can be stopped, a plain function in a thread cannot."""
        return any(
            run.batch.sink is task and run.carried is not None and run.carried.lane.stoppable()
            for run in list(self.dispatch.runs.values())
        )

    def _lane(self) -> Lane:
        """A thread for one piece of work."""
        lane = OneWayLane(f"fresh-{len(self._threads)}", self.setup.async_backend)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(lane.thread)
        return lane


class OneWayLane(Lane):
    """A lane that ends with the first work it is given."""

    def put(self, work: Callable[[], object]) -> None:
        """Run ``work``, and end."""
        super().put(work)
        self.end()


class FreshExecutor(LocalExecutor):
    """Run each task in a thread that is made for it."""

    _room: FreshRoom

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        finalizer: Callable[[], object] | None = None,
        async_backend: str = "asyncio",
    ) -> None:
        workers = checked_workers(max_workers, 8)
        setup = Setup(initializer, initargs, finalizer, async_backend)
        super().__init__(FreshRoom(Limits(workers, max_abandoned=4 * workers), setup))
