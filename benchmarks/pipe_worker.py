"""The worker of the pipe floors: ``python -m benchmarks.pipe_worker IN OUT``.

A message is four bytes of length and a pickled list of calls; the answer, in the same form, is
the list of their results.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from typing import Any

LENGTH = struct.Struct("<I")
MOST_READ = 1 << 18


def send(pipe: int, value: object) -> int:
    """Write one message; how long it is."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    message = LENGTH.pack(len(data)) + data
    written = os.write(pipe, message)
    while written < len(message):
        written += os.write(pipe, message[written:])
    return written


class Inbox:
    """Messages out of a pipe, whole."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._data = b""

    def take(self) -> list[Any] | None:
        """The next message that is here already."""
        end = LENGTH.size
        if len(self._data) < end:
            return None
        end += LENGTH.unpack_from(self._data)[0]
        if len(self._data) < end:
            return None
        message: list[Any] = pickle.loads(self._data[LENGTH.size : end])
        self._data = self._data[end:]
        return message

    def fill(self) -> None:
        """Wait for more bytes."""
        data = os.read(self.pipe, MOST_READ)
        if not data:
            raise EOFError
        self._data += data

    def receive(self) -> list[Any]:
        """Wait for a message."""
        while (message := self.take()) is None:
            self.fill()
        return message


def serve(incoming: int, outgoing: int) -> None:
    """Answer messages until the other side is gone."""
    inbox = Inbox(incoming)
    while True:
        try:
            calls = inbox.receive()
        except EOFError:
            return
        send(outgoing, [fn(*args) for fn, args in calls])


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
