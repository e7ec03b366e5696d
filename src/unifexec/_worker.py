"""What runs in the child: read, run, answer. How it is started and ended is in `_life`.

It imports the standard library, and of the package what its first lines name, and `_voices`
with `logging` at set-up; cloudpickle, the event loops and the rest only when a task needs them.
The protocol, step by step, is in `docs/process-room.md`, its words are in `_messages`.

Two threads. The *control thread* reads the pipe, always: so a parent that writes never waits
for a task. The *main thread* runs the tasks, since signals interrupt only that one.
"""

from __future__ import annotations

import _thread
import marshal
import os
import pickle
import signal
import sys
import threading
from _queue import SimpleQueue
from collections import deque
from contextvars import Context
from functools import partial
from itertools import islice
from time import perf_counter, sleep

from unifexec import _definitions, _messages, _pickling, _records, _scripts
from unifexec._bunches import (
    COUNT_WORD,
    IN_BUNCH,
    ITEM_HEAD,
    NO_ROOM,
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
from unifexec._outbox import Outbox
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
    import mmap
    import socket
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType
    from typing import Any

    from unifexec._segments import Cargo, Inbox, Pool

ABORT_SIGNAL = getattr(signal, "SIGUSR1", signal.SIGINT)
FIRST_SIGNAL_SECONDS = 0.002  # how soon a task that does not stop is told again, at first
LONGEST_SIGNAL_SECONDS = 0.02  # and later
SKIPPED_AT_ONCE = 1 << 16  # bytes of a payload that there is no memory for
UNCLEAN = BaseException()  # no error: an item has left something in its context


class Worker:
    """One worker process, from inside; what the core knows of it is `runs.Worker`."""

    def __init__(self, sock: socket.socket, mark: mmap.mmap, hand: socket.socket) -> None:
        self._hand = hand
        self._inbox: Inbox | None = None
        self._pool: Pool | None = None
        self._handed: set[int] = set()  # segments of ours that the parent has
        self.shared: dict[int, bytes] = {}  # values that all tasks may read (`share`)
        self._file = sock.makefile("rb", buffering=1 << 16)
        self._scratch = Scratch(mark)
        self._outbox = Outbox(sock)
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
        """Read messages, until the parent is gone, or lets us go without a word."""
        try:
            while self._receive():
                pass
        except OSError:
            pass

    def _receive(self) -> bool:
        header = self._file.read(_messages.HEADER.size)
        if len(header) < _messages.HEADER.size:
            return False
        kind, number, offset, size = _messages.HEADER.unpack(header)
        try:
            payload = self._file.read(size) if size else b""
        except MemoryError:  # nothing of it has been read
            return self._skip(kind, number, offset, size)
        if len(payload) < size:
            return False
        if kind == _messages.ITEM:
            item = memoryview(payload)[ITEM_HEAD.size :]
            self._enqueue(number, offset, payload, item)
        elif kind == _messages.ITEMS:
            self._enqueue_all(number, payload)
        elif kind == _messages.TASKS:
            self._enqueue_tasks(number, offset, payload)
        elif kind == _messages.WORK:
            self._keep(number, payload)
        elif kind == _messages.DEFINE:
            _definitions.tell(number, payload)
        elif kind == _messages.DROP:
            self._works.pop(number, None)
        elif kind == _messages.WITHDRAW:
            self._withdraw(number)
        elif kind == _messages.ABORT:
            self._abort(number, offset)
        elif kind == _messages.VOICES:
            self._listen(payload)
        elif kind == _messages.STOP:
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
            if kind == _messages.SEGMENT:
                self._send(_messages.UNMAPPED, number, 0)
            elif kind == _messages.LARGE_ITEM:
                self._enqueue(number, offset, payload, NO_ROOM)

    def _skip(self, kind: int, number: int, offset: int, size: int) -> bool:
        """A payload that we have no memory for: its task fails for it, and nothing else."""
        head = self._file.read(min(size, ITEM_HEAD.size))  # as long as that of _messages.ITEMS
        left = size - len(head)
        while left:
            skipped = len(self._file.read(min(left, SKIPPED_AT_ONCE)))
            if not skipped:
                return False
            left -= skipped
        if kind in (_messages.ITEM, _messages.LARGE_ITEM):
            self._enqueue(number, offset, head, NO_ROOM)
        elif kind == _messages.ITEMS:
            key, index, _, unary = _messages.ITEMS_HEAD.unpack(head)
            self._add(Bunch(number, self._works[key], index, [NO_ROOM] * offset, False, unary))
        elif kind == _messages.TASKS:
            works = [Work("a task", False, NO_ROOM, None)] * offset
            self._add(TaskBunch(number, works, [NO_ROOM] * offset))
        elif kind == _messages.WORK:
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
        if kind == _messages.LARGE_ITEM:
            self._enqueue(number, offset, payload, LargeCall(self.inbox, payload))
        elif kind == _messages.SEGMENT:
            self.inbox.accept(number, offset)
        elif kind == _messages.SHARED:
            self.shared[number] = payload
        elif kind == _messages.RETIRE:
            self.inbox.retire(number)
            if self.shared.pop(number, None) is not None:
                from unifexec.share import dropped

                dropped(number)
        elif kind == _messages.UNMAPPED and self._pool is not None:
            self._handed.discard(number)
            self._pool.unmapped(number)

    def _enqueue(self, number: int, offset: int, head: bytes, item: Any) -> None:
        work, index, limited, unary = ITEM_HEAD.unpack_from(head)
        call = self._works[work], item, unary
        self._todo.append((number, offset, index, limited, call))
        self._bell.put(None)

    def _enqueue_all(self, run: int, payload: bytes) -> None:
        work, index, flat, unary = _messages.ITEMS_HEAD.unpack_from(payload)
        data = memoryview(payload)[_messages.ITEMS_HEAD.size :]
        items = _records.loads(data) if flat else split(data)
        self._add(Bunch(run, self._works[work], index, items, flat, unary))

    def _enqueue_tasks(self, run: int, count: int, payload: bytes) -> None:
        head = _messages.tasks_head(count)
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
            self._send(_messages.RETURNED, run, left)
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
        self._send(_messages.RETURNED, run, count)

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
        header = self._file.read(_messages.HEADER.size)
        kind, _, _, size = _messages.HEADER.unpack(header)
        payload = self._file.read(size)
        assert kind == _messages.SETUP
        self._scratch.set_mark(_messages.INITIALIZING)
        try:
            place, self._index, self._backend, voices, data = loads_simple(payload)
            sys.argv[:], sys.path[:] = place
            self._speak(voices)
            _buffer_lines()
            self._finalizer = _scripts.initialize(partial(pickle.loads, data))
        except BaseException as error:
            self._send(
                _messages.INIT_FAILED, 0, 0, _pickling.dump_error(error, "in the initializer")
            )
            return False
        self._scratch.set_mark(0)
        self._send(_messages.READY, 0, 0)
        return True

    def _speak(self, settings: bytes) -> None:
        from unifexec._voices import speak_through

        speak_through(lambda data: self._send(_messages.SAID, 0, 0, data), settings)

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
            self._send(_messages.STARTED, run, offset)
        seat = self.gate.seat()
        seat.wait()
        status, seconds, data = self._outcome(index, call, seat)
        seat.leave()
        self._running = None
        flush_streams()
        if isinstance(data, bytes):
            self._send(_messages.DONE, run, offset, _messages.ANSWER.pack(status, seconds), data)
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
            return _messages.INTERRUPTED, seconds, b""
        if not succeeded:
            return _messages.ERROR, seconds, _pickling.dump_error(value, note_of(work, index))
        try:
            return _messages.VALUE, seconds, self._pack(value)
        except BaseException as error:  # also SystemExit: it ends no worker (L12, L13)
            text = _pickling.explain(f"the result of {work.name!r}", value, error)
            return _messages.UNSENDABLE, seconds, text.encode("utf-8", "replace")

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
        self._send(
            _messages.LARGE_DONE,
            run,
            offset,
            _messages.ANSWER.pack(_messages.VALUE, seconds),
            *parts,
        )
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
            self._send(_messages.SEGMENT, cargo.token, cargo.treatment())
        return True

    def _retire(self, token: int) -> None:
        if token in self._handed:
            self._handed.discard(token)
            self._send(_messages.RETIRE, token, 0)

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
        with self._outbox.lock:  # the control thread may be about to ask what it has kept
            bunch.words = self._bunch = None
        self._bunches.pop(bunch.run, None)

    def _run_some(
        self, bunch: Bunch, task: CurrentRun, context: Context, count: int
    ) -> BaseException | None:
        """Claim, run, keep, for each; see the protocol page for what a death means.

        Returns what an item raised. What is raised here is no item's: Python looks for signals
        also before the next item is taken.

        Items share a context, and so start with a fresh one (L19), as long as they leave no
        variable in it; see `trips.Contexts`.
        """
        self._scratch.words[0] = IN_BUNCH
        items = islice(bunch.todo, count)
        end: BaseException | None = UNCLEAN
        while end is UNCLEAN:
            own = context.copy()
            end = own.run(self._run_clean, bunch, task, own, items)
        if end is None:
            self._scratch.words[0] = 0
        try:
            return end
        finally:
            del end  # an error's frames know this one: do not let it hold the error

    def _run_clean(
        self, bunch: Bunch, task: CurrentRun, own: Context, items: Iterator[Any]
    ) -> BaseException | None:
        """As `_run_some`, in a context of its own; `UNCLEAN` if the next item needs another.

        The loop in which tiny tasks spend their time: whatever can be is a local variable.
        """
        words, write, dumps = self._scratch.words, self._scratch.memory.write, marshal.dumps
        call, timed = bunch.call(), bunch.width > 1
        known: type | None = None  # an atom: its values need no look
        kept, taken = words[COUNT_WORD], False
        try:
            for item in items:
                taken = True
                self._interruptible = True
                if self._target is not None:
                    self._stop_if_told()
                value: Any = call(item)
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
                if len(own) != 1:
                    return UNCLEAN
        except BaseException as error:
            self._interruptible = False  # before Python looks for signals again
            if taken:
                return error
            raise
        return None

    def _look(self, bunch: Bunch, task: CurrentRun, value: Any, context: Context) -> Any:
        """A value as it is kept and sent, if it is not one of those that need no look."""
        if is_awaitable(value):
            context = context.copy()
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
            status, data = _messages.VALUE, error.packed  # for the next there is room
        elif type(error) is UnsendableError:
            status, data = _messages.UNSENDABLE, str(error).encode("utf-8", "replace")
        elif type(error) is Interrupted:
            status, data = _messages.INTERRUPTED, b""
        else:
            error = presentable(error)
            status, data = _messages.ERROR, _pickling.dump_error(error, note_of(*bunch.at(offset)))
        flush_streams()
        if isinstance(data, bytes):
            self._send(
                _messages.DONE, bunch.run, offset, _messages.ANSWER.pack(status, seconds), data
            )
        else:
            self._send_large(bunch.run, offset, seconds, data)
        self._begin(bunch, offset + 1)

    def _begin(self, bunch: Bunch, offset: int) -> None:
        """All that is done was sent."""
        with self._outbox.lock:
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
        with self._outbox.lock:
            sent, kept = bunch.sent, bunch.kept
            if sent == kept:
                return
            bunch.sent = kept
            now = perf_counter()
            each, bunch.since = (now - bunch.since) / (kept - sent), now
            flush_streams()
            head = _messages.BLOCK_HEAD.pack(each, sent, bunch.pickles)
            self._outbox.write(_messages.BLOCK, bunch.run, kept, head, self._scratch.values())

    # -- both --

    def _send(self, kind: int, number: int, offset: int, *payload: bytes) -> None:
        on_main, interruptible = threading.get_ident() == self._main, self._interruptible
        if on_main:
            self._interruptible = False  # no torn message
        try:
            with self._outbox.lock:
                self._outbox.write(kind, number, offset, *payload)
        finally:
            if on_main:
                self._interruptible = interruptible
        if on_main and interruptible:
            self._stop_if_told()

    def leave_the_pipe(self) -> None:
        """In a process that a task forked: the pipe is the worker's, and so is its answer.

        A copy of the task that comes to its end there ends that process, and tells nobody.
        """
        self._send = self._tell_one = self._send_values = self._pack = _end_quietly  # type: ignore[method-assign, assignment]
        self._scratch.leave()
        if self._bunch is not None:
            self._bunch.words = self._scratch.words


def _end_quietly(*message: object) -> None:
    flush_streams()
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


def flush_streams() -> None:
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


this_worker: Worker | None = None
