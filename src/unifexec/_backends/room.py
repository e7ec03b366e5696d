"""The half that all backends share: a room with a mailbox round the decision core.

Everybody *posts*: submitting threads, workers, event loops, signal handlers, finalisers,
Ctrl-C in the middle of anything. Posting is one ``SimpleQueue.put``, which is re-entrant and
never blocks. One thread of the backend's at a time *serves*: it empties the mailbox, lets
`Dispatch` decide, and performs what it decided, in order. That is the *carrier*, a thread
that each room has for it; threads that run tasks serve as well, when they come by. (An
`AsyncExecutor` on its caller's loop has a task there instead, and a `SerialExecutor` only its
caller; once all is closed, and nobody serves any more, who comes too late serves for itself.)

But for those, who serves is never the main thread of the program. So no signal handler and no
``KeyboardInterrupt`` can interrupt a decision half-way, and a finaliser that runs in the
midst of one only posts, like all others. (The main thread may be interrupted between any two
instructions; a lock it held then would be held for ever, or show half-made state.)

Actions, as `Dispatch` names them, and what a backend's ``do_…`` methods make of them:

==========================  ===========================================================
``spawn(worker)``           make a worker, later post ``ready``, ``init_failed`` or
                            ``spawn_failed``
``send(run)``               run its items, post ``answered`` in order
``send_crew(crew)``         run its items side by side, post ``answered_each``
``withdraw(run)``           take back what has not started, post ``withdrawn``
``abort(run)``              ask the running item to stop; post ``stopping`` if it will
``discard(run)``            give it up by force, post ``died`` or ``discarded``, or
                            ``missed`` if it has not begun
``stop(worker)``            let it finish and leave, post ``gone``
``end(worker)``             it was told to leave and does not: by force, if possible
``grant(callback)``         a task that waited has its place again
``settle(sink, i, o)``      hand over an outcome
``settle_block(sink, …)``   hand over the values of many items
``settle_tasks(…)``         hand over the values of single tasks
``warn``, ``broken``        tell
``closed``                  nothing is left: the carrier may end
==========================  ===========================================================
"""

from __future__ import annotations

import threading
from _queue import Empty, SimpleQueue
from collections import deque
from contextvars import Context, copy_context
from functools import partial
from time import monotonic

