"""L11, L12, L12b, L24: what travels, what cannot, and who says so."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import zipapp
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import ProcessExecutor, RemoteError, SerialExecutor, SerializationError
from unifexec.share import share

from . import jobs
from .programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    """One worker, so that the next task meets the same one."""
    with ProcessExecutor(1) as executor:
        executor.submit(jobs.square, 1).result(20)
        yield executor


@pytest.fixture(autouse=True)
def the_next_task_is_unharmed(executor: ProcessExecutor) -> Iterator[None]:
    """Whatever a test did, the worker takes the next task."""
    yield
    assert executor.submit(jobs.square, 3).result(20) == 9


def test_L12_unpicklable_argument_is_named(executor: ProcessExecutor) -> None:
    """The error names the path to the object that cannot travel."""
    task = executor.submit(jobs.square, {"options": [1, threading.Lock()]})  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match=r"args\[0\]\['options'\]\[1\].*lock"):
        task.result(20)


def test_L12_unpicklable_result_is_named(executor: ProcessExecutor) -> None:
    """As for arguments: the path leads to it."""
    task = executor.submit(jobs.return_lock_inside, 2)
    with pytest.raises(SerializationError, match=r"\['inside'\]\[0\]\['inside'\]\[0\].*lock"):
        task.result(20)


def test_L12_unpicklable_function_is_named(executor: ProcessExecutor) -> None:
    """A closure that cannot travel fails its task, and names the variable."""
    lock = threading.Lock()
    task = executor.submit(lambda: lock)
    with pytest.raises(SerializationError, match="closure.*lock"):
        task.result(20)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda lock: jobs.Holder({"k": (1, lock)}), r"args\[0\]\.inside\['k'\]\[1\] cannot"),
        (lambda lock: jobs.Slotted(jobs.Holder(lock)), r"args\[0\]\.inside\.inside cannot"),
        (lambda lock: jobs.Holder(lock).method, r"args\[0\]\.__self__\.inside cannot"),
        (lambda lock: partial(print, key=lock), r"args\[0\]\.keywords\['key'\] cannot"),
        (lambda lock: {frozenset([lock])}, r"args\[0\]\{.*\}\{.*\} cannot"),
    ],
    ids=["attribute", "slot", "method", "partial", "set"],
)
def test_L12_the_path_of_attributes(executor: ProcessExecutor, make: Any, path: str) -> None:
    """Through attributes, slots, bound methods, partials and sets."""
    task = executor.submit(repr, make(threading.Lock()))
    with pytest.raises(SerializationError, match=path):
        task.result(20)


def test_L12_the_path_begins_with_the_keyword(executor: ProcessExecutor) -> None:
    """As it was given to ``submit``."""
    task = executor.submit(dict, options=[threading.Lock()])
    with pytest.raises(SerializationError, match=r"args\['options'\]\[0\] cannot.*lock"):
        task.result(20)


REFUSALS = [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError]


@pytest.mark.parametrize("kind", REFUSALS)
def test_L12_a_result_that_refuses_ends_no_worker(
    executor: ProcessExecutor, kind: type[BaseException]
) -> None:
    """Whatever its ``__reduce__`` raises: its task fails, its worker goes on."""
    pid = executor.submit(os.getpid).result(20)
    with pytest.raises(SerializationError, match=f"result of 'Refuses'.*{kind.__name__}"):
        executor.submit(jobs.Refuses, kind).result(20)
    assert executor.submit(os.getpid).result(20) == pid


def test_L12_an_argument_that_refuses_fails_its_task(executor: ProcessExecutor) -> None:
    """What its ``__reduce__`` raises does not come out of ``submit``."""
    task = executor.submit(repr, [jobs.Refuses(SystemExit)])
    with pytest.raises(SerializationError, match=r"args\[0\]\[0\].*SystemExit: not today"):
        task.result(20)


def test_L12_what_is_nested_too_deeply(executor: ProcessExecutor) -> None:
    """Pickle's limit of depth fails the task that is over it, on either way."""
    assert executor.submit(jobs.depth_of, jobs.nested_list(300)).result(20) == 300
    assert jobs.depth_of(executor.submit(jobs.nested_list, 300).result(20)) == 300
    for task in (
        executor.submit(jobs.depth_of, jobs.nested_list(100_000)),
        executor.submit(jobs.nested_list, 100_000),
    ):
        with pytest.raises(SerializationError, match="recursion"):
            task.result(20)


