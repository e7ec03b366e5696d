"""Functions that travel by value: written down once, and anew when anything of them changed."""

from __future__ import annotations

import gc
import importlib
import pickle
import sys
import types
import weakref
from enum import IntEnum
from fractions import Fraction
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifexec import ProcessExecutor, _pickling
from unifexec._backends.anatomy import is_reference

from .keeping import kept
from .programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAIN = """
import math
import os.path
from fractions import Fraction
from time import perf_counter
factor = 2
offsets = (1, (2, 3))
inside = 1
def helper(x): return x * factor
def again(x, *, by=1): return x if x < 1 else 10 + again(x - by)
def f(x: int, more=1, *, most: "int | None" = 5) -> "int":
    "Doc."
    inner = lambda y: y + inside
    return (f.__doc__, dict(f.__annotations__), dict(vars(f)), os.path.sep,
            math.floor(Fraction(7, 2)), helper(x), again(x), inner(x), more, most, offsets, factor)
"""
COMPILED = compile(MAIN, "<main>", "exec", dont_inherit=True)


@pytest.fixture
def main() -> dict[str, Any]:
    """The names of a script, as those of ``__main__`` stand to a worker: it cannot import them."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(COMPILED, names)
    names["f"].mark = 7
    return names


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    """One worker."""
    with ProcessExecutor(1) as executor:
        executor.submit(abs, 1).result(20)
        yield executor


def replaced(**values: Any) -> Callable[[dict[str, Any]], object]:
    """A change of names."""
    return lambda names: names.update(values)


def no_longer(x: int) -> int:
    """Another helper, which travels by its name."""
    return -x


def added(names: dict[str, Any]) -> None:
    """A name that was looked up in vain before."""
    exec("def helper(x): return missing * x if 'missing' in globals() else x", names)
    names["missing"] = 3


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a global": replaced(factor=3),
    "a global of the helper": lambda names: names["helper"].__globals__.update(factor=4),
    "a name that was not there": added,
    "a name that is gone": lambda names: exec("def helper(x): return 0\ndel offsets, factor\n"
                                             "offsets = factor = ()", names),
    "a tuple in a tuple": replaced(offsets=(1, (2, 4))),
    "the helper": lambda names: exec("def helper(x): return x", names),
    "the helper, by name": replaced(helper=no_longer),
    "the helper's code": lambda names: setattr(
        names["helper"], "__code__", (lambda x: x + 100).__code__
    ),
    "the helper's code, of the same names": lambda names: setattr(
        names["helper"], "__code__", (lambda x: x - factor).__code__  # noqa: F821  (as there)
    ),
    "a global of a function inside": replaced(inside=2),
    "defaults": lambda names: setattr(names["f"], "__defaults__", (7,)),
    "a default by name, in place": lambda names: names["f"].__kwdefaults__.update(most=8),
    "that of another function": lambda names: names["again"].__kwdefaults__.update(by=2),
    "the text": lambda names: setattr(names["f"], "__doc__", "Other."),
    "an annotation, in place": lambda names: names["f"].__annotations__.update(x=str),
    "an attribute": lambda names: setattr(names["f"], "mark", 1),
    "the name of an attribute": lambda names: (
        vars(names["f"]).pop("mark"), vars(names["f"]).update(other=7)
    ),
    "a module": replaced(math=types.SimpleNamespace(floor=lambda x: "none")),
    "a class": replaced(Fraction=lambda a, b: 9.5),
    "a list, in place later": replaced(offsets=[1]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_L12b_whatever_changes_is_seen(
    executor: ProcessExecutor, main: dict[str, Any], change: Callable[[dict[str, Any]], object]
) -> None:
    """A function is what it is at the call, and only then."""
    before = main["f"](2)
    assert executor.submit(main["f"], 2).result(20) == before
    assert executor.submit(main["f"], 2).result(20) == before
    change(main)
    after = main["f"](2)
    assert after != before
    assert executor.submit(main["f"], 2).result(20) == after
    assert list(executor.map(main["f"], [2])) == [after]


def test_L12b_a_list_is_looked_at_each_time(
    executor: ProcessExecutor, main: dict[str, Any]
) -> None:
    """What can change in place, and be the same object, is seen to be another."""
    main["offsets"] = offsets = [1]
    for change in [1, [2], {3: [4]}, {5}]:
        assert executor.submit(main["f"], 2).result(20) == main["f"](2)
        offsets.append(change)
        assert executor.submit(main["f"], 2).result(20) == main["f"](2)
    offsets[3][3].append(6)
    assert executor.submit(main["f"], 2).result(20) == main["f"](2)
    offsets[4].add(7)
    assert executor.submit(main["f"], 2).result(20) == main["f"](2)
    offsets[3][8] = offsets[3].pop(3)
    assert executor.submit(main["f"], 2).result(20) == main["f"](2)


def test_L12b_what_is_the_same_list(executor: ProcessExecutor) -> None:
    """One list in two places is not two equal ones; and a list may be in itself."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("one = [1]\nboth = [one, one]\ndef f(): return both[0] is both[1], len(both)", names)
    assert executor.submit(names["f"]).result(20) == (True, 2)
    assert executor.submit(names["f"]).result(20) == (True, 2)
    names["both"][1] = [1]
    assert executor.submit(names["f"]).result(20) == (False, 2)
    names["both"].append(names["both"])
    for _ in range(2):
        assert executor.submit(names["f"]).result(20) == (False, 3)


