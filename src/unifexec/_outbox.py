"""What a worker process sends to its parent: each message whole, whoever interrupts it."""

from __future__ import annotations

import threading
from collections import deque

from unifexec._messages import HEADER, LONG

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket


class Outbox:
    """Messages of both threads of a worker, on their way into its pipe."""

    def __init__(self, sock: socket.socket) -> None:
        self.lock = threading.RLock()
        self._sock = sock
        self._unsent: deque[bytes | memoryview] = deque()  # written by whoever holds `lock`
        self._sent: deque[int] = deque([0], maxlen=1)  # bytes of the first part of `_unsent`
        self._is_writing = False

    def write(self, kind: int, number: int, offset: int, *payload: bytes) -> None:
        """With `lock` held: a message, whole.

        A finaliser or a signal handler may have something to say in the midst of a message of
        the same thread, to which it returns: then it leaves its own to be sent after that.
        """
        size = sum(map(len, payload))
        parts = HEADER.pack(kind, number, offset, size), *payload
        self._unsent.extend([b"".join(parts)] if size < LONG else parts)
        while self._unsent and not self._is_writing:
            try:
                self._is_writing = True
                self._write_some()
            finally:
                self._is_writing = False

    def _write_some(self) -> None:
        """Write of what is unsent as much as goes, and never a byte of it twice.

        A signal handler of a task's may raise after any call of these lines. So one call does
        it all: bytes go, and how many of the first part have gone is kept; or it is removed,
        which gives None, and so 0.
        """
        if not self._unsent:  # such a handler had something to say, and sent it all
            return
        (sent,), part = self._sent, self._unsent[0]
        if sent < len(part):
            rest = memoryview(part)[sent:] if sent else part
            self._sent.extend(map(sent.__add__, map(self._sock.send, (rest,))))
        else:
            self._sent.extend(map(bool, map(self._unsent.__delitem__, (0,))))
