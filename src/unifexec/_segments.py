"""Shared memory for what is too large for a pipe: written by one process, read by another.

A *segment* is a file without a name (``memfd_create``), which the other process gets as a
descriptor over a socket of its own. Where a system has no such thing, or no room for it, an
``OSError`` says so, and the pipe carries everything. A *cargo* is a pickle and the large
buffers that travel beside it (protocol 5, out of band), laid one after the other into a
segment. *Warm* segments are used again, since memory that was touched before is filled
several times as fast; larger ones are used once.

Nobody reads what another may be writing:

1. The sender takes a segment that is not *busy*, and so makes it busy.
2. It writes the cargo, 3. and sends a message that names the segment.
4. The receiver rebuilds the value, with buffers of its own.
5. The parent says that the segment is idle again: of its own when nobody can ask for the
   cargo any more (it may have to go to another worker), of a worker's after step 4.

A process that dies at any of these steps takes its own segments with it. Who has mapped one
keeps the memory as long as it is needed; the kernel frees it with the last of them.

Standard library only: a worker loads it when the first large value comes or goes.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
from collections import deque
from contextlib import suppress
from errno import EMFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any
    from weakref import WeakSet

BUSY = struct.Struct("=Q")  # at the start of a segment: whether somebody needs its cargo
ALIGN = 64  # bytes: where each part of a cargo begins; what vector instructions like
NOTE = struct.Struct("!QI")  # what the pipe says of a cargo: its segment, how many parts;
SIZE = struct.Struct("!Q")  # then the size of each; and the parts themselves, if it has none
TOKEN = struct.Struct("=Q")
WARM_SIZE = 64 << 20  # bytes: what is larger is used once
WARM_TOTAL = 128 << 20  # bytes that idle segments of one sender may hold
MOST = 8  # segments of one sender; what comes when all are busy takes the pipe
COPIED, PRIVATE, READ_ONLY = range(3)  # what the receiver does with the buffers
RECYCLED = 4  # private buffers that are looked at again
RECYCLED_SIZE = 1 << 20  # bytes: below, a new buffer costs as much as looking for an old one


def new_token() -> int:
    """A number for a segment that no other has, in this process or one forked from it."""
    return int.from_bytes(os.urandom(8), "big") | 1


class Segment:
    """A file without a name; the sender's half. Closed when nobody refers to it."""

    def __init__(self, size: int) -> None:
        self.token = new_token()
        self.size = size
        self.fd = _create()
        os.ftruncate(self.fd, size)

    def write(self, parts: Sequence[memoryview]) -> None:
        """Lay a cargo into it; raises ``OSError`` if there is no room."""
        for start, part in zip(offsets(list(map(len, parts))), parts, strict=True):
            done = 0
            while done < len(part):
                done += os.pwrite(self.fd, memoryview(part)[done:], start + done)

    def seal(self) -> None:
        """Nobody can change it any more, or cut it short."""
        import fcntl

        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)

    def read(self, sizes: Sequence[int]) -> list[bytes]:
        """The parts of its cargo, for the pipe."""
        places = zip(offsets(sizes), sizes, strict=True)
        return [_read(self.fd, size, start) for start, size in places]

    def idle(self) -> None:
        """Nobody needs its cargo."""

    def __del__(self) -> None:
        fd = getattr(self, "fd", None)
        if fd is not None:
            os.close(fd)


