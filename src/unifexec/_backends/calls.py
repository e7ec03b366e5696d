"""Calls as jobs of an event loop: what an `AsyncExecutor` runs, one object for each."""

from __future__ import annotations

from time import perf_counter

from unifexec._backends.room import Place, arguments_of
from unifexec._loops import Job
from unifexec._running import CurrentTask, current, is_awaitable, run_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from contextvars import Context
    from typing import Any

    from unifexec._backends.aio import AsyncRoom
    from unifexec._backends.lanes import Lane
    from unifexec._core.batches import Batch
    from unifexec._core.runs import Worker


class Common:
    """What the calls that were sent together have in common."""

    __slots__ = ("batch", "call", "many", "number", "room", "sent")

    def __init__(self, room: AsyncRoom, batch: Batch, number: int) -> None:
        self.room = room
        self.batch = batch
        self.number = number  # of the run of the first
        self.many = len(batch) > 1
        self.call = Call if room.awaits(batch) else PlainCall
        self.sent = perf_counter()


class Call(Job, CurrentTask):
    """One call of a coroutine function, as a job on the loop.

    And what the task knows of itself, in one, for there are very many.
    """

    __slots__ = ("_item", "_start", "common", "handle", "offset", "over")

    on_loop = True
    lane: Lane | None = None

    def __init__(self, common: Common, item: Any, worker: int, offset: int) -> None:
        self.common = common
        self.worker = worker
        self.offset = offset
        self.stop_requested = False
        self.handle = None
        self.over = False
        self._item = item
        self._start = common.sent  # until it begins: a job may end before
        self._waits = 0

    @property
    def number(self) -> int:
        """That of its run."""
        return self.common.number + self.offset

    @property
    def name(self) -> str:  # type: ignore[override]  # slots of the base, all three
        """That of the batch."""
        return self.common.batch.name

    @property
    def index(self) -> int:  # type: ignore[override]
        """Where the item is in its map."""
        return self.common.batch.first + self.offset

    @property
    def _place(self) -> Place:  # type: ignore[override]
        """Few tasks ever leave theirs."""
        return Place(self.common.room, self.number)

    def context(self) -> Context:
        """A copy for it alone."""
        copy: Context = self.common.batch.context.copy()
        return copy

    def begin(self) -> Awaitable[Any]:
        """Call the coroutine function."""
        current.set(self)
        self._start = perf_counter()
        batch, item, self._item = self.common.batch, self._item, None
        made: Awaitable[Any]
        if batch.unary:
            made = batch.work(item)
        else:
            args, kwargs = arguments_of(batch, item)
            made = batch.work(*args, **kwargs)
        return made

    def ended(self, succeeded: bool, value: Any) -> None:
        """The job is over."""
        self.handle = None  # its context refers to us
        self.common.room.ended((self, succeeded, value, perf_counter() - self._start))


class PlainCall(Call):
    """One call of a plain function, on a lane; what it returns may be a job for the loop."""

    __slots__ = ("_unawaited", "lane", "on_loop")

    def __init__(self, common: Common, item: Any, worker: int, offset: int) -> None:
        super().__init__(common, item, worker, offset)
        self.on_loop = False
        self.lane = None
        self._unawaited: Unawaited | None = None

    def call(self) -> tuple[bool, Any, float]:
        """Call it; on the lane."""
        batch, item, self._item = self.common.batch, self._item, None
        args, kwargs = arguments_of(batch, item)
        return run_task(self, super().context(), batch.work, args, kwargs, Unawaited)

    def go_on_with(self, made: Unawaited, seconds: float) -> None:
        """It returned, after so long, what the job is to await."""
        self._unawaited = made
        self._start = -seconds
        self.on_loop = True

    def context(self) -> Context:
        """That of the function."""
        assert self._unawaited is not None
        return self._unawaited.context

    def begin(self) -> Awaitable[Any]:
        """It was called already."""
        assert self._unawaited is not None
        current.set(self)
        self._start += perf_counter()
        return self._unawaited.awaitable


class Unawaited:
    """What a plain function returned is to be awaited, on the loop."""

    __slots__ = ("awaitable", "context")

    def __init__(self, awaitable: Awaitable[Any], context: Context) -> None:
        self.awaitable = awaitable
        self.context = context


class SetUp(Job):
    """The initializer, run by the first worker for all."""

    __slots__ = ("_room", "_worker", "handle", "stop_requested")

    def __init__(self, room: AsyncRoom, worker: Worker) -> None:
        self._room = room
        self._worker = worker
        self.handle = None
        self.stop_requested = False

    async def begin(self) -> None:
        """Run it; it may be an ``async def``."""
        setup = self._room.setup
        assert setup.initializer is not None
        made: Any = setup.initializer(*setup.initargs)
        if is_awaitable(made):
            await made

    def ended(self, succeeded: bool, value: Any) -> None:
        """All workers are set up, or none can be."""
        room, number = self._room, self._worker.number
        if succeeded:
            room.post(room.dispatch.ready, number)
        else:
            room.post(room.dispatch.init_failed, number, value)
