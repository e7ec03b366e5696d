"""`Task`: one call of one callable, and its table of states.

====================  ===========================  =======================================
state                 leaves it by                 decided by
====================  ===========================  =======================================
pending               ``claim``  -> running        whoever takes the task's one token:
                      ``cancel`` -> cancelled      the executor that starts it, or the
                                                   caller that cancels it; never both
running               ``settle`` -> finished       the executor, once
cancelled, finished   nothing
====================  ===========================  =======================================

The token is an attribute, taken by deleting it, which one thread can do. That needs no lock:
cancelling is safe inside a signal handler, a finaliser, or anything else that enters in the middle
of our own code.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from unifexec import _wait
from unifexec._core.checks import check_callable, check_timeout
from unifexec._core.outcome import Failure, Success
from unifexec._core.verdicts import cancelled_error
from unifexec.errors import TaskCancelledError, WaitTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, NoReturn, Protocol, TypeVar

    R = TypeVar("R")

    class Home(Protocol):
        """Who runs a task: what the task may ask of its executor."""

        def task_cancelled(self, task: Task[Any]) -> None:
            """A pending task was cancelled: tell those who wait. Only posts."""

        def stop_task(self, task: Task[Any]) -> bool:
            """Stop a running task, if that is possible; only posts."""
            ...

        def check_alive(self) -> None:
            """Raise in a forked child: the executor, and its tasks, are not there."""

        def check_blocking(self) -> None:
            """Raise if this thread must itself run what it would block for."""

        def call_back(self, calls: list[Callable[[], object]]) -> None:
            """Run users' callbacks, away from our own work."""


_NOT_MADE: Any = ()  # what stands for a list that nobody needed yet
_making: dict[tuple[Task[Any], str], Any] = {}  # see `Task._made`


