"""What runs in the child: read, run, answer.

Started by a bare interpreter that has imported nothing of the caller's. It imports the
standard library, `_running` and `_pickling`; cloudpickle, the event loops and the rest of the
package only when a task needs them. The protocol, step by step, is in `docs/process-room.md`.

Two threads. The *control thread* reads the pipe, always: so a parent that writes never waits
for a task. The *main thread* runs the tasks, since signals interrupt only that one.
"""

from __future__ import annotations

import _thread
import mmap
import os
import signal
import socket
import struct
import sys
import threading
from _queue import SimpleQueue
from collections import deque
from contextvars import Context
from time import sleep

from unifexec import _pickling
from unifexec._running import CurrentTask, Interrupted, run_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType
    from typing import Any

# Every message: a header of fixed size, outside any pickle, and a payload. A payload that
# cannot be read fails its own task, and nothing else.
HEADER = struct.Struct("!BQIQ")  # kind, number (of a run, or of work), offset, size of payload
ANSWER = struct.Struct("!Bd")  # in front of the payload of DONE: status, seconds
ITEM_HEAD = struct.Struct("!QIB")  # in front of the payload of ITEM: work, index, limited
MARK = struct.Struct("=Q")
FORK = struct.Struct("=q")  # asks a fork server for a new worker (0), or how one ended (its pid)

# from the parent
SETUP, WORK, DROP, ITEM, WITHDRAW, ABORT, STOP, VOICES = range(8)
# from the worker
READY, INIT_FAILED, STARTED, DONE, RETURNED, SAID = range(10, 16)
# status of an answer
VALUE, ERROR, INTERRUPTED, UNSENDABLE = range(4)

IMPORT_SECONDS = 0.002  # how soon a task that imports is asked again to stop
INITIALIZING = 1 << 63  # the mark of a worker that runs its initializer
OFFSET_BITS = 20  # of a mark: batches hold fewer items than this can count


def mark_of(run: int, offset: int) -> int:
    """What a worker writes into shared memory before it touches an item."""
    return run << OFFSET_BITS | offset + 1


class Work:
    """A function, as it came: rebuilt once if it is lasting, else for every task."""

    __slots__ = ("context", "data", "fn", "lasting", "name")

    def __init__(self, name: str, lasting: bool, data: bytes, context: bytes | None) -> None:
        self.name = name
        self.lasting = lasting
        self.data = data
        self.context = context
        self.fn: Callable[..., Any] | None = None

    def load(self) -> Callable[..., Any]:
        """The function."""
        import pickle

        if self.fn is not None:
            return self.fn
        fn: Callable[..., Any] = pickle.loads(self.data)
        if self.lasting:
            self.fn = fn
        return fn


class Gate:
    """The one place of this process (L18): its task has it, or an executor captured by it."""

    def __init__(self) -> None:
        self._holder: Seat | None = None
        self._queue: deque[tuple[Seat, Callable[[], object]]] = deque()
        self._lock = threading.Lock()  # held for a few instructions, never for a call

    def seat(self) -> Seat:
        """A seat for one more task."""
        return Seat(self)

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


