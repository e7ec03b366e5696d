"""One worker process as its parent sees it; what is done with many of them is in `process`."""

from __future__ import annotations

import mmap
import os
import signal
import tempfile
from collections import OrderedDict, deque
from contextlib import ExitStack

from unifexec import _bunches, _messages
from unifexec._backends.starting import lifeline_pair, socket_pair
from unifexec._segments import Inbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

    from unifexec._backends.starting import Starter
    from unifexec._core.runs import Worker

NO_MEMORY = memoryview(b"")  # instead of a payload that there is no memory for
READ_SIZE = 1 << 16  # bytes read from one worker before the others have their turn
# More would be taken from the system, and given back, for each read.


class Child:
    """A worker process: its pipe, mark and lifeline, and how it is killed."""

    def __init__(self, worker: Worker, setup: bytes, starter: Starter) -> None:
        self.worker = worker
        self.init_error: BaseException | None = None
        self.known: OrderedDict[int, None] = OrderedDict()
        self.segments: set[int] = set()  # of ours, that it has (`parcels`)
        self.shared: set[int] = set()  # values that it has
        self.defined: set[int] = set()  # definitions of classes that it was told
        self._input = bytearray()
        self._taken = 0  # bytes of it
        self._large: memoryview | None = None  # a large payload that is arriving
        self._large_head: tuple[int, int, int] = 0, 0, 0
        self._large_filled = 0
        self._skipped = 0  # bytes still to come of a payload that there is no memory for
        self._output: deque[memoryview] = deque()
        self._small: list[bytes] = []  # small parts of messages, to be joined
        self.put(_messages.SETUP, 0, 0, setup)
        with ExitStack() as ours, ExitStack() as given:
            fds = self._open(ours, given)
            self.process = starter.start(fds)
            self._ours = ours.pop_all()
        self.sentinel = _sentinel(self.process.pid)
        if self.sentinel is not None:
            self._ours.callback(os.close, self.sentinel)

    def _open(self, ours: ExitStack, given: ExitStack) -> list[int]:
        """What we have in common with it: its descriptors, those that `live` is given."""
        self.sock, theirs = socket_pair(ours, given)
        self.sock.setblocking(False)
        self.hand, their_hand = socket_pair(ours, given)  # hands over segments (`_segments`)
        self.hand.setblocking(False)
        self.inbox = Inbox(self.hand)
        ours.callback(self.inbox.close)
        self._lifeline, lifeline = lifeline_pair(ours, given)
        file = given.enter_context(_nameless_file())
        # Space that is only promised ends who touches it, once the disk is full.
        file.write(bytes(_bunches.SCRATCH_SIZE))
        file.flush()
        self._mark = ours.enter_context(mmap.mmap(file.fileno(), _bunches.SCRATCH_SIZE))
        return [theirs, file.fileno(), lifeline, their_hand]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def mark(self) -> int:
        """What it is at; true when it is dead or stopped."""
        return _bunches.mark_in(self._mark)

    def kept(self) -> tuple[int, int, int]:
        """Once it is dead: run, offset of the first, and number of values it may not have sent."""
        return _bunches.kept_in(self._mark)

    def values(self, count: int) -> list[Any]:
        """So many of them."""
        return _bunches.values_in(self._mark, count)

    # -- the pipe: never blocking, on this side --

    def put(self, kind: int, number: int, offset: int, *payload: bytes) -> None:
        """Have a message sent by the next `flush`, together with others."""
        size = sum(map(len, payload))
        header = _messages.HEADER.pack(kind, number, offset, size)
        if size < _messages.LONG:
            self._small += header, *payload
        else:
            self._join_small()
            self._output.extend(map(memoryview, (header, *payload)))

    def _join_small(self) -> None:
        if self._small:
            self._output.append(memoryview(b"".join(self._small)))
            self._small.clear()

    def flush(self) -> bool:
        """Write what there is room for; True when nothing is left."""
        self._join_small()
        while self._output:
            try:
                sent = self.sock.send(self._output[0])
            except BlockingIOError:
                return False
            except OSError:  # it is gone, which its sentinel tells
                self._output.clear()
                return True
            if sent == len(self._output[0]):
                self._output.popleft()
            else:
                self._output[0] = self._output[0][sent:]
        return True

    def receive(self) -> bool:
        """Read what is there; False at the end."""
        try:
            if self._skipped:
                count = len(self.sock.recv(min(self._skipped, READ_SIZE)))
                self._skipped -= count
            elif self._large is not None:
                count = self.sock.recv_into(self._large[self._large_filled :])
                self._large_filled += count
            else:
                data = self.sock.recv(READ_SIZE)
                self._input += data
                count = len(data)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return count > 0

    def messages(self) -> Iterator[tuple[int, int, int, bytes | memoryview]]:
        """The messages that have arrived whole, each once; half a message is worth nothing."""
        if self._large is not None:
            if self._skipped or self._large_filled < len(self._large):
                return
            large, self._large = self._large, None
            kind, number, offset = self._large_head
            yield kind, number, offset, large
        head = _messages.HEADER.size
        while len(self._input) - self._taken >= head:
            kind, number, offset, size = _messages.HEADER.unpack_from(self._input, self._taken)
            start = self._taken + head
            if len(self._input) - start < size:
                if size >= _messages.LONG:
                    self._large_head = kind, number, offset
                    self._begin_large(size, start)
                break
            payload = bytes(self._input[start : start + size])
            self._taken = start + size
            yield kind, number, offset, payload
        del self._input[: self._taken]
        self._taken = 0

    def _begin_large(self, size: int, start: int) -> None:
        """The rest of a large payload is read to where it stays: it is copied only once."""
        here = len(self._input) - start
        try:
            self._large = memoryview(bytearray(size))
        except MemoryError:
            self._large, self._skipped = NO_MEMORY, size - here
            self._large_filled = len(NO_MEMORY)
        else:
            self._large_filled = here
            self._large[:here] = self._input[start:]
        self._taken = len(self._input)

    # -- its end --

    def kill_at(self, mark: int) -> bool:
        """Kill it and all it started, if it is still at this item; False if it is not.

        1. Stop it, so that it cannot go on to the next item while we look. 2. Read its mark.
        3. Kill, or let it go on. Without step 1 a kill meant for one item can hit the next.
        """
        if not (hasattr(signal, "SIGSTOP") and hasattr(os, "waitid")):
            self.kill()  # on Windows, and on macOS before CPython 3.13
        elif self.process.halt():
            if self.mark() != mark:
                os.kill(self.pid, signal.SIGCONT)
                return False
            self.kill()
        return True

    def kill(self) -> None:
        """Kill it, and its process group with all that its tasks started.

        Itself by name as well: a task may have moved it to another group.
        """
        self._small.clear()  # what it has not been sent yet it will not read
        self._output.clear()
        number = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows: by force
        for kill in (getattr(os, "killpg", None), os.kill):
            try:
                if kill is not None:
                    kill(self.pid, number)
            except OSError:  # it is gone
                pass

    def close(self) -> None:
        """Let go of what we hold of it."""
        self._ours.close()

    def forget_in_fork(self) -> None:
        """In a forked child of ours: the parent's death must be seen by its workers."""
        for fd in (self._lifeline, self.sock.detach(), self.hand.detach()):
            try:
                os.close(fd)
            except OSError:
                pass


def _nameless_file() -> IO[bytes]:
    """A file for memory that processes share."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("unifexec", os.MFD_CLOEXEC), "r+b")
    return tempfile.TemporaryFile()


def _sentinel(pid: int) -> int | None:
    """A descriptor that is readable once the process has ended (Linux)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
