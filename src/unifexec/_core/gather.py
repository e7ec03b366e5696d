"""`gather`: several tasks as one."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import count
from threading import local
from types import GeneratorType

from unifexec._core.outcome import Failure, Success
from unifexec._core.task import Task, has_failed, seconds_of, value_of
from unifexec._core.verdicts import cancelled_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeVar

    from unifexec._core.task import Home

    R = TypeVar("R")
else:
    R = "R"


def check_task(task: Any) -> None:
    """Refuse what is no task, and say how to make one of it."""
    if isinstance(task, Task):
        return
    if isinstance(task, (list, tuple, set, GeneratorType)):
        cure = "unpack it, gather(*tasks)"
    elif hasattr(task, "cr_frame"):
        task.close()  # or the interpreter warns that it was never awaited
        cure = "submit the function, gather(executor.submit(fn, *args), ...), not fn(*args)"
    else:
        cure = "gather(executor.submit(fn, *args), ...) makes tasks and joins them"
    raise TypeError(f"gather() needs tasks, got {task!r}: {cure}")


class _Here(local):
    """Of this thread: gathers that are to be settled, and whether that is going on."""

    def __init__(self) -> None:
        self.finished: deque[GatherTask[Any]] = deque()
        self.finishing: bool = False


_here = _Here()


class GatherTask(Task[R]):
    """The task of several tasks' results; it settles when all of them have."""

    def __init__(self, home: Home, tasks: tuple[Task[Any], ...], errors: str, name: str) -> None:
        super().__init__(home, name)
        self._take_token()
        self._tasks = tasks
        self._errors = errors
        self._settled_tasks = count(1)  # its `next` is atomic: one thread sees the last
        self._failed: list[int] = []  # in order of time
        self._cancelling: list[Task[Any]] = []  # those that `cancel` found not done
        for index, task in enumerate(tasks):
            task.watch(partial(self._one_settled, index))
        if not tasks:
            self._finish()

    def _one_settled(self, index: int) -> None:
        if has_failed(self._tasks[index]):
            self._failed.append(index)
            if self._errors == "raise" and self._failed[0] == index:
                for task in self._tasks:  # L14; those that are done do not mind
                    task.abort()
        if next(self._settled_tasks) == len(self._tasks):
            self._finish()

    def _finish(self) -> None:
        """All of its tasks have settled. Of gathers of gathers, one after the other.

        Each inside the one before it would be too deep for a long chain. If something
        interrupts us, whoever comes next finishes the rest.
        """
        _here.finished.append(self)
        if _here.finishing:
            return
        _here.finishing = True
        try:
            while _here.finished:
                _here.finished.popleft()._settle()
        finally:
            _here.finishing = False

    def _settle(self) -> None:
        self.settle(self._joined(max(map(seconds_of, self._tasks), default=0.0)))

    def _joined(self, seconds: float) -> Any:
        tasks = self._tasks
        if self._cancelling and all(task.cancelled() for task in self._cancelling):
            self._cancel_won = True
            return Failure(cancelled_error(repr(self.name)), name=self.name, seconds=seconds)
        if self._errors == "return":
            outcomes = tuple([task.outcome().at(i, task.name) for i, task in enumerate(tasks)])
            return Success(outcomes, name=self.name, seconds=seconds)
        if not self._failed:
            return Success(tuple(map(value_of, tasks)), name=self.name, seconds=seconds)
        if self._errors == "raise":
            return tasks[self._failed[0]].outcome().at(0, self.name)
        failures: list[Any] = [tasks[index].outcome() for index in sorted(self._failed)]
        errors = [failure.error for failure in failures]
        text = f"{len(errors)} of {len(tasks)} tasks failed"
        return Failure(BaseExceptionGroup(text, errors), name=self.name, seconds=seconds)

    def _below(self) -> Iterator[Task[Any]]:
        """Itself, and what is below it and not done, each once.

        Gathers of gathers may be too deep to ask each other, and may share their tasks.
        """
        known: set[Task[Any]] = {self}
        tasks: list[Task[Any]] = [self]
        while tasks:
            task = tasks.pop()
            yield task
            if isinstance(task, GatherTask):
                new = [one for one in task._tasks if one not in known and not one.done()]
                known.update(new)
                tasks += new

    def _leaves(self) -> list[Task[Any]]:
        """Of what is below it the tasks that run by themselves."""
        return [task for task in self._below() if not isinstance(task, GatherTask)]

    def cancel(self) -> bool:
        """Cancel all tasks that are not done, if none of them has started."""
        if self._cancel_won:
            return True
        pending = [task for task in self._tasks if not task.done()]
        if not pending or any(task.running() for task in pending):
            return False
        gathers = [task for task in self._below() if isinstance(task, GatherTask)]
        leaves = self._leaves()
        for gather in gathers:
            gather._cancelling = [task for task in gather._tasks if not task.done()]
        if not all([task.cancel() for task in leaves]):
            return False  # one of them started meanwhile
        for gather in gathers:
            gather._cancel_won = True
        return True

    def running(self) -> bool:
        """Whether one of the tasks runs, so that it cannot be cancelled."""
        return not self.done() and any(task.running() for task in self._leaves())

    def abort(self) -> bool:
        """Abort every task that is not done; True if that stops one of them."""
        return any([task.abort() for task in self._leaves()])

    def check_blocking(self) -> None:
        """Raise if blocking this thread could never end."""
        for task in self._leaves():
            task.check_blocking()
