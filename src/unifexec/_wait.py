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

import _imp
import os
import sys
from _queue import Empty, SimpleQueue
from collections import deque
from functools import partial
from threading import get_ident, local, main_thread
from time import monotonic
from weakref import ref

from unifexec._running import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    class Watchable(Protocol):
        """Something to wait for."""

        def watch(self, watcher: Callable[[], object]) -> None: ...
        def unwatch(self, watcher: Callable[[], object]) -> None: ...


class Watched:
    """Something to wait for, that tells its watchers when it changed."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[], object]] = []

    def watch(self, watcher: Callable[[], object]) -> None:
        """Call ``watcher`` whenever something changed."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], object]) -> None:
        """Forget a watcher."""
        self._watchers.remove(watcher)

    def tell(self) -> None:
        """Something changed."""
        for watcher in self._watchers.copy():
            watcher()


SIGNAL_SECONDS = 0.25  # see `_slice`
MOST_SECONDS = 86400.0  # see `at_once`

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
            task.step_back(go_on)
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
                mend_imports()  # and look once more
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
        return None if left is None else at_once(left)
    return SIGNAL_SECONDS if left is None else min(left, SIGNAL_SECONDS)


def at_once(seconds: float) -> float:
    """How much of that a thread may sleep in one go: systems have limits, of 24 days and less."""
    return min(seconds, MOST_SECONDS)


def mend_imports() -> None:
    """Give back the lock of the import system, which Ctrl-C may have left with this thread.

    1. Another thread imports something, and has the lock for a moment. 2. Ours is to import as
    well, and waits for it; 3. Ctrl-C is pressed. 4. We get the lock, and before the ``try`` of
    `importlib` that gives it back begins, Python raises KeyboardInterrupt. From then on the lock
    is ours, and no other thread imports anything, also none that we wait for. (On CPython 3.13,
    11 of 600 programs that were interrupted in their first milliseconds hung like that.)

    Whoever comes here is in no such ``try``. Private, as there is no other way: a test notices
    its disappearance.
    """
    while _imp.lock_held():
        try:
            _imp.release_lock()
        except RuntimeError:  # it is another thread's, which will give it back
            return


def tries(lock: LockType) -> Iterator[bool]:
    """Take a lock, if it is free, so that Ctrl-C cannot leave it taken.

    In a ``for`` whose body is a ``try`` that gives it back, and then a ``break`` or ``return``.
    Python looks for signals after every call, so Ctrl-C could strike between a call that takes
    a lock and that ``try``; between a step of a loop and its body it does not look.
    """
    return iter(partial(lock.acquire, False), False)


def go_on() -> None:
    """The task has its place again, and did not wait for it."""


def _step_back(task: Any) -> None:
    granted: SimpleQueue[None] = SimpleQueue()
    task.step_back(lambda: granted.put(None))
    granted.get()


async def suspend(what: Watchable, ready: Callable[[], bool], timeout: float | None = None) -> bool:
    """Suspend this coroutine until ``ready()``; False when ``timeout`` seconds passed first."""
    if ready():
        await checkpoint()
        return True
    deadline = None if timeout is None else monotonic() + timeout
    task = current_task()
    if task is None:
        return await _sleep_on_loop(what, ready, deadline)
    task.step_aside()
    came = False
    try:
        came = await _sleep_on_loop(what, ready, deadline)
    finally:
        if not came:
            task.step_back(go_on)
    if came:
        event = LoopEvent()
        task.step_back(event.set)
        await event.wait()
    return came


async def _sleep_on_loop(
    what: Watchable, ready: Callable[[], bool], deadline: float | None
) -> bool:
    event = LoopEvent()
    ring = event.set
    what.watch(ring)
    left = None
    try:
        while not ready():
            if deadline is not None and (left := deadline - monotonic()) <= 0:
                return False
            await event.wait(left)
        return True
    finally:
        what.unwatch(ring)


