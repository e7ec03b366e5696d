"""Classes of ``__main__``: told to each worker once, and of the same class when they come home."""

from __future__ import annotations

import gc
import os
import signal
import sys
import weakref
from dataclasses import dataclass, fields
from operator import methodcaller
from time import sleep
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from unifexec import Failure, ProcessExecutor, SerializationError, Success, _definitions, _pickling
from unifexec._backends import definitions
from unifexec._backends.anatomy import anatomy_of

from .keeping import kept
from .programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAIN = """
from dataclasses import dataclass, field
from collections import namedtuple
from enum import Enum
from typing import NamedTuple
@dataclass
class Point:
    x: float
    y: float = 0.0
    def norm(self): return (self.x * self.x + self.y * self.y) ** 0.5 * scale
@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    more: list = field(default_factory=list)
class Base:
    kind = "base"
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(other) is type(self) and vars(other) == vars(self)
    __hash__ = None
class Derived(Base):
    def __init__(self, x):
        super().__init__(x)
        self.again = [self.x]
    @property
    def double(self): return self.x * 2
    @classmethod
    def make(cls, x): return cls(x)
class Pair(NamedTuple):
    a: int
    b: str = "b"
Other = namedtuple("Other", "a b")
class Colour(Enum):
    RED = 1
scale = 1
"""
COMPILED = compile(MAIN, "<main>", "exec", dont_inherit=True)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of a script, whose classes are those of ``__main__``."""
    return names_of(COMPILED, monkeypatch)


def names_of(code: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a script defines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code, names)
    for name, value in names.items():
        if isinstance(value, type):
            monkeypatch.setattr(sys.modules["__main__"], name, value, raising=False)
    return names


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    """One worker."""
    with ProcessExecutor(1) as executor:
        executor.submit(abs, 1).result(20)
        yield executor


def identity(x: Any) -> Any:
    """Itself."""
    return x


MAKERS = ["Point(3, 4)", "Frozen(1, [2])", "Base(1)", "Derived(1)", "Pair(1)", "Other(1, 2)",
          "Colour.RED", "[Point(1), {'a': Pair(2)}, (Derived(3),)]"]  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_L24_objects_of_a_script_come_home(
    executor: ProcessExecutor, main: dict[str, Any], maker: str
) -> None:
    """There and back, one by one, many at once and by name: equal, and of the very same class."""
    value = eval(maker, main)
    for result in [
        executor.submit(identity, value).result(20),
        executor.submit(identity, x=value).result(20),
        *executor.map(identity, [value] * 20),
        *executor.map(identity, iter([value] * 20)),
        *executor.map(identity, [value] * 2, chunksize=1),
    ]:
        assert result == value
        assert type(result) is type(value)


def test_L24_results_made_in_the_worker(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """A class that came with a function is the same as one that came with an argument."""
    exec("def make(x): return Point(x)\ndef both(p): return Point(p.x), type(p) is Point", main)
    for x in range(3):
        assert type(executor.submit(main["make"], x).result(20)) is main["Point"]
        result = executor.submit(main["both"], main["Point"](x)).result(20)
        assert result == (main["Point"](x), True)
        assert type(result[0]) is main["Point"]


def of_state(thing: Any) -> Any:
    """What a worker sees of a class."""
    return type(thing).kind, getattr(type(thing), "other", None)


def set_state(thing: Any, kind: str) -> Any:
    """A task that changes a class, in its worker."""
    type(thing).kind = kind
    return thing


def test_L12b_a_class_is_as_it_was_at_the_call(
    executor: ProcessExecutor, main: dict[str, Any]
) -> None:
    """Whatever of it changes, and back; also for what is sent while others wait."""
    base, thing = main["Base"], main["Derived"](1)
    seen = []
    for kind in ["one", "two", "one", [3], "two"]:
        base.kind = kind
        seen.append(executor.submit(of_state, thing))
    main["Derived"].other = 1
    seen.append(executor.submit(of_state, thing))
    assert [task.result(20) for task in seen] == [
        ("one", None), ("two", None), ("one", None), ([3], None), ("two", None), ("two", 1),
    ]  # fmt: skip


def test_L12b_a_list_of_a_class(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """What is changed in place is seen."""
    main["Base"].kind = kinds = [1]
    thing = main["Base"](1)
    for more in range(3):
        assert executor.submit(of_state, thing).result(20)[0] == kinds
        kinds.append(more)


def test_L12b_what_methods_refer_to(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """Globals of a script that a method looks up, and the method itself."""
    point = main["Point"](3, 4)
    assert executor.submit(norm_of, point).result(20) == 5
    main["scale"] = 2
    assert list(executor.map(norm_of, [point, point])) == [10, 10]
    main["Point"].norm = lambda self: -1
    assert list(executor.map(norm_of, iter([point, point]))) == [-1, -1]


def facts_of(thing: Any) -> Any:
    """What a worker sees of an object by its class."""
    cls = type(thing)
    parts = [(field.name, field.type, field.default) for field in fields(cls)]
    abstract = getattr(cls, "abstract", str)
    return parts, thing.twice, cls.two(), cls.of(3), isinstance(1, abstract)


FACTS = """
from abc import ABC
from dataclasses import dataclass
class Abstract(ABC): pass
@dataclass
class Thing:
    x: "int" = 1
    @property
    def twice(self): return 2 * self.x
    @staticmethod
    def two(): return 2
    @classmethod
    def of(cls, x, more=0): return cls.__name__, x + more
