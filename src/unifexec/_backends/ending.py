"""The end of the program: what was accepted is done, or stopped after Ctrl-C (L20)."""

from __future__ import annotations

import sys
import threading
from weakref import WeakSet

from unifexec._backends.callbacks import callbacks
from unifexec._core.task import logger
from unifexec.errors import WaitTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from unifexec._backends.room import Room

_rooms: WeakSet[Room] = WeakSet()
exiting = False  # the program ends, and what was accepted is done: no carrier begins any more


def remember(room: Room) -> None:
    global exiting
    if not _rooms and not hasattr(remember, "registered"):
        # Private, and what `concurrent.futures.thread` itself uses: it runs before the
        # interpreter gives up daemon threads, and `atexit` runs after. A test would notice
        # its disappearance.
        try:
            threading._register_atexit(_close_all)  # type: ignore[attr-defined]
        except RuntimeError:  # the program is over: this can only be closed
            exiting = True
        remember.registered = True  # type: ignore[attr-defined]
    _rooms.add(room)
    if exiting:  # first added, then looked: who says so, says so first and looks for rooms then
        room.refuses = True


def all_rooms() -> list[Room]:
    """All of this moment; other threads may be making some."""
    while True:
        try:
            return list(_rooms)
        except RuntimeError:  # it changed meanwhile
            continue


def _close_all() -> None:
    """Complete what was accepted; after Ctrl-C, stop it instead."""
    global exiting
    ended_by = getattr(sys, "last_type", None)
    interrupted = ended_by is not None and issubclass(ended_by, KeyboardInterrupt)
    left: set[Room] = set()  # they did not close in time
    while rooms := {room for room in all_rooms() if room.lives() and not room.inherited()} - left:
        try:  # what is completed may make executors, and use them
            _finish(rooms, interrupted)
        except KeyboardInterrupt:
            interrupted = True
            _tell_given_up(rooms)
            _finish(rooms, interrupted)
        left |= rooms
    exiting = True
    for room in all_rooms():
        room.refuses = True
    callbacks.flush()


def _tell_given_up(rooms: set[Room]) -> None:
    """There is no exit code for it any more, so late, and nobody who could be told otherwise."""
    stats = [room.stats() for room in rooms]
    logger().warning(
        "unifexec: Ctrl-C at the end of the program: %d accepted tasks are given up; "
        "close executors (`with`) to have it end the program as elsewhere",
        sum(each.queued + each.running for each in stats),
    )


def _finish(rooms: set[Room], interrupted: bool) -> None:
    for room in rooms:
        room.request_close(cancel=interrupted, abort=interrupted)
    for room in rooms:
        try:
            room.wait_closed(timeout=1.5 if interrupted else None)
        except WaitTimeoutError:
            text = (
                "unifexec: what runs in the %s executor could not be stopped in time, and is left"
            )
            logger().warning(text, room.traits.kind)