HOLD_SECONDS = 0.001  # how long results that are there already may hold a loop of asyncio
# Long against the 10 µs or so of one turn of the loop, short against what anybody notices.


async def checkpoint() -> None:
    """Let the loop's other tasks run, and cancellation arrive; called where nothing is awaited.

    On trio each time, as its rules are. On asyncio, where most things that are there already
    do not give way at all, every millisecond: a turn of the loop costs more than a result.
    """
    known = getattr(_here, "delivery", None)
    if known is None or monotonic() - known.shared_at >= HOLD_SECONDS:
        await give_way()


async def give_way() -> None:
    """Let the loop's other tasks run, once."""
    await _delivery().give_way()


class Delivery:
    """How coroutines of one loop are woken from elsewhere: many by one call across threads.

    1. A delivery counts itself, 2. sets all events that are due.
    a. We add an event to those due, b. read the count, c. look whether a delivery was called
    for at this count, and if not, d. call for one, e. note the count.

    A note that equals the count stands for a delivery that was called for after somebody had
    read this count, and has not come to its 1., which would have changed it. So its 2. comes
    after our b., hence after our a., and sets our event. A note that comes late names an older
    count, and costs a call too many, no more. So does Ctrl-C between d. and e.; between a. and
    d. it leaves the event to the next delivery. There is no lock, and a signal handler may
    do the same in the midst of it.
    """

    __slots__ = ("_count", "_due", "_noted", "shared_at")

    def __init__(self) -> None:
        self._due: deque[LoopEvent] = deque()
        self._count = 0  # written on the loop only
        self._noted = -1
        self.shared_at = float("-inf")  # when `checkpoint` last let others run

    def bring(self, event: LoopEvent) -> None:
        """Have an event set, on its loop; from anywhere."""
        self._due.append(event)
        count = self._count
        if self._noted != count:
            try:
                self._call()
            except RuntimeError:  # the loop is closed: nobody waits there any more
                self._due.clear()
            else:
                self._noted = count

    def _deliver(self) -> None:
        self._count += 1
        while self._due:
            self._due.popleft().set_here()

    def in_task(self) -> bool:
        """Whether one of this loop's tasks is taking a step, here: then it does not sleep.

        (Outside of a task, on its thread, we may be in a signal handler that interrupts its
        sleep, which goes on afterwards.)
        """
        return False

    def _call(self) -> None:
        """Have `_deliver` called on the loop."""
        raise NotImplementedError

    async def give_way(self) -> None:
        """Let the others run."""
        raise NotImplementedError

    def waiter(self) -> Any:
        """Something to await."""
        raise NotImplementedError

    async def wait(self, event: LoopEvent, waiter: Any, seconds: float) -> None:
        """Await it, so long at most."""
        raise NotImplementedError

    def wake(self, waiter: Any) -> None:
        """Wake who waits; on the loop."""
        raise NotImplementedError


class AsyncioDelivery(Delivery):
    """On a loop of asyncio: plain futures, plain callbacks.

    anyio's events and cancel scopes do the same at ten times the price.
    """

    __slots__ = ("_asyncio", "loop")

    def __init__(self, loop: Any) -> None:
        import asyncio

        super().__init__()
        self._asyncio = asyncio
        self.loop: Callable[[], Any] = ref(loop)  # its thread keeps us, and we would keep it

    def in_task(self) -> bool:
        loop = self.loop()
        asyncio = self._asyncio
        if loop is None or asyncio._get_running_loop() is not loop:
            return False
        return asyncio.current_task(loop) is not None

    def _call(self) -> None:
        loop = self.loop()
        if loop is not None:
            loop.call_soon_threadsafe(self._deliver)

    async def give_way(self) -> None:
        self.shared_at = monotonic()  # others that come here in this turn need not give way, too
        await self._asyncio.sleep(0)
        self.shared_at = monotonic()

    def waiter(self) -> Any:
        return self.loop().create_future()

    async def wait(self, event: LoopEvent, waiter: Any, seconds: float) -> None:
        timer = self.loop().call_later(seconds, event.set_here)
        try:
            await waiter
        finally:
            timer.cancel()

    def wake(self, waiter: Any) -> None:
        if not waiter.done():  # else who waited was cancelled
            try:
                waiter.set_result(None)
            except self._asyncio.InvalidStateError:  # a signal handler was faster
                pass