class WarmSegment(Segment):
    """A segment that is used again: its sender keeps it mapped."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._map = mmap.mmap(self.fd, size)
        self._touched = False
        self._owner = os.getpid()

    @property
    def busy(self) -> bool:
        """Whether somebody needs its cargo."""
        return bool(BUSY.unpack_from(self._map)[0])

    def claim(self) -> None:
        """It is ours to write to."""
        BUSY.pack_into(self._map, 0, 1)

    def idle(self) -> None:
        """Nobody needs its cargo. Callable from a finaliser; does nothing in a forked child."""
        if os.getpid() == self._owner:
            BUSY.pack_into(self._map, 0, 0)

    def write(self, parts: Sequence[memoryview]) -> None:
        """Lay a cargo into it.

        At first by calls, which is how new memory is filled fastest, and a lack of it is an
        error; then directly, which is how touched memory is.
        """
        sizes = list(map(len, parts))
        if not self._touched:
            super().write(parts)
            end = size_of(sizes)
            if end < self.size:
                os.posix_fallocate(self.fd, end, self.size - end)
            self._touched = True
            return
        with memoryview(self._map) as view:
            for start, part in zip(offsets(sizes), parts, strict=True):
                view[start : start + len(part)] = part


def _create() -> int:
    """A new file without a name, that only descriptors of it lead to."""
    if not (hasattr(os, "memfd_create") and hasattr(socket, "send_fds")):
        raise OSError("this system has no files without a name that can be handed on")
    fd = os.memfd_create("unifexec", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.fchmod(fd, 0o600)
    return fd


def _read(fd: int, size: int, start: int) -> bytes:
    pieces = []
    while size:
        pieces.append(os.pread(fd, size, start))
        start += len(pieces[-1])
        size -= len(pieces[-1])
    return b"".join(pieces)


def offsets(sizes: Sequence[int]) -> list[int]:
    """Where the parts of a cargo begin."""
    starts, end = [], ALIGN
    for size in sizes:
        starts.append(end)
        end += -(-size // ALIGN) * ALIGN
    return starts


def size_of(sizes: Sequence[int]) -> int:
    """How large a segment must be for parts of these sizes."""
    return offsets([*sizes, 0])[-1]


class Cargo:
    """A pickle and its large buffers, on their way: in a segment, or as bytes for the pipe."""

    __slots__ = ("__weakref__", "cargos", "parts", "retire", "rooms", "segment", "sizes", "token")

    def __init__(self, parts: Sequence[Any], load: Callable[[Any], Segment] | None) -> None:
        self.sizes = list(map(len, parts))
        self.parts: list[bytes] | None = None
        self.segment: Segment | None = None
        self.retire: Callable[[int], object] | None = None  # told when it will not be used again
        self.rooms: WeakSet[Any] | None = None  # of a shared value: those that sent it
        self.cargos: list[Cargo] = []  # shared values that it refers to
        try:
            self.segment = load(parts) if load is not None else None
        except OSError:  # no room, or no such thing on this system
            pass
        if self.segment is None:
            self.parts = [bytes(part) for part in parts]
        self.token = new_token() if self.segment is None else self.segment.token

    def note(self) -> bytes:
        """What the pipe says of it."""
        return note(self.segment, self.sizes)

    def inline(self) -> list[bytes]:
        """The note and the parts, for the pipe alone."""
        parts = self.parts
        if parts is None and self.segment is not None:
            parts = self.segment.read(self.sizes)
        return [note(None, self.sizes), *(parts or ())]

    def treatment(self) -> int:
        """What the receiver does with its buffers."""
        return COPIED if isinstance(self.segment, WarmSegment) else PRIVATE

    def keep_busy(self) -> None:
        """Its segment becomes idle by its receiver's word."""
        if isinstance(self.segment, WarmSegment):
            self.segment = None

    def __del__(self) -> None:
        segment = self.segment
        if segment is not None:
            segment.idle()
            if self.retire is not None and not isinstance(segment, WarmSegment):
                self.retire(segment.token)
        for room in self.rooms or ():
            room.retire(self.token)


def load_sealed(parts: Sequence[memoryview]) -> Segment:
    """A segment of its own with this cargo, that nobody can change."""
    segment = Segment(size_of(list(map(len, parts))))
    segment.write(parts)
    segment.seal()
    return segment


class Pool:
    """The segments of one sender. From any thread; nothing here is held for a call."""

    def __init__(self, retire: Callable[[int], object]) -> None:
        self._retire = retire  # told the token of a segment that will not be used again
        self._segments: deque[WarmSegment] = deque()  # who looks at one has taken it out
        self._unmapped: set[int] = set()  # tokens of those that nobody else will say are idle

    def load(self, parts: Sequence[memoryview]) -> Segment:
        """A segment with this cargo, claimed; raises ``OSError`` if there is none."""
        size = size_of(list(map(len, parts)))
        segment = Segment(size) if size > WARM_SIZE else self._take(size)
        try:
            segment.write(parts)
        except BaseException:
            segment.idle()
            raise
        return segment

    def cargo(self, parts: Sequence[Any]) -> Cargo:
        """A cargo, in a segment if there is one for it."""
        cargo = Cargo(parts, self.load)
        cargo.retire = self._retire
        return cargo

    def unmapped(self, token: int) -> None:
        """The receiver could not map a segment, and so will never say that it is idle."""
        self._unmapped.add(token)

    def close(self) -> None:
        """Keep none warm any more."""
        self._segments.clear()

    def _take(self, size: int) -> WarmSegment:
        idle: list[WarmSegment] = []
        found = None
        for _ in range(len(self._segments)):
            try:
                segment = self._segments.popleft()
            except IndexError:  # other threads are looking at the rest
                break
            if segment.token in self._unmapped:
                self._unmapped.discard(segment.token)
                segment.idle()
            if found is None and segment.size >= size and not segment.busy:
                segment.claim()
                found = segment
            if found is not segment and not segment.busy:
                idle.append(segment)
            else:
                self._segments.append(segment)
        if found is None:
            found = self._make(size, idle)
        self._segments.extend(idle)
        return found

    def _make(self, size: int, idle: list[WarmSegment]) -> WarmSegment:
        """A new one; idle ones that are too small give way when there are enough."""
        size += size // 16  # so that a little more fits as well, next time
        warm = size + sum(segment.size for segment in idle)
        while idle and (warm > WARM_TOTAL or len(self._segments) + len(idle) >= MOST):
            smallest = min(idle, key=lambda segment: segment.size)
            idle.remove(smallest)
            warm -= smallest.size
            self._retire(smallest.token)
        if len(self._segments) + len(idle) >= MOST:
            raise OSError("all segments are busy")
        segment = WarmSegment(size)
        segment.claim()
        self._segments.append(segment)
        return segment