def test_L12b_what_a_closure_knows_is_looked_at(executor: ProcessExecutor) -> None:
    """Also the variable of another function that made this one; and whose they are."""

    def pair(start: int) -> tuple[Any, Any]:
        def count(step: int) -> int:
            nonlocal start
            start += step
            return start

        return count, lambda: start

    count, look_at = pair(1)
    assert executor.submit(look_at).result(20) == 1
    assert executor.submit(look_at).result(20) == 1
    count(5)
    assert executor.submit(look_at).result(20) == 6
    assert [executor.submit(count, 1).result(20) for _ in range(3)] == [7, 7, 7]


def test_L12b_a_submodule_that_is_there_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function finds those submodules in its worker that were imported at the call."""
    package = tmp_path / "anatomy_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("value = 5")
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("import anatomy_package\ndef f(): return anatomy_package.part.value", names)
    with ProcessExecutor(1) as executor:
        assert isinstance(executor.submit(names["f"]).exception(20), AttributeError)
        importlib.import_module("anatomy_package.part")
        assert executor.submit(names["f"]).result(20) == 5


def test_L12b_what_relative_imports_go_by(main: dict[str, Any]) -> None:
    """Of its module a function has name and package, which may be others later."""
    before = kept(main["f"])
    main["__package__"] = "other"
    assert kept(main["f"]) != before is not None


class Changeable:
    """Of a class that travels by name, and has something inside."""

    def __init__(self) -> None:
        self.value = [1]


class Meta(type):
    """It may know more of its classes than they show."""


def with_closure(kept: Any = 1) -> Any:
    """A function that refers to what only it knows."""
    return lambda: kept


@wraps(with_closure)
def wrapped() -> None:
    """A function with another as its attribute."""


NOT_TRUSTED: dict[str, Any] = {
    "bytearray": bytearray(),
    "object": Changeable(),
    "bound method": Changeable().__init__,
    "class with a metaclass of its own": Meta("Local", (), {"__module__": "__main__"}),
    "module that is not imported": types.ModuleType("made"),
    "many": list(range(1100)),
    "long": "long" * 20_000,
    "in a list": [[bytearray()]],
    "in a bound method": [bytearray()].append,
    "in a closure": with_closure(bytearray()),
    "range": range(3),
}


@pytest.mark.parametrize("value", NOT_TRUSTED.values(), ids=NOT_TRUSTED)
def test_L12b_what_may_change_is_not_trusted(main: dict[str, Any], value: Any) -> None:
    """A function that refers to what cannot be looked into is written anew each time."""
    main["offsets"] = value
    assert kept(main["f"]) is None


@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(["factor", "offsets", "helper", "f"]),
            st.sampled_from([1, 1.0, True, None, "text", (1,), (1.0,), ((),), len, str, no_longer]),
            st.sampled_from(["__defaults__", "__kwdefaults__", "__doc__", "mark", ""]),
        ),
        max_size=6,
    )
)
def test_L12b_the_bytes_are_those_of_now(changes: list[tuple[str, Any, str]]) -> None:
    """After any changes, what is kept is a function that is made of the same parts."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(COMPILED, names)
    f = names["f"]
    for name, value, attribute in [("factor", 2, ""), *changes]:
        if not attribute and name != "f":
            names[name] = value
        elif attribute == "mark":
            f.mark = value
        elif attribute == "__doc__":
            f.__doc__ = value
        elif attribute == "__defaults__":
            f.__defaults__ = (value,)
        elif attribute == "__kwdefaults__":
            f.__kwdefaults__ = {"most": value}
        data = kept(f)
        assert data is not None
        assert data is kept(f)
        copy = pickle.loads(data)
        assert look(copy) == look(f)