"""
INSIDE: dict[str, Any] = {
    "the function of a property": lambda cls: setattr(
        cls.twice.fget, "__code__", (lambda self: -self.x).__code__
    ),
    "a property": lambda cls: setattr(cls, "twice", property(lambda self: 7)),
    "a static method": lambda cls: setattr(cls, "two", staticmethod(lambda: 22)),
    "the function of one": lambda cls: setattr(cls.two, "__code__", (lambda: 222).__code__),
    "a default of a class method": lambda cls: setattr(cls.of.__func__, "__defaults__", (5,)),
    "a field": lambda cls: setattr(fields(cls)[0], "type", "float"),
}


@pytest.mark.parametrize("change", INSIDE.values(), ids=INSIDE)
def test_L12b_whatever_changes_inside_a_class_is_seen(
    executor: ProcessExecutor,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], object],
) -> None:
    """Also what is the same object as before, with something else in it."""
    names = names_of(compile(FACTS, "<main>", "exec", dont_inherit=True), monkeypatch)
    thing = names["Thing"](3)
    before = facts_of(thing)
    assert executor.submit(facts_of, thing).result(20) == before
    assert executor.submit(facts_of, thing).result(20) == before
    assert kept(names["Thing"], alone=True) is not None
    change(names["Thing"])
    after = facts_of(thing)
    assert after != before
    assert executor.submit(facts_of, thing).result(20) == after


def test_L12b_who_belongs_to_an_abstract_class(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a metaclass knows cannot be looked into: such a class travels with its objects."""
    names = names_of(compile(FACTS, "<main>", "exec", dont_inherit=True), monkeypatch)
    names["Thing"].abstract = names["Abstract"]
    thing = names["Thing"](3)
    assert not executor.submit(facts_of, thing).result(20)[-1]
    names["Abstract"].register(int)
    assert executor.submit(facts_of, thing).result(20)[-1]


def norm_of(point: Any) -> Any:
    """A method of its class."""
    return point.norm()


def test_what_a_worker_does_to_a_class_stays_there(
    executor: ProcessExecutor, main: dict[str, Any]
) -> None:
    """A result changes nothing of the class that it comes home to."""
    main["Base"].kind = "mine"
    thing = executor.submit(set_state, main["Base"](1), "theirs").result(20)
    assert type(thing) is main["Base"]
    assert main["Base"].kind == "mine"
    error = executor.submit(raise_of, main["Base"], "theirs").exception(20)
    assert isinstance(error.args[0], main["Base"])
    assert main["Base"].kind == "mine"


def add_one(thing: Any) -> Any:
    """A task that counts in a class."""
    type(thing).kind += 1
    return type(thing).kind


