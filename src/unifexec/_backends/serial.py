"""`SerialExecutor`: every task runs inside the verb; plain functions in the caller's own thread.

The reference: what it gives is what all others must give. It walks the same road through
the same decision core, in one breath.
"""

from __future__ import annotations

import pickle
import threading
import warnings
from _queue import Empty, SimpleQueue
from contextvars import copy_context
from functools import partial
from time import monotonic

from unifexec import _pickling
from unifexec._backends.executor import LocalExecutor
from unifexec._backends.interrupts import is_from_outside
from unifexec._backends.packing import (
    pack_arguments,
    pack_function,
    packed_items,
    unpack_error,
    unpack_item,
    unpack_value,
)
from unifexec._backends.room import Arguments, Place, Room, arguments_of
from unifexec._backends.setup import Setup, checked_workers
from unifexec._core.batches import Single
from unifexec._core.checks import check_flag
from unifexec._core.outcome import Failure, outcome_of
from unifexec._core.runs import Limits
from unifexec._running import (
    REFUSAL,
    CurrentTask,
    Interrupted,
    current_task,
    run_task,
    shown,
)
from unifexec._wait import at_once, go_on
from unifexec.errors import SerializationError
from unifexec.share import collecting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context
    from typing import Any

    from unifexec._core.options import Options
    from unifexec._core.runs import Run
    from unifexec._core.task import Task
    from unifexec._loops import Errand, Loop
    from unifexec.abc import Traits

ANY_NUMBER = 1 << 62
MAX_ABANDONED = 4  # coroutines that do not stop: as many as of other executors with one worker


class Stay:
    """One run in its caller's thread; and where that waits, if it becomes a coroutine.

    Nobody but those who wait looks at the clock. Each of them keeps all deadlines, and so
    those of its own.
    """

    def __init__(self, room: SerialRoom, run: Run, task: CurrentTask) -> None:
        self.task = task
        self.thread = threading.get_ident()
        self.loop: Loop | None = None
        self.left = False  # its caller has gone on without it
        self._room = room
        self._number = run.number
        self._job: Errand | None = None
        self._given_up = False
        self._answers: SimpleQueue[tuple[bool, Any] | None]

    def begin(self, loop: Loop) -> None:
        """It becomes a coroutine, on that loop."""
        self._answers = SimpleQueue()
        self.loop = loop

    def started(self, job: Errand) -> None:
        """Its coroutine has begun, maybe too late.

        1. We note the job, 2. look whether it shall stop.
        a. `stop` says that it shall, b. looks for the job.
        Whichever comes first, one of them sees the other.
        """
        self._job = job
        if self.task.stop_requested:
            self.stop()

    def stop(self) -> None:
        """Tell it to stop: a coroutine will. Its caller looks at the clock anew."""
        self.task.stop_requested = True
        if self._job is not None and self.loop is not None:
            self.loop.stop(self._job)
            self._answers.put(None)

    def give_up(self) -> None:
        """It does not stop: its caller goes on without it, if that is not itself at work.

        1. The core is told, 2. we note it, 3. wake the caller.
        a. The loop puts the answer, b. looks whether we noted it, c. answers to the core.
        If b. comes before 2., the caller finds the answer before our wake-up. If not, the
        core knows at c. that the run was given up, and only counts it out.
        """
        if self._job is not None:
            self._room.post(self._room.dispatch.discarded, self._number)
            self._given_up = True
            self._answers.put(None)

    def put(self, answer: tuple[bool, Any]) -> None:
        """On the loop: the coroutine has ended."""
        self._answers.put(answer)
        if self._given_up:
            self._room.post(self._room.dispatch.answered, self._number, [])

    def get(self) -> tuple[bool, Any]:
        """In the caller's thread: wait for the end, and keep the deadlines meanwhile."""
        while True:
            try:
                answer = self._answers.get(timeout=self._room.seconds_to_deadline())
            except Empty:
                self._room.post(self._room.dispatch.tick)
                continue
            if answer is not None:
                return answer
            if self._given_up:
                self.left = True
                raise Interrupted


