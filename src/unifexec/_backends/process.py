"""`ProcessExecutor`: tasks in worker processes of their own, each on its own pipe.

The worker's half is in `_worker.py`, the words of the protocol in `_messages.py`; the steps, and
what a death between any two of them means, are in ``docs/process-room.md``.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import sys
import threading
from collections import OrderedDict
from itertools import count
from time import monotonic
from types import BuiltinFunctionType, FunctionType

from unifexec import _bunches, _messages, _pickling, _records
from unifexec._backends.anatomy import is_reference, lasting_bytes
from unifexec._backends.callbacks import callbacks
from unifexec._backends.child import NO_MEMORY, Child
from unifexec._backends.cores import usable_cores
from unifexec._backends.definitions import definitions, naming
from unifexec._backends.executor import LocalExecutor
from unifexec._backends.packing import (
    are_atoms,
    are_small_atoms,
    pack_bunch,
    pack_function,
    packed_items,
    unpack_cargo,
    unpack_error,
    unpack_value,
)
from unifexec._backends.parcels import pack_call, retire, send_item, send_shared
from unifexec._backends.room import Room
from unifexec._backends.setup import Setup, checked_workers
from unifexec._backends.starting import (
    METHODS,
    search_path,
    starter,
)
from unifexec._core.batches import Single
from unifexec._core.checks import check_choice, check_count, check_seconds
from unifexec._core.outcome import Failure, Success
from unifexec._core.runs import Limits
from unifexec._core.task import logger
from unifexec._running import Interrupted, shown
from unifexec._segments import Cargo, Inbox, Pool
from unifexec._voices import levels_and_filters, repeat
from unifexec.errors import RemoteError, SerializationError, WorkerLostError
from unifexec.share import collecting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from unifexec._core.options import Options
    from unifexec._core.runs import Run, Worker
    from unifexec._core.task import Task
    from unifexec.abc import Traits

VOICES_SECONDS = 0.1  # so old may be what workers know of log levels and warning filters
NATIVE_POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
KNOWN_WORKS = 128  # functions that a worker keeps; the least recently used are dropped


class Work:
    """A function as bytes, taken at the call, with its name and context (L12b).

    What a worker makes of it is `_bunches.Work`.
    """

    __slots__ = ("frame", "key", "name", "shared")

    def __init__(self, key: int, name: str, frame: bytes, shared: list[Cargo]) -> None:
        self.key = key
        self.name = name
        self.frame = frame
        self.shared = shared  # values whose handles it has


class ProcessRoom(Room):
    """Workers are processes; the carrier is the thread that waits for their pipes."""

    name = "unifexec-process-carrier"

    def __init__(self, limits: Limits, setup: Setup, start_method: str) -> None:
        super().__init__(limits, setup)
        self._setup_data = _pack_setup(setup)
        self._start_method = start_method
        self._starter = starter(start_method, _environment(limits.max_workers))
        self._works: OrderedDict[bytes, int] = OrderedDict()
        self._known: dict[Any, Work] = {}  # by function, if that travels by name, or by its bytes
        self._work_numbers = count(1)
        self._packing = threading.RLock()  # a signal handler may submit in the midst of a submit
        self._segments = Pool(self.retire)
        self._selector = selectors.DefaultSelector()
        # Whoever wakes the carrier rings the bell; it listens at the ear.
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, None)
        self._children: dict[int, Child] = {}
        self._voices = b""
        self._voices_seen = 0.0

    @property
    def traits(self) -> Traits:  # type: ignore[override]
        """How this executor differs from the others."""
        from unifexec.abc import Traits

        return Traits(
            kind="process",
            concurrency="processes with a memory of their own",
            parallel_python=True,
            shares_memory=False,
            can_abort=True,
            crash_isolated=True,
            start_method=self._start_method,
            best_for="computing in Python, on all cores; code that may crash",
        )

    # -- what the verbs ask: snapshots (L12b) --

    def pack_work(self, fn: Callable[..., Any], options: Options) -> tuple[Work, None]:
        """The function and the named context as bytes."""
        return self._work_of(fn, options), None

    def _work_of(self, fn: Callable[..., Any], options: Options) -> Work:
        """The same bytes get the same number; what is the same as before is not packed anew."""
        kind = type(fn)  # of no metaclass of its own: that may say that two classes are equal
        plain = kind is FunctionType or kind is BuiltinFunctionType or kind is type
        if plain and is_reference(fn):
            known = self._known.get((fn, options))
            return self._new_work(fn, options, fn) if known is None else known
        with naming(numbers=False):
            same = lasting_bytes(fn)
            known = None if same is None else self._known.get((same, options))
            return self._new_work(fn, options, same) if known is None else known

    def _new_work(self, fn: Callable[..., Any], options: Options, same: Any) -> Work:
        """Pack it; ``same``: what stays the same while its bytes do, if anything does."""
        with collecting() as shared:
            parts = pack_function(fn, options, same if type(same) is bytes else None)
        frame = pickle.dumps(parts, _pickling.PROTOCOL)
        work = Work(self._number_of(frame), parts[0], frame, shared)
        if same is not None and not options.context:
            self._known[same, options] = work
            if len(self._known) > KNOWN_WORKS:
                self._known.clear()
        return work

    def _number_of(self, frame: bytes) -> int:
        with self._packing:
            key = self._works.pop(frame, None)
            if key is None:
                key = next(self._work_numbers)
            self._works[frame] = key
            if len(self._works) > KNOWN_WORKS:
                self._works.popitem(last=False)
            return key

    def accept(self, task: Task[Any], fn: Any, options: Options, args: Any, kwargs: Any) -> None:
        """Submit a call: the function as in `pack_work`, the arguments as in `pack_items`."""
        work, item = self._work_of(fn, options), args
        if kwargs or not are_small_atoms(args):
            with naming():
                item = self.pack_call(work, args, kwargs)
        self.submit_batch(Single(task, work, item, options))

    def pack_call(self, work: Work, args: Any, kwargs: Any, unary: bool = False) -> bytes | Cargo:
        """The arguments of a call as bytes, or in shared memory."""
        return pack_call(self._segments, work.name, args, kwargs, unary)

    def retire(self, token: int) -> None:
        """A segment or a shared value is not needed any more. Called by finalisers."""
        if not self.closed:
            self.post(self._retire, token)

    def _retire(self, token: int, now: float) -> None:
        for child in self._children.values():
            if retire(child, token):
                self._flush(child)

    def pack_items(self, work: Any, inputs: list[Any], unary: bool) -> list[Any]:
        """Atoms as they are, since nobody can change them; all else as bytes."""
        if isinstance(work, Work) and are_atoms(inputs, unary):
            return inputs
        with naming():
            return packed_items(self, work, inputs, unary)

    # -- the carrier --

    def wake(self) -> None:
        """Wake the carrier."""
        try:
            self._bell.send(b"\0")
        except OSError:  # full, so it will be heard; or closed, so nobody listens
            pass

    def carry(self) -> None:
        """Serve, and wait for the workers' pipes, until all is closed."""
        while True:
            self.serve()
            if self.closed:
                break
            wait = self.seconds_to_deadline() if self.nothing_to_serve() else 0
            ready = self._selector.select(wait)
            self._asleep = False
            self.serve()  # what was posted first is decided first, a close above all
            for key, events in ready:
                if key.data is None:
                    self._hear()
                else:
                    self._guarded(self._attend, key.data, events, key.fd)
        self._put_away()

    def lose(self, why: BaseException) -> None:
        """Workers that nobody hears are ended; what they finished counts."""
        children = list(self._children.values())
        for child in children:
            self._guarded(child.kill)
        for child in children:
            self._guarded(self._bury, child, why)

    def carry_plainly(self) -> None:
        """As everywhere; nothing is left to wait for."""
        super().carry_plainly()
        self._put_away()

    def _put_away(self) -> None:
        self._segments.close()
        self._starter.close()
        self._selector.close()
        self._bell.close()
        self._ear.close()

    def _hear(self) -> None:
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            pass

    def _attend(self, child: Child, events: int, fd: int) -> None:
        """A worker's pipe is ready, or its sentinel tells that it ended."""
        if child.worker.number not in self._children:
            return  # it was buried in this round
        if fd == child.sentinel:
            self._bury(child)
            return
        if events & selectors.EVENT_WRITE and child.flush():
            self._selector.modify(child.sock, selectors.EVENT_READ, child)
        if events & selectors.EVENT_READ and not self._listen(child):
            self._bury(child)

    def _listen(self, child: Child) -> bool:
        """Read what a worker has to say; False if it is at its end.

        One that cannot be heard, for lack of memory or by a fault of ours, is ended: so its
        task is lost, and no other.
        """
        try:
            more = child.receive()
            self._read_messages(child)
        except Exception:
            logger().exception(
                "unifexec: worker process %d cannot be heard: it is ended", child.pid
            )
            child.kill()
            return False
        return more

    def _read_messages(self, child: Child) -> None:
        for kind, number, offset, payload in child.messages():
            self._message(child, kind, number, offset, payload)

    def _message(
        self, child: Child, kind: int, number: int, offset: int, data: bytes | memoryview
    ) -> None:
        if data is NO_MEMORY:
            self._unheard(child, kind, number)
        elif kind == _messages.BLOCK:
            self._take_block(number, offset, data)
        elif kind == _messages.DONE:
            self._handle(self.dispatch.answered, number, [_outcome(data)])
        elif kind == _messages.STARTED:
            self._handle(self.dispatch.started, number, offset)
        elif kind == _messages.RETURNED:
            self._handle(self.dispatch.withdrawn, number, offset)
        elif kind == _messages.READY:
            self._handle(self.dispatch.ready, child.worker.number)
        elif kind == _messages.INIT_FAILED:
            child.init_error = _pickling.load_error(data, RemoteError)  # told when it has left
        elif kind == _messages.SAID:
            callbacks.run([lambda: _repeat(data)])
        else:
            self._large_message(child, kind, number, offset, data)

    def _large_message(
        self, child: Child, kind: int, number: int, offset: int, data: bytes | memoryview
    ) -> None:
        if kind == _messages.SEGMENT:
            self._accept(child, number, offset)
        elif kind == _messages.UNMAPPED:
            child.segments.discard(number)
            child.shared.discard(number)
        elif kind == _messages.RETIRE:
            child.inbox.retire(number)
        elif kind == _messages.LARGE_DONE:
            self._handle(self.dispatch.answered, number, [_large_outcome(child.inbox, data)])

    def _accept(self, child: Child, token: int, treatment: int) -> None:
        """Map what a worker handed us; if it cannot be, it may be handed to us again."""
        try:
            child.inbox.accept(token, treatment)
        except (OSError, MemoryError):
            self._send(child, _messages.UNMAPPED, token, 0)

    def _unheard(self, child: Child, kind: int, number: int) -> None:
        """A message for which there is no memory; blocks of values are never so large."""
        why = MemoryError("there is no memory in this process for what its worker sent")
        if kind in (_messages.DONE, _messages.LARGE_DONE):
            error = SerializationError(f"the answer cannot be read: {why}")
            error.__cause__ = why
            self._handle(self.dispatch.answered, number, [Failure(error)])
        elif kind == _messages.INIT_FAILED:
            child.init_error = why
        else:
            logger().error("what worker process %d said is lost: %s", child.pid, why)

    def _take_block(self, number: int, count: int, data: bytes | memoryview) -> None:
        """Values of so many items of a run, in order, of which we may have the first already."""
        seconds, old, pickles = _messages.BLOCK_HEAD.unpack_from(data)
        run = self.dispatch.runs.get(number)
        if run is None:  # what it answers was settled otherwise
            return
        width = _width(run)
        stream = memoryview(data)[_messages.BLOCK_HEAD.size :]
        values = _records.loads(_records.listed(width * count, stream))[width * old :]
        if width > 1:
            self._take_tasks(number, values[::2], values[1::2], pickles)
        elif pickles:
            self._take_pickles(number, values, seconds)
        else:
            self._handle(self.dispatch.answered_block, number, values, seconds)

    def _take_pickles(self, number: int, values: list[Any], seconds: float) -> None:
        """As `_take_block`; a value that cannot be rebuilt here fails its own task."""
        try:
            rebuilt = [pickle.loads(v[1]) if _records.is_pickled(v) else v for v in values]
        except BaseException:
            outcomes = [_rebuilt(value, seconds) for value in values]
            self._handle(self.dispatch.answered, number, outcomes)
        else:
            self._handle(self.dispatch.answered_block, number, rebuilt, seconds)

    def _take_tasks(
        self, number: int, values: list[Any], seconds: list[float], pickles: bool
    ) -> None:
        """As `_take_block`, of single tasks, each with its own time."""
        times: list[float | None] = [*seconds]
        if pickles:
            outcomes = list(map(_rebuilt, values, seconds))
            values = [out.value if isinstance(out, Success) else out for out in outcomes]
            times = [out.seconds if isinstance(out, Success) else None for out in outcomes]
        self._handle(self.dispatch.answered_tasks, number, values, times)

    def _send(self, child: Child, kind: int, number: int, offset: int, *payload: bytes) -> None:
        child.put(kind, number, offset, *payload)
        self._flush(child)

    def _flush(self, child: Child) -> None:
        """Send what was put, as far as the pipe takes it; the rest when the pipe is ready.

        At once for all that belongs together: each system call gives the GIL away, and costs
        a wait to have it back.
        """
        if not child.flush():
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(child.sock, events, child)

    # -- actions --

    def do_spawn(self, worker: Worker) -> None:
        """Start a process."""
        try:
            child = Child(worker, self._setup_of(worker), self._starter)
        except Exception as error:  # no descriptors, no memory, no interpreter
            self.post(self.dispatch.spawn_failed, worker.number, error)
            return
        worker.carried = self._children[worker.number] = child
        try:
            self._register(child)
        except Exception:  # it could not be heard
            child.kill()
            self.post(self._ended, child)

    def _register(self, child: Child) -> None:
        events = selectors.EVENT_READ | (0 if child.flush() else selectors.EVENT_WRITE)
        self._selector.register(child.sock, events, child)
        if child.sentinel is not None:
            self._selector.register(child.sentinel, selectors.EVENT_READ, child)
        else:
            threading.Thread(target=self._watch_process, args=(child,), daemon=True).start()

    def _setup_of(self, worker: Worker) -> bytes:
        """What a worker is told first."""
        self._look_at_voices()
        place, backend = (sys.argv, search_path()), self.setup.async_backend
        return _pickling.dumps((place, worker.index, backend, self._voices, self._setup_data))

    def _watch_process(self, child: Child) -> None:
        """Where the system has no descriptor for the end of a process."""
        child.process.await_end()
        self.post(self._ended, child)

    def _ended(self, child: Child, now: float) -> None:
        if child.worker.number in self._children:
            self._bury(child)

    def do_send(self, run: Run) -> None:
        """Send the items of a batch: as few messages as they allow.

        A worker that has got a part of what cannot be sent whole would answer it: it is ended.
        """
        child: Child = run.worker.carried
        if monotonic() - self._voices_seen > VOICES_SECONDS:
            self._guarded(self._look_at_voices)
        limited = run.batch.options.time_limit is not None
        try:
            self._define(child)
            if limited or not (self._put_bunch(child, run) or self._put_tasks(child, run)):
                self._put_items(child, run, limited)
            self._flush(child)
        except Exception as why:  # no memory for it
            child.kill()
            failures = [Failure(_unsent(why)) for _ in run.batch.items]
            self.post(self.dispatch.answered, run.number, failures)

    def _define(self, child: Child) -> None:
        """Tell it of classes that it may be sent objects of, before the first of them."""
        if len(child.defined) < len(definitions):
            for number in set(definitions) - child.defined:
                child.put(_messages.DEFINE, number, 0, definitions[number])
                child.defined.add(number)

    def _put_bunch(self, child: Child, run: Run) -> bool:
        """Items of a map as one message, if that is worth it."""
        batch = run.batch
        bunch = pack_bunch(batch.items) if batch.plain else None
        if bunch is None:
            return False
        self._send_work(child, batch.work)
        head = _messages.ITEMS_HEAD.pack(batch.work.key, batch.first, bunch[0], batch.unary)
        child.put(_messages.ITEMS, run.number, len(batch), head, bunch[1])
        return True

    def _put_tasks(self, child: Child, run: Run) -> bool:
        """Single tasks as one message, if that is worth it."""
        works = [member.work for member in run.batch.parts()]
        different = dict.fromkeys(works)
        if len(works) < 2 or len(different) > KNOWN_WORKS:
            return False
        items = run.batch.items
        if len(set(map(type, items))) > 1:
            items = [_data_of(item, False) for item in items]
        bunch = pack_bunch(items)
        if bunch is None:
            return False
        for work in different:
            self._send_work(child, work)
        head = _messages.tasks_head(len(works)).pack(bunch[0], *[work.key for work in works])
        child.put(_messages.TASKS, run.number, len(works), head, bunch[1])
        return True

    def _put_items(self, child: Child, run: Run, limited: bool) -> None:
        """Each as a message of its own."""
        for offset, item in enumerate(run.batch.items):
            batch, index = run.batch.at(offset)
            work: Work = batch.work
            self._send_work(child, work)
            data: Any = _data_of(item, batch.unary)
            head = _bunches.ITEM_HEAD.pack(work.key, index, limited, batch.unary)
            if type(data) is Cargo:
                send_item(self, child, run.number, offset, head, data)
            else:
                child.put(_messages.ITEM, run.number, offset, head, data)

    def _look_at_voices(self) -> None:
        """Tell the workers when other log records or warnings are wanted than before (L26)."""
        self._voices_seen = monotonic()
        before, self._voices = self._voices, levels_and_filters()
        if before != self._voices:
            for child in self._children.values():
                self._send(child, _messages.VOICES, 0, 0, self._voices)

    def _send_work(self, child: Child, work: Work) -> None:
        """Functions travel once per worker, and are dropped when others crowd them out."""
        for shared in work.shared:
            send_shared(self, child, shared)
        if work.key in child.known:
            child.known.move_to_end(work.key)
            return
        child.known[work.key] = None
        child.put(_messages.WORK, work.key, 0, work.frame)
        if len(child.known) > KNOWN_WORKS:
            oldest, _ = child.known.popitem(last=False)
            child.put(_messages.DROP, oldest, 0)

    def do_withdraw(self, run: Run) -> None:
        """Ask for what has not started."""
        self._send(run.worker.carried, _messages.WITHDRAW, run.number, 0)

    def do_abort(self, run: Run) -> None:
        """Ask the running item to stop; after the grace it will be made to."""
        self._send(run.worker.carried, _messages.ABORT, run.number, run.cursor)
        self.post(self.dispatch.stopping, run.number, run.cursor)

    def do_discard(self, run: Run) -> None:
        """Kill the worker, if it is still at this item."""
        child: Child = run.worker.carried
        if not child.kill_at(_bunches.mark_of(run.number, run.cursor)):
            self.post(self.dispatch.missed, run.number, run.cursor)

    def do_stop(self, worker: Worker) -> None:
        """Let it leave when it has done what it has."""
        self._send(worker.carried, _messages.STOP, 0, 0)

    def do_end(self, worker: Worker) -> None:
        """It does not leave: kill it."""
        worker.carried.kill()

    def _bury(self, child: Child, why: BaseException | None = None) -> None:
        """A worker ended: read its last words, reap it, say how it ended; or why we ended it.

        What it finished is in its pipe, or in our hands; its mark tells what it was at.
        """
        self._guarded(self._hear_out, child)
        self._children.pop(child.worker.number, None)
        child.kill()  # what its tasks started ends with it
        exitcode = child.process.wait()
        mark = child.mark()
        worker, lost = child.worker, _lost(child.pid, exitcode, why)
        self._guarded(self._take_kept, child)
        self._guarded(self._let_go, child)
        if worker.leaving and not worker.runs:
            self._handle(self.dispatch.gone, worker.number)
        elif child.init_error is not None:
            self._handle(self.dispatch.init_failed, worker.number, child.init_error)
        elif mark == _messages.INITIALIZING and self.setup.initializer is not None:
            self._handle(self.dispatch.init_failed, worker.number, lost("its initializer"))
        else:
            touched = any(mark == _bunches.mark_of(r.number, r.cursor) for r in worker.runs)
            self._handle(self.dispatch.died, worker.number, touched, lost)

    def _hear_out(self, child: Child) -> None:
        while self._listen(child) and _readable(child.sock):
            pass

    def _let_go(self, child: Child) -> None:
        try:
            self._selector.unregister(child.sock)
            if child.sentinel is not None:
                self._selector.unregister(child.sentinel)
        finally:
            child.close()

    def _take_kept(self, child: Child) -> None:
        """What it had done and could not send any more is done all the same (L22)."""
        number, first, count = child.kept()
        for run in child.worker.runs:
            done = run.cursor - first
            if run.number == number and 0 <= done < count:
                width = _width(run)
                values = child.values(width * count)[width * done :: width]
                self._handle(self.dispatch.answered, number, list(map(_rebuilt, values)))
                return

    def pid_of(self, worker: Worker) -> int | None:
        """The process of a worker."""
        return None if worker.carried is None else worker.carried.pid

    def forget_in_fork(self) -> None:
        """In a forked child of ours: let go of the parent's workers."""
        super().forget_in_fork()
        for child in self._children.values():
            child.forget_in_fork()
        self._starter.forget_in_fork()