class Task(Future["R"]):
    """A ``concurrent.futures.Future`` that can also be awaited, under asyncio and trio.

    ``task.result()`` waits for it from plain code, ``await task`` from a coroutine. Made by
    executors only. Every method may be called from any thread.

    Awaiting inside a cancelled scope cancels the task if it has not started, whoever else awaits
    it, and aborts one that runs if that was its only waiter; ``asyncio.shield(task)`` protects it.
    """

    name: str
    """The task's name: that of its function, or of ``with_options(name=)``."""

    _result: R

    # Of what `Future.__init__` would set, and more, all that few tasks ever need: here, as long
    # as nobody asks for another. To set an attribute that the class has, too, takes the
    # interpreter ten times as long; so what each task needs is in `__init__`. Later it gets one
    # attribute more, `_result`: for a second one CPython gives it a dict of its own, which takes
    # more time than all the rest of settling it.
    _exception: BaseException | None = None
    _cancel_won = False
    _made_waiters: Any = _NOT_MADE

    def __init__(self, home: Home, name: str, abortable: bool = True) -> None:
        self.name = name
        self._home = home
        self._abortable = abortable
        self._token = None  # it is there, or not
        self._state = "PENDING"
        self._outcome: Any = None  # a `Success`, a `Failure`, or seconds: see `settle_values`
        self._watchers: Any = _NOT_MADE
        self._callbacks: Any = _NOT_MADE
        self._asked: Any = _NOT_MADE  # the condition, once the standard library asks for it

    # -- the table of states: used by the core --

    def claim_batch(self, batch: object) -> int:
        """For `dispatch`: a task is a batch of one; whether it may start.

        A task that is started again, since its worker died, keeps its claim. If we have none,
        and the token is gone, `cancel` has it, and may not have come to say so yet: we do.
        """
        try:
            del self._token
        except AttributeError:
            if self._state == "RUNNING":
                return 1
            self._cancel_won = True
            return 0
        self._state = "RUNNING"
        return 1

    def settle_item(self, index: int, outcome: Success[R] | Failure) -> None:
        """For `dispatch`: a task is a batch of one."""
        self.settle(outcome)

    def _take_token(self) -> bool:
        """Whether the token was there; it is not, afterwards."""
        try:
            del self._token
        except AttributeError:
            return False
        return True

    def settle(self, outcome: Success[R] | Failure) -> None:
        """Give the task its one outcome, and tell all who wait. Called once, by the home."""
        if self._outcome is not None:
            return
        error = getattr(outcome, "error", None)
        if self._take_token() and issubclass(type(error), TaskCancelledError):
            self._cancel_won = True  # it was cancelled for us, by a close: say so as `cancel` does
        self._outcome = outcome
        self._tell_all()

    def _tell_all(self) -> None:
        """It has its outcome."""
        if self._asked is _NOT_MADE:
            self._publish()
        else:
            self._publish_under(self._asked)
        if self._watchers:
            self._tell()
        if self._callbacks:
            self._home.call_back(self._take_callbacks())

    def _publish(self) -> None:
        """Set what the standard library looks at. Whoever does it, does the same."""
        outcome = self._outcome
        if self._cancel_won:
            self._state = "CANCELLED_AND_NOTIFIED"
            return
        if isinstance(outcome, Failure):
            self._exception = outcome.error
        elif type(outcome) is not float:
            self._result = outcome.value
        self._state = "FINISHED"

    def _publish_under(self, condition: threading.Condition) -> None:
        """Set it, and tell those who wait for it; all at once, as they see it, and once."""
        with condition:
            if self._state in ("FINISHED", "CANCELLED_AND_NOTIFIED"):
                return
            self._publish()
            for waiter in self._waiters:
                if self._cancel_won:
                    waiter.add_cancelled(self)
                elif self._exception is not None:
                    waiter.add_exception(self)
                else:
                    waiter.add_result(self)
            condition.notify_all()

    def _condition_of_all(self) -> threading.Condition:
        """What the standard library's `wait` and `as_completed` hold and wait for.

        Most tasks are never waited for in this way, so it is made when it is asked for.

        1. `settle` sets the outcome, 2. looks for a condition: under that, if there is one, 3. it
        publishes, and tells who waits.
        a. A waiter makes the condition, or finds it, b. looks for the outcome: if it is there, it
        does the same, since 2. may have come before a. Under the condition, so that it is
        done once, and nobody is told twice.
        If b. finds none, 2. comes after a.
        """
        condition: threading.Condition = self._made("_asked", threading.Condition())
        if self._outcome is not None:
            self._publish_under(condition)
        return condition

    def _waiters_of_all(self) -> list[Any]:
        """The standard library's waiters."""
        waiters: list[Any] = self._made("_made_waiters", [])
        return waiters

    if not TYPE_CHECKING:  # there they are the attributes that `as_completed` asks for
        _condition = property(_condition_of_all)
        _waiters = property(_waiters_of_all)

    @property
    def _done_callbacks(self) -> list[Any]:
        """The standard library's callbacks: ours are elsewhere."""
        return []

    def _made(self, name: str, new: Any) -> Any:
        """An attribute that few tasks need: what was made first, for all who ask for it.

        1. Who comes first puts what it made where all look. 2. That becomes the attribute, by
        whoever comes to it, 3. and is taken away again. Between 1 and 3 all find the same
        there, and who comes later finds the attribute, even if it looked before. Where an
        alarm that raises has ended one of us in between, the next one does the rest.

        Not ``self.__dict__.setdefault``: on CPython 3.11 an object breaks when two threads ask
        for its first ``__dict__``, if between the two the garbage collector runs Python code.
        """
        if getattr(self, name) is _NOT_MADE:
            _making.setdefault((self, name), new)
            for key, first in _making.copy().items():
                if getattr(*key) is _NOT_MADE:
                    setattr(*key, first)
                _making.pop(key, None)
        return getattr(self, name)

    def _take_callbacks(self) -> list[Callable[[], object]]:
        """Those that nobody else has taken: whoever takes one calls it."""
        taken: list[Callable[[], object]] = []
        while self._callbacks:
            try:
                taken.append(self._callbacks.pop(0))
            except IndexError:
                break
        return taken

    def watch(self, watcher: Callable[[], object]) -> None:
        """Call ``watcher`` when the task has settled, at once if it has."""
        self._made("_watchers", []).append(watcher)
        if self._outcome is not None:
            self._tell()

    def _tell(self) -> None:
        """Call the watchers, each once: whoever pops one calls it."""
        while self._watchers:
            try:
                watcher = self._watchers.pop()
            except IndexError:
                break
            watcher()

    def unwatch(self, watcher: Callable[[], object]) -> None:
        """Forget a watcher; it may be called all the same."""
        try:
            self._watchers.remove(watcher)
        except (AttributeError, ValueError):  # it was called
            pass

    def outcome(self) -> Success[R] | Failure:
        """The outcome of a task that is done. Never blocks.

        Raises ``concurrent.futures.InvalidStateError`` if it is not done: ask `done` first.
        """
        seconds = self._outcome
        if type(seconds) is float:
            self._outcome = Success(self._result, 0, self.name, seconds)
        outcome: Success[R] | Failure | None = self._outcome
        if outcome is not None:
            return outcome
        if not self._cancel_won:
            raise InvalidStateError(f"{self!r} is not done: wait for its result() first")
        return Failure(cancelled_error(repr(self.name)), 0, self.name)

    # -- for callers --

    def cancel(self) -> bool:
        """Cancel the task if it has not started.

        True: it never runs, its waiters are told at once, its result raises
        `TaskCancelledError`. False: it is running or done, and is not touched. The same on
        every executor. Never blocks; safe in signal handlers.
        """
        if not self._take_token():
            return self._cancel_won
        self._cancel_won = True
        self._home.task_cancelled(self)
        return True

    def abort(self) -> bool:
        """Cancel the task if it has not started, else stop it where that is possible.

        True: it was cancelled, or told to stop and will be; a stopped task *fails* with
        `TaskCancelledError` after its ``finally`` blocks ran. False: it is done, its options
        say ``abort=False``, or it is a plain function in a thread, which cannot be stopped
        (its ``current_task().stop_requested`` is set). Never blocks.
        """
        if self.cancel():
            return True
        if self.done() or not self._abortable:
            return False
        return self._home.stop_task(self)

    def cancelled(self) -> bool:
        """Whether the task was cancelled before it started."""
        return self._cancel_won

    def running(self) -> bool:
        """Whether the task has started and is not done."""
        return not hasattr(self, "_token") and not self.done()

    def done(self) -> bool:
        """Whether the task has its outcome."""
        return self._outcome is not None or self._cancel_won

    def result(self, timeout: float | None = None) -> R:
        """Wait for the task and return its value, or raise its exception.

        Arguments:
            timeout: seconds (float) to wait at most; None (the default) waits for ever, a
                negative number not at all.

        Raises:
            WaitTimeoutError: ``timeout`` passed first; the task goes on.
            TaskCancelledError: it was cancelled or aborted.
            DeadlockError: this is the thread of the loop that must run the task.
        """
        if timeout is not None or self._outcome is None:
            self._wait_for_outcome(timeout)
        if type(self._outcome) is float:  # as `_value`, and most do; one call less
            return self._result
        try:
            return self._value()
        finally:
            del self  # the traceback holds this frame: do not let it hold the task too

    def _value(self) -> R:
        """Its value, or its exception raised."""
        if type(self._outcome) is float:
            value: R = self._result
            return value
        try:
            return self.outcome().unwrap()
        finally:
            del self  # as above

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the task and return its exception, or None if it returned a value.

        Arguments and errors as for `result`; a cancelled task raises `TaskCancelledError`.
        """
        self._wait_for_outcome(timeout)
        outcome = self.outcome()
        try:
            if isinstance(outcome, Success):
                return None
            if self._cancel_won:
                outcome.unwrap()
            return outcome.error
        finally:
            del self, outcome  # as in `result`

    def add_done_callback(self, fn: Callable[[Future[R]], object]) -> None:
        """Call ``fn(task)`` when the task is done; at once, here, if it is done already.

        Otherwise callbacks run in the order they were added, on a thread that carries no
        tasks: a slow one delays other callbacks only. What it raises is logged.
        """
        check_callable(fn, "add_done_callback")
        self._made("_callbacks", []).append(_Callback(fn, self))
        if self._outcome is not None:  # and it may have settled without seeing this one
            for call in self._take_callbacks():
                call()

    def __await__(self) -> Generator[Any, Any, R]:
        return self._wait_in_loop().__await__()

    async def _wait_in_loop(self) -> R:
        try:
            if self.done():
                await _wait.checkpoint()
            else:
                await self._suspend()
            return self._value()
        finally:
            del self  # as in `result`

    async def _suspend(self) -> None:
        """Wait for the outcome."""
        self._home.check_alive()
        try:
            await _wait.suspend(self, self.done)
        except BaseException:  # the scope we wait in was cancelled (L17)
            if not self.cancel() and not self._is_waited_for():
                self.abort()
            raise

    def _is_waited_for(self) -> bool:
        """Whether somebody waits for it, or has asked to be called back.

        Who waits is among the watchers; who was cancelled is not, when it comes to ask.
        """
        return bool(self._watchers or self._callbacks or self._made_waiters)

    def _wait_for_outcome(self, timeout: float | None) -> None:
        if timeout is not None:
            timeout = check_timeout("timeout", timeout)
        if self.done():
            return
        self.check_blocking()
        if not _wait.block(self, self.done, timeout):
            raise WaitTimeoutError(
                f"task {self.name!r} was not done within {timeout} s; it goes on"
            )

    def check_blocking(self) -> None:
        """Raise if blocking this thread could never end."""
        self._home.check_alive()
        self._home.check_blocking()

    def __reduce__(self) -> NoReturn:
        """It belongs to this process."""
        raise TypeError(f"{self!r} cannot travel: pass its result()")

    def __repr__(self) -> str:
        return f"<Task {self.name!r} {self._word()}>"

    def _word(self) -> str:
        if self._cancel_won:
            return "cancelled"
        if self._outcome is None:
            return "pending" if hasattr(self, "_token") else "running"
        return "failed" if isinstance(self._outcome, Failure) else "done"


def settle_values(tasks: list[Task[Any]], values: list[Any], seconds: list[float]) -> None:
    """As `Task.settle`, for tasks that started and succeeded: most do.

    The seconds of each stand for its outcome, and its value in `_result`.
    """
    for task, value, each in zip(tasks, values, seconds, strict=True):
        if task._outcome is not None:
            continue
        task._result = value
        task._outcome = each
        if task._watchers or task._callbacks or task._asked is not _NOT_MADE:
            task._tell_all()
        else:
            task._state = "FINISHED"


# What became of a task that is done, as `Task.outcome` says it, without an object for each. For
# `gather`, which asks all of its tasks.


def has_failed(task: Task[Any]) -> bool:
    """Whether it did not return."""
    return type(task._outcome) is not float and isinstance(task.outcome(), Failure)


def seconds_of(task: Task[Any]) -> float:
    """How long it ran."""
    seconds = task._outcome
    return seconds if type(seconds) is float else task.outcome().seconds


def value_of(task: Task[R]) -> R:
    """What it returned."""
    return task._result if type(task._outcome) is float else task.outcome().unwrap()


class _Callback:
    """One user's callback on one task; what it raises is logged, never lost."""

    __slots__ = ("_fn", "_task")

    def __init__(self, fn: Callable[[Any], object], task: Task[Any]) -> None:
        self._fn = fn
        self._task = task

    def __call__(self) -> None:
        try:
            self._fn(self._task)
        except Exception:
            tell_fault("a callback of %r raised", self._task)


def tell_fault(text: str, *args: Any) -> None:
    """Log the error that is being handled; where logging raises, say on standard error why."""
    try:
        logger().exception(text, *args)
    except BaseException as error:
        with suppress(BaseException):
            sys.excepthook(type(error), error, error.__traceback__)


def logger() -> Any:
    """Where errors go that nobody can receive."""
    from logging import getLogger

    return getLogger("unifexec")