class Worker:
    """One worker process."""

    def __init__(self, sock: socket.socket, mark: mmap.mmap) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=1 << 16)
        self._mark = mark
        self._sending = threading.Lock()
        self._works: dict[int, Work] = {}
        self._todo: deque[Any] = deque()  # main takes from the left, control from the right
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._running: tuple[int, int] | None = None
        self._interruptible = False
        self._target: tuple[int, int] | None = None
        self._loop: Any = None
        self._job: Any = None
        self._main = threading.get_ident()
        self._index = 0
        self._backend = "asyncio"
        self._finalizer: Callable[[], object] | None = None
        self.gate = Gate()

    # -- the control thread --

    def control(self) -> None:
        """Read messages for as long as the parent lives."""
        try:
            while self._receive():
                pass
        except OSError:
            pass
        end_now()  # the parent is gone, or let us go without a word

    def _receive(self) -> bool:
        header = self._file.read(HEADER.size)
        if len(header) < HEADER.size:
            return False
        kind, number, offset, size = HEADER.unpack(header)
        payload = self._file.read(size) if size else b""
        if len(payload) < size:
            return False
        if kind == ITEM:
            self._enqueue(number, offset, payload)
        elif kind == WORK:
            self._works[number] = Work(*_simple(payload))
        elif kind == DROP:
            self._works.pop(number, None)
        elif kind == WITHDRAW:
            self._withdraw(number)
        elif kind == ABORT:
            self._abort(number, offset)
        elif kind == VOICES:
            self._listen(payload)
        elif kind == STOP:
            self._todo.append(None)
            self._bell.put(None)
        return True

    def _enqueue(self, number: int, offset: int, payload: bytes) -> None:
        work, index, limited = ITEM_HEAD.unpack_from(payload)
        self._todo.append((number, offset, self._works[work], index, limited, payload))
        self._bell.put(None)

    def _withdraw(self, run: int) -> None:
        """Give back what has not started of a run; the main thread takes from the other end."""
        count = 0
        while self._todo:
            try:
                item = self._todo.pop()
            except IndexError:
                break
            if item is None or item[0] != run:
                self._todo.append(item)
                break
            count += 1
        self._send(RETURNED, run, count)

    def _abort(self, run: int, offset: int) -> None:
        """Stop one item, if it still runs: its coroutine, or the main thread."""
        self._target = (run, offset)
        job, loop = self._job, self._loop
        if job is not None and self._running == self._target:
            loop.stop(job)
        elif hasattr(signal, "pthread_kill"):
            signal.pthread_kill(self._main, signal.SIGUSR1)
        else:
            signal.raise_signal(signal.SIGINT)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Signal handler, on the main thread: stop the item that was meant, and no other.

        Not within an import: a package that is imported by half stays broken for all later
        tasks. We come again soon; the parent's grace is the limit.
        """
        if not self._interruptible or self._target is None or self._running != self._target:
            return
        if _is_importing(frame):
            _thread.start_new_thread(self._abort_soon, self._target)
            return
        self._target = None
        raise Interrupted

    def _abort_soon(self, run: int, offset: int) -> None:
        sleep(IMPORT_SECONDS)
        if self._target == (run, offset):
            self._abort(run, offset)

    # -- the main thread --

    def set_up(self) -> bool:
        """Read the first message, and run the initializer."""
        header = self._file.read(HEADER.size)
        kind, _, _, size = HEADER.unpack(header)
        payload = self._file.read(size)
        assert kind == SETUP
        import pickle

        self._set_mark(INITIALIZING)
        try:
            place, self._index, self._backend, voices, data = _simple(payload)
            sys.argv[:], sys.path[:] = place
            self._speak(voices)
            initializer, initargs, self._finalizer = pickle.loads(data)
            if initializer is not None:
                initializer(*initargs)
        except BaseException as error:
            self._send(INIT_FAILED, 0, 0, _pickling.dump_error(error, "in the initializer"))
            return False
        self._set_mark(0)
        self._send(READY, 0, 0)
        return True

    def _speak(self, settings: bytes) -> None:
        from unifexec._voices import speak_through

        speak_through(lambda data: self._send(SAID, 0, 0, data), settings)

    def _listen(self, settings: bytes) -> None:
        from unifexec._voices import follow

        follow(settings)

    def run(self) -> None:
        """Run items until told to stop."""
        while True:
            self._bell.get()
            try:
                item = self._todo.popleft()
            except IndexError:
                continue  # it was withdrawn
            if item is None:
                break
            self._run_item(*item)
            del item
        if self._finalizer is not None:
            try:
                self._finalizer()
            except Exception:
                import logging

                logging.getLogger("unifexec").exception("the finalizer raised")
        if self._loop is not None:
            self._loop.close()

    def _run_item(
        self, run: int, offset: int, work: Work, index: int, limited: int, payload: bytes
    ) -> None:
        """Claim, run, answer, in this order; see the protocol page for what a death means."""
        self._set_mark(mark_of(run, offset))
        self._running = (run, offset)
        if limited:
            self._send(STARTED, run, offset)
        seat = self.gate.seat()
        seat.wait()
        status, seconds, data = self._outcome(work, index, payload, seat)
        seat.leave()
        self._running = None
        _flush()
        self._send(DONE, run, offset, ANSWER.pack(status, seconds), data)
        self._set_mark(0)

    def _outcome(
        self, work: Work, index: int, payload: bytes, seat: Seat
    ) -> tuple[int, float, bytes]:
        note = f"raised in a worker process by task {work.name!r} (item {index})"
        succeeded, value, seconds = self._call(work, index, payload, seat)
        if isinstance(value, Interrupted):
            return INTERRUPTED, seconds, b""
        if not succeeded:
            return ERROR, seconds, _pickling.dump_error(value, note)
        try:
            return VALUE, seconds, _pickling.dumps(value)
        except Exception as error:
            text = _pickling.explain(f"the result of {work.name!r}", value, error)
            return UNSENDABLE, seconds, text.encode("utf-8", "replace")

    def _call(self, work: Work, index: int, payload: bytes, seat: Seat) -> tuple[bool, Any, float]:
        task = CurrentTask(work.name, index, self._index, seat)
        try:
            self._interruptible = True
            return run_task(task, Context(), _load_and_call, (work, payload), {}, self._await)
        except Interrupted as stop:  # between two lines of ours
            return False, stop, 0.0
        finally:
            self._interruptible = False
            self._job = None

    def _await(self, awaitable: Awaitable[Any], context: Context) -> Any:
        from unifexec._running import current

        self._interruptible = False  # from here on it is the job that is stopped
        if self._loop is None:
            from unifexec._loops import Loop

            self._loop = Loop(self._backend, "unifexec-worker-loop")
        task = context.run(current.get)
        return self._loop.run(task, awaitable, context, self._job_started)

    def _job_started(self, job: Any) -> None:
        self._job = job
        if self._target is not None and self._target == self._running:
            self._loop.stop(job)  # it was told to stop before it came to await

    # -- both --

    def _set_mark(self, value: int) -> None:
        MARK.pack_into(self._mark, 0, value)

    def _send(self, kind: int, number: int, offset: int, *payload: bytes) -> None:
        size = sum(map(len, payload))
        header = HEADER.pack(kind, number, offset, size)
        interruptible, self._interruptible = self._interruptible, False  # no torn message
        with self._sending:
            if size < 1 << 16:
                self._sock.sendall(b"".join((header, *payload)))
            else:
                for part in (header, *payload):
                    self._sock.sendall(part)
        self._interruptible = interruptible


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the interpreter's import machinery is at work below this frame."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _load_and_call(work: Work, payload: bytes) -> Any:
    """Rebuild function and arguments, inside the task: what fails here is the task's."""
    import pickle

    try:
        fn = work.load()
        if work.context is not None:
            for variable, value in pickle.loads(work.context):
                variable.set(value)
        args, kwargs = pickle.loads(memoryview(payload)[ITEM_HEAD.size :])
    except Exception as error:
        from unifexec.errors import SerializationError

        raise SerializationError(
            f"function or arguments of {work.name!r} cannot be rebuilt in the worker: {error!r}"
        ) from error
    return fn(*args, **kwargs)