def _repeat(data: bytes | memoryview) -> None:
    """Hand on what a worker said; a handler that raises harms nobody."""
    try:
        repeat(data)
    except Exception:
        logger().exception("a log record or warning of a worker could not be handled")


def _environment(workers: int) -> dict[str, str]:
    """Native thread pools share the cores among the workers, unless the user says otherwise."""
    share = str(max(1, usable_cores() // workers))
    return {**dict.fromkeys(NATIVE_POOLS, share), **os.environ}


def _pack_setup(setup: Setup) -> bytes:
    parts = (setup.initializer, setup.initargs, setup.finalizer)
    try:
        with naming(numbers=False):
            return _pickling.dumps(parts)
    except Exception as error:
        names = {"initializer": parts[0], "initargs": parts[1], "finalizer": parts[2]}
        raise SerializationError(_pickling.explain("set-up", names, error)) from error


def _readable(sock: socket.socket) -> bool:
    """Whether there is more to read; asked in a way that takes no descriptor, if there is one."""
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _data_of(item: Any, unary: bool) -> Any:
    """An item as bytes, unless it is a cargo; it was packed already, or is of atoms."""
    if type(item) in (bytes, Cargo):
        return item
    return _pickling.dumps(item if unary else (item, {}))


def _outcome(data: bytes | memoryview) -> Success[Any] | Failure:
    """An answer as an outcome; what cannot be rebuilt here fails its own task."""
    status, seconds = _messages.ANSWER.unpack_from(data)
    payload = memoryview(data)[_messages.ANSWER.size :]
    if status == _messages.VALUE:
        return unpack_value(payload, seconds)
    if status == _messages.ERROR:
        return unpack_error(bytes(payload), seconds)
    if status == _messages.INTERRUPTED:
        return Failure(Interrupted(), seconds=seconds)
    return Failure(SerializationError(bytes(payload).decode()), seconds=seconds)


def _width(run: Run) -> int:
    """How many values a worker keeps of each item of a run."""
    return (_bunches.TaskBunch if run.batch.single else _bunches.Bunch).width


def _rebuilt(value: Any, seconds: float = 0.0) -> Success[Any] | Failure:
    """A value of a block as an outcome."""
    if _records.is_pickled(value):
        return unpack_value(value[1], seconds)
    return Success(value, seconds=seconds)


def _large_outcome(inbox: Inbox, data: bytes | memoryview) -> Success[Any] | Failure:
    """A result in shared memory; the worker may use its segment again when we have it."""
    _, seconds = _messages.ANSWER.unpack_from(data)
    note = memoryview(data)[_messages.ANSWER.size :]
    try:
        return unpack_cargo(inbox, note, seconds)
    finally:
        inbox.idle(note)


def _unsent(why: Exception) -> SerializationError:
    error = SerializationError(f"the call could not be sent to a worker: {shown(why)}")
    error.__cause__ = why
    return error


def _lost(
    pid: int, exitcode: int | None, why: BaseException | None
) -> Callable[[str], WorkerLostError]:
    """Makes the error of a task whose worker died; each task gets one of its own."""
    how = _how(exitcode) if why is None else f"could not be heard ({shown(why)}), and was ended,"

    def error(what: str) -> WorkerLostError:
        lost = WorkerLostError(
            f"worker process {pid} {how} while it ran {what}; it may have run, wholly or in part"
        )
        lost.__cause__ = why
        lost.pid, lost.exitcode = pid, exitcode
        return lost

    return error


def _how(exitcode: int | None) -> str:
    if exitcode is None:
        return "ended, and how was not told (its fork server is gone, or SIGCHLD is ignored here),"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    likely = {
        "SIGKILL": " (killed from outside, or out of memory)",
        "SIGSEGV": " (a segmentation fault in native code)",
        "SIGABRT": " (aborted by native code)",
    }
    return f"was ended by {name}{likely.get(name, '')}"


class ProcessExecutor(LocalExecutor):
    """Run tasks in worker processes: Python code on all cores, and no task shares memory.

    Choose it for computing in Python, and for code that may crash. Functions, arguments and
    results are copied; lambdas, closures and functions of ``__main__`` travel too. No
    ``if __name__ == "__main__"`` is needed: workers do not import the caller's script.

    Arguments:
        max_workers: tasks that run at the same time, at least 1. Default: the cores this
            process may really use (its affinity and its cgroup's quota).
        initializer, initargs: called in each worker process before its first task. If it
            raises or dies, waiting tasks and later submits fail with `InitializerError`. Globals
            of ``__main__`` that it sets are seen by all tasks of that worker, and win over those
            that a function brings along.
        finalizer: called in each worker process when it leaves.
        async_backend: ``"asyncio"`` (the default) or ``"trio"``: the loop that each worker
            keeps for the coroutines it is given.
        grace: seconds (float) that a task told to stop may take for its ``finally`` blocks,
            before its worker is killed and replaced. Default 0.5.
        max_tasks_per_child: replace a worker after so many tasks. Default None: never.
        idle_timeout: seconds (float) after which an idle worker leaves; others come when
            they are needed. Default None: never.
        start_method: ``"spawn"`` (the default) starts a bare interpreter for each worker;
            ``"forkserver"`` (Linux) starts one, and forks that: quicker where workers come
            and go. The caller's own process is never forked: its threads and locks would
            be copied in the middle of whatever they do.

    Raises `SerializationError` if the initializer, its arguments or the finalizer cannot travel.

    Workers start when tasks come, and end with the executor or, however that dies, within
    seconds of the parent process. A worker that dies costs the one task it ran, which fails
    with `WorkerLostError`; see ``with_options(rerun_lost=)``.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        finalizer: Callable[[], object] | None = None,
        async_backend: str = "asyncio",
        grace: float = 0.5,
        max_tasks_per_child: int | None = None,
        idle_timeout: float | None = None,
        start_method: str = "spawn",
    ) -> None:
        workers = checked_workers(max_workers, usable_cores())
        check_choice("start_method", start_method, METHODS)
        if start_method == "forkserver" and not sys.platform.startswith("linux"):
            raise ValueError('start_method="forkserver" needs Linux: use "spawn" here')
        grace = check_seconds("grace", grace, none=False)
        if max_tasks_per_child is not None:
            max_tasks_per_child = check_count("max_tasks_per_child", max_tasks_per_child)
        if idle_timeout is not None:
            idle_timeout = check_seconds("idle_timeout", idle_timeout)
        limits = Limits(
            workers,
            grace=grace,
            max_tasks_per_child=max_tasks_per_child,
            idle_timeout=idle_timeout,
        )
        setup = Setup(initializer, initargs, finalizer, async_backend)
        super().__init__(ProcessRoom(limits, setup, start_method))

    def __reduce__(self) -> Any:
        """In a worker: an executor of that process, on its one place (L18)."""
        from unifexec._backends.create import inherited

        return inherited, (self._key, "process", 1, self._room.setup.async_backend)