# -- what the pipe says of a cargo --


def note(segment: Segment | None, sizes: Sequence[int]) -> bytes:
    """The message that goes by the pipe; without a segment, the parts follow it."""
    token = 0 if segment is None else segment.token
    return NOTE.pack(token, len(sizes)) + b"".join(map(SIZE.pack, sizes))


def send_descriptor(sock: socket.socket, segment: Segment) -> None:
    """Hand a segment to the process at the other end; raises ``OSError``."""
    socket.send_fds(sock, [TOKEN.pack(segment.token)], [segment.fd])


class Inbox:
    """The segments that another process has handed us, mapped."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._maps: dict[int, tuple[int, mmap.mmap]] = {}
        self._recycler = Recycler()

    def accept(self, token: int, treatment: int) -> None:
        """A segment was handed to us: it is in the socket already.

        Raises ``OSError`` or ``MemoryError`` if this process has no room for it: then the
        sender is to be told.
        """
        while not self._take(token, treatment):
            pass  # one that could not even be looked at when it came

    def _take(self, token: int, treatment: int) -> bool:
        data, fds, _, _ = socket.recv_fds(self._sock, TOKEN.size, 1)
        try:
            (number,) = TOKEN.unpack(data)
            if number == token:
                if not fds:
                    raise OSError(EMFILE, "this process holds too many files")
                self._maps[token] = treatment, _mapped(fds[0], treatment)
        finally:
            for fd in fds:
                os.close(fd)
        return bool(number == token)

    def retire(self, token: int) -> None:
        """It will not be used again; what still refers to it keeps it alive."""
        self._maps.pop(token, None)

    def close(self) -> None:
        """The sender is gone."""
        self._maps.clear()

    def idle(self, data: bytes | memoryview) -> None:
        """Tell the sender of a cargo that we have it."""
        token, _ = NOTE.unpack_from(data)
        treatment, memory = self._maps.get(token, (READ_ONLY, None))
        if memory is not None and treatment == COPIED:
            BUSY.pack_into(memory, 0, 0)

    def open(self, data: bytes | memoryview) -> tuple[memoryview, list[memoryview]]:
        """The pickle and the buffers of a cargo that a note tells of."""
        token, count = NOTE.unpack_from(data)
        end = NOTE.size + count * SIZE.size
        sizes = [size for (size,) in SIZE.iter_unpack(memoryview(data)[NOTE.size : end])]
        if not token:
            return self._open_inline(memoryview(data)[end:], sizes)
        if token not in self._maps:
            raise OSError(
                "the shared memory did not arrive: this process has no room for it, "
                "or holds too many files"
            )
        treatment, memory = self._maps[token]
        starts = offsets(sizes)
        view = memoryview(memory)
        stream = view[starts[0] : starts[0] + sizes[0]]
        if treatment == COPIED and count > 1:
            first, last = starts[1], starts[-1] + sizes[-1]
            view = self._recycler.copy(view[first:last])
            starts = [start - first for start in starts]
        parts = list(zip(starts, sizes, strict=True))[1:]
        return stream, [view[start : start + size] for start, size in parts]

    def _open_inline(
        self, rest: memoryview, sizes: Sequence[int]
    ) -> tuple[memoryview, list[memoryview]]:
        parts = []
        for size in sizes:
            parts.append(rest[:size])
            rest = rest[size:]
        return parts[0], [memoryview(bytearray(part)) for part in parts[1:]]

    def loads(self, data: bytes | memoryview) -> Any:
        """The value of a cargo that a note tells of."""
        stream, buffers = self.open(data)
        with stream:
            return pickle.loads(stream, buffers=buffers)


def _mapped(fd: int, treatment: int) -> mmap.mmap:
    """The memory of a segment, for this use."""
    if treatment == COPIED:
        return mmap.mmap(fd, 0)
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if treatment == PRIVATE else 0)
    return mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=prot)


class Recycler:
    """Private memory for buffers, used again once nothing refers to it any more.

    New memory has to be cleared by the system, page by page, which takes longer than to
    copy to it.
    """

    def __init__(self) -> None:
        self._buffers: list[mmap.mmap] = []

    def copy(self, source: memoryview) -> memoryview:
        """A copy that is nobody else's."""
        if not RECYCLED_SIZE <= len(source) <= WARM_SIZE:
            return memoryview(bytearray(source))
        view = memoryview(self._find(len(source)))[: len(source)]
        view[:] = source
        return view

    def _find(self, size: int) -> mmap.mmap:
        for buffer in self._buffers:
            if size <= len(buffer) <= 2 * size and _is_free(buffer):
                return buffer
        buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel without them
                buffer.madvise(mmap.MADV_HUGEPAGE)
        self._buffers.append(buffer)
        if len(self._buffers) > RECYCLED:
            del self._buffers[0]
        return buffer


def _is_free(buffer: mmap.mmap) -> bool:
    """Whether nothing refers to its memory: only then it lets itself be resized."""
    try:
        buffer.resize(len(buffer))
    except (BufferError, OSError, SystemError, ValueError):
        return False
    return True