def test_L12_what_a_worker_has_no_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments, function or result: the task fails, and its worker takes the next."""
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")  # else a thread's first malloc may take 64 MiB
    data = bytes(200_000_000)
    with ProcessExecutor(1, initializer=jobs.limit_memory, initargs=(100,)) as executor:
        pid = executor.submit(os.getpid).result(20)
        with pytest.raises(SerializationError, match="'len'.*in the worker.*no room"):
            executor.submit(len, data).result(20)
        with pytest.raises(SerializationError, match="in the worker.*no room"):
            executor.submit(lambda: len(data)).result(20)
        with pytest.raises(MemoryError):
            executor.submit(bytes, len(data)).result(20)
        with pytest.raises(SerializationError, match="MemoryError"):
            executor.submit(str.ljust, "", 60_000_000).result(20)  # one of it, not two
        assert executor.submit(os.getpid).result(20) == pid


def test_L12_in_a_map_only_its_item_fails(executor: ProcessExecutor) -> None:
    """One item that cannot travel does not disturb the others."""
    items: list[Any] = [1, threading.Lock(), 3]
    outcomes = list(executor.map(repr, items, errors="return"))
    assert [type(outcome).__name__ for outcome in outcomes] == ["Success", "Failure", "Success"]
    assert outcomes[1].error.__notes__ == ["in item 1 of the map of 'repr'"]


def test_L12_what_cannot_be_rebuilt_in_the_worker(executor: ProcessExecutor) -> None:
    """Arguments that raise while they are rebuilt fail their own task."""
    task = executor.submit(repr, jobs.RebuildFails())
    with pytest.raises(SerializationError, match="cannot be rebuilt in the worker"):
        task.result(20)


@pytest.mark.parametrize("what", ["function", "argument", "item"])
def test_L12_a_module_that_workers_cannot_find(
    what: str, executor: ProcessExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was put into the search path too late; the cure is named, and it is one."""
    (tmp_path / "found_late.py").write_text("class Late: pass\ndef late(x): return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("found_late")
    calls: dict[str, Callable[[ProcessExecutor], Any]] = {
        "function": lambda ex: ex.submit(module.late, 1).result(20),
        "argument": lambda ex: ex.submit(type, module.Late()).result(20),
        "item": lambda ex: list(ex.map(type, [module.Late(), module.Late()])),
    }
    try:
        with pytest.raises(SerializationError, match=r"'found_late'.*sys\.path.*PYTHONPATH"):
            calls[what](executor)
        with ProcessExecutor(1) as later:
            calls[what](later)
    finally:
        del sys.modules["found_late"]


def test_L12_what_cannot_be_rebuilt_in_the_parent(executor: ProcessExecutor) -> None:
    """Results that raise while they are rebuilt fail their own task."""
    task = executor.submit(jobs.make, "RebuildFails")
    with pytest.raises(SerializationError, match="cannot be rebuilt in this process"):
        task.result(20)


@pytest.mark.parametrize(
    ("kind", "args", "kwargs"),
    [
        (jobs.NeedsKeywordError, ("text",), {"code": 7}),
        (jobs.NeedsTwoError, ("one", "two"), {}),
        (OSError, (2, "No such file", "name"), {}),
        (UnicodeDecodeError, ("utf-8", b"\xff", 0, 1, "bad"), {}),
        (SystemExit, (3,), {}),
        (KeyboardInterrupt, ("pressed",), {}),
    ],
)
def test_L11_same_exception(
    executor: ProcessExecutor, kind: type[BaseException], args: Any, kwargs: Any
) -> None:
    """Type, args and attributes arrive, whatever ``__init__`` wants."""
    error = kind(*args, **kwargs)
    again = executor.submit(jobs.raise_new, kind, args, kwargs).exception(20)
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)
    own = {key: value for key, value in vars(again).items() if key != "__notes__"}
    assert own == vars(error)


