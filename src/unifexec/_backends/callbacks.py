"""The one thread that runs users' callbacks (L27), and says what workers said (L26)."""

from __future__ import annotations

import os
import threading
from _queue import Empty, SimpleQueue

from unifexec import _wait
from unifexec._core.task import tell_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLOSE_SECONDS = 5.0  # how long a close waits for callbacks; a slow one delays only callbacks


class Callbacks:
    """The one thread that runs users' callbacks, so that they can delay only each other."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin with no calls and no thread; anew in a forked child, where the thread is not."""
        self._calls: SimpleQueue[list[Callable[[], object]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def run(self, calls: list[Callable[[], object]]) -> None:
        """Run the calls, in order, after those before them.

        Who finds that the thread is being started need not wait: it will find the calls. (It
        may be a signal handler, in the midst of the starting.)
        """
        self._calls.put(calls)
        if self._thread is None and self._starting.acquire(False):
            try:
                if self._thread is None:
                    self._start()
            finally:
                self._starting.release()

    def is_me(self) -> bool:
        """Whether this is the thread of the callbacks."""
        return threading.current_thread() is self._thread

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="unifexec-callbacks", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down: `flush` will call
            return
        self._thread = thread

    def _serve(self) -> None:
        while True:
            for call in self._calls.get():
                try:
                    call()
                except BaseException:  # SystemExit, say: those behind it are to be run
                    tell_fault("unifexec: a callback raised")
                del call  # while we wait for more, it would keep its task alive

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all calls made so far have run; not for long, if one is slow."""
        mark = self._mark()
        most = CLOSE_SECONDS if timeout is None else min(CLOSE_SECONDS, timeout)
        _wait.block(mark, mark.is_reached, most)

    async def aflush(self) -> None:
        """As `flush`, for coroutines."""
        mark = self._mark()
        await _wait.suspend(mark, mark.is_reached, CLOSE_SECONDS)

    def _mark(self) -> Mark:
        """What is reached when all calls made so far have run."""
        mark = Mark()
        self._calls.put([mark.reach])
        if self._thread is None:
            self._run_all()
        elif self.is_me():
            mark.reach()  # it would wait for itself
        return mark

    def _run_all(self) -> None:
        """Run the calls here, as there is no thread for them.

        Others that flush do the same, and the thread may just be starting: what we see in the
        queue may be theirs when we take it. Who takes a mark reaches it.
        """
        while True:
            try:
                calls = self._calls.get_nowait()
            except Empty:
                return
            for call in calls:
                call()


class Mark(_wait.Watched):
    """A place in a queue, and whether it was reached."""

    def __init__(self) -> None:
        super().__init__()
        self._reached = False

    def reach(self) -> None:
        """Those before it are done."""
        self._reached = True
        self.tell()

    def is_reached(self) -> bool:
        """Whether they are."""
        return self._reached


callbacks = Callbacks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=callbacks.begin)
