"""Verdicts: the errors of tasks that came to no answer of their own, and how they name the task."""

from __future__ import annotations

from unifexec._running import shown
from unifexec.errors import (
    ExecutorClosedError,
    InitializerError,
    TaskCancelledError,
    TimeLimitError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from unifexec._core.batches import Batch

    Why: TypeAlias = Callable[[Batch, int], BaseException]  # for the item at an offset


def described(batch: Batch, offset: int) -> str:
    """A task by its name; an item of a map by its index, too."""
    part, index = batch.at(offset)
    return repr(part.name) if part.single else f"{part.name!r} (item {index})"


def cancelled(batch: Batch, offset: int) -> TaskCancelledError:
    """It never started."""
    return cancelled_error(described(batch, offset))


def cancelled_error(what: str) -> TaskCancelledError:
    """Each cancelled task gets an exception of its own: tracebacks are not shared."""
    return TaskCancelledError(f"task {what} was cancelled before it started")


def stopped(batch: Batch, offset: int) -> TaskCancelledError:
    """It was aborted."""
    return TaskCancelledError(f"task {described(batch, offset)} was stopped while it ran")


def over_limit(batch: Batch, offset: int) -> TimeLimitError:
    """It took longer than it may."""
    what, limit = described(batch, offset), batch.options.time_limit
    return TimeLimitError(f"task {what} ran longer than its time limit of {limit} s")


def closed(batch: Batch, offset: int) -> ExecutorClosedError:
    """It came too late."""
    what = described(batch, offset)
    return ExecutorClosedError(f"the executor was closed before task {what} could start")


def not_set_up(why: BaseException) -> Why:
    """There is no worker for it."""
    words = shown(why)

    def make(batch: Batch, offset: int) -> InitializerError:
        part, _ = batch.at(offset)
        error = InitializerError(f"no worker could be set up for {part.name!r}: {words}")
        error.__cause__ = why
        return error

    return make


def too_many_abandoned(batch: Batch, offset: int, most: int) -> str:
    """It goes on, and its worker with it: a warning, no error."""
    return (
        f"task {described(batch, offset)} does not stop, and {most} tasks were abandoned already "
        "(max_abandoned): its worker stays occupied until it ends"
    )
