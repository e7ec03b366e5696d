"""Batches: what travels together, and who asked for it.

A *batch* has one sink for all its items; a single task is a batch of one, and a *bundle* is made of
single tasks that wait. What is decided about them stands in `dispatch`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from unifexec._core.options import Options
    from unifexec._core.outcome import Failure, Success

    class Sink(Protocol):
        """Who asked for a batch, and receives its outcomes.

        A map has ``settle_block(first, values, seconds)`` besides, for the values of many
        items of plain batches; for those of many tasks there is `task.settle_values`.
        """

        def claim_batch(self, batch: Batch) -> int:
            """How many of its items, from the first, may start now; they count as started."""
            ...

        def settle_item(self, index: int, outcome: Success[Any] | Failure) -> None:
            """Receive the one outcome of item ``index``."""

    class NamedSink(Sink, Protocol):
        """A task."""

        name: str


class Batch:
    """Items that travel together; ``first`` is the index of the first of them."""

    first: int
    plain: bool  # nobody asks for more than the values of those that succeed
    loose: bool  # may be joined with what follows it in its map
    unary: bool  # an item is the one argument of a call, else what the backend made of all
    context: Any  # a copy of the caller's, where the backend runs in it

    # What most batches have: here, and not in each of them, for there are very many.
    single: bool = False  # a task of its own, that may be bundled with others
    deaths: int = 0  # how often a worker died of its first item
    near_deaths: int = 0  # how often one died with it, and had not touched it
    aborted: bool = False  # a task that shall not start, or stops when its turn comes
    name: str

    def __init__(
        self,
        sink: Sink,
        work: Any,
        items: list[Any],
        options: Options,
        name: str,
        first: int = 0,
        *,
        context: Any = None,
        plain: bool = False,
        loose: bool = False,
        unary: bool = False,
    ) -> None:
        self.sink: Sink = sink
        self.work: Any = work  # what the backend needs to know; nothing of it is read here
        self.items: list[Any] = items
        self.options: Options = options
        self.name: str = name
        self.first = first
        self.context = context
        self.plain = plain
        self.loose = loose
        self.unary = unary

    def part(self, start: int, end: int) -> Batch:
        """Some of the items, as a batch of their own."""
        items = self.items[start:end]
        part = Batch(
            self.sink, self.work, items, self.options, self.name, self.first + start,
            context=self.context, plain=self.plain, loose=self.loose, unary=self.unary,
        )  # fmt: skip
        if start == 0:
            part.deaths, part.near_deaths = self.deaths, self.near_deaths
        return part

    def parts(self) -> list[Batch]:
        """What it is made of."""
        return [self]

    def at(self, offset: int) -> tuple[Batch, int]:
        """Whose an item is, and its index there."""
        return self, self.first + offset

    def __len__(self) -> int:
        return len(self.items)


class Single(Batch):
    """One task by itself; it may be bundled with others that wait."""

    single = True
    first = 0
    plain = loose = unary = False

    def __init__(
        self, task: NamedSink, work: Any, item: Any, options: Options, context: Any = None
    ) -> None:
        self.sink: NamedSink = task
        self.work = work
        self.item = item
        self.options = options
        self.context = context

    @property
    def name(self) -> str:  # type: ignore[override]
        """That of the task."""
        return self.sink.name

    @property
    def items(self) -> list[Any]:  # type: ignore[override]
        """Its one item."""
        return [self.item]

    def part(self, start: int, end: int) -> Batch:
        """It has only one."""
        return self

    def __len__(self) -> int:
        return 1


class Nobody:
    """Stands in its batch for a task that has its outcome, and in a bundle for all of them.

    The frames of an error know the batch, those of ours that called the task among them. If
    that knew the task, and so the error, all of it would last until the garbage collector
    comes; and who keeps an error would keep what its neighbours in a bundle returned.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def claim_batch(self, batch: Batch) -> int:
        """It is over."""
        return 0

    def settle_item(self, index: int, outcome: Success[Any] | Failure) -> None:
        """It has its outcome."""


NOBODY = Nobody("")


class Bundle(Batch):
    """Single tasks that waited, and travel together; each keeps its own sink and name.

    So a backlog of submits costs little more for each than items of a map. It is made when
    it is sent, and taken apart when it comes back.
    """

    single = True

    def __init__(self, members: list[Single]) -> None:
        first = members[0]
        items = [member.item for member in members]
        super().__init__(Nobody(first.name), first.work, items, first.options, first.name)
        self.members = members

    def part(self, start: int, end: int) -> Batch:
        """Some of the tasks."""
        members = self.members[start:end]
        return members[0] if len(members) == 1 else Bundle(members)

    def parts(self) -> list[Single]:  # type: ignore[override]
        """The tasks, each for itself."""
        return self.members

    def at(self, offset: int) -> tuple[Batch, int]:
        """The task, which has one item."""
        return self.members[offset], self.members[offset].first