def test_L12b_a_task_sees_nothing_of_what_one_before_it_did(
    executor: ProcessExecutor, main: dict[str, Any]
) -> None:
    """A class that comes with an argument is as it was at the call, for each task."""
    main["Base"].kind = 0
    assert [executor.submit(add_one, main["Base"](1)).result(20) for _ in range(5)] == [1] * 5
    assert list(executor.map(add_one, [main["Base"](1)] * 50)) == [1] * 50


COUNTERS = """
from dataclasses import dataclass, field
count, kept = 0, []
class Global:
    def m(self):
        global count
        count += 1
        return count
def made():
    count = 0
    class Closure:
        def m(self):
            nonlocal count
            count += 1
            return count
    return Closure
Closure = made()
Closure.__qualname__ = "Closure"
class Inner:
    def m(self):
        def add():
            global count
            count += 1
        add()
        return count
@dataclass
class Factory:
    x: list = field(default_factory=lambda: kept)
    def m(self):
        again = type(self)()
        again.x.append(1)
        return len(again.x)
@dataclass
class Default:
    x: list = field(default_factory=lambda kept=[]: kept)
    def m(self):
        again = type(self)()
        again.x.append(1)
        return len(again.x)
class Renames:
    def m(self):
        z = getattr(type(self), "z", "gone")
        if z == 1:
            type(self).zz = type(self).z
            del type(self).z
        return z
Renames.z = 1
"""


