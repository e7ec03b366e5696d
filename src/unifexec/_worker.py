"""What runs in the child: read, run, answer.

Started by a bare interpreter that has imported nothing of the caller's. It imports the
standard library, and of the package what its first lines name, and `_voices` with `logging` at
set-up; cloudpickle, the event loops and the rest only when a task needs them. The protocol, step
by step, is in `docs/process-room.md`.

Two threads. The *control thread* reads the pipe, always: so a parent that writes never waits
for a task. The *main thread* runs the tasks, since signals interrupt only that one.
"""

from __future__ import annotations

import _thread
import marshal
import mmap
import os
import pickle
import signal
import socket
import struct
import sys
import threading
from _queue import SimpleQueue
from collections import deque
from contextvars import Context
from itertools import islice
from time import perf_counter, sleep

from unifexec import _definitions, _pickling, _records
from unifexec._bunches import (
    COUNT_WORD,
    IN_BUNCH,
    ITEM_HEAD,
    NO_ROOM,
    SCRATCH_SIZE,
    Bunch,
    LargeCall,
    NoRoomError,
    Scratch,
    TaskBunch,
    UnsendableError,
    Work,
    load_and_call,
    loads_simple,
    mark_of,
    note_of,
    split,
)
from unifexec._gate import Gate, Seat
from unifexec._records import FORMAT, is_atom, is_record
from unifexec._running import (
    FIRST_COUNT,
    FLUSH_SECONDS,
    CurrentRun,
    CurrentTask,
    Interrupted,
    current,
    is_awaitable,
    presentable,
    run_task,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType
    from typing import Any

    from unifexec._segments import Cargo, Inbox, Pool

# Every message: a header of fixed size, outside any pickle, and a payload. A payload that
# cannot be read fails its own task, and nothing else.
HEADER = struct.Struct("!BQIQ")  # kind, number (of a run, or of work), offset, size of payload
ANSWER = struct.Struct("!Bd")  # in front of the payload of DONE: status, seconds
ITEMS_HEAD = struct.Struct("!QI??")  # in front of ITEMS: work, first, as one list, one argument
BLOCK_HEAD = struct.Struct("!dI?")  # in front of BLOCK: seconds each, how many are old, pickles
FORK = struct.Struct("=q")  # asks a fork server for a new worker (0), or how one ended (its pid)

# from the parent
SETUP, WORK, DROP, ITEM, WITHDRAW, ABORT, STOP, VOICES, ITEMS, TASKS = range(10)
DEFINE = 30
# from the worker; BLOCK has the number of its items where others have an offset
READY, INIT_FAILED, STARTED, DONE, RETURNED, SAID, BLOCK = range(10, 17)
# what is large (`_segments`): from either side, from the parent, from the worker
SEGMENT, UNMAPPED, RETIRE, SHARED, LARGE_ITEM, LARGE_DONE = range(20, 26)
# status of an answer
VALUE, ERROR, INTERRUPTED, UNSENDABLE = range(4)

ABORT_SIGNAL = getattr(signal, "SIGUSR1", signal.SIGINT)
FIRST_SIGNAL_SECONDS = 0.002  # how soon a task that does not stop is told again, at first
LONGEST_SIGNAL_SECONDS = 0.02  # and later
INITIALIZING = 1 << 63  # the mark of a worker that runs its initializer
LONG = 1 << 16  # bytes: a payload of this size is sent as it is, not joined with others
SKIPPED_AT_ONCE = 1 << 16  # bytes of a payload that there is no memory for


def tasks_head(count: int) -> struct.Struct:
    """What stands in front of TASKS: whether as one list, then the work of each task."""
    return struct.Struct(f"!?{count}Q")


class Worker:
    """One worker process, from inside; what the core knows of it is `dispatch.Worker`."""

    def __init__(self, sock: socket.socket, mark: mmap.mmap, hand: socket.socket) -> None:
        self._sock = sock
        self._hand = hand
        self._inbox: Inbox | None = None
        self._pool: Pool | None = None
        self._handed: set[int] = set()  # segments of ours that the parent has
        self.shared: dict[int, bytes] = {}  # values that all tasks may read (`share`)
        self._file = sock.makefile("rb", buffering=1 << 16)
        self._scratch = Scratch(mark)
        self._sending = threading.RLock()
        self._unsent: deque[bytes | memoryview] = deque()  # written by whoever holds `_sending`
        self._sent: deque[int] = deque([0], maxlen=1)  # bytes of the first part of `_unsent`
        self._is_writing = False
        self._works: dict[int, Work] = {}
        self._todo: deque[Any] = deque()  # main takes from the left, control from the right
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._running: tuple[int, int] | None = None
        self._bunch: Bunch | None = None  # that is running
        self._bunches: dict[int, Bunch] = {}
        self._interruptible = False
        self._new_settings: bytes | None = None  # of logging and warnings (`_voices`)
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
        finally:  # the parent is gone, or let us go without a word; or we can hear no more
            end_now()

    def _receive(self) -> bool:
        header = self._file.read(HEADER.size)
        if len(header) < HEADER.size:
            return False
        kind, number, offset, size = HEADER.unpack(header)
        try:
            payload = self._file.read(size) if size else b""
        except MemoryError:  # nothing of it has been read
            return self._skip(kind, number, offset, size)
        if len(payload) < size:
            return False
        if kind == ITEM:
            item = memoryview(payload)[ITEM_HEAD.size :]
            self._enqueue(number, offset, payload, item)
        elif kind == ITEMS:
            self._enqueue_all(number, payload)
        elif kind == TASKS:
            self._enqueue_tasks(number, offset, payload)
        elif kind == WORK:
            self._keep(number, payload)
        elif kind == DEFINE:
            _definitions.tell(number, payload)
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
        else:
            self._receive_large(kind, number, offset, payload)
        return True

    def _receive_large(self, kind: int, number: int, offset: int, payload: bytes) -> None:
        """What is of no use to us, for lack of files or memory, fails its task at the most."""
        try:
            self._take_large(kind, number, offset, payload)
        except (OSError, MemoryError, ImportError):
            if kind == SEGMENT:
                self._send(UNMAPPED, number, 0)
            elif kind == LARGE_ITEM:
                self._enqueue(number, offset, payload, NO_ROOM)

    def _skip(self, kind: int, number: int, offset: int, size: int) -> bool:
        """A payload that we have no memory for: its task fails for it, and nothing else."""
        head = self._file.read(min(size, ITEM_HEAD.size))  # as long as that of ITEMS
        left = size - len(head)
        while left:
            skipped = len(self._file.read(min(left, SKIPPED_AT_ONCE)))
            if not skipped:
                return False
            left -= skipped
        if kind in (ITEM, LARGE_ITEM):
            self._enqueue(number, offset, head, NO_ROOM)
        elif kind == ITEMS:
            key, index, _, unary = ITEMS_HEAD.unpack(head)
            self._add(Bunch(number, self._works[key], index, [NO_ROOM] * offset, False, unary))
        elif kind == TASKS:
            works = [Work("a task", False, NO_ROOM, None)] * offset
            self._add(TaskBunch(number, works, [NO_ROOM] * offset))
        elif kind == WORK:
            self._works[number] = Work("a function", False, NO_ROOM, None)
        return True

    def _keep(self, number: int, payload: bytes) -> None:
        try:
            self._works[number] = Work(*loads_simple(payload))
        except MemoryError:
            self._works[number] = Work("a function", False, NO_ROOM, None)

    @property
    def inbox(self) -> Inbox:
        """The segments that the parent has handed us."""
        if self._inbox is None:
            from unifexec._segments import Inbox

            self._inbox = Inbox(self._hand)
        return self._inbox

    def _take_large(self, kind: int, number: int, offset: int, payload: bytes) -> None:
        if kind == LARGE_ITEM:
            self._enqueue(number, offset, payload, LargeCall(self.inbox, payload))
        elif kind == SEGMENT:
            self.inbox.accept(number, offset)
        elif kind == SHARED:
            self.shared[number] = payload
        elif kind == RETIRE:
            self.inbox.retire(number)
            if self.shared.pop(number, None) is not None:
                from unifexec.share import dropped

                dropped(number)
        elif kind == UNMAPPED and self._pool is not None:
            self._handed.discard(number)
            self._pool.unmapped(number)

    def _enqueue(self, number: int, offset: int, head: bytes, item: Any) -> None:
        work, index, limited, unary = ITEM_HEAD.unpack_from(head)
        call = self._works[work], item, unary
        self._todo.append((number, offset, index, limited, call))
        self._bell.put(None)

    def _enqueue_all(self, run: int, payload: bytes) -> None:
        work, index, flat, unary = ITEMS_HEAD.unpack_from(payload)
        data = memoryview(payload)[ITEMS_HEAD.size :]
        items = _records.loads(data) if flat else split(data)
        self._add(Bunch(run, self._works[work], index, items, flat, unary))

    def _enqueue_tasks(self, run: int, count: int, payload: bytes) -> None:
        head = tasks_head(count)
        flat, *keys = head.unpack_from(payload)
        works = [self._works[key] for key in keys]
        data = memoryview(payload)[head.size :]
        self._add(TaskBunch(run, works, _records.loads(data) if flat else split(data)))

    def _add(self, bunch: Bunch) -> None:
        self._bunches[bunch.run] = bunch
        self._todo.append(bunch)
        self._bell.put(None)

    def _withdraw(self, run: int) -> None:
        """Give back what has not started of a run; the main thread takes from the other end."""
        bunch = self._bunches.get(run)
        if bunch is not None:
            left = len(list(bunch.todo))
            self._send_values(bunch)
            self._send(RETURNED, run, left)
            return
        count = 0
        while self._todo:
            try:
                item = self._todo.pop()
            except IndexError:
                break
            if type(item) is not tuple or item[0] != run:
                self._todo.append(item)
                break
            count += 1
        self._send(RETURNED, run, count)

    def _abort(self, run: int, offset: int) -> None:
        """Stop one item, if it still runs: its coroutine, or the main thread."""
        target = self._target = (run, offset)
        job, loop = self._job, self._loop
        if job is not None and self._is_target():
            loop.stop(job)
            return
        _signal_main(self._main)
        try:
            _thread.start_new_thread(self._signal_again, target)
        except RuntimeError:
            pass  # no thread can be had: once must do

    def _signal_again(self, run: int, offset: int) -> None:
        """One signal may be lost; the parent's grace is the limit.

        1. The main thread lets go of the GIL, to wait in the system.
        2. So we have it, and send the signal.
        3. Only now the main thread begins to wait, and nothing wakes it.
        """
        seconds = FIRST_SIGNAL_SECONDS
        while True:
            sleep(seconds)
            if self._target != (run, offset) or self._job is not None or not self._is_target():
                return
            if signal.getsignal(ABORT_SIGNAL) == self.interrupt:  # else it is the task's own
                _signal_main(self._main)
            seconds = min(2 * seconds, LONGEST_SIGNAL_SECONDS)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Signal handler, on the main thread: stop the item that was meant, and no other.

        Not within an import: a package that is imported by half stays broken for all later
        tasks. The next signal comes soon.
        """
        if self._interruptible and self._is_target() and not _is_importing(frame):
            self._target = None
            raise Interrupted

    def _stop_if_told(self) -> None:
        """Stop, if the signal for it came while it could not: before the item, or in a message."""
        if self._is_target():
            self._target = None
            raise Interrupted

    def _is_target(self) -> bool:
        """Whether the item that runs is the one that shall stop."""
        bunch = self._bunch
        at = self._running if bunch is None else (bunch.run, bunch.offset)
        return self._target is not None and self._target == at

    # -- the main thread --

    def set_up(self) -> bool:
        """Read the first message, and run the initializer."""
        header = self._file.read(HEADER.size)
        kind, _, _, size = HEADER.unpack(header)
        payload = self._file.read(size)
        assert kind == SETUP
        self._scratch.set_mark(INITIALIZING)
        try:
            place, self._index, self._backend, voices, data = loads_simple(payload)
            sys.argv[:], sys.path[:] = place
            self._speak(voices)
            _buffer_lines()
            initializer, initargs, self._finalizer = pickle.loads(data)
            if initializer is not None:
                initializer(*initargs)
        except BaseException as error:
            self._send(INIT_FAILED, 0, 0, _pickling.dump_error(error, "in the initializer"))
            return False
        self._scratch.set_mark(0)
        self._send(READY, 0, 0)
        return True

    def _speak(self, settings: bytes) -> None:
        from unifexec._voices import speak_through

        speak_through(lambda data: self._send(SAID, 0, 0, data), settings)

    def _listen(self, settings: bytes) -> None:
        """The parent wants to hear other things; what a running task set for itself stays."""
        from unifexec._voices import follow_levels

        follow_levels(settings)
        self._new_settings = settings

    def _follow(self, settings: bytes) -> None:
        from unifexec._voices import follow_filters

        self._new_settings = None
        follow_filters(settings)

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
            if (settings := self._new_settings) is not None:
                self._follow(settings)
            if type(item) is tuple:
                self._run_item(*item)
            else:
                self._run_bunch(item)
            del item
        if self._finalizer is not None:
            try:
                self._finalizer()
            except BaseException:
                import logging

                logging.getLogger("unifexec").exception("the finalizer raised")
        if self._loop is not None:
            self._loop.close()

    def _run_item(
        self,
        run: int,
        offset: int,
        index: int,
        limited: bool,
        call: tuple[Work, Any, bool],
    ) -> None:
        """Claim, run, answer, in this order; see the protocol page for what a death means."""
        self._scratch.set_mark(mark_of(run, offset))
        self._running = (run, offset)
        if limited:
            self._send(STARTED, run, offset)
        seat = self.gate.seat()
        seat.wait()
        status, seconds, data = self._outcome(index, call, seat)
        seat.leave()
        self._running = None
        _flush()
        if isinstance(data, bytes):
            self._send(DONE, run, offset, ANSWER.pack(status, seconds), data)
        else:
            self._send_large(run, offset, seconds, data)
        self._scratch.set_mark(0)

    def _outcome(
        self, index: int, call: tuple[Work, Any, bool], seat: Seat
    ) -> tuple[int, float, Any]:
        answer = self._call(index, call, seat)
        try:
            return self._packed_outcome(call[0], index, *answer)
        finally:
            del answer  # an error's frames know this one: do not let it hold the error

    def _packed_outcome(
        self, work: Work, index: int, succeeded: bool, value: Any, seconds: float
    ) -> tuple[int, float, Any]:
        if type(value) is Interrupted:
            return INTERRUPTED, seconds, b""
        if not succeeded:
            return ERROR, seconds, _pickling.dump_error(value, note_of(work, index))
        try:
            return VALUE, seconds, self._pack(value)
        except BaseException as error:  # also SystemExit: it ends no worker (L12, L13)
            text = _pickling.explain(f"the result of {work.name!r}", value, error)
            return UNSENDABLE, seconds, text.encode("utf-8", "replace")

    def _pack(self, value: Any) -> Any:
        """A result as bytes, unless it is large: then it is a cargo."""
        data = None if _pickling.are_large_bytes(value) else _pickling.dumps_plainly(value, True)
        if data is not None and len(data) < _pickling.LARGE:
            return data
        return self._pack_apart(value, data)

    def _pack_apart(self, value: Any, data: bytes | None) -> Any:
        if data is None:
            from unifexec.share import dumps_homeward

            parts = dumps_homeward(value)
        else:
            parts = [data]
        if sum(map(len, parts)) < _pickling.LARGE:
            return parts[0]
        if self._pool is None:
            from unifexec._segments import Pool

            self._pool = Pool(self._retire)
        return self._pool.cargo(parts)

    def _send_large(self, run: int, offset: int, seconds: float, cargo: Cargo) -> None:
        """Answer with a result in shared memory, or with its bytes where there is no room."""
        handed = self._hand_over(cargo)
        parts = [cargo.note()] if handed else cargo.inline()
        self._send(LARGE_DONE, run, offset, ANSWER.pack(VALUE, seconds), *parts)
        if handed:
            cargo.keep_busy()

    def _hand_over(self, cargo: Cargo) -> bool:
        if cargo.segment is None:
            return False
        if cargo.token not in self._handed:
            from unifexec._segments import send_descriptor

            try:
                send_descriptor(self._hand, cargo.segment)
            except OSError:
                return False
            self._handed.add(cargo.token)
            self._send(SEGMENT, cargo.token, cargo.treatment())
        return True

    def _retire(self, token: int) -> None:
        if token in self._handed:
            self._handed.discard(token)
            self._send(RETIRE, token, 0)

    def _call(
        self, index: int, call: tuple[Work, Any, bool], seat: Seat
    ) -> tuple[bool, Any, float]:
        task = CurrentTask(call[0].name, index, self._index, seat)
        try:
            self._interruptible = True
            self._stop_if_told()
            return run_task(task, Context(), load_and_call, call, {}, self._await)
        except Interrupted as stop:  # between two lines of ours
            return False, stop, 0.0
        finally:
            self._interruptible = False
            self._job = None

    def _await(self, awaitable: Awaitable[Any], context: Context) -> Any:
        self._interruptible = False  # from here on it is the job that is stopped
        if self._loop is None:
            from unifexec._loops import Loop

            self._loop = Loop(self._backend, "unifexec-worker-loop")
        task = context.run(current.get)
        return self._loop.run(task, awaitable, context, self._job_started)

    def _job_started(self, job: Any) -> None:
        self._job = job
        if self._is_target():
            self._loop.stop(job)  # it was told to stop before it came to await

    # -- bunches: many small items, at the cost of few --

    def _run_bunch(self, bunch: Bunch) -> None:
        """As `_run_item`, one after the other; what is the same for all is done once."""
        seat = self.gate.seat()
        seat.wait()
        task = CurrentRun(bunch, self._index, seat, bunch)
        context = Context()
        context.run(current.set, task)
        self._scratch.begin(bunch.run, 0)
        bunch.words = self._scratch.words
        self._bunch = bunch
        count = FIRST_COUNT
        while True:
            before, start = bunch.offset, perf_counter()
            try:
                error = self._run_some(bunch, task, context, count)
            except BaseException as stray:  # of a task that is over: its own signal handler
                _tell_stray(stray)
                continue
            if error is not None:
                self._tell_one(bunch, error)
                del error  # it may have a large value, and frames with more
                continue
            done = bunch.offset - before
            if not self.gate.is_held(seat):  # another waits for the place
                seat.leave()
                seat.wait()
            if done < count:
                break
            each = (perf_counter() - start) / done
            count = max(FIRST_COUNT, min(int(FLUSH_SECONDS / max(each, 1e-7)), 8 * count))
            if perf_counter() - bunch.since > FLUSH_SECONDS:
                self._flush_bunch(bunch)
        seat.leave()
        self._flush_bunch(bunch)
        with self._sending:  # the control thread may be about to ask what it has kept
            bunch.words = self._bunch = None
        self._bunches.pop(bunch.run, None)

    def _run_some(
        self, bunch: Bunch, task: CurrentRun, context: Context, count: int
    ) -> BaseException | None:
        """Claim, run, keep, for each; see the protocol page for what a death means.

        Returns what an item raised. What is raised here is no item's: Python looks for signals
        also before the next item is taken.

        The loop in which tiny tasks spend their time: whatever can be is a local variable.
        """
        words, write, dumps = self._scratch.words, self._scratch.memory.write, marshal.dumps
        call, fresh, timed = bunch.call(), context.copy, bunch.width > 1
        known: type | None = None  # an atom: its values need no look
        kept, taken = words[COUNT_WORD], False
        words[0] = IN_BUNCH
        try:
            for item in islice(bunch.todo, count):
                taken = True
                own = fresh()
                self._interruptible = True
                if self._target is not None:
                    self._stop_if_told()
                value: Any = own.run(call, item)
                self._interruptible = False
                if type(value) is not known and not is_record(value):
                    value = self._look(bunch, task, value, own)
                    known = type(value) if is_atom(value) else None
                try:
                    data = dumps(value, FORMAT)
                    write(data + dumps(bunch.seconds_of_last(), FORMAT) if timed else data)
                except ValueError:  # beyond the end, or even too large for `marshal`
                    by_itself = _records.is_pickled(value)
                    packed = value[1] if by_itself else self._packed(bunch, value)
                    raise NoRoomError(packed) from None
                words[COUNT_WORD] = kept = kept + 1
                taken = False
        except BaseException as error:
            self._interruptible = False  # before Python looks for signals again
            if taken:
                return error
            raise
        words[0] = 0
        return None

    def _look(self, bunch: Bunch, task: CurrentRun, value: Any, context: Context) -> Any:
        """A value as it is kept and sent, if it is not one of those that need no look."""
        if is_awaitable(value):
            context.run(current.set, task.now())
            began = perf_counter()
            try:
                value = self._await(value, context)
            finally:
                self._job = None
                bunch.waited(perf_counter() - began)
        if is_atom(value) or is_record(value):
            return value
        packed = self._packed(bunch, value)
        if type(packed) is not bytes:
            raise NoRoomError(packed)
        bunch.pickles = True
        return _records.pickled(packed)

    def _packed(self, bunch: Bunch, value: Any) -> Any:
        """A value as a pickle, or as a cargo if it is large."""
        try:
            return self._pack(value)
        except BaseException as error:  # also SystemExit: it ends no worker (L12, L13)
            name = bunch.at(bunch.offset)[0].name
            text = _pickling.explain(f"the result of {name!r}", value, error)
            raise UnsendableError(text) from None

    def _tell_one(self, bunch: Bunch, error: BaseException) -> None:
        """An item is over that is no small success: what was done before it goes first."""
        self._interruptible = False
        offset, seconds = bunch.offset, bunch.seconds_of_last()
        self._scratch.set_mark(mark_of(bunch.run, offset))
        self._flush_bunch(bunch)
        if type(error) is NoRoomError:
            status, data = VALUE, error.packed  # for the next there is room
        elif type(error) is UnsendableError:
            status, data = UNSENDABLE, str(error).encode("utf-8", "replace")
        elif type(error) is Interrupted:
            status, data = INTERRUPTED, b""
        else:
            error = presentable(error, __file__)
            status, data = ERROR, _pickling.dump_error(error, note_of(*bunch.at(offset)))
        _flush()
        if isinstance(data, bytes):
            self._send(DONE, bunch.run, offset, ANSWER.pack(status, seconds), data)
        else:
            self._send_large(bunch.run, offset, seconds, data)
        self._begin(bunch, offset + 1)

    def _begin(self, bunch: Bunch, offset: int) -> None:
        """All that is done was sent."""
        with self._sending:
            self._scratch.begin(bunch.run, offset)
            bunch.begin(offset)

    def _flush_bunch(self, bunch: Bunch) -> None:
        """Send what is done, and make room; on the main thread."""
        self._send_values(bunch)
        self._begin(bunch, bunch.offset)

    def _send_values(self, bunch: Bunch) -> None:
        """Send the values that were not sent yet; from either thread.

        As they lie in the scratch, from its begin: if the control thread has sent some
        already, the parent is told how many, and leaves them out.
        """
        with self._sending:
            sent, kept = bunch.sent, bunch.kept
            if sent == kept:
                return
            bunch.sent = kept
            now = perf_counter()
            each, bunch.since = (now - bunch.since) / (kept - sent), now
            _flush()
            head = BLOCK_HEAD.pack(each, sent, bunch.pickles)
            self._write(BLOCK, bunch.run, kept, head, self._scratch.values())

    # -- both --

    def _send(self, kind: int, number: int, offset: int, *payload: bytes) -> None:
        on_main, interruptible = threading.get_ident() == self._main, self._interruptible
        if on_main:
            self._interruptible = False  # no torn message
        try:
            with self._sending:
                self._write(kind, number, offset, *payload)
        finally:
            if on_main:
                self._interruptible = interruptible
        if on_main and interruptible:
            self._stop_if_told()

    def _write(self, kind: int, number: int, offset: int, *payload: bytes) -> None:
        """With `_sending` held: a message, whole.

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

    def leave_the_pipe(self) -> None:
        """In a process that a task forked: the pipe is the worker's, and so is its answer.

        A copy of the task that comes to its end there ends that process, and tells nobody.
        """
        self._send = self._tell_one = self._send_values = self._pack = _end_quietly  # type: ignore[method-assign, assignment]
        self._scratch.leave()
        if self._bunch is not None:
            self._bunch.words = self._scratch.words


def _end_quietly(*message: object) -> None:
    _flush()
    os._exit(0)


def _tell_stray(error: BaseException) -> None:
    """Nobody's: a task's own signal handler raised when the task was over already."""
    import logging

    text = "raised by a signal handler between two tasks"
    logging.getLogger("unifexec").error(text, exc_info=error)


def _signal_main(thread: int) -> None:
    """Have the main thread call `Worker.interrupt`, also if it waits in the system."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, ABORT_SIGNAL)
    else:
        signal.raise_signal(ABORT_SIGNAL)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the interpreter's import machinery is at work below this frame."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _flush() -> None:
    """What a task printed is out before its outcome is (L26)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed, gone, or replaced by a task with something of its own
            pass


def _buffer_lines() -> None:
    """A line that a task printed is out at once, and whole (L26)."""
    try:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
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
    happens, the kernel sends SIGIO, whose default action ends us, and what our tasks started
    in our process group. (Linux; elsewhere the control thread sees the end of its pipe.)
    """
    if not sys.platform.startswith("linux"):
        return
    import fcntl
    import select

    leads = os.getpgrp() == os.getpid()
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid() if leads else os.getpid())
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


def live(sock_fd: int, mark_fd: int, lifeline: int, hand_fd: int) -> None:
    """A worker's life."""
    global this_worker
    hold_lifeline(lifeline)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # Ctrl-C is the parent's affair
    worker = this_worker = Worker(
        socket.socket(fileno=sock_fd),
        mmap.mmap(mark_fd, SCRATCH_SIZE),
        socket.socket(fileno=hand_fd),
    )
    os.close(mark_fd)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=worker.leave_the_pipe)
    signal.signal(ABORT_SIGNAL, worker.interrupt)
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
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # also if the caller ignores it: we ask

    sock = socket.socket(fileno=sock_fd)
    while True:
        data, fds, _, _ = socket.recv_fds(sock, FORK.size, 4)
        if not data:
            return
        (pid,) = FORK.unpack(data)
        if pid:
            _, status = os.waitpid(pid, 0)
            sock.sendall(FORK.pack(os.waitstatus_to_exitcode(status)))
            continue
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)  # here too: before it looks whether it leads a group
            break
        os.setpgid(pid, pid)  # before anybody can want to kill its group
        for fd in fds:
            os.close(fd)
        sock.sendall(FORK.pack(pid))
    sock.close()
    os.close(lifeline)
    live(*fds)