from unifexec import _wait
from unifexec._backends import ending
from unifexec._backends.callbacks import callbacks
from unifexec._backends.interrupts import in_signal_handler
from unifexec._core.batches import Single
from unifexec._core.dispatch import Dispatch
from unifexec._core.task import logger, settle_values
from unifexec._running import current_task, shown
from unifexec.errors import (
    ExecutorClosedError,
    InitializerError,
    WaitTimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from unifexec._backends.setup import Setup
    from unifexec._core.batches import Batch
    from unifexec._core.maps import MapRun
    from unifexec._core.options import Options
    from unifexec._core.runs import Limits, Run, Worker
    from unifexec._core.task import Task
    from unifexec.abc import Stats, Traits


JOIN_SECONDS = 0.01  # how long an awaited close may hold the loop for threads that are ending
LEAST_SLEEP = 0.001  # seconds of the carrier's, where another thread is at work for it


def _tell_fault(call: object) -> None:
    logger().exception("unifexec: internal error in %r", call)


def seconds_until(deadline: float | None) -> float | None:
    """How long one may wait; None for ever."""
    return None if deadline is None else max(0.0, deadline - monotonic())


class Arguments:
    """The arguments of a call that has some by name; a tuple is enough for all others."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs


NO_KWARGS: dict[str, Any] = {}
NO_VARIABLES = Context()  # what most callers' contexts are: one for all, so nobody may run in it


def arguments_of(batch: Batch, item: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, by position and by name."""
    if batch.unary:
        return (item,), NO_KWARGS
    return (item, NO_KWARGS) if type(item) is tuple else (item.args, item.kwargs)


class Place:
    """The place that one run holds among ``max_workers``; what tasks see as `_running.Place`."""

    __slots__ = ("_number", "room")

    def __init__(self, room: Room, number: int) -> None:
        self.room = room
        self._number = number

    def leave(self) -> None:
        """The task waits: another may run."""
        self.room.post(self.room.dispatch.step_aside, self._number)

    def enter(self, granted: Callable[[], object]) -> None:
        """The task wants to go on: ``granted`` is called when it may."""
        self.room.post(self.room.dispatch.step_back, self._number, granted)


class Room(_wait.Watched):
    """Where the tasks of one executor live; what the verbs see as `verbs.Room`.

    Its backend performs the actions.
    """

    traits: Traits
    name = "unifexec"
    eager = True  # work starts before a result is asked for
    batches = True  # items, and tasks, may travel together, one running after the other
    crews = False  # items that travel together run side by side

    def __init__(self, limits: Limits, setup: Setup) -> None:
        super().__init__()
        self.max_workers: int = limits.max_workers
        self.setup = setup
        self.dispatch: Dispatch = Dispatch(limits, bundles=self.batches, crews=self.crews)
        self.closing: bool = False  # the verbs accept nothing more
        self.closed: bool = False  # nothing is left
        self.refuses: bool = ending.exiting  # for whatever reason: `check_open` would raise
        self._mailbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._incoming: deque[Batch] = deque()  # batches that the core was not told of yet
        self._takes = 0  # how often these were taken; counted by who decides
        self._rung = -1  # at which count somebody was woken for them
        self._maps: dict[MapRun, None] = {}  # those that may still pull
        self._forks = _wait.forks()
        self._asleep = False  # written by the carrier only
        self._turn = threading.Lock()  # held by who decides; only ever tried, never waited for
        self._decider = 0  # the thread that does
        self._deadline: float | None = None  # when to look again, as last decided
        self._unready = True  # there is something to `prepare`
        self._carrying = False
        self._coming = False  # a carrier was started, and may not have come to carry yet
        self._role_taken = threading.Lock()  # held for ever, by whoever is the carrier
        self._carrier: threading.Thread | None = None

    # -- the mailbox --

    def post(self, event: Callable[..., object], *args: Any) -> None:
        """Tell the carrier that something happened. From anywhere; never blocks."""
        self._mailbox.put((event, args))
        self.ring()

    def ring(self) -> None:
        """Wake the carrier if it sleeps; start it with the first task. From anywhere.

        1. The carrier says that it sleeps, 2. looks into the mailbox, 3. sleeps.
        a. We fill the mailbox, b. look whether it sleeps, c. wake it.
        If b. comes before 1., 2. comes after a. and sees the letter. Only the carrier says
        that it sleeps or not: Ctrl-C between b. and c. loses a wake-up, not all later ones.
        """
        if self._asleep:
            self.wake()
        else:
            self.start_carrier()

    def start_carrier(self) -> None:
        """Start one, if there is none, and is to be."""
        if not (self._carrying or self._coming or ending.exiting) and self.needs_carrier():
            carrier = threading.Thread(target=self._become_carrier, name=self.name, daemon=True)
            carrier.start()
            self._coming = True

    def wake(self) -> None:
        """Wake the carrier, which sleeps. Never blocks."""
        raise NotImplementedError

    def carry(self) -> None:
        """The carrier's life: serve and sleep, until all is closed."""
        raise NotImplementedError

    def needs_carrier(self) -> bool:
        """Whether a thread of our own is to be the carrier."""
        return True

    def lives(self) -> bool:
        """Whether there is something to finish at the end of the program."""
        return (self._carrying or self._coming) and not self.closed

    def _become_carrier(self) -> None:
        """Carry, unless another thread was first.

        The thread itself takes the role, so that Ctrl-C while one is started leaves none
        that is taken and not held.
        """
        if self._role_taken.acquire(False):
            self._carrier = threading.current_thread()
            self._carrying = True
            try:
                self.carry()
            except BaseException as why:  # above all: its event loop cannot be made
                self._break_down(why)

    def _break_down(self, why: BaseException) -> None:
        """`carry` failed: who waits is told so, who comes is refused, and a close ends (L22)."""
        self._asleep = False
        with self._turn:  # we may wait for it: no signal handler interrupts this thread
            self._decider = threading.get_ident()
            self._handle(self.dispatch.broke_down, why)
            self._decider = 0
        self._guarded(self.lose, why)
        self.carry_plainly()

    def lose(self, why: BaseException) -> None:
        """What only `carry` could have brought to its end fails."""

    def carry_plainly(self) -> None:
        """As `carry`, where that failed: with a queue to sleep on, which cannot."""
        bell: SimpleQueue[None] = SimpleQueue()
        self.wake = partial(bell.put, None)  # type: ignore[method-assign]  # that one is deaf
        while not self.closed:
            self.serve()
            if self.nothing_to_serve() and not self.closed:
                try:
                    bell.get(timeout=self.seconds_to_deadline())
                except Empty:
                    pass
            self._asleep = False

    def nothing_to_serve(self) -> bool:
        """Say that the carrier sleeps; and whether it may."""
        self._asleep = True
        return self._mailbox.empty() and not self._incoming

    def serve(self) -> None:
        """Empty the mailbox, decide, act; or leave it to the thread that is at it already.

        1. It takes the turn, 2. empties the mailbox, 3. gives the turn back, 4. looks again.
        a. We fill the mailbox, b. try to take the turn, and fail.
        Then b. comes before 3., and 4. after a.: no letter is left lying.
        """
        while self._turn.acquire(False):
            self._decider = threading.get_ident()
            try:
                self._serve_all()
            finally:
                self._decider = 0
                self._turn.release()
            if self._mailbox.empty() and not self._incoming:
                break

    def _serve_all(self) -> None:
        """Batches first, at every letter: what was submitted before one is known by then."""
        while True:
            try:
                letter = self._mailbox.get_nowait()
            except Empty:
                letter = None
            if self._incoming:
                self._handle(self.dispatch.submit_all, self._take_incoming())
            if letter is None:
                break
            self._handle(letter[0], *letter[1])
        deadline = self.dispatch.next_deadline()
        if deadline is not None and deadline <= monotonic():
            self._handle(self.dispatch.tick)
            deadline = self.dispatch.next_deadline()
        self._deadline = deadline

    def _take_incoming(self) -> list[Batch]:
        """What was submitted; more may come meanwhile. Counted afterwards: see `submit_batch`."""
        take = self._incoming.popleft
        taken = [take() for _ in range(len(self._incoming))]
        self._takes += 1
        return taken

    def _handle(self, event: Callable[..., object], *args: Any) -> None:
        self._guarded(event, *args, monotonic())
        for name, *rest in self.dispatch.take_actions():
            try:  # as `_guarded`, without a call more for each action
                getattr(self, "do_" + name)(*rest)
            except Exception:
                _tell_fault(name)

    def _guarded(self, call: Callable[..., object], *args: Any) -> None:
        """A fault of ours is told, and keeps nothing else from being done."""
        try:
            call(*args)
        except Exception:
            _tell_fault(call)

    def seconds_to_deadline(self) -> float | None:
        """How long the carrier may sleep.

        A deadline that is over is the business of the thread that is deciding.
        """
        deadline = self._deadline
        least = LEAST_SLEEP if self._decider else 0.0
        return None if deadline is None else _wait.at_once(max(least, deadline - monotonic()))

    # -- actions that are the same everywhere --

    def do_settle(self, sink: Any, index: int, outcome: Any) -> None:
        """Hand over an outcome."""
        sink.settle_item(index, outcome)

    def do_settle_tasks(
        self, tasks: list[Task[Any]], values: list[Any], seconds: list[float]
    ) -> None:
        """Hand over the values of single tasks."""
        settle_values(tasks, values, seconds)

    def do_settle_block(self, sink: Any, first: int, values: list[Any], seconds: float) -> None:
        """Hand over the values of many items."""
        sink.settle_block(first, values, seconds)

    def do_grant(self, granted: Callable[[], object]) -> None:
        """A task that waited may go on."""
        granted()

    def do_withdraw(self, run: Run) -> None:
        """Where runs are of one item (`batches` is False) there is nothing to take back."""

    def do_stop(self, worker: Worker) -> None:
        """A worker that is only a place, with no thread of its own, is gone at once."""
        self.post(self.dispatch.gone, worker.number)

    def do_end(self, worker: Worker) -> None:
        """A worker does not leave: there is no force against a thread."""

    def do_warn(self, text: str) -> None:
        """Tell what nobody waits for."""
        logger().warning(text)

    def do_broken(self, error: BaseException) -> None:
        """No worker can be set up: the verbs say so from now on (`check_open`)."""
        self.refuses = True

    def do_closed(self) -> None:
        """Nothing is left."""
        self.closed = True
        self.tell()

    # -- what tasks ask (`Home`) --

    def task_cancelled(self, task: Task[Any]) -> None:
        """A pending task was cancelled."""
        self.post(self.dispatch.cancelled, task, task.name)

    def stop_task(self, task: Task[Any]) -> bool:
        """A running task shall stop; whether it can."""
        can = self.can_stop(task)
        self.post(self.dispatch.abort, task)
        return can

    def can_stop(self, task: Task[Any]) -> bool:
        """Whether the backend can stop this running task."""
        return True

    def inherited(self) -> bool:
        """In a forked child: the workers are the parent's, and are left alone (L21)."""
        return self._forks != _wait.forks()

    def check_alive(self) -> None:
        """Raise in a forked child: nothing of ours was inherited but memory (L21)."""
        if self.inherited():
            raise ExecutorClosedError(
                "this executor belongs to the parent process: make a new one after a fork"
            )

    def check_blocking(self) -> None:
        """Raise if this thread must itself run what it would block for (L17)."""

    def call_back(self, calls: list[Callable[[], object]]) -> None:
        """Run users' callbacks on a thread of their own (L27)."""
        callbacks.run(calls)

    # -- what the verbs ask (`verbs.Room`) --

    def check_open(self) -> None:
        """Raise if tasks are not accepted any more."""
        self.check_alive()
        if self.closing:
            raise ExecutorClosedError("the executor was shut down: it accepts no more tasks")
        if ending.exiting:
            raise ExecutorClosedError("the interpreter is shutting down: no more tasks")
        broken = self.dispatch.broken
        if broken is not None:
            raise InitializerError(f"no worker could be set up: {shown(broken)}") from broken

    def pack_work(self, fn: Callable[..., Any], options: Options) -> tuple[Any, Any]:
        """Threads, loops and the caller itself share memory: the function as it is."""
        return fn, copy_context()

    def accept(self, task: Task[Any], fn: Any, options: Options, args: Any, kwargs: Any) -> None:
        """Submit a call: as in `pack_work`, the arguments as they are, a tuple or both kinds."""
        item = Arguments(args, kwargs) if kwargs else args
        batch = Single(task, fn, item, options, copy_context() or NO_VARIABLES)
        del task  # one that runs in here may have an error, whose frames know this one
        self.submit_batch(batch)

    def pack_items(self, work: Any, inputs: list[Any], unary: bool) -> list[Any]:
        """The arguments of items of a map; a `SerializationError` for what cannot travel."""
        return inputs

    def submit_batch(self, batch: Batch) -> None:
        """Accept a batch, and wake somebody who may send it.

        If all places are taken it can wait: who gives one up decides next, and looks here.
        For that is decided too: either we see a free place, or it sees the batch.

        One wake-up is enough for many batches, which matters while it is under way:

        1. Who decides takes what came, 2. counts that, 3. looks whether there is more.
        a. We read the count, b. put a batch there, c. read the count again. If it is the same,
        and noted, that is all; if not, d. we wake somebody, e. and note what we read in a.
        Who noted a count read it before they put their batch, and woke somebody for it; so a
        take of that one comes, and is counted after their a. If the count is still the noted
        one in c., that 2. comes after it, hence 3. after our b. A late note names an older
        count, and costs a wake-up too many, as does Ctrl-C between d. and e.

        If all was closed since the verb looked, nobody decides any more, and we do: the
        core refuses it. Who closes looks once more after saying so (`serve`). Where no carrier
        can be started, nothing is accepted.
        """
        if self._unready:
            self.prepare()
        takes = self._takes
        self._incoming.append(batch)
        told = self._rung == takes == self._takes
        if not told and self.dispatch.active < self.max_workers:
            self.ring()
            self._rung = takes
        if self.closed:
            self.serve()

    def prepare(self) -> None:
        """Start who carries what is accepted now, unless it lives already."""
        self.start_carrier()
        self._unready = False
        if not self._carrying and self.needs_carrier():
            self._unready = True

    def fail_batch(self, batch: Batch, error: BaseException) -> None:
        """Accept a batch of one that fails before it is sent."""
        self.start_carrier()
        self.post(self.dispatch.fail, batch, error)
        if self.closed:
            self.serve()

    def map_opened(self, run: MapRun) -> None:
        """A map begins; it lives here until all of it is submitted.

        1. We note it, 2. look whether the executor is closing.
        a. Who closes says so, b. looks for maps.
        So one of us sees the other. What was overtaken is refused, as if it came later.
        """
        self.start_carrier()
        self._maps[run] = None
        if self.refuses:
            run.stop()
            self.check_open()
        self.post(self.dispatch.source_opened, run)

    def map_ended(self, run: MapRun) -> None:
        """All of a map is submitted."""
        self._maps.pop(run, None)
        self.post(self.dispatch.source_ended, run)

    def map_dropped(self, run: MapRun) -> None:
        """The `Results` of a map was dropped; called by a finaliser, so it only posts.

        After a close nobody serves any more, and there is only to say what failed. After the
        end of the program there is nothing to say it with.
        """
        if not self.closed:
            self.post(self._drop_map, run)
        elif ending.exiting is False:
            run.forget()

    def _drop_map(self, run: MapRun, now: float) -> None:
        if run.started:
            run.stop()
        run.forget()

    def cut_map(self, run: MapRun, abort: bool) -> None:
        """A map wants less than it asked for."""
        self.post(self.dispatch.cut, run, abort)

    def stats(self) -> Stats:
        """Counts at this moment."""
        from unifexec.abc import Stats, WorkerStats

        core = self.dispatch
        return Stats(
            queued=sum(map(len, [*core.queue.copy(), *self._incoming.copy()])),  # others may write
            running=core.active,
            done=core.done,
            failed=core.failed,
            lost=core.lost,
            abandoned=len(core.abandoned),
            workers=tuple(
                WorkerStats(worker.index, self.pid_of(worker), worker.busy_seconds)
                for worker in list(core.workers.values())
            ),
        )

    def pid_of(self, worker: Worker) -> int | None:
        """The process of a worker, where workers are processes."""
        return None

    # -- closing (L20, L21) --

    def request_close(
        self, *, cancel: bool = False, abort: bool = False, pull: bool = True
    ) -> None:
        """Accept nothing more. Only posts: callable from anywhere.

        ``pull``: maps whose whole input was asked for will be pulled on, by `finish_maps`.
        """
        self.closing = self.refuses = True
        for run in list(self._maps):
            if run.started or cancel or abort:
                run.stop()
            elif not pull:
                run.truncate()
        if ending.exiting and not self.lives():
            self._close_here()
        else:
            self.post(self.dispatch.close, cancel, abort)

    def _close_here(self) -> None:
        """The program is over, and nobody serves: what was accepted and never ran is refused."""
        if self._turn.acquire(False):
            try:
                self._handle(self.dispatch.close, True, True)
            finally:
                self._turn.release()
        self.serve()

    def wait_closed(self, timeout: float | None) -> None:
        """Block until nothing is left, pulling what live maps still ask for (L7, L8)."""
        deadline = None if timeout is None else monotonic() + timeout
        for run in list(self._maps):
            while not run.finished():
                run.finish()
                self._block(run, run.finishable, deadline)
        self.nothing_more_comes()
        self._block(self, self.is_closed, deadline)
        self.join(deadline)
        callbacks.flush(seconds_until(deadline))

    def _block(self, what: Any, ready: Callable[[], bool], deadline: float | None) -> None:
        if not _wait.block(what, ready, seconds_until(deadline)):
            raise WaitTimeoutError("the executor was not closed in time; it goes on closing")

    async def suspend_closed(self) -> None:
        """As `wait_closed`, for coroutines."""
        for run in list(self._maps):
            while not run.finished():
                run.finish()
                await _wait.suspend(run, run.finishable)
        self.nothing_more_comes()
        await _wait.suspend(self, self.is_closed)
        self.join(monotonic() + JOIN_SECONDS)
        if any(thread.is_alive() for thread in self.threads()):  # their finalizers take time
            from anyio.to_thread import run_sync

            await run_sync(self.join, None)
        await callbacks.aflush()

    def nothing_more_comes(self) -> None:
        """A waiting close has pulled all there is to pull."""

    def is_closed(self) -> bool:
        """Whether nothing is left."""
        return self.closed

    def join(self, deadline: float | None) -> None:
        """Wait for our threads, which are ending; those given up are not waited for."""
        for thread in [*self.threads(), self._carrier]:
            if thread is not None and thread is not threading.current_thread():
                left = seconds_until(deadline)
                thread.join(None if left is None else _wait.at_once(left))

    def threads(self) -> list[threading.Thread]:
        """The backend's threads besides the carrier."""
        return []

    def forget_in_fork(self) -> None:
        """In a forked child of ours: let go of what is the parent's."""
        self.refuses = True

    def is_pulling(self) -> bool:
        """Whether this thread pulls inputs of one of our maps: they close us, or submit."""
        here = threading.get_ident()
        return any(run.puller == here for run in list(self._maps))

    def may_wait(self) -> bool:
        """Whether this thread may wait for the room to close (L21)."""
        task = current_task()
        if task is not None and task.room is self:
            return False  # it would wait for itself
        if threading.current_thread() in self.threads():
            return False  # so would an initializer, or a finalizer
        if self.is_pulling():
            return False  # and the inputs of a map
        if self._decider == threading.get_ident():
            return False  # a finaliser, in the midst of a decision
        return not callbacks.is_me() and not in_signal_handler()