def _simple(payload: bytes) -> Any:
    """A tuple of plain values, written by our own parent."""
    import pickle

    return pickle.loads(payload)


def _flush() -> None:
    """What a task printed is out before its outcome is (L26)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def end_now() -> None:
    """End this process and all that it started, at once."""
    _flush()
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def hold_lifeline(fd: int) -> None:
    """Die with the parent, also while native code holds the GIL (L23).

    The parent holds the other end of this pipe and never writes. When it dies, however that
    happens, the kernel sends SIGIO, whose default action ends us. (Linux; elsewhere the
    control thread sees the end of its pipe.)
    """
    if not sys.platform.startswith("linux"):
        return
    import fcntl
    import select

    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([fd], [], [], 0)[0]:  # it died before we had hold of it
        end_now()


this_worker: Worker | None = None


def main() -> None:
    """The life of a worker of its own interpreter; its descriptors are in ``sys.argv``."""
    fds = [int(text) for text in sys.argv[1:]]
    for fd in fds:
        os.set_inheritable(fd, False)
    live(*fds)


def live(sock_fd: int, mark_fd: int, lifeline: int) -> None:
    """A worker's life."""
    global this_worker
    hold_lifeline(lifeline)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # Ctrl-C is the parent's affair
    worker = this_worker = Worker(socket.socket(fileno=sock_fd), mmap.mmap(mark_fd, MARK.size))
    os.close(mark_fd)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, worker.interrupt)
    else:
        signal.signal(signal.SIGINT, worker.interrupt)
    if worker.set_up():
        threading.Thread(target=worker.control, name="unifexec-control", daemon=True).start()
        worker.run()


def serve_forks() -> None:
    """The life of a fork server: one thread, which forks a worker or reaps one when asked.

    A child that ended keeps its number until it is asked for, so that no other process can
    get a signal that is meant for it.
    """
    sock_fd, lifeline = (int(text) for text in sys.argv[1:])
    hold_lifeline(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import pickle  # noqa: F401  (what workers need first is loaded once, here)

    sock = socket.socket(fileno=sock_fd)
    while True:
        data, fds, _, _ = socket.recv_fds(sock, FORK.size, 3)
        if not data:
            return
        (pid,) = FORK.unpack(data)
        if pid:
            _, status = os.waitpid(pid, 0)
            sock.sendall(FORK.pack(os.waitstatus_to_exitcode(status)))
            continue
        pid = os.fork()
        if pid == 0:
            break
        os.setpgid(pid, pid)  # before anybody can want to kill its group
        for fd in fds:
            os.close(fd)
        sock.sendall(FORK.pack(pid))
    sock.close()
    os.close(lifeline)
    live(*fds)
