"""What the four executors have in common: a room of their own, and its end."""

from __future__ import annotations

import os
from itertools import count
from weakref import WeakValueDictionary

from unifexec import _wait
from unifexec._backends import ending
from unifexec._core.checks import check_timeout
from unifexec._core.options import Options
from unifexec._core.verbs import Verbs
from unifexec.errors import UnifexecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from unifexec._backends.room import Room


class LocalExecutor(Verbs):
    """An executor in this process, which its room belongs to."""

    _room: Room

    def __init__(self, room: Room) -> None:
        self._room = room
        ending.remember(room)
        self._options = Options()
        self._key = (os.getpid(), next(_numbers))  # what it is known by in another process
        originals[self._key] = self

    def shutdown(
        self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None
    ) -> None:
        """Accept no more tasks, and wait until all accepted ones are done; see `Executor`."""
        if timeout is not None:
            timeout = check_timeout("timeout", timeout)
        self._room.check_alive()
        may_wait = wait and self._room.may_wait()
        if may_wait:
            self._room.check_blocking()
        pull = wait and not self._room.is_pulling()
        self._room.request_close(cancel=cancel_futures, pull=pull)
        if may_wait:
            self._room.wait_closed(timeout)

    async def aclose(self) -> None:
        """``shutdown()`` for asyncio and trio: waits without blocking the event loop."""
        self._room.check_alive()
        self._room.request_close()
        if self._room.may_wait():
            await self._room.suspend_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._room.inherited():
            return
        if error is not None:
            self._give_up()
        try:
            self.shutdown(wait=True)
        except UnifexecError:  # it did not begin to wait
            raise
        except BaseException:  # Ctrl-C while it waits, or what another handler raises
            self._give_up()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._room.inherited():
            return
        if error is not None:
            self._give_up()
        from anyio import CancelScope

        try:
            with CancelScope(shield=error is not None):  # a cancelled scope still closes in order
                await self.aclose()
        except UnifexecError:
            raise
        except BaseException:  # the scope is cancelled while we wait
            self._give_up()
            with CancelScope(shield=True):
                await self.aclose()
            raise

    def _give_up(self) -> None:
        """Left by an exception: what has not started never will, what runs is to stop (L20)."""
        _wait.mend_imports()
        self._room.request_close(cancel=True, abort=True)

    def __del__(self) -> None:
        room = getattr(self, "_room", None)
        if room is not None and not room.closing and not self._room.inherited():
            room.request_close()  # accepted tasks complete; the exit of the program waits

    def __repr__(self) -> str:
        state = "closed" if self._room.closing else "open"
        return f"<{type(self).__name__} max_workers={self._room.max_workers} {state}>"


_numbers = count()
originals: WeakValueDictionary[object, LocalExecutor] = WeakValueDictionary()


def _after_fork() -> None:
    """In a forked child: nothing of the parent's threads and workers is ours."""
    originals.clear()
    for room in ending.all_rooms():
        room.forget_in_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
