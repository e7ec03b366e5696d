"""Fake sinks and fake workers, and the truth about every item: what the model compares with."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unifexec._core.options import Options


class FakeTask:
    """A single task as a sink: it is claimed or cancelled, never both."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"task {number}"
        self.claimed = self.cancelled = False
        self.aborted = False  # somebody asked for it
        self.abort_heard = False  # and the core was told

    def claim_batch(self, batch: Any) -> int:
        self.claimed = self.claimed or not self.cancelled
        return int(self.claimed)

    def wants(self, index: int) -> bool:
        return not self.cancelled

    def may_stop(self, index: int) -> bool:
        return self.aborted


class FakeMap:
    """A map as a sink: it may want less than it asked for."""

    def __init__(
        self,
        number: int,
        options: Options | None = None,
        plain: bool = False,
        blocks: bool = False,
        loose: bool = False,
    ) -> None:
        self.number = number
        self.name = f"map {number}"
        self.options = options  # of all its items
        self.plain = plain  # its function: see `Item`
        self.blocks = blocks  # only values are asked for: they may come in blocks
        self.loose = loose  # its batches may be joined
        self.stop = self.abort_from = 1 << 30
        self.abort_heard_from = 1 << 30  # from here on the core knows
        self.submitted = 0

    def claim_batch(self, batch: Any) -> int:
        return max(0, min(len(batch), self.stop - batch.first))

    def wants(self, index: int) -> bool:
        return index < self.stop

    def may_stop(self, index: int) -> bool:
        return index >= self.abort_from


class Item:
    """What really happened to one item."""

    def __init__(self, sink: Any, index: int, options: Options, plain: bool, turn: Any) -> None:
        self.sink = sink
        self.index = index
        self.options = options
        self.plain = plain  # a plain function: a thread cannot stop it
        self.turn = turn  # of which accepted batch, and its place there
        self.sent = False
        self.unsendable = False
        self.value = (sink.number, index)
        if isinstance(sink, FakeMap):
            self.fails = sink.blocks and index % 4 == 3
        else:
            self.fails = sink.number % 5 == 2
        self.outcome: Any = None
        self.starts = 0
        self.started_at = 0.0
        self.seconds = 0.0  # as the worker measured
        self.touched_deaths = 0  # workers that died over it
        self.near_deaths = 0  # workers that died when it was their next
        self.limit_at: float | None = None  # the core knows that it started
        self.force_at: float | None = None  # it may be ended by force from then on
        self.warned = False

    def __repr__(self) -> str:
        return f"<item {self.index} of {self.sink.name}>"


class Trip:
    """A run in the hands of a fake worker."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.crew: Any = None  # it is of one, or was
        self.offset = 0  # in that
        self.todo = deque(range(len(run.batch)))
        self.current: int | None = None
        self.kept: list[Any] = []  # outcomes that were not handed over yet
        self.inbox: deque[Any] = deque()  # what the worker was told, and did not read yet
        self.abort_for: int | None = None  # the item that shall stop, and no other
        self.waiting = False  # its task gave up its place
        self.asked_back = False
        self.waits_again = False  # it did not wait for its place, and waits for others now
        self.abandoned = False

    def key(self, offset: int) -> Any:
        batch, index = self.run.batch.at(offset)
        return batch.sink.name, index

    def aborted(self) -> bool:
        return self.current is not None and self.current == self.abort_for

    def has_work(self) -> bool:
        return not self.abandoned and (self.current is not None or bool(self.todo))

    def holds_place(self) -> bool:
        return self.current is not None and not self.waiting and not self.abandoned


class Worker:
    """A fake worker, alive."""

    def __init__(self, core: Any, born: int) -> None:
        self.core = core
        self.born = born  # by which event
        self.stubborn = core.number % 3 == 1  # it hangs when it is told to leave
        self.ready = False
        self.told_to_stop = False
        self.trips: list[Trip] = []

    def may_leave(self, aborting: bool) -> bool:
        if aborting and self.stubborn:
            return False
        return self.told_to_stop and not any(trip.has_work() for trip in self.trips)