def test_L11_causes_notes_and_traceback(executor: ProcessExecutor) -> None:
    """Cause and notes arrive; the worker's traceback hangs at the end of the causes."""
    error = executor.submit(jobs.raise_chained).exception(20)
    assert isinstance(error, jobs.NeedsKeywordError)
    assert error.code == 42
    assert error.__notes__[0] == "a note of the task"
    assert "raise_chained" in error.__notes__[1]
    assert "item 0" in error.__notes__[1]
    assert repr(error.__cause__) == "KeyError('the cause')"
    assert error.__cause__ is not None
    assert "jobs.py" in str(error.__cause__.__cause__)


SCRIPT = """
def task(x):
    def inner(y):
        return 1 / y  # here
    return inner(x)

class Thing:
    def divide(self, y):
        return [1 / y for y in [y]]  # there
"""


@pytest.mark.parametrize("call", ["task(0)", "Thing().divide(0)"])
def test_L13_a_script_s_tracebacks_show_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Where it is, and the line; also of functions inside, and of methods."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(SCRIPT, str(path), "exec", dont_inherit=True), names)
    monkeypatch.setattr(sys.modules["__main__"], "Thing", names["Thing"], raising=False)
    with ProcessExecutor(1) as executor:
        fn = names["task"] if call == "task(0)" else names["Thing"]().divide
        error = executor.submit(fn, 0).exception(20)
    assert error is not None
    text = str(error.__cause__)
    assert f'File "{path}", line' in text
    assert ("# here" if call == "task(0)" else "# there") in text


def test_L11_nested_groups(executor: ProcessExecutor) -> None:
    """Groups in groups arrive whole, with the causes of their members."""
    error = executor.submit(jobs.raise_group).exception(20)
    assert isinstance(error, ExceptionGroup)
    middle, second = error.exceptions
    assert isinstance(middle, ExceptionGroup)
    inner = middle.exceptions[0]
    assert (type(inner), repr(second)) == (jobs.NeedsKeywordError, "KeyError('second')")
    assert repr(inner.__cause__) == "ValueError('below inner')"


@pytest.mark.parametrize("what", ["ReduceRaisesError", "SetStateRaisesError"])
def test_L12_exceptions_of_their_own_mind(executor: ProcessExecutor, what: str) -> None:
    """Where its own pickling fails, an exception is rebuilt by its parts."""
    kind = getattr(jobs, what)
    again = executor.submit(jobs.raise_new, kind, ("text",), {}).exception(20)
    assert type(again) is kind
    assert again.args == ("text",)
    if what == "SetStateRaisesError":
        assert again.text == "text"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (jobs.SlottedError, ["mark"]),
        (jobs.OwnFileError, ["errno", "strerror", "filename", "mark"]),
        (jobs.OwnExit, ["code", "mark"]),
        (jobs.OwnImportError, ["name", "path", "mark"]),
        (jobs.LockedSlotError, ["args"]),
        (jobs.PropertyError, ["name", "path"]),
        (jobs.OwnDecodeError, ["args"]),
        (jobs.MixedError, ["errno", "filename"]),
    ],
)
def test_L11_what_an_exception_knows(
    executor: ProcessExecutor, kind: type[BaseException], names: list[str]
) -> None:
    """What its built-in base and its slots hold arrives, though ``__init__`` cannot be called."""
    error = kind("first", "second")
    again = executor.submit(jobs.raise_new, kind, ("first", "second"), {}).exception(20)
    assert type(again) is kind
    told = {name: getattr(again, name) for name in names}
    assert told == {name: getattr(error, name) for name in names}
    assert None not in told.values()


@pytest.mark.parametrize(("kind", "name"), [(SystemExit, "code"), (jobs.MarkedError, "mark")])
def test_L11_arguments_that_look_different_everywhere(
    executor: ProcessExecutor, kind: type[BaseException], name: str
) -> None:
    """An address in their ``repr`` makes no other exception of it."""
    again = executor.submit(jobs.raise_new, kind, (jobs.Marked(3),), {}).exception(20)
    assert type(again) is kind
    assert again.args[0].mark == 3
    assert getattr(again, name) is again.args[0]