class TrioDelivery(Delivery):
    """On a loop of trio."""

    __slots__ = ("_trio", "token")

    def __init__(self, trio: Any, token: Any) -> None:
        super().__init__()
        self._trio = trio
        self.token = token

    def _call(self) -> None:
        self.token.run_sync_soon(self._deliver)

    async def give_way(self) -> None:
        await self._trio.lowlevel.checkpoint()

    def waiter(self) -> Any:
        return TrioWaiter(self._trio.Event())

    async def wait(self, event: LoopEvent, waiter: Any, seconds: float) -> None:
        with self._trio.move_on_after(seconds):
            await waiter

    def wake(self, waiter: Any) -> None:
        waiter.event.set()


class TrioWaiter:
    """An event of trio, to be awaited as a future of asyncio is."""

    __slots__ = ("event",)

    def __init__(self, event: Any) -> None:
        self.event = event

    def __await__(self) -> Any:
        return self.event.wait().__await__()


def _running_loop() -> Any:
    """That of asyncio; imported when it is needed."""
    global _running_loop
    from asyncio import get_running_loop

    _running_loop = get_running_loop
    return get_running_loop()


def running_trio() -> Any:
    """trio, if a loop of it runs in this thread, else None.

    A module has not all of its attributes while another thread imports it: then none does.
    """
    trio = sys.modules.get("trio")
    is_running = getattr(getattr(trio, "lowlevel", None), "in_trio_run", None)
    return trio if is_running is not None and is_running() else None


_here = local()  # the delivery of the loop that ran last on this thread


def _delivery() -> Any:
    """That of the running loop."""
    known = getattr(_here, "delivery", None)
    if (trio := running_trio()) is not None:
        token = trio.lowlevel.current_trio_token()
        if getattr(known, "token", None) is not token:
            known = _here.delivery = TrioDelivery(trio, token)
        return known
    loop = _running_loop()
    if not isinstance(known, AsyncioDelivery) or known.loop() is not loop:
        known = _here.delivery = AsyncioDelivery(loop)
    return known


class LoopEvent:
    """An event of the running loop that any thread, and any signal handler, may set.

    One coroutine at a time waits for it.
    """

    __slots__ = ("_delivery", "_is_set", "_waiter")

    def __init__(self) -> None:
        self._delivery = _delivery()
        self._is_set = False
        self._waiter: Any = None

    def set(self) -> None:
        """Set it; from anywhere.

        If it is set already, who waits has not reset it; it will, and look again after that.
        """
        if self._is_set:
            return
        if self._delivery.in_task():
            self.set_here()
        else:
            self._delivery.bring(self)

    def set_here(self) -> None:
        """Set it, on the loop's own thread and while that does not sleep."""
        self._is_set = True
        if self._waiter is not None:
            self._delivery.wake(self._waiter)

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until set, or so long; and be ready to be set again."""
        if not self._is_set:
            self._waiter = waiter = self._delivery.waiter()
            try:
                if seconds is None:
                    await waiter
                else:
                    await self._delivery.wait(self, waiter, seconds)
            finally:
                self._waiter = None
        self._is_set = False


def without_ctrl_c(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function in which Ctrl-C does not strike, where the loop would let it.

    trio raises ``KeyboardInterrupt`` in whatever task runs; protected code is spared, and
    the program's main task gets it. (asyncio cancels the main task anyway.)
    """
    if (trio := running_trio()) is not None:
        protected: Callable[..., Any] = trio.lowlevel.enable_ki_protection(fn)
        return protected
    return fn
