"""Tasks that misbehave, and objects that cannot travel; importable by worker processes."""

from __future__ import annotations

import bz2
import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unifexec import Executor
    from unifexec.share import Shared


def square(x: int) -> int:
    return x * x


def same(value: Any) -> Any:
    return value


def pair(first: Any, second: Any) -> tuple[Any, Any]:
    return first, second


class Block:
    """Large memory that is pickled out of band, as an array of numpy is."""

    def __init__(self, data: Any) -> None:
        self.data = memoryview(data)

    def __reduce__(self) -> Any:
        return Block, (pickle.PickleBuffer(self.data),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and self.data == other.data

    def __hash__(self) -> int:
        return hash(len(self.data))


def block(number: int, size: int) -> Block:
    """A block full of one number."""
    return Block(bytearray([number]) * size)


def ends(block: Block) -> tuple[int, int]:
    """The first and the last byte."""
    return block.data[0], block.data[-1]


def ends_of_shared(shared: Shared[Block]) -> tuple[int, int]:
    return ends(shared.value)


def overwrite(block: Block, number: int) -> Block:
    """Change the argument, and give it back."""
    block.data[:] = bytes([number]) * len(block.data)
    return block


_kept: list[Any] = []


def keep(value: Any) -> None:
    """Hold on to an argument beyond the end of the task."""
    _kept.append(value)


def kept_ends() -> list[tuple[int, int]]:
    return [ends(value) for value in _kept]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def overwrite_then_die(block: Block, path: str) -> tuple[int, int]:
    """At the first call change the argument and die, then say what it is."""
    before = ends(block)
    if not os.path.exists(path):
        overwrite(block, 99)
        Path(path).touch()
        os._exit(3)
    return before


class DiesWhenRead:
    """Ends the process that rebuilds it, the first time."""

    def __init__(self, path: str, block: Block) -> None:
        self.path, self.block = path, block

    def __reduce__(self) -> Any:
        return die_when_read, (self.path, self.block)


def die_when_read(path: str, block: Block) -> Block:
    if not os.path.exists(path):
        Path(path).touch()
        os._exit(3)
    return block


class DiesWhenSent:
    """Ends the process that pickles it, when its block is laid apart already."""

    def __reduce__(self) -> Any:
        os._exit(3)


def result_that_kills(number: int, size: int) -> Any:
    return [block(number, size), DiesWhenSent()]


class ReadBadly:
    """A result that cannot be rebuilt, with a large block."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def __reduce__(self) -> Any:
        return rebuild_badly, (self.block,)


def rebuild_badly(block: Block) -> None:
    raise ValueError("not here")


def bad_result(size: int) -> ReadBadly:
    return ReadBadly(block(1, size))


def value_of(shared: Any) -> Any:
    return shared.value


def look_at(shared: Any, *_: Any) -> tuple[int, int, int]:
    """The ends of a shared block, and which process looked."""
    return (*ends(shared.value), os.getpid())


def identity_of(shared: Any, *_: Any) -> tuple[int, int]:
    return os.getpid(), id(shared.value)


def flags_of(shared: Any) -> dict[str, bool]:
    """What an array of numpy says of its memory."""
    flags = shared.value.flags
    return {"writeable": flags.writeable, "owndata": flags.owndata}


def write_to(shared: Any) -> None:
    shared.value.data[0] = 1


def look_in_own_processes(shared: Any) -> tuple[int, int]:
    """Hand the value on to workers of a worker."""
    from unifexec import ProcessExecutor

    with ProcessExecutor(1) as executor:
        return executor.submit(look_at, shared).result(20)[:2]


def die_after_look(shared: Any) -> None:
    assert len(shared.value.data)
    os._exit(3)


def slow_square(x: int, seconds: float) -> int:
    time.sleep(seconds)
    return x * x


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def wait_for_file(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.005)


def start_and_wait(started: str, path: str) -> None:
    append(started, "now")
    wait_for_file(path)


def append(path: str, text: str) -> None:
    """Add to a file, whole or not at all."""
    with open(path, "a") as file:
        file.write(text)


def die(how: str) -> None:
    """End this process: by an exit, a signal, or a lack of memory."""
    if how == "exit":
        os._exit(3)
    if how == "memory":
        limit = 64 << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        try:
            _hoard = [bytearray(8 << 20) for _ in range(1000)]
        except MemoryError:  # where the system's killer would come
            os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(30)


def die_after(seconds: float, how: str) -> None:
    """Die when some time has passed."""
    time.sleep(seconds)
    die(how)


def die_at(x: int, guilty: int) -> int:
    """Die on one item, square the others."""
    if x == guilty:
        os._exit(3)
    return x * x


def die_while(path: str, attempts: int) -> int:
    """Die on the first attempts, counted in a file, then succeed."""
    file = Path(path)
    done = len(file.read_text()) if file.exists() else 0
    file.write_text("x" * (done + 1))
    if done < attempts:
        os._exit(3)
    return done


def note_and_square(x: int, folder: str) -> int:
    """Leave a mark for every time an item runs."""
    with open(Path(folder) / str(x), "a") as file:
        file.write("x")
    return x * x


def huge(size: int) -> bytes:
    return b"x" * size


def sleep_with_finally(seconds: float, path: str) -> None:
    """Sleep, and say when leaving."""
    try:
        Path(path).write_text("started")
        time.sleep(seconds)
    finally:
        Path(path).write_text("cleaned up")


def lose_first_signal(seconds: float, path: str) -> None:
    """Sleep; the first signal that is to stop it has no effect."""
    ours = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, lambda number, frame: signal.signal(signal.SIGUSR1, ours))
    try:
        Path(path).write_text("started")
        sleep_in_steps(seconds)
    finally:
        Path(path).write_text("cleaned up")


def sleep_in_steps(seconds: float) -> None:
    """So that no signal is late that is sent just before a sleep begins."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def keep_the_signal(seconds: float, path: str) -> None:
    """Sleep; the signal that is to stop it is its own."""

    def note(number: int, frame: object) -> None:
        with Path(path).open("a") as file:
            file.write("called ")
        time.sleep(0.1)

    signal.signal(signal.SIGUSR1, note)
    Path(path).touch()
    sleep_in_steps(seconds)


def import_and_sleep(module: str, seconds: float) -> int:
    """Import a module, then sleep; which process did."""
    import importlib

    importlib.import_module(module)
    time.sleep(seconds)
    return os.getpid()


def swallow_everything(seconds: float, path: str = os.devnull) -> str:
    """Ignore all that should stop it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            Path(path).touch()
            time.sleep(end - time.monotonic())
        except BaseException:
            pass
    return "survived"


def block_in_read(seconds: float) -> None:
    """Wait in native code, without the GIL, for what never comes."""
    reading, _writing = os.pipe()
    os.read(reading, 1)


def spin(seconds: float) -> None:
    """Compute, without a pause."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hold_the_gil(digits: int = 3_000_000) -> int:
    """Stay in one native call that neither releases the GIL nor looks at signals."""
    return int.__pow__(7, digits) % 10


def start_child_and_die(path: str) -> None:
    """Start a process of its own, leave its number in a file, and die."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(path).write_text(str(child.pid))
    os._exit(3)


def wait_for_children() -> None:
    """Until all that tasks forked in this process have ended."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def fork_and_return(x: int, when: int, folder: str) -> int:
    """Fork in one of the calls, and return in both processes."""
    note_and_square(x, folder)
    import warnings

    if x == when:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
            os.fork()
    time.sleep(0.005)  # so that the copy answers while its worker has more to do
    return x * x


def leave_the_group(seconds: float) -> None:
    """Move to the process group of the parent, and ignore all that stops."""
    os.setpgid(0, os.getpgid(os.getppid()))
    swallow_everything(seconds)


def break_standard_output() -> None:
    """Leave something in its place that cannot be flushed."""
    sys.stdout = BrokenStream()  # type: ignore[assignment]


class BrokenStream:
    def flush(self) -> None:
        raise RuntimeError("no flush today")


def count_and_die(path: str) -> None:
    """Leave a mark, and die."""
    append(path, "x")
    os._exit(3)


def limit_memory(mebibytes: int) -> None:
    """Let this process have so much more memory than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


async def swallow_cancellation(library: str, seconds: float) -> None:
    """Ignore what an event loop stops a coroutine with."""
    import anyio

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await anyio.sleep(0.05)
        except anyio.get_cancelled_exc_class():
            pass


def start_child_and_ignore(path: str, seconds: float) -> None:
    """Start a process of its own, leave its number in a file, and ignore all that stops."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    Path(path).write_text(str(child.pid))
    swallow_everything(seconds)


def call_multiprocessing(x: int) -> int:
    """Use a child of multiprocessing inside a task."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result: int = pool.apply(square, (x,))
        return result


def start_multiprocessing_and_ignore(path: str, seconds: float) -> None:
    """Start a child by multiprocessing, leave its number in a file, ignore all that stops."""
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(seconds,))
    child.start()
    Path(path).write_text(str(child.pid))
    swallow_everything(seconds)


def hold_a_worker(path: str) -> None:
    """Keep a worker process of an executor of one's own busy; its number is in a file."""
    from unifexec import ProcessExecutor

    with ProcessExecutor(1) as executor:
        executor.submit(write_pid_and_sleep, path, 30).result()


def write_pid_and_sleep(path: str, seconds: float) -> None:
    Path(path).write_text(f"{os.getpid()}\n")
    swallow_everything(seconds)


def raise_chained() -> None:
    try:
        raise KeyError("the cause")
    except KeyError as error:
        failure = NeedsKeywordError("first", code=42)
        failure.add_note("a note of the task")
        raise failure from error


def raise_group() -> None:
    inner = NeedsKeywordError("inner", code=1)
    inner.__cause__ = ValueError("below inner")
    raise ExceptionGroup("outer", [ExceptionGroup("middle", [inner]), KeyError("second")])


def raise_own_group(kind: Any) -> None:
    raise kind("text", [KeyError(1)], 3)


def raise_of_a_class_without_module() -> None:
    """A class that was made by ``exec`` counts itself to the built-in ones."""
    names: Any = {}
    text = (
        "class OddError(Exception):\n    def __init__(self, first, second): super().__init__(first)"
    )
    exec(text, names)
    raise names["OddError"]("first", "second")


def raise_deep_group(depth: int) -> None:
    error: Exception = ValueError("the innermost")
    for _ in range(depth):
        error = ExceptionGroup("a group", [error])
    raise error


def raise_unnotable() -> None:
    error: Any = KeyError("no notes")
    error.__notes__ = "no list"
    raise error


def raise_it(error: BaseException) -> None:
    raise error


def raise_new(kind: type[BaseException], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise an exception that is made here, so that only the way back is under test."""
    raise kind(*args, **kwargs)


def raise_holding_lock() -> None:
    """As an attribute."""
    error: Any = ValueError("has a lock")
    error.lock = threading.Lock()
    raise error


class UnlookableError(Exception):
    """Whose arguments nobody may see."""

    @property
    def args(self) -> Any:  # type: ignore[override]  # it only raises
        raise SystemExit(3)


def raise_unlookable() -> None:
    error: Any = UnlookableError()
    error.me = error
    error.lock = threading.Lock()
    raise error


class Endless(list[Any]):
    """Does not travel, and has no end for those who iterate it."""

    def __iter__(self) -> Any:
        return iter(int, 1)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("it stays")


def raise_endless() -> None:
    error: Any = ValueError()
    error.me, error.endless = error, Endless()
    raise error


def raise_over_lock() -> None:
    """What cannot travel is the cause."""
    try:
        raise_with_lock()
    except ValueError as error:
        raise KeyError("outer") from error


def raise_with_lock() -> None:
    raise ValueError(threading.Lock())


def raise_long_chain(length: int) -> None:
    """Raise an exception with so many causes."""
    error = ValueError("the first")
    for number in range(length):
        last = ValueError(str(number))
        last.__cause__ = error
        error = last
    raise error


def raise_braided(length: int) -> None:
    """Raise an exception whose cause is also that of its context, and so on."""
    error = ValueError("the first")
    for number in range(length):
        beside, last = KeyError(number), ValueError(number)
        last.__cause__ = beside.__cause__ = error
        last.__context__ = beside
        error = last
    raise error


def raise_in_a_circle() -> None:
    """Raise a group whose member was raised because of it."""
    member = ValueError("inside")
    group = ExceptionGroup("outside", [member])
    member.__context__ = group
    raise group


def nested_list(depth: int) -> list[Any]:
    """Lists in lists, so deep."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def depth_of(value: list[Any]) -> int:
    """How deep it is."""
    depth = 0
    while value:
        value, depth = value[0], depth + 1
    return depth


def return_lock_inside(depth: int) -> Any:
    import threading

    value: Any = threading.Lock()
    for _ in range(depth):
        value = {"inside": [value]}
    return value


class NeedsKeywordError(Exception):
    """Its ``__init__`` cannot be called with its ``args``."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(f"{text}: {code}")
        self.code = code


class NeedsTwoError(Exception):
    """Its ``__init__`` wants two arguments, and keeps one in ``args``."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


class ReduceRaisesError(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("no reduce today")


class SetStateRaisesError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("no setstate today")


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str today")


class LeavingError(Exception):
    def __str__(self) -> str:
        raise SystemExit("no str today")


class Marked:
    """Something whose ``repr`` has an address in it."""

    def __init__(self, mark: int) -> None:
        self.mark = mark


class MarkedError(Exception):
    def __init__(self, mark: Marked) -> None:
        super().__init__(mark)
        self.mark = mark


class SlottedError(Exception):
    __slots__ = ("mark",)

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.mark = second


class OwnFileError(OSError):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(2, first, "a file")
        self.mark = second


class OwnExit(SystemExit):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.mark = second


class OwnImportError(ImportError):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first, name="a name", path="a path")
        self.mark = second


class LockedSlotError(Exception):
    __slots__ = ("lock",)

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.lock = threading.Lock()


class PropertyError(ImportError):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first, name="a name", path="a path")

    @property
    def name(self) -> str:  # type: ignore[override]  # such classes are: it shadows a field
        return "a property"


class OwnDecodeError(UnicodeDecodeError):
    def __init__(self, first: str, second: str) -> None:
        self.args = (first,)


class MiddleError(RuntimeError):
    pass


class MixedError(MiddleError, OSError):
    def __init__(self, first: str, second: str) -> None:
        OSError.__init__(self, 2, first, second)


class OwnNewGroup(ExceptionGroup[Exception]):
    mark: int

    def __new__(cls, text: str, errors: list[Exception], mark: int) -> OwnNewGroup:
        self = super().__new__(cls, text, errors)
        self.mark = mark
        return self


class OwnReduceGroup(ExceptionGroup[Exception]):
    mark: int

    def __init__(self, text: str, errors: list[Exception], *args: Any) -> None:
        self.mark = 3

    def __new__(cls, text: str, errors: list[Exception], mark: int) -> OwnReduceGroup:
        return super().__new__(cls, text, errors)

    def __reduce__(self) -> Any:
        return OwnReduceGroup, (self.message, list(self.exceptions), self.mark)


class Refuses:
    """Raises something when it is pickled."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        raise self.kind("not today")


class Holder:
    """Holds something in an attribute."""

    def __init__(self, inside: object) -> None:
        self.inside = inside

    def method(self) -> None:
        """Take what it holds along, bound to it."""


class Slotted:
    """Holds something in a slot."""

    __slots__ = ("inside",)

    def __init__(self, inside: object) -> None:
        self.inside = inside


class RebuildFails:
    """Travels, and cannot be rebuilt where it arrives."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


class RebuildKills:
    """Ends the process that rebuilds it."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


class PickleKills:
    """Ends the process that pickles it."""

    def __reduce__(self) -> Any:
        os._exit(8)


def make(name: str) -> Any:
    """Make an object of a class by name, in the worker."""
    return globals()[name]()


def forbid_segments() -> None:
    """From now on this process gets no shared memory."""
    from unifexec import _segments

    def full() -> int:
        raise OSError("no space left on device")

    _segments._create = full  # type: ignore[assignment]


def ask(executor: Executor) -> int:
    """Use the executor that one runs on."""
    return executor.submit(abs, -3).result(20)


async def ask_async(executor: Executor) -> int:
    """As `ask`, without blocking."""
    return await executor.submit(abs, -3)


async def raise_in_a_child(kind: type[BaseException]) -> None:
    """A task of a task group raises."""
    import asyncio

    async def child() -> None:
        raise kind

    async with asyncio.TaskGroup() as group:
        group.create_task(child())


async def cancel_all_others() -> None:
    """Cancel all tasks of the loop that runs this one."""
    import asyncio

    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
    await asyncio.sleep(0.01)


async def add_soon(x: int, y: int) -> int:
    """Wait for a moment, and add."""
    import asyncio

    await asyncio.sleep(0.01)
    return x + y


def nap_long(seconds: float) -> float:
    """Sleep for so long."""
    time.sleep(seconds)
    return seconds


class NoReprError(Exception):
    """It cannot say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def break_in(pid: int) -> Exception:
    """Rebuild an exception; not in that process."""
    if os.getpid() == pid:
        raise NoReprError
    return BreaksInError(pid)


class BreaksIn:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __reduce__(self) -> Any:
        return break_in, (self.pid,)


class BreaksInError(Exception):
    def __reduce__(self) -> Any:
        return break_in, self.args


def give_what_breaks(what: str, pid: int) -> BreaksIn:
    """Return, or raise, what cannot be rebuilt in that process."""
    if what == "exception":
        raise BreaksInError(pid)
    return BreaksIn(pid)


class Unseen:
    """It cannot travel, and raises when its attributes are asked for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__self__":
            raise AttributeError(name)
        raise RuntimeError("out of context")


def unseen(_: int) -> Unseen:
    return Unseen()


def log_for_ever(path: str) -> None:
    """Log, until stopped; then leave a file."""
    log = logging.getLogger("jobs")
    try:
        while True:
            log.warning("progress")
    finally:
        Path(path).touch()


def log_nonsense() -> int:
    """Log what cannot be formatted: no handler of ``logging`` lets that out."""
    logging.raiseExceptions = False
    logging.getLogger("jobs").warning("%d items", "three")
    return 1


def log_at_every_tick(seconds: float) -> None:
    """From now on, log at every so many seconds, whatever the main thread is at; 0: no more."""
    signal.signal(signal.SIGALRM, lambda *_: logging.getLogger("ticks").warning("tick"))
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def squared_text(number: int) -> str:
    """A value that takes a moment to be made."""
    return str(number * number) * 10


def catch_warnings_for(seconds: float) -> int:
    """Warn and catch it, all the time; how many were not caught."""
    until, missed = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            time.sleep(0.02)
            warnings.warn("here", UserWarning, stacklevel=1)
            missed += len(caught) != 1
    return missed


def is_ignored(category: type[Warning]) -> bool:
    """Whether warnings of this kind are not wanted here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn("here", category, stacklevel=1)
    return not caught


class OddName:
    """A callable with a name that is none, and that no worker can read."""

    def __init__(self) -> None:
        self.__qualname__ = RebuildFails()

    def __call__(self, x: int) -> int:
        return x * x

    def __reduce__(self) -> Any:
        return OddName, ()


def home(executor: Any) -> Any:
    """Bring it back."""
    return executor


held: list[int] = []


def hold_all_files() -> None:
    """Open files until no more can be, and keep them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass


def release_files() -> int:
    """Close them; our process."""
    while held:
        os.close(held.pop())
    return os.getpid()


class TooLateError(BaseException):
    """What an alarm raises."""


def log_under_alarms(text: str, times: int) -> int:
    """Log large texts, each until a timer says that it is too late; how often it did."""

    def too_late(*_: object) -> None:
        raise TooLateError

    signal.signal(signal.SIGALRM, too_late)
    cut = 0
    for _ in range(times):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.003)
                for _ in range(1000):
                    logging.getLogger("alarm").error(text)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except TooLateError:
            cut += 1
    return cut


SHOWN = {"times": 0}


def show_again(x: int) -> dict[str, int]:
    """Return one and the same dict each time, changed."""
    SHOWN["times"] = x
    return SHOWN


def odd_value(x: int, guilty: int, folder: str) -> Any:
    """Values that travel in different ways, after leaving a mark; one item dies, once."""
    note_and_square(x, folder)
    if x == guilty and len((Path(folder) / str(x)).read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return odd(x)


def odd(x: int) -> Any:
    """An atom, a record, a pickle, bytes that stand alone, in turn."""
    return [x, {"x": x, "half": x / 2}, (x, str(x)), {x, -x}, [[x], {"in": x}], b"x" * 70_000][
        x % 6
    ]


def slow_at(x: int, slow: int, folder: str) -> dict[str, int]:
    """Leave a mark, and take long on one item."""
    if x == slow:
        time.sleep(0.1)
    return {"square": note_and_square(x, folder)}


def name_in_a_copy(x: int) -> str:
    """What a process that a task forks knows of the task."""
    from unifexec import current_task

    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
        pid = os.fork()
    if pid == 0:
        task = current_task()
        os.write(writing, f"{task.name} {task.index}".encode() if task else b"none")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading) as file:
        return file.read()


def repeated(size: int) -> list[str]:
    """One long string at many places."""
    return ["x" * 1_000_000] * size


class Unhashable(type):
    """A metaclass whose classes can be compared and not hashed."""

    def __eq__(cls, other: object) -> bool:
        return cls is other

    __hash__ = None  # type: ignore[assignment]  # a class of it cannot be hashed: that is tested


def unhashable() -> Any:
    """An object of a class that cannot be hashed, nor pickled."""

    class Odd(metaclass=Unhashable):
        def __call__(self, x: int) -> int:
            return x

        def __reduce__(self) -> Any:
            raise TypeError("it does not travel")

    return Odd()


def unhashable_at(x: int, odd_one: int) -> Any:
    """Return an object that cannot travel from one item, in a list."""
    return [unhashable()] if x == odd_one else x


def same_with_alarm(x: int) -> int:
    """Return the argument; of some calls an alarm goes off at some moment soon, and raises."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError("the alarm of a task")

    if x % 20 == 0:
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + x % 97))
    return x