def test_L11_a_class_that_counts_itself_to_the_built_in_ones(executor: ProcessExecutor) -> None:
    """It arrives by its parts, too."""
    error = executor.submit(jobs.raise_of_a_class_without_module).exception(20)
    assert (type(error).__name__, error and error.args) == ("OddError", ("first",))


@pytest.mark.parametrize("kind", [jobs.OwnNewGroup, jobs.OwnReduceGroup])
def test_L11_groups_of_their_own_mind(executor: ProcessExecutor, kind: type[Any]) -> None:
    """With a ``__new__`` or a ``__reduce__`` of its own, a group arrives with its members."""
    again: Any = executor.submit(jobs.raise_own_group, kind).exception(20)
    assert type(again) is kind
    assert (again.message, again.mark, repr(again.exceptions)) == ("text", 3, "(KeyError(1),)")


def test_L11_groups_in_groups_in_groups(executor: ProcessExecutor) -> None:
    """However deep they are."""
    error = executor.submit(jobs.raise_deep_group, 1500).exception(20)
    depth = 0
    while isinstance(error, ExceptionGroup):
        (error,), depth = error.exceptions, depth + 1
    assert (depth, repr(error)) == (1500, "ValueError('the innermost')")


def test_L11_an_exception_that_takes_no_notes(executor: ProcessExecutor) -> None:
    """It has the traceback of the worker all the same."""
    error = executor.submit(jobs.raise_unnotable).exception(20)
    assert isinstance(error, KeyError)
    assert error.__notes__ == "no list"  # type: ignore[comparison-overlap]  # it should be a list
    assert type(error.__cause__).__name__ == "WorkerTraceback"


@pytest.mark.parametrize("kind", [jobs.MuteError, jobs.LeavingError])
def test_L12_exception_that_cannot_be_described(
    executor: ProcessExecutor, kind: type[Exception]
) -> None:
    """An exception whose ``__str__`` raises, even SystemExit, still arrives."""
    error = executor.submit(jobs.raise_new, kind, ("silent",), {}).exception(20)
    assert type(error) is kind
    assert error.args == ("silent",)


@pytest.mark.parametrize("length", [50, 3000])
def test_L11_a_long_chain_of_causes(executor: ProcessExecutor, length: int) -> None:
    """It arrives whole, however long it is."""
    error: BaseException | None = executor.submit(jobs.raise_long_chain, length).exception(20)
    chain = []
    while isinstance(error, ValueError):
        chain.append(str(error))
        error = error.__cause__
    assert chain == [*map(str, reversed(range(length))), "the first"]


def test_L11_exceptions_that_lead_to_the_same(executor: ProcessExecutor) -> None:
    """What several have as cause and context arrives once, and is the same for all of them."""
    error: BaseException | None = executor.submit(jobs.raise_braided, 40).exception(20)
    depth = 0
    while isinstance(error, ValueError) and isinstance(error.__cause__, ValueError):
        assert isinstance(error.__context__, KeyError)
        assert error.__cause__ is error.__context__.__cause__
        error, depth = error.__cause__, depth + 1
    assert depth == 40


def test_L11_a_circle_of_contexts(executor: ProcessExecutor) -> None:
    """An exception that leads to itself arrives as it is."""
    error = executor.submit(jobs.raise_in_a_circle).exception(20)
    assert isinstance(error, ExceptionGroup)
    (member,) = error.exceptions
    assert member.__context__ is error


def test_L12_what_is_ours_says_itself_why_it_does_not_travel(executor: ProcessExecutor) -> None:
    """A task, a handle that is closed: not what is inside of them."""
    task = executor.submit(jobs.square, 3)
    with pytest.raises(SerializationError, match=r": args\[0\]\[1\] cannot .*pass its result"):
        executor.submit(list, [0, task]).result(20)
    with share(b"value") as handle:
        pass
    with pytest.raises(SerializationError, match=r": args\[0\] cannot .*handle is closed"):
        executor.submit(len, handle).result(20)


def test_L12_a_callable_with_a_name_that_is_none(executor: ProcessExecutor) -> None:
    """It runs, under the name of its class."""
    task = executor.submit(jobs.OddName(), 3)
    assert (task.result(20), task.name) == (9, "OddName")
    assert list(executor.map(jobs.OddName(), [4])) == [16]