def look(fn: Any) -> Any:
    """What a function is made of, types included."""
    names = [(name, fn.__globals__[name]) for name in ("factor", "offsets", "helper")
             if name in fn.__globals__]  # fmt: skip
    parts = fn.__defaults__, fn.__kwdefaults__, fn.__doc__, vars(fn), names
    return repr([parts, fn.__code__.co_code]).replace(hex(id(fn)), "").split(" at 0x")[0]


def test_what_is_too_much_to_look_at(main: dict[str, Any]) -> None:
    """Looking takes no longer than writing, however things are put together."""
    nest: Any = ()
    for _ in range(40):
        nest = nest, nest
    for value in (nest, [[[float(n)] * 5 for n in range(10)] for _ in range(60)]):
        main["offsets"] = value
        start = perf_counter()
        assert kept(main["f"]) is None
        assert perf_counter() - start < 1  # 2 ** 40 steps would take days


def test_L12b_two_functions_that_are_equal(executor: ProcessExecutor) -> None:
    """What one function is made of says nothing of another."""
    fns = [eval(f"lambda: {value}", {"__name__": "__main__"}) for value in (1, 1.0, True)]
    assert [type(executor.submit(fn).result(20)) for fn in fns * 2] == [int, float, bool] * 2


def test_a_function_is_written_once(
    executor: ProcessExecutor, main: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No timing: cloudpickle is asked once for a thousand submits, and again after a change."""
    executor.submit(main["f"], 1).result(20)
    asked: list[Any] = []
    dumps = _pickling._cloud_dumps
    monkeypatch.setattr(_pickling, "_cloud_dumps", lambda *args: asked.append(args) or dumps(*args))
    for task in [executor.submit(main["f"], 1) for _ in range(1000)]:
        task.result(20)
    assert len(asked) <= 1  # modules may have been imported meanwhile
    main["factor"] = 5
    assert executor.submit(main["f"], 1).result(20)[-1] == 5
    assert 1 <= len(asked) <= 2


def test_it_is_not_kept_alive(main: dict[str, Any]) -> None:
    """What is known of a function ends with it; also where it refers to itself."""
    gone = weakref.ref(main["f"]), weakref.ref(main["again"])
    assert kept(main["again"]) is not None
    assert kept(main["f"]) is not None
    main.clear()
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_modules_that_travel_by_value(main: dict[str, Any]) -> None:
    """Where the program wants more to travel by value than ``__main__``, nothing is trusted."""
    module = sys.modules[__name__]
    main["helper"] = no_longer
    assert kept(main["f"]) is not None
    cloudpickle.register_pickle_by_value(module)
    try:
        assert kept(main["f"]) is None
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_what_travels_by_name() -> None:
    """Functions and classes that a worker finds by module and name; nothing else."""
    assert all(map(is_reference, [no_longer, len, Changeable, dict, Fraction, IntEnum]))
    assert not any(
        map(is_reference, [with_closure(), wrapped, Changeable.__init__, Changeable(), 1])
    )
    assert not is_reference(types.FunctionType(no_longer.__code__, {}))


SCRIPT = """
import math
class Point:
    def __init__(self, x): self.x = x
scale = 2
def plain(x): return math.sqrt(x) * scale
def with_class(x): return Point(x).x * scale
@classmethod
def odd(cls): pass
with ProcessExecutor(1) as ex:
    print(ex.submit(plain, 4).result(), ex.submit(with_class, 4).result())
    scale = 3
    Point.__init__ = lambda self, x: setattr(self, 'x', -x)
    print(ex.submit(plain, 4).result(), ex.submit(with_class, 4).result())
    import os.path as math
    math.sqrt = abs
    try: print(ex.submit(plain, 4).result())
    except AttributeError as error: print('sqrt' in str(error))
"""


def test_L12b_in_a_script() -> None:
    """Globals and classes of a real ``__main__`` are those of the moment."""
    assert run(SCRIPT) == (0, "4.0 8\n6.0 -12\nTrue\n", "")