def fork_twice(x: int) -> int:
    """Fork, and fork in that; what the last one comes to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
        pid = os.fork()
        if pid == 0:
            inner = os.fork()
            if inner == 0:
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Bulk:
    """Something large, of which it is counted how many there are."""

    alive = 0

    def __init__(self) -> None:
        Bulk.alive += 1

    def __del__(self) -> None:
        Bulk.alive -= 1

    def __reduce__(self) -> Any:
        return bytes, (200_000,), None, None, None


def count_blocks(x: int) -> Any:
    """A value that has to travel by itself, and then how many of it are left."""
    return [Bulk(), b"x" * 200_000] if x % 2 == 0 else Bulk.alive


def fail_late(x: int, broken: bytes) -> int:
    """One item fails soon; another is in native code then, which ends by raising."""
    if x == 0:
        time.sleep(0.1)
        raise KeyError("first")
    if x == 4:
        bz2.decompress(broken)
    return x


class HttpError(Exception):
    """One that knows how to travel; what is added later, it does not know of."""

    def __init__(self, code: int, body: str) -> None:
        super().__init__(f"{code}: {body}")
        self.code, self.body = code, body
        self.retry_after = 0

    def __reduce__(self) -> Any:
        return _http_error, (self.code, self.body)


def _http_error(code: int, body: str) -> HttpError:
    error = HttpError(code, body)
    del error.retry_after
    return error


def raise_http_error() -> None:
    error = HttpError(503, "busy")
    error.add_note("while fetching")
    error.retry_after = 5
    raise error


@dataclass(frozen=True)
class FrozenError(Exception):
    path: str


def raise_frozen() -> None:
    raise FrozenError("path") from KeyError("cause")


def look_at_view(view: memoryview) -> tuple[str, str, Any, bool]:
    return type(view).__name__, view.format, view.tolist(), view.readonly


class InterruptingError(Exception):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


def raise_interrupting() -> None:
    raise InterruptingError


def fail_here() -> None:
    """Raise."""
    raise LookupError


async def fail_soon() -> None:
    """Raise, after a step of the loop."""
    import asyncio

    await asyncio.sleep(0)
    raise LookupError


def return_what_fails() -> object:
    """Return something to be awaited, which raises."""
    return fail_soon()