def test_L12_exception_that_holds_what_cannot_travel(executor: ProcessExecutor) -> None:
    """It becomes a `RemoteError` with its text, which says what cannot, where, and why."""
    error = executor.submit(jobs.raise_with_lock).exception(20)
    assert isinstance(error, RemoteError)
    assert "ValueError" in str(error)
    assert "the exception.args[0] cannot be sent" in str(error)
    assert "TypeError: cannot pickle '_thread.lock' object" in str(error)
    error = executor.submit(jobs.raise_holding_lock).exception(20)
    assert isinstance(error, RemoteError)
    assert "ValueError: has a lock (the exception.lock cannot be sent" in str(error)
    error = executor.submit(jobs.raise_over_lock).exception(20)
    assert "KeyError: 'outer' (the exception.__cause__.args[0] cannot" in str(error)


def test_L12_exception_that_cannot_travel_and_does_not_let_itself_be_looked_at(
    executor: ProcessExecutor,
) -> None:
    """The worker lives on."""
    pid = executor.submit(os.getpid).result(20)
    error = executor.submit(jobs.raise_unlookable).exception(20)
    assert isinstance(error, RemoteError)
    assert "cannot pickle '_thread.lock' object" in str(error)
    error = executor.submit(jobs.raise_endless).exception(20)
    assert "(the exception.endless cannot be sent" in str(error)
    assert executor.submit(os.getpid).result(20) == pid


def test_L11_deep_recursion(executor: ProcessExecutor) -> None:
    """A task that recurses too deeply fails with ``RecursionError``, as in a plain call."""
    task = executor.submit(eval, "(lambda f: f(f))(lambda f: f(f))")
    assert isinstance(task.exception(20), RecursionError)


def test_L12b_arguments_are_taken_at_the_call(executor: ProcessExecutor) -> None:
    """Changing a list after ``submit`` changes nothing; nor does it change the list."""
    numbers = [1, 2, 3]
    task = executor.submit(list.__add__, numbers, [4])
    numbers.clear()
    assert task.result(20) == [1, 2, 3, 4]
    assert numbers == []


def test_L12b_a_closure_is_taken_at_the_call(executor: ProcessExecutor) -> None:
    """A closure that changes between two submits runs as it was at each."""
    factor = 2

    def scale(x: int) -> int:
        return x * factor

    first = executor.submit(scale, 10)
    factor = 3
    second = executor.submit(scale, 10)
    assert (first.result(20), second.result(20)) == (20, 30)


def test_L12b_state_of_a_function_does_not_leak(executor: ProcessExecutor) -> None:
    """What a task does to a captured object is not seen by the next task."""
    seen: list[int] = []

    def remember(x: int) -> int:
        seen.append(x)
        return len(seen)

    assert list(executor.map(remember, range(5))) == [1] * 5
    assert list(executor.map(partial(seen.append), range(3))) == [None] * 3
    assert seen == []