@pytest.mark.parametrize("name", ["Global", "Closure", "Inner", "Factory", "Default", "Renames"])
def test_L12b_a_task_sees_no_counter_of_another(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where a method changes what it refers to, its class comes anew with each object."""
    names = names_of(compile(COUNTERS, "<main>", "exec", dont_inherit=True), monkeypatch)
    things = [names[name]() for _ in range(4)]
    for _ in range(3):
        kept(names[name])  # so that it is no longer new
        assert list(executor.map(methodcaller("m"), things)) == [1] * 4


class Submits:
    """An object that, while it is written down, changes a class and submits another object."""

    tasks: ClassVar[list[Any]] = []

    def __init__(self, executor: Any, thing: Any) -> None:
        self.executor, self.thing = executor, thing

    def __reduce__(self) -> Any:
        cls = type(self.thing)
        cls.kind += 1
        self.tasks.append((cls.kind, self.executor.submit(of_state, self.thing)))
        return identity, (1,)


def test_L12b_a_submit_in_the_midst_of_a_submit(
    executor: ProcessExecutor, main: dict[str, Any]
) -> None:
    """It takes its own look at the class."""
    Submits.tasks.clear()
    base, thing = main["Base"], main["Base"](1)
    base.kind = 0
    for _ in range(3):
        executor.submit(identity, [thing, Submits(executor, thing), thing]).result(20)
    assert [task.result(20)[0] for _, task in Submits.tasks] == [kind for kind, _ in Submits.tasks]
    Submits.tasks.clear()


def test_ctrl_c_in_the_midst_of_a_submit(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """What it leaves behind, the next submit does not take up."""
    naming = definitions.naming()
    naming.__enter__()
    before = _definitions.here.number_of
    try:
        for kind in ("one", "two", "three"):
            main["Base"].kind = kind
            assert executor.submit(of_state, main["Base"](1)).result(20) == (kind, None)
            assert list(executor.map(of_state, [main["Base"](1)])) == [(kind, None)]
        assert _definitions.here.number_of is before
    finally:
        naming.__exit__()


class Within:
    """A result that, while it is written down in a worker, asks a worker of that."""

    def __init__(self, fn: Any, way: str) -> None:
        self.fn, self.way = fn, way

    def __reduce__(self) -> Any:
        if self.way == "task":
            with ProcessExecutor(1) as inner:
                return identity, (inner.submit(self.fn).result(20),)
        with ProcessExecutor(1, initializer=self.fn) as inner:
            return identity, (inner.submit(abs, -1).result(20),)


def with_thing(thing: Any, fn: Any, way: str) -> Any:
    """An object of the script, and such a result."""
    return [thing, Within(fn, way)]


@pytest.mark.parametrize("way", ["task", "initializer"])
def test_L18_a_submit_while_a_result_is_written_down(
    executor: ProcessExecutor, main: dict[str, Any], way: str
) -> None:
    """What goes down goes by value, though the result around it goes up."""
    exec("def make(): return Base(1).x", main)
    thing = main["Base"](1)
    assert executor.submit(with_thing, thing, main["make"], way).result(30) == [thing, 1]


class Meta(type):
    """A metaclass that finds its classes equal."""

    def __eq__(cls, other: object) -> bool:
        return type(other) is Meta

    def __hash__(cls) -> int:
        return 1


class One(metaclass=Meta):
    """One of them."""


class Two(metaclass=Meta):
    """The other."""


def test_L24_classes_that_say_they_are_equal(executor: ProcessExecutor) -> None:
    """What is called is what was given."""
    for _ in range(2):
        assert type(executor.submit(One).result(20)).__name__ == "One"
        assert type(executor.submit(Two).result(20)).__name__ == "Two"


def test_L12b_a_class_that_comes_on_several_ways(
    executor: ProcessExecutor, main: dict[str, Any]
) -> None:
    """With an argument, as the base of another, with a function: in its state of each call.

    A function itself is rebuilt once, and sees the state that its class was brought to last.
    """
    exec("def look(): return Base.kind, None", main)
    ways = {"base": lambda: executor.submit(of_state, main["Base"](1)),
            "derived": lambda: executor.submit(of_state, main["Derived"](1)),
            "function": lambda: executor.submit(main["look"])}  # fmt: skip
    walk = [(way, kind) for _ in range(2) for first in ways for second in ways
            for way, kind in [(first, "one"), (second, "two"), (first, "one")]]  # fmt: skip
    tasks = []
    for way, kind in walk:
        main["Base"].kind = kind
        tasks.append(ways[way]())
    states = [task.result(20) for task in tasks]
    for (way, kind), state in zip(walk, states, strict=True):
        assert way == "function" or state == (kind, None)


def test_L24_a_class_that_is_defined_anew(
    executor: ProcessExecutor, main: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though every part of it is the same, it is another class."""
    code = compile("class New: pass", "<main>", "exec")
    exec("def make(): return New()", main)
    for _ in range(4):
        exec(code, main)
        monkeypatch.setattr(sys.modules["__main__"], "New", main["New"], raising=False)
        assert type(executor.submit(main["make"]).result(20)) is main["New"]
        assert type(executor.submit(identity, main["New"]()).result(20)) is main["New"]


ALIKE = """
log = []
class Writer:
    def write(self): log.append(1)
class Reader:
    def read(self): return len(log)
def write_and_read(a, b): a.write(); return b.read()
def plain(x): return x
class Job:
    op = plain
    def __init__(self): self.op = plain
    def same(self): return self.op is plain
class Shares:
    items = []
    def __init__(self): self.items = Shares.items
    def same(self): return self.items is Shares.items
def same(x): return x.same()
"""


def test_L12b_what_is_the_same_object(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one call: what an object and its class have in common, they have in the worker."""
    names = names_of(compile(ALIKE, "<main>", "exec", dont_inherit=True), monkeypatch)
    for _ in range(4):
        assert executor.submit(same, names["Job"]()).result(20)
        assert executor.submit(same, names["Shares"]()).result(20)
        task = executor.submit(names["write_and_read"], names["Writer"](), names["Reader"]())
        assert task.result(20) in (0, 1)  # as cloudpickle has it: a function's names are its own


def same(thing: Any) -> Any:
    """A method of its class."""
    return thing.same()


class Opens:
    """An object that needs an executor of its own to be written down."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __reduce__(self) -> Any:
        with ProcessExecutor(1, initializer=identity, initargs=(self.thing,)) as inner:
            return identity, (inner.submit(abs, -1).result(20),)


def test_L24_what_a_worker_is_set_up_with(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """A class that its parent was told of, and that it was not."""
    for _ in range(3):
        executor.submit(identity, main["Base"](1)).result(20)
    with ProcessExecutor(1, initializer=identity, initargs=(main["Base"](1),)) as other:
        assert other.submit(identity, main["Base"](1)).result(20) == main["Base"](1)
    assert executor.submit(identity, Opens(main["Base"](1))).result(30) == 1


def raise_of(cls: Any, kind: str) -> None:
    """A task that fails with an object of a class that it changed."""
    cls.kind = kind
    raise ValueError(cls(1))


def make_class() -> Any:
    """A class that only the worker has."""

    @dataclass
    class Made:
        x: int

    return Made


def test_a_class_of_the_worker(executor: ProcessExecutor) -> None:
    """A class that a task made comes by value, and can be sent again."""
    made = executor.submit(make_class).result(20)
    thing = made(1)
    assert executor.submit(identity, thing).result(20) == thing
    assert type(executor.submit(identity, thing).result(20)) is made


@pytest.mark.parametrize("name", ["Point", "Base", "Pair", "Other"])
def test_classes_that_stand_alone(main: dict[str, Any], name: str) -> None:
    """As most small ones do, those that the standard library writes above all."""
    assert anatomy_of(main[name]).is_alone()
    assert kept(main[name]) is not None


@pytest.mark.parametrize("name", ["Derived", "Frozen", "Colour"])
def test_classes_that_do_not(main: dict[str, Any], name: str) -> None:
    """One with a base of the script, one that still knows what it was made of, a metaclass."""
    anatomy = anatomy_of(main[name])
    assert anatomy is None or not anatomy.is_alone()


def test_definitions_are_sent_once(main: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """No timing: no object of the script is given to cloudpickle, and its class once."""
    asked: list[Any] = []
    dumps = _pickling._cloud_dumps
    monkeypatch.setattr(
        _pickling, "_cloud_dumps", lambda *args: asked.append(args[0]) or dumps(*args)
    )
    points = [main["Point"](x) for x in range(1000)]
    with ProcessExecutor(1) as executor:
        for _ in range(3):  # so that all modules are imported
            assert executor.submit(identity, points[0]).result(20) == points[0]
        asked.clear()
        assert list(executor.map(identity, points)) == points
        assert [executor.submit(identity, p).result(20) for p in points[:50]] == points[:50]
    assert asked == []


def test_L22_a_new_worker_is_told_all(main: dict[str, Any]) -> None:
    """What was told to a worker that died is told to the next."""
    with ProcessExecutor(1) as executor:
        point = main["Point"](1)
        pid = executor.submit(os.getpid).result(20)
        assert executor.submit(identity, point).result(20) == point
        os.kill(pid, signal.SIGKILL)
        assert list(executor.map(identity, [point] * 100)) == [point] * 100


def nested(thing: Any) -> Any:
    """Objects go further down, and come up again."""
    with ProcessExecutor(1) as inner:
        again = inner.submit(identity, thing).result(20)
        made = inner.submit(make_class).result(20)
        assert type(again) is type(thing)
        assert inner.submit(identity, made(2)).result(20) == made(2)
        return again, made(3)


def test_L18_workers_of_workers(main: dict[str, Any]) -> None:
    """Classes are the same over two hops; one that a worker's worker made comes all the way."""
    with ProcessExecutor(1) as executor:
        for _ in range(2):
            again, made = executor.submit(nested, main["Derived"](1)).result(30)
            assert again == main["Derived"](1)
            assert type(again) is main["Derived"]
            assert made.x == 3
            assert executor.submit(identity, made).result(20) == made


def test_classes_that_change_all_the_time(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """They are not worth a definition each time: then they travel with their objects."""
    before = len(definitions.definitions)
    for kind in range(3 * definitions.MOST_STATES):
        main["Base"].kind = kind
        assert executor.submit(of_state, main["Base"](1)).result(20) == (kind, None)
    assert len(definitions.definitions) - before == definitions.MOST_STATES


def test_there_are_only_so_many(
    executor: ProcessExecutor, main: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound classes travel with their objects, too."""
    monkeypatch.setattr(definitions, "MOST", len(definitions.definitions))
    thing, before = main["Point"](1), len(definitions.definitions)
    for _ in range(2):
        assert executor.submit(identity, thing).result(20) == thing
        assert type(executor.submit(identity, thing).result(20)) is main["Point"]
    assert len(definitions.definitions) == before


def test_a_class_may_end(
    executor: ProcessExecutor, main: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the newest are kept for results that may come; a class ends with its last object."""
    gone = weakref.ref(main["Point"])
    for _ in range(3):
        assert executor.submit(identity, main["Point"](1)).result(20).x == 1
    main.clear()
    monkeypatch.undo()
    _definitions._lately.clear()
    gc.collect()
    assert gone() is None


def wait_for(path: Path, x: Any) -> Any:
    """A task that ends when it is told to."""
    while not path.exists():
        sleep(0.001)
    return x


@pytest.mark.parametrize("of_script", [True, False])
def test_a_class_whose_object_is_away(
    executor: ProcessExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of_script: bool,
) -> None:
    """That nobody has any more when it comes home: of a script that defined another, or local."""

    def submit() -> Any:
        names = names_of(COMPILED, monkeypatch)
        if not of_script:
            monkeypatch.undo()
        return executor.submit(wait_for, tmp_path / "go", names["Base"](1))

    task = submit()
    monkeypatch.undo()
    gc.collect()
    (tmp_path / "go").touch()
    assert task.result(20).x == 1


def test_many_local_classes(executor: ProcessExecutor, tmp_path: Path) -> None:
    """Objects of more classes than are remembered come home, though the classes are gone."""

    def make(number: int) -> Any:
        class Local:
            n = number

        return Local()

    tasks = [executor.submit(wait_for, tmp_path / "go", make(n)) for n in range(300)]
    gc.collect()
    (tmp_path / "go").touch()
    assert [type(task.result(30)).n for task in tasks] == list(range(300))


def test_local_classes_are_not_told(executor: ProcessExecutor) -> None:
    """They may be many, and end soon."""

    class Local:
        n = 1

    before, thing = len(definitions.definitions), Local()
    for _ in range(4):
        assert executor.submit(identity, thing).result(20).n == 1
    assert len(definitions.definitions) == before


def test_what_is_not_there() -> None:
    """A class that nobody has any more, and a definition that did not come: with words."""
    with pytest.raises(LookupError, match="keep it until its results are there"):
        _definitions.find("no such key")
    with pytest.raises(LookupError, match="did not arrive"):
        _definitions.defined(-1)


def forget() -> None:
    """In a worker: as if its memory had not sufficed for a definition."""
    _definitions._told.clear()
    _definitions._made.clear()


def test_L12_a_definition_that_is_lost(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """It fails those tasks that need it, and no other."""
    thing = main["Point"](1)
    for _ in range(3):
        assert executor.submit(identity, thing).result(20) == thing
    executor.submit(forget).result(20)
    assert isinstance(executor.submit(identity, thing).exception(20), SerializationError)
    assert executor.submit(identity, 1).result(20) == 1
    thing = main["Base"](1)
    assert executor.submit(identity, thing).result(20) == thing


def test_L14_outcomes(executor: ProcessExecutor, main: dict[str, Any]) -> None:
    """Items of a script's classes fail and succeed each for itself."""
    points = [main["Point"](x) for x in (4, "no", 9)]
    outcomes = list(executor.map(norm_of, points, errors="return"))
    assert [type(outcome) for outcome in outcomes] == [Success, Failure, Success]


SCRIPT = """
from dataclasses import dataclass
@dataclass
class Point:
    x: int
def flip(p): return Point(-p.x)
def check(p): return type(p) is Point
with ProcessExecutor(2) as ex:
    points = [Point(i) for i in range(500)]
    flipped = list(ex.map(flip, points))
    print(flipped == [Point(-i) for i in range(500)], all(ex.map(check, flipped)))
    old = Point
    @dataclass
    class Point:
        x: int
        y: int = 1
    print(list(ex.map(check, [old(1), Point(1)])), ex.submit(flip, old(2)).result())
"""


def test_L24_in_a_script() -> None:
    """Of a real ``__main__``, where a class is defined anew."""
    expected = "True True\n[False, True] Point(x=-2, y=1)\n"
    assert run(SCRIPT) == (0, expected, "")
