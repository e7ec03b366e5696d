"""What a script defines, and needs more for its way to a process than the rest (L12b, L24)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .programs import Program

if TYPE_CHECKING:
    from pathlib import Path

METHODS = pytest.mark.parametrize("start_method", ["spawn", "forkserver"])


def printed(folder: Path, text: str, *args: str) -> list[str]:
    """Write a script, run it, and return the lines that it prints."""
    path = folder / "script.py"
    path.write_text(f"import functools, os, sys\nfrom unifexec import *\n{text}", encoding="utf-8")
    with Program("", *args, path=path) as program:
        code, output, errors = program.finish(30)
    assert (code, errors) == (0, "")
    return output.splitlines()


INITIALIZER = """
value, left = None, "left alone"
def set_up(x):
    global value, made
    value, made = x, "made here"
def seen(x): return value, made, left
def spoil(x):
    global value
    value = x
def end(): print("at the end", value, flush=True)
options = dict(initializer=set_up, initargs=("set",), finalizer=end, start_method=sys.argv[1])
with ProcessExecutor(1, **options) as ex:
    print(*ex.submit(seen, 0).result())
    print(*list(ex.map(seen, range(3)))[-1])
    print(ex.submit(lambda: value).result())
    left = "changed"
    ex.submit(spoil, "by a task").result()
    print(*ex.submit(seen, 0).result())
print(value)
"""


@METHODS
def test_L12b_what_an_initializer_binds_is_seen_by_all_tasks(
    start_method: str, tmp_path: Path
) -> None:
    """Also a name that the script itself does not have; what a task binds is seen by none."""
    assert printed(tmp_path, INITIALIZER, start_method) == [
        "set made here left alone",
        "set made here left alone",
        "set",
        "set made here changed",
        "at the end set",
        "None",
    ]


CACHED = """
@functools.cache
def total(n):
    "Of all numbers up to it."
    return 0 if n < 1 else n + total(n - 1)
class Table:
    @functools.lru_cache(maxsize=3)
    def row(self, x): return x * 2
def asked(n): return total(n)
if sys.argv[1] == "portable": ex = SerialExecutor(portable=True)
else: ex = ProcessExecutor(1, start_method=sys.argv[1])
with ex:
    print(list(ex.map(total, [1, 2, 100])), ex.submit(asked, 4).result())
    print(ex.submit(Table().row, 4).result())
    print(ex.submit(lambda: Table.row.cache_parameters()).result())
    print(ex.submit(lambda: (total.__name__, total.__doc__)).result())
"""


@pytest.mark.parametrize("how", ["spawn", "forkserver", "portable"])
def test_L24_functions_with_a_cache(how: str, tmp_path: Path) -> None:
    """Also such as call themselves, or are methods."""
    assert printed(tmp_path, CACHED, how) == [
        "[1, 3, 5050] 10",
        "8",
        "{'maxsize': 3, 'typed': False}",
        "('total', 'Of all numbers up to it.')",
    ]


DISPATCHING = """
@functools.singledispatch
def kind(x): return "object"
@kind.register
def _(x: int): return "int"
@kind.register
def _(x: list): return [kind(y) for y in x]
kind.version = 3
def logged(fn):
    @functools.wraps(fn)
    def wrapper(x): return "logged", fn(x)
    return wrapper
wrapped = logged(kind)
cached = functools.cache(kind)
class Shape:
    @functools.singledispatchmethod
    def of(self, x): return "object"
    @of.register
    def _(self, x: int): return "int"
with ProcessExecutor(1) as ex:
    print(ex.submit(kind, [1, "a", [2]]).result(), list(ex.map(kind, [1, "s"])))
    print(*ex.submit(lambda: (kind.__name__, kind.version)).result())
    print(ex.submit(cached, 1).result(), type(ex.submit(wrapped, 1).exception()).__name__)
    print(ex.submit(lambda: Shape().of(1)).result())
"""


def test_L24_functions_that_dispatch(tmp_path: Path) -> None:
    """Also such as call themselves, with attributes, or methods; what copies them is refused."""
    assert printed(tmp_path, DISPATCHING) == [
        "['int', 'object', ['int']] ['int', 'object']",
        "kind 3",
        "int SerializationError",
        "int",
    ]


FILES = """
with ProcessExecutor(1) as ex, open(__file__) as file:
    for task in (ex.submit(len, file), ex.submit(open, __file__)):
        print(type(task.exception()).__name__, "send its path" in str(task.exception()))
    print(ex.submit(lambda out=sys.stdout: out is sys.stdout).result())
"""


def test_L12_open_files_do_not_become_copies_of_their_text(tmp_path: Path) -> None:
    """Refused, with the cure; the interpreter's own streams travel by name."""
    assert printed(tmp_path, FILES) == ["SerializationError True"] * 2 + ["True"]


HOME = """
import threading
state = "of the script"
def set_up():
    global state, lock
    state, lock = "of the worker", threading.Lock()
def told(): return state
def locked(): return lock
def make(): return told, (lambda: state), locked, told()
stranger = {"__name__": "__main__", "state": "its own"}
exec("def told_there(): return state", stranger)
with ProcessExecutor(1, initializer=set_up) as ex:
    *home, there = ex.submit(make).result()
    print(there, "|", home[0](), "|", home[1]())
    print(ex.submit(home[0]).result(), "|", ex.submit(stranger["told_there"]).result())
    try: home[2]()
    except NameError as error: print(error)
"""


def test_L12b_what_an_initializer_binds_stays_in_its_worker(tmp_path: Path) -> None:
    """A function that comes home has the globals that it had brought, and no lock of a worker's."""
    assert printed(tmp_path, HOME) == [
        "of the worker | of the script | of the script",
        "of the worker | its own",
        "name 'lock' is not defined",
    ]


TYPES = """
from typing import Callable, NewType, ParamSpec, TypeVar, TypeVarTuple
import dataclasses
P, T, Ts, UserId = ParamSpec("P"), TypeVar("T"), TypeVarTuple("Ts"), NewType("UserId", int)
def timed(fn: Callable[P, T]) -> Callable[P, T]:
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T: return fn(*args, **kwargs)
    return wrapper
@timed
def work(x: int) -> int: return x + 1
def load(user: UserId) -> str: return f"user {UserId(user)} of {UserId.__module__}"
def many(x: int) -> str: return str(Ts)
@dataclasses.dataclass
class Order:
    user: UserId
def order(x: int) -> int: return Order(UserId(x)).user
fns = [work, load, many, order]
if sys.version_info >= (3, 12):
    exec("type Alias = int\\ndef aliased(x: Alias): return Alias.__value__(x)\\n"
         "def generic[**Q, R](fn: Callable[Q, R]) -> Callable[Q, R]:\\n"
         "    def w(*a: Q.args, **k: Q.kwargs) -> R: return fn(*a, **k)\\n    return w\\n"
         "w = generic(abs)")
    fns += [aliased, w]
with ProcessExecutor(1) as ex:
    for fn in fns:
        assert ex.submit(fn, 1).result() == fn(1)
    print("all")
"""


def test_L24_what_typing_makes_in_a_script(tmp_path: Path) -> None:
    """It is pickled by its name, which workers do not find: annotations would fail every task."""
    assert printed(tmp_path, TYPES) == ["all"]