def test_L4_items_of_a_batch_do_not_alias(executor: ProcessExecutor) -> None:
    """Two equal objects that travel together stay two."""
    shared = [0]

    def grow(items: list[int]) -> int:
        items.append(1)
        return len(items)

    assert list(executor.map(grow, [shared] * 6, chunksize=3)) == [2] * 6


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_L12_300_megabytes_both_ways(executor: ProcessExecutor) -> None:
    """Large arguments and results arrive whole."""
    data = bytes(range(256)) * (300_000_000 // 256)
    assert executor.submit(bytes.upper, data).result(100) == data.upper()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_L12_more_than_two_gigabytes(executor: ProcessExecutor) -> None:
    """No size field is too small."""
    size = (1 << 31) + 10
    assert executor.submit(len, bytes(size)).result(200) == size
    assert len(executor.submit(bytes, size).result(200)) == size


class Local:
    """Defined in a test module; nested classes below."""

    class Nested:
        def method(self) -> str:
            return "nested"

    @classmethod
    def make(cls) -> Local:
        return cls()


def test_L24_what_travels(executor: ProcessExecutor) -> None:
    """Lambdas, partials, bound methods, nested classes and class methods travel."""
    assert executor.submit(lambda x: x + 1, 1).result(20) == 2
    assert executor.submit(partial(pow, 2), 5).result(20) == 32
    assert executor.submit(Local.Nested().method).result(20) == "nested"
    assert type(executor.submit(Local.make).result(20)) is Local
    assert type(executor.submit(Local.Nested).result(20)) is Local.Nested


MAIN = """
class Thing:
    def __init__(self, x): self.x = x
class Bad(Exception): pass
def make(x): return Thing(x + helper())
def helper(): return 1
def fail(): raise Bad("bad")
with ProcessExecutor(1) as ex:
    thing = ex.submit(make, 1).result()
    print(type(thing) is Thing, thing.x, isinstance(ex.submit(fail).exception(), Bad))
"""


def test_L24_python_dash_c() -> None:
    """Functions and classes of ``python -c`` work, and come back as the same class."""
    assert run(MAIN) == (0, "True 2 True\n", "")


def test_L24_script_without_guard(tmp_path: Path) -> None:
    """A script without ``if __name__ == "__main__"`` works, and is run once."""
    script = tmp_path / "script.py"
    script.write_text("print('once')\nfrom unifexec import *\n" + MAIN)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\nTrue 2 True\n", "")


def test_L24_standard_input() -> None:
    """A program read from standard input works."""
    done = subprocess.run(
        [sys.executable, "-"],
        input="from unifexec import *\n" + MAIN,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True 2 True\n", "")


CELLS = """
from code import InteractiveInterpreter
cells = InteractiveInterpreter(vars(sys.modules["__main__"]))
def cell(text): assert not cells.runsource(text, "<cell>", "exec")
cell("factor = 2; ex = ProcessExecutor(1)")
cell("def times(x): return x * factor\\n")
cell("print(ex.submit(times, 10).result())")
cell("factor = 3")
cell("print(ex.submit(times, 10).result(), list(ex.map(times, range(3))))")
cell("def times(x): return -x\\n")
cell("print(ex.submit(times, 10).result())")
cell("class Thing:\\n def __init__(self, x): self.x = x\\n def double(self): return self.x * 2")
cell("thing = ex.submit(Thing, 4).result()")
cell("print(type(thing) is Thing, ex.submit(thing.double).result())")
cell("old = Thing\\nclass Thing:\\n def double(self): return 'new'")
cell("print(type(ex.submit(Thing).result()) is Thing, ex.submit(Thing().double).result())")
cell("async def later(x):\\n import asyncio; await asyncio.sleep(0); return times(x)")
cell("print(ex.submit(later, 5).result()); ex.shutdown()")
"""


def test_L24_cells_of_a_notebook() -> None:
    """Functions, globals and classes are those of the moment, also when a cell is run anew."""
    code, output, errors = run(CELLS)
    assert (code, errors) == (0, "")
    assert output.splitlines() == ["20", "30 [0, 3, 6]", "-10", "True 8", "True new", "-5"]


def test_L24_a_prompt_on_a_terminal() -> None:
    """The worker of an interactive interpreter neither reads nor disturbs its terminal."""
    import pty

    ours, theirs = pty.openpty()
    lines = "from unifexec import ProcessExecutor\nex = ProcessExecutor(1)\n"
    lines += "def twice(x): return 2 * x\n\nprint('is', ex.submit(twice, 21).result())\n"
    lines += "ex.submit(input).exception()\nex.shutdown()\nprint('still', 'here')\nexit()\n"
    environment = {**os.environ, "PYTHON_BASIC_REPL": "1", "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-i", "-q"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, lines.encode())
    seen = b""
    try:
        while data := _read_terminal(ours):
            seen += data
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    text = seen.decode()
    assert "is 42" in text
    assert "EOFError" in text
    assert "still here" in text


def _read_terminal(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:  # nobody has the other end any more
        return b""


def test_L24_interactive_session() -> None:
    """Functions typed at a prompt, as in a notebook, work."""
    lines = "from unifexec import ProcessExecutor\nex = ProcessExecutor(1)\n"
    lines += "def twice(x): return 2 * x\n\nprint(ex.submit(twice, 21).result())\nex.shutdown()\n"
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=lines,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "42" in done.stdout


def test_L24_zipapp(tmp_path: Path) -> None:
    """A program packed into one file works, with the modules inside."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "inside.py").write_text("def thrice(x): return 3 * x\n")
    text = "import inside\nfrom unifexec import *\n" + MAIN
    text += "with ProcessExecutor(1) as ex: print(ex.submit(inside.thrice, 3).result())\n"
    (app / "__main__.py").write_text(text)
    zipapp.create_archive(app, tmp_path / "app.pyz")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "app.pyz")],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True 2 True\n9\n", "")


def test_portable_serial_takes_the_same_road() -> None:
    """``portable=True`` refuses what a process would refuse, and copies what it would copy."""
    with SerialExecutor(portable=True) as executor:
        assert isinstance(executor.submit(threading.Lock).exception(), SerializationError)
        assert isinstance(executor.submit(repr, threading.Lock()).exception(), SerializationError)
        for rebuilt in (
            executor.submit(jobs.make, "RebuildFails"),
            executor.submit(repr, jobs.RebuildFails()),
            executor.submit(jobs.RebuildFails().__str__),
        ):
            with pytest.raises(SerializationError, match="cannot be rebuilt.*not a number"):
                rebuilt.result()
        outcomes = list(executor.map(repr, [1, jobs.RebuildFails(), 3], errors="return"))
        assert [type(outcome).__name__ for outcome in outcomes] == ["Success", "Failure", "Success"]
        value = [1]
        assert executor.submit(lambda x: x, value).result() is not value


def test_portable_serial_sends_exceptions_too() -> None:
    """They arrive rebuilt, or as a `RemoteError` where another process could not rebuild them."""
    error = ValueError([1])
    with SerialExecutor(portable=True) as executor:
        again = executor.submit(jobs.raise_it, error).exception()
        assert isinstance(again, ValueError)
        assert again.args == ([1],)
        assert again is not error
        assert isinstance(executor.submit(jobs.raise_with_lock).exception(), RemoteError)


def test_portable_serial_gives_every_task_its_own_function() -> None:
    """What a task does to a captured object is not seen by the next, as in a process."""
    seen: list[int] = []

    def remember(x: int) -> int:
        seen.append(x)
        return len(seen)

    with SerialExecutor(portable=True) as executor:
        assert list(executor.map(remember, range(5))) == [1] * 5
        assert [executor.submit(remember, x).result() for x in range(3)] == [1] * 3
    assert seen == []


@pytest.mark.parametrize(
    "value",
    [
        {"b", "a", "c"},
        {"text": ["text", "text"]},
        jobs.Holder({1: "one"}),
        jobs.Slotted("inside"),
        (1.5, None, b"bytes", frozenset([1, 2]), range(3)),
    ],
    ids=["set", "dict", "object", "slots", "tuple"],
)
def test_portable_serial_leaves_readers_in_peace(value: object) -> None:
    """A task that only looks at its argument has changed nothing (a warning is an error here)."""
    with SerialExecutor(portable=True) as executor:
        assert executor.submit(lambda x: bool(repr(x)), value).result()
        assert list(executor.map(lambda x: bool(repr(x)), [value] * 3)) == [True] * 3


def test_portable_serial_leaves_functions_of_a_script_in_peace() -> None:
    """Two copies of one may differ as bytes, and still nobody has changed any."""

    class Plain:
        pass

    def give(_: object) -> object:
        return Plain

    with SerialExecutor(portable=True) as executor:
        assert [executor.submit(bool, give).result() for _ in range(2)] == [True] * 2


def test_portable_serial_reports_changed_arguments() -> None:
    """A task that changes its arguments is told on; one that does not is left in peace."""
    with SerialExecutor(portable=True) as executor:
        numbers = [3, 1, 2]
        with pytest.warns(RuntimeWarning, match="changed its arguments"):
            executor.submit(list.sort, numbers).result()
        assert numbers == [3, 1, 2]
        assert executor.submit(sorted, numbers).result() == [1, 2, 3]


MANAGER = """
import multiprocessing
def set_key(key): multiprocessing.current_process().authkey = key
key = bytes(multiprocessing.current_process().authkey)
with multiprocessing.get_context("fork").Manager() as manager:
    proxy = manager.dict(x=1)
    with ProcessExecutor(1) as ex:
        error = ex.submit(len, proxy).exception(20)
        print(type(error).__name__, "AuthenticationError" in str(error))
    with ProcessExecutor(1, initializer=set_key, initargs=(key,)) as ex:
        print(ex.submit(len, proxy).result(20))
"""


def test_L12_a_manager_is_reached_with_the_key_of_the_parent() -> None:
    """Workers know it only if an initializer tells them; else the proxy fails its own task."""
    code, output, errors = run(MANAGER)
    assert (code, output) == (0, "SerializationError True\n1\n"), errors


@pytest.mark.parametrize("what", ["result", "exception"])
def test_L12_what_cannot_be_rebuilt_and_cannot_say_why(
    executor: ProcessExecutor, what: str
) -> None:
    """An error whose ``repr`` raises is named by its type, and harms no other task."""
    task = executor.submit(jobs.give_what_breaks, what, os.getpid())
    with pytest.raises((SerializationError, RemoteError), match="NoReprError"):
        task.result(20)
    assert executor.submit(abs, -2).result(20) == 2


@pytest.mark.parametrize("what", ["argument", "result", "result of a map"])
def test_L12_what_cannot_travel_and_cannot_be_looked_at(
    executor: ProcessExecutor, what: str
) -> None:
    """An object whose attributes raise when they are asked for fails its own task."""
    pids = {executor.submit(os.getpid).result(20) for _ in range(10)}
    with pytest.raises(SerializationError):
        if what == "argument":
            executor.submit(abs, jobs.Unseen()).result(20)
        elif what == "result":
            executor.submit(jobs.Unseen).result(20)
        else:
            list(executor.map(jobs.unseen, range(3)))
    assert executor.submit(os.getpid).result(20) in pids | {
        worker.pid for worker in executor.stats().workers
    }


def test_L12b_methods_of_built_in_objects_are_snapshots(executor: ProcessExecutor) -> None:
    """They may hold state, as methods of any object: no task sees another's."""
    left = [1, 2, 3]
    tasks = [executor.submit(left.pop) for _ in range(20)]
    assert [task.result(20) for task in tasks] == [3] * 20


def test_L11_what_an_exceptions_own_way_to_travel_leaves_out(executor: ProcessExecutor) -> None:
    """Notes, and attributes that were added later, where its ``__reduce__`` has the rest."""
    error = executor.submit(jobs.raise_http_error).exception(20)
    assert type(error) is jobs.HttpError
    assert (error.code, error.retry_after) == (503, 5)
    assert error.__notes__[0] == "while fetching"


def test_L11_a_frozen_dataclass(executor: ProcessExecutor) -> None:
    """Its own ``__setattr__`` refuses what all exceptions have set."""
    error = executor.submit(jobs.raise_frozen).exception(20)
    assert error == jobs.FrozenError("path")
    assert isinstance(error.__cause__, KeyError)


@pytest.mark.parametrize("view", [b"abc", bytearray(b"abc"), memoryview(b"abcd").cast("H")])
def test_L12b_views_stay_views(executor: ProcessExecutor, view: Any) -> None:
    """Of a copy."""
    view = memoryview(view)
    kind, form, items, readonly = executor.submit(jobs.look_at_view, view).result(20)
    assert (kind, form, items) == ("memoryview", view.format, view.tolist())
    assert readonly == view.readonly


def test_L27_threads_that_submit_the_first_function_of_a_script() -> None:
    """While one of them imports what writes it, the others find half of that."""
    text = """
import threading
def f(x): return x
errors = []
def client(i):
    try: ex.submit(f, i).result(20)
    except BaseException as error: errors.append(error)
with ProcessExecutor(2) as ex:
    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(errors)
"""
    for _ in range(3):
        assert run(text) == (0, "[]\n", "")


def test_L13_an_exception_that_interrupts_its_own_way(executor: ProcessExecutor) -> None:
    """KeyboardInterrupt is no Ctrl-C there: it ends no worker."""
    pid = executor.submit(os.getpid).result(20)
    with pytest.raises(RemoteError):
        executor.submit(jobs.raise_interrupting).result(20)
    assert pid in [worker.pid for worker in executor.stats().workers]
