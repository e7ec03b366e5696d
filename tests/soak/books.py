"""The books: every accepted task, what became of it, and whether that may be."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from unifexec import (
    Success,
    TaskCancelledError,
    TimeLimitError,
    WaitTimeoutError,
    WorkerLostError,
)

from .jobs import starts_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from unifexec import Outcome, Task

WAIT_SECONDS = 60.0  # a task that is not done by then is a hang


class Entry(NamedTuple):
    """One accepted task: the fates it may have, and how often it may start at most."""

    what: str
    fates: Collection[str]
    value: int | None
    starts: int


def fate_of(outcome: Outcome[Any]) -> str:
    """One of the five ways of L3."""
    if isinstance(outcome, Success):
        return "success"
    for kind, fate in (
        (WorkerLostError, "lost"),
        (TimeLimitError, "time limit"),
        (TaskCancelledError, "cancelled"),
    ):
        if isinstance(outcome.error, kind):
            return fate
    return "failure"


def _fates_of_closing(entry: Entry) -> Collection[str]:
    """What else may become of a task whose executor is left by an exception.

    A plain function in a thread, that waits to be asked to end, is asked; and then it returns.
    """
    return {"cancelled", "success"} if entry.what == "over limit" else {"cancelled"}


class Books:
    """The tasks of one program: accepted, started (noted in a file), settled."""

    def __init__(self) -> None:
        handle, self.path = tempfile.mkstemp(prefix="unifexec-soak-")
        os.close(handle)
        self.accepted = 0
        self.fates: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.complaints: list[str] = []
        self._entries: list[Entry | None] = []
        self._tasks: list[tuple[int, Task[Any]]] = []
        self._never_start: list[int] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.unlink(self.path)

    def number(self) -> tuple[str, int]:
        """Where, and under which number, the next task notes that it starts."""
        with self._lock:
            self._entries.append(None)
            return self.path, len(self._entries) - 1

    def fault(self, what: str, count: int = 1) -> None:
        """A fault was injected."""
        with self._lock:
            self.faults[what] += count

    def accept(self, number: int, entry: Entry) -> None:
        """A task was accepted by its executor."""
        with self._lock:
            self._entries[number] = entry
            self.accepted += 1

    def watch(self, number: int, task: Task[Any]) -> None:
        """Settle this one at the end."""
        with self._lock:
            self._tasks.append((number, task))

    def settle_tasks(self, closed_early: bool) -> None:
        """Wait for every task, and settle it."""
        for number, task in self._tasks:
            try:
                task.exception(WAIT_SECONDS)
            except TaskCancelledError:
                pass
            except WaitTimeoutError:
                self.complaints.append(f"task {number} hangs: {self._entries[number]}, {task!r}")
                continue
            if task.cancelled():
                self._never_start.append(number)
            self.settle(number, task.outcome(), closed_early)

    def settle(self, number: int, outcome: Outcome[Any], closed_early: bool = False) -> None:
        """A task has its outcome: one that it may have, and with the right value."""
        entry = self._entries[number]
        assert entry is not None
        fate = fate_of(outcome)
        self.fates[fate] += 1
        if fate not in entry.fates and not (closed_early and fate in _fates_of_closing(entry)):
            self.complaints.append(f"{entry.what} {number} came to {fate}: {outcome!r}")
        if isinstance(outcome, Success) and entry.value not in (None, outcome.value):
            self.complaints.append(f"{entry.what} {number} gave {outcome!r}, not {entry.value}")

    def close(self) -> list[str]:
        """The complaints, after the last look: at the sums, and at how often what started."""
        if self.accepted != self.fates.total():
            self.complaints.append(f"{self.accepted} accepted, but {dict(self.fates)}")
        starts = Counter(number for number, _ in starts_of(self.path))
        for number, entry in enumerate(self._entries):
            if entry is not None and starts[number] > entry.starts:
                self.complaints.append(f"{entry.what} {number} started {starts[number]} times")
        for number in self._never_start:
            if starts[number]:
                self.complaints.append(f"task {number} was cancelled, and started")
        return self.complaints