class PortableFunction:
    """A function as bytes: each task rebuilds it, unless it is lasting."""

    __slots__ = ("data", "lasting", "name", "rebuilt")

    def __init__(self, fn: Callable[..., Any], options: Options) -> None:
        self.name, self.lasting, self.data, _ = pack_function(fn, options)
        self.rebuilt: Callable[..., Any] | None = None

    def load(
        self, item: bytes, unary: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Function and arguments, as a task in another process would have them."""
        if self.rebuilt is None or not self.lasting:
            self.rebuilt = pickle.loads(self.data)
        args, kwargs = unpack_item(item, unary)
        assert self.rebuilt is not None
        return self.rebuilt, args, kwargs


class SerialRoom(Room):
    """The caller is the carrier: whoever posts decides and acts, there and then.

    Decisions are made under a lock that is held for no action and no user code, so that
    tasks may nest, and threads share the executor, as with plain calls.
    """

    eager = False
    batches = False

    def __init__(self, setup: Setup, portable: bool) -> None:
        super().__init__(Limits(ANY_NUMBER, max_abandoned=MAX_ABANDONED), setup)
        self._portable = portable
        self.max_workers = 1
        self._deciding = threading.RLock()
        self._setting_up = threading.RLock()  # held while the initializer runs
        self._initializing = False
        self._initialized = False
        self._finalizing = 0  # the thread that runs the finalizer
        self._ended = False  # what is done at the end was begun
        self._busy: list[None] = []  # one for each task that runs, in whatever thread
        self._idle_loops: list[Loop] = []

    @property
    def traits(self) -> Traits:  # type: ignore[override]
        """How this executor differs from the others."""
        from unifexec.abc import Traits

        return Traits(
            kind="serial",
            concurrency="none: one task after the other, in the caller's thread",
            parallel_python=False,
            shares_memory=not self._portable,
            can_abort=False,
            crash_isolated=False,
            start_method=None,
            best_for="debugging, tests, and as the reference of the others",
        )

    def needs_carrier(self) -> bool:
        """The caller is it."""
        return False

    def lives(self) -> bool:
        """There may be maps that nobody has read."""
        return not self.closed

    def post(self, event: Callable[..., object], *args: Any) -> None:
        """Decide at once; then act, in this thread."""
        with self._deciding:
            event(*args, monotonic())
            actions = self.dispatch.take_actions()
        for name, *rest in actions:
            getattr(self, "do_" + name)(*rest)

    def submit_batch(self, batch: Any) -> None:
        """Accept a batch and run it.

        1. A worker is made ready first, if none is idle, under the same lock.
        2. So the batch goes to it at once, and this thread performs the sending.
        Otherwise a batch of another thread could be the one we find in the queue.
        """
        if not self._initialized:
            self._initialize()
        with self._deciding:
            self.dispatch.submit(batch, monotonic())
            actions = self.dispatch.take_actions()
            while actions and actions[-1][0] == "spawn":
                worker = actions.pop()[1]
                self.dispatch.ready(worker.number, monotonic())
                actions += self.dispatch.take_actions()
        for name, *rest in actions:
            getattr(self, "do_" + name)(*rest)

    def pack_work(self, fn: Callable[..., Any], options: Options) -> tuple[Any, Any]:
        """The function as it is, or (``portable``) as it would reach a process."""
        if not self._portable:
            return super().pack_work(fn, options)
        with collecting():
            return PortableFunction(fn, options), copy_context()

    def accept(self, task: Task[Any], fn: Any, options: Options, args: Any, kwargs: Any) -> None:
        """Submit a call, as it is, or (``portable``) with its arguments as bytes."""
        if self._portable:
            work, context = self.pack_work(fn, options)
            batch = Single(task, work, self.pack_call(work, args, kwargs), options, context)
        else:
            batch = Single(
                task, fn, Arguments(args, kwargs) if kwargs else args, options, copy_context()
            )
        del task  # it may have an error, whose frames know this one
        self.submit_batch(batch)

    def pack_call(self, work: Any, args: Any, kwargs: Any, unary: bool = False) -> bytes:
        """The arguments as bytes."""
        with collecting():
            return pack_arguments(work.name, args, kwargs, unary)

    def pack_items(self, work: Any, inputs: list[Any], unary: bool) -> list[Any]:
        """The arguments of items of a map, as they are or as bytes."""
        return packed_items(self, work, inputs, unary) if self._portable else inputs

    def _initialize(self) -> None:
        """Run the initializer, once; the first tasks of other threads wait for it.

        Not those that it submits itself: we come here again then, in the same thread.
        """
        with self._setting_up:
            if self._initialized or self._initializing:
                return
            self._initializing = True
            try:
                copy_context().run(self.setup.initialize)
            except BaseException as error:
                if is_from_outside(error):
                    raise  # Ctrl-C, as in a plain call: nothing was accepted yet
                self.post(self.dispatch.init_failed, 0, error)
                self._initialized = True
            else:
                self._initialized = True
            finally:
                self._initializing = False

    def do_send(self, run: Run) -> None:
        """Run the one item, here; the task that submitted it waits meanwhile."""
        caller = current_task()
        if caller is not None and caller.room is not self:
            caller = None  # a task of another executor, or of none
        self._busy.append(None)
        try:
            if caller is not None:
                caller.step_aside()
            self._run(run)
        finally:
            if caller is not None:
                caller.step_back(go_on)
            self._busy.pop()

    def _run(self, run: Run) -> None:
        fn, context = run.batch.work, run.batch.context
        task = CurrentTask(run.batch.name, run.batch.first, 0, Place(self, run.number))
        stay = run.carried = Stay(self, run, task)
        item = run.batch.items[0]
        if not self._portable:
            args, kwargs = arguments_of(run.batch, item)
        else:
            try:
                fn, args, kwargs = fn.load(item, run.batch.unary)
            except Exception as error:
                failure = Failure(_not_rebuilt(task.name, error))
                self.post(self.dispatch.answered, run.number, [failure])
                del failure  # its error's frames know this one: do not let it hold the error
                return
        if run.batch.options.time_limit is not None:
            self.post(self.dispatch.started, run.number, 0)
        before = _as_bytes((args, kwargs)) if self._portable else None
        answer = run_task(task, context.copy(), fn, args, kwargs, self._awaiter(stay))
        try:
            if not stay.left:
                self._answer(run, before, (args, kwargs), *answer)
        finally:
            del answer  # as above

    def _answer(
        self,
        run: Run,
        before: bytes | None,
        after: Any,
        succeeded: bool,
        value: Any,
        seconds: float,
    ) -> None:
        """Tell what came of a task: its arguments as bytes ``before`` it, and as they are now."""
        name = run.batch.name
        pressed = not succeeded and is_from_outside(value)
        outcome: Any = outcome_of(succeeded, Interrupted() if pressed else value, seconds)
        if self._portable and not (pressed or type(value) is Interrupted):
            _warn_if_changed(name, before, after)
            outcome = _there_and_back(name, outcome)
        self.post(self.dispatch.answered, run.number, [outcome])
        try:
            if pressed:
                raise value  # Ctrl-C is not the task's own: it ends the caller, as in a plain call
        finally:
            del value, outcome

    def nothing_more_comes(self) -> None:
        """Close, even if Ctrl-C struck the main thread in the middle of a decision of ours.

        Elsewhere the carrier is never the main thread. Here the core may then know of a task
        that nobody runs; but what runs, runs in a verb, and we see whether any does.
        """
        if not self.closed and not self._busy:
            self.do_closed()

    def _awaiter(self, stay: Stay) -> Callable[[Awaitable[Any], Context], Any]:
        """Coroutines run on a lasting loop of a thread; nested ones on one more."""

        def run_awaitable(awaitable: Awaitable[Any], context: Context) -> Any:
            from unifexec._loops import Loop

            try:
                loop = self._idle_loops.pop()
            except IndexError:
                loop = Loop(self.setup.async_backend, "unifexec-serial-loop")
            stay.begin(loop)
            try:
                return loop.run(stay.task, awaitable, context, stay.started, stay)
            finally:
                if stay.left:
                    loop.give_up()
                else:
                    self._idle_loops.append(loop)

        return run_awaitable

    def seconds_to_deadline(self) -> float | None:
        """How long a caller that waits for a coroutine may sleep."""
        with self._deciding:
            deadline = self.dispatch.next_deadline()
        return None if deadline is None else at_once(max(0.0, deadline - monotonic()))

    def do_abort(self, run: Run) -> None:
        """Stop a coroutine, and those for which it blocks its loop; a plain function is told."""
        stay: Stay | None = run.carried
        if stay is None:
            return
        stay.stop()
        if stay.loop is None:
            return
        for other in list(self.dispatch.runs.values()):
            inner: Stay | None = other.carried
            if (
                inner is not None
                and stay.loop.is_thread(inner.thread)
                and other.batch.options.abort
            ):
                self.do_abort(other)

    def do_discard(self, run: Run) -> None:
        """Give up a coroutine that does not stop; a plain function is in our caller's way."""
        if run.carried is not None:
            run.carried.give_up()

    def can_stop(self, task: object) -> bool:
        """A task in its caller's thread cannot be stopped."""
        return False

    def do_closed(self) -> None:
        """Nothing is left. Of threads that close at once, one does what is to be done."""
        with self._deciding:
            if self._ended:
                return
            self._ended = True
        try:
            if self._initialized or self._initializing:
                self._finalizing = threading.get_ident()
                self.setup.finalize()
        finally:
            self._finalizing = 0
            while self._idle_loops:
                self._idle_loops.pop().close()
            super().do_closed()

    def may_wait(self) -> bool:
        """Not the finalizer either: it would wait for itself."""
        return self._finalizing != threading.get_ident() and super().may_wait()


def _not_rebuilt(name: str, error: Exception) -> SerializationError:
    lost = SerializationError(f"{name!r} cannot be rebuilt elsewhere: {shown(error)}")
    lost.__cause__ = error
    return lost


def _as_bytes(arguments: Any) -> bytes | None:
    """Arguments as bytes, to compare them; None if what was rebuilt of them cannot travel on."""
    try:
        with collecting():
            return _pickling.dumps(arguments)
    except Exception:
        return None


def _warn_if_changed(name: str, before: bytes | None, after: Any) -> None:
    """A task that changes its arguments does it to a copy, in another process.

    The bytes are of the very same objects: those of another copy of them may differ, since two
    copies need not agree on which of their strings are one object.
    """
    changed = before is not None and _as_bytes(after) != before
    if changed:
        warnings.warn(
            f"task {name!r} changed its arguments: in another process its caller would not see it",
            RuntimeWarning,
            stacklevel=7,
        )


def _there_and_back(name: str, outcome: Any) -> Any:
    """An outcome as it would come back from another process."""
    if isinstance(outcome, Failure):
        data = _pickling.dump_error(outcome.error, f"raised by task {name!r}", REFUSAL)
        return unpack_error(data, outcome.seconds)
    try:
        with collecting():
            data = _pickling.dumps(outcome.value)
    except Exception as error:
        text = _pickling.explain(f"the result of {name!r}", outcome.value, error)
        return Failure(SerializationError(text), seconds=outcome.seconds)
    return unpack_value(data, outcome.seconds)


class SerialExecutor(LocalExecutor):
    """Run every task at once, in the caller's thread; the reference of all executors.

    ``submit`` returns when the task is done; ``map`` runs an item when its result is asked
    for, or at close. So nothing is ever pending: ``cancel()`` is always False, and the time
    limit of a plain function is reported after the fact. Coroutines run on an event loop of
    their own thread, while the caller waits, and are stopped at their time limit. One that
    does not stop within half a second is given up: the caller goes on, and up to 4 of them
    (``stats().abandoned``) go on in their threads. Use it to debug and to test.

    Arguments:
        max_workers: accepted for symmetry; there is one worker.
        initializer, initargs: called once, before the first task.
        finalizer: called once, at close.
        async_backend: ``"asyncio"`` (the default) or ``"trio"``, for coroutines.
        portable: send function, arguments and results through the same serialisation as
            `ProcessExecutor`, and warn (``RuntimeWarning``) when a task changes its
            arguments. So code is shown ready for processes without starting one.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        finalizer: Callable[[], object] | None = None,
        async_backend: str = "asyncio",
        portable: bool = False,
    ) -> None:
        checked_workers(max_workers, 1)
        setup = Setup(initializer, initargs, finalizer, async_backend)
        super().__init__(SerialRoom(setup, check_flag("portable", portable)))

    def __reduce__(self) -> Any:
        """In another process: a serial executor of that process."""
        return partial(SerialExecutor, async_backend=self._room.setup.async_backend), ()
