"""What the core keeps of its runs, crews and workers, and what a backend is allowed.

Plain notes: what is decided about them stands in `dispatch`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from unifexec._core.batches import Batch


class Run:
    """One batch on one worker."""

    __slots__ = (
        "aside",
        "batch",
        "carried",
        "cursor",
        "doomed",
        "end",
        "given_up",
        "number",
        "progress",
        "settled",
        "stopping",
        "wants_back",
        "withdrawing",
        "worker",
    )  # fmt: skip

    def __init__(self, number: int, worker: Worker, batch: Batch, now: float) -> None:
        size = len(batch)
        self.number: int = number
        self.worker: Worker = worker
        self.batch: Batch = batch
        self.cursor: int = 0  # the item that runs, or will run next
        self.end: int = size  # items from here on were withdrawn
        self.progress: float = now  # when it was sent, or last answered
        self.stopping: bool = False  # the current item was told to stop
        self.doomed: int = size  # items from here on shall not go on
        self.settled: bool = False  # the current item has its outcome already, on time
        self.given_up: int = -1  # the item that was over its grace, and is given up
        self.withdrawing: bool = False
        self.aside: bool = False
        self.wants_back: Callable[[], object] | None = None
        self.carried: Any = None  # the backend's own notes; nothing of them is read here


class Crew:
    """Many runs of one item each, written as one for as long as their items succeed.

    The items are of one plain batch, run side by side, each at a place of its own, and are
    answered in any order. The run of item ``offset`` has the number ``number + offset``, and
    is written out when something else happens to one of them (`Dispatch._write_out`).
    """

    __slots__ = ("batch", "carried", "left", "number", "progress", "workers")

    def __init__(self, number: int, workers: list[Worker], batch: Batch, now: float) -> None:
        self.number: int = number
        self.workers: list[Any] = workers  # of each item; None once that is answered
        self.batch: Batch = batch
        self.left: int = len(workers)  # items that are not answered
        self.progress: float = now  # when it was sent
        self.carried: list[Any] = []  # the backend's own notes, of each item; as in `Run`


class Worker:
    """A worker of any kind, as far as deciding is concerned; `_worker.Worker` is a process."""

    __slots__ = (
        "busy_seconds", "carried", "crew", "index", "leaving", "number", "ready", "runs", "tasks",
    )  # fmt: skip

    def __init__(self, number: int, index: int) -> None:
        self.number: int = number  # never used twice
        self.index: int = index  # from 0, reused by its replacement
        self.ready: bool = False
        self.leaving: bool = False  # it was told to
        self.crew: Crew | None = None  # an item of it runs here
        self.runs: list[Run] = []
        self.tasks: int = 0
        self.busy_seconds: float = 0.0
        self.carried: Any = None  # the backend's own notes; nothing of them is read here


class Limits:
    """What a backend is allowed, as numbers."""

    __slots__ = ("grace", "idle_timeout", "max_abandoned", "max_tasks_per_child", "max_workers")

    def __init__(
        self,
        max_workers: int,
        *,
        grace: float = 0.5,
        max_abandoned: int | None = None,
        max_tasks_per_child: int | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self.max_workers: int = max_workers
        self.grace: float = grace
        self.max_abandoned: int | None = max_abandoned
        self.max_tasks_per_child: int | None = max_tasks_per_child
        self.idle_timeout: float | None = idle_timeout
