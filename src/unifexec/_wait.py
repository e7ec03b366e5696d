"""How callers wait: a thread on a queue, a coroutine by its own loop's wake-up.

Whoever waits registers a *watcher*, a callable that is called, once or more, when
something changed; looks again; and only then sleeps. So no wake-up is lost:

1. the waiter registers, 2. the waiter looks, 3. the waiter sleeps;
a. the state changes, b. the watchers are called.

If a. comes before 2. the waiter sees it and does not sleep; if after, b. comes after 1.
and finds the watcher. A watcher never blocks and takes no lock that a waiter holds, so
it may be called from anywhere. The queue is ``queue.SimpleQueue``, which is re-entrant.

A task that waits gives up its place (L18), here and nowhere else. It waits for a place again
when what it waited for has come. When its wait ended in another way, by a time-out or an
exception, it goes on at once: what it waited for may have the place, and need the task to go on.
"""

from __future__ import annotations

import os
import sys
from _queue import Empty, SimpleQueue
from threading import get_ident, main_thread
from time import monotonic

from unifexec._running import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Watchable(Protocol):
        """Something to wait for."""

        def watch(self, watcher: Callable[[], object]) -> None: ...
        def unwatch(self, watcher: Callable[[], object]) -> None: ...


SIGNAL_SECONDS = 0.25  # see `_slice`

_forks = 0  # how often this process came about by a fork of one that had imported us


def _forked() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def forks() -> int:
    """A number that differs in a forked child: an executor lives where it was made."""
    return _forks


def block(what: Watchable, ready: Callable[[], bool], timeout: float | None = None) -> bool:
    """Block this thread until ``ready()``; False when ``timeout`` seconds passed first."""
    if ready():
        return True
    deadline = None if timeout is None else monotonic() + timeout
    task = current_task()
    if task is None:
        return _sleep(what, ready, deadline)
    task.step_aside()
    came = False
    try:
        came = _sleep(what, ready, deadline)
    finally:
        if not came:
            task.step_back(_go_on)
    if came:
        _step_back(task)
    return came


def _sleep(what: Watchable, ready: Callable[[], bool], deadline: float | None) -> bool:
    bell: SimpleQueue[None] = SimpleQueue()

    def ring() -> None:
        bell.put(None)

    what.watch(ring)
    try:
        while not ready():
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return False
            try:
                bell.get(timeout=_slice(left))
            except Empty:
                pass  # look once more
        return True
    finally:
        what.unwatch(ring)


def _slice(left: float | None) -> float | None:
    """How long to sleep in one go: the main thread wakes now and then, for Ctrl-C.

    Before CPython 3.13 one thread that takes the GIL can clear the mark by which the main
    thread would notice a signal; if that then goes to sleep, the signal waits for it to wake.
    Seen in 6 of 12 runs on 3.12.1.
    """
    if get_ident() != main_thread().ident:
        return left
    return SIGNAL_SECONDS if left is None else min(left, SIGNAL_SECONDS)


def _go_on() -> None:
    """The task has its place again, and did not wait for it."""


def _step_back(task: Any) -> None:
    granted: SimpleQueue[None] = SimpleQueue()
    task.step_back(lambda: granted.put(None))
    granted.get()


async def suspend(what: Watchable, ready: Callable[[], bool]) -> None:
    """Suspend this coroutine until ``ready()``; its loop goes on."""
    if ready():
        await checkpoint()
        return
    task = current_task()
    if task is None:
        await _sleep_on_loop(what, ready)
        return
    task.step_aside()
    try:
        await _sleep_on_loop(what, ready)
    except BaseException:
        task.step_back(_go_on)
        raise
    event = LoopEvent()
    task.step_back(event.set)
    await event.wait()


async def _sleep_on_loop(what: Watchable, ready: Callable[[], bool]) -> None:
    event = LoopEvent()
    what.watch(event.set)
    try:
        while not ready():
            await event.wait()
    finally:
        what.unwatch(event.set)


async def suspend_for(
    what: Watchable, ready: Callable[[], bool], timeout: float | None = None
) -> bool:
    """As `suspend`; False when ``timeout`` seconds passed first."""
    if timeout is None:
        await suspend(what, ready)
        return True
    from anyio import move_on_after

    with move_on_after(timeout):
        await suspend(what, ready)
    return ready()


async def checkpoint() -> None:
    """Let the loop's other tasks run, and cancellation arrive."""
    from anyio.lowlevel import checkpoint

    await checkpoint()


class LoopEvent:
    """An event of the running loop that any thread, and any signal handler, may set."""

    __slots__ = ("_call", "_event", "set")

    set: Callable[[], None]

    def __init__(self) -> None:
        from anyio import Event

        self._event = Event()
        self._call = threadsafe_call()
        self.set = self._set_from_anywhere  # one object: `unwatch` must find it again

    def _set_from_anywhere(self) -> None:
        try:
            self._call(self.set_here)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            pass

    def set_here(self) -> None:
        """Set it, on the loop's own thread and not in a signal handler."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until set, and be ready to be set again."""
        from anyio import Event

        await self._event.wait()
        self._event = Event()


def threadsafe_call() -> Callable[..., object]:
    """The running loop's own call from other threads: it never blocks and never waits.

    anyio's ``from_thread.run_sync`` waits for its answer, so that a busy loop would hold
    whoever settles a task.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        call: Callable[..., object] = trio.lowlevel.current_trio_token().run_sync_soon
        return call
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe


def without_ctrl_c(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function in which Ctrl-C does not strike, where the loop would let it.

    trio raises ``KeyboardInterrupt`` in whatever task runs; protected code is spared, and
    the program's main task gets it. (asyncio cancels the main task anyway.)
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        protected: Callable[..., Any] = trio.lowlevel.enable_ki_protection(fn)
        return protected
    return fn
