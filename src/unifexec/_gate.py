"""The one place of a worker process, and who has it (L18)."""

from __future__ import annotations

import threading
from _queue import SimpleQueue
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """The one place of this process (L18): its task has it, or an executor captured by it."""

    def __init__(self) -> None:
        self._holder: Seat | None = None
        self._queue: deque[tuple[Seat, Callable[[], object]]] = deque()
        self._lock = threading.Lock()  # held for a few instructions, never for a call

    def seat(self) -> Seat:
        """A seat for one more task."""
        return Seat(self)

    def is_held(self, seat: Seat) -> bool:
        """Whether the seat has the place, and nobody waits for it."""
        return self._holder is seat and not self._queue

    def enter(self, seat: Seat, wish: int, granted: Callable[[], object]) -> None:
        """Call ``granted`` when the place is the seat's: at once, or when another leaves it.

        At once as well if the seat has been left since it had this wish.
        """
        with self._lock:
            if seat.wish == wish:
                if self._holder is not None:
                    self._queue.append((seat, granted))
                    return
                self._holder = seat
        granted()

    def take(self, seat: Seat) -> bool:
        """Take the place, if it is free."""
        with self._lock:
            free = self._holder is None
            if free:
                self._holder = seat
        return free

    def leave(self, seat: Seat) -> None:
        """Give the place to whoever has waited longest; a seat without it wants it no more."""
        with self._lock:
            seat.wish += 1
            if self._holder is seat and not self._queue:
                self._holder = None
                return
            if self._holder is seat:
                told = [self._queue.popleft()]
                self._holder = told[0][0]
            else:
                told = [entry for entry in self._queue if entry[0] is seat]
                for entry in told:
                    self._queue.remove(entry)
        for _, granted in told:
            granted()


class Seat:
    """What one task has of the place of its process: it has it, waits for it, or neither."""

    __slots__ = ("gate", "wish")

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.wish = 0  # which of its wishes for the place is the last

    @property
    def room(self) -> object:
        """The room of the task, as far as it has one here."""
        return self.gate

    def enter(self, granted: Callable[[], object]) -> None:
        """Call ``granted`` when the place is ours."""
        self.gate.enter(self, self.wish, granted)

    def leave(self) -> None:
        """Give the place up, or the wish for it."""
        self.gate.leave(self)

    def wait(self) -> None:
        """Block until the place is ours."""
        if self.gate.take(self):
            return
        mine: SimpleQueue[None] = SimpleQueue()
        self.enter(lambda: mine.put(None))
        mine.get()
