"""L19: context variables: each task has its submitter's, as a copy of its own."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar
from decimal import Decimal, getcontext, localcontext
from typing import Any

import anyio
import pytest

from unifexec import create_executor, current_task
from unifexec._backends.room import NO_VARIABLES
from unifexec.testing import tasks
from unifexec.testing.tasks import colour, set_colour, set_colour_async

from .programs import run

PATIENCE = 20.0
KINDS = ["serial", "thread", "process", "async"]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_form = pytest.mark.parametrize("fn", [set_colour, set_colour_async])


@pytest.fixture(autouse=True)
def red() -> Any:
    """The submitter's colour."""
    token = colour.set("red")
    yield
    colour.reset(token)


def make(kind: str) -> Any:
    """An executor of one worker, and its view that lets the colour travel."""
    executor = create_executor(kind, max_workers=1)
    return executor, executor.with_options(context=[colour])


@every_kind
@every_form
def test_L19_the_value_is_that_of_the_submit(kind: str, fn: Any, tmp_path: Any) -> None:
    """Not that of the moment when the task starts, or of who waits for it."""
    executor, view = make(kind)
    with executor:
        if kind != "serial":
            executor.submit(tasks.wait_for_file, str(tmp_path), "go")
        first = view.submit(fn, "x")
        colour.set("green")
        second = view.submit(fn, "x")
        colour.set("white")
        tasks.touch(str(tmp_path), "go")
        assert (first.result(PATIENCE), second.result(PATIENCE)) == ("red", "green")


@every_kind
@every_form
def test_L19_what_a_task_sets_is_its_own(kind: str, fn: Any) -> None:
    """Neither the next task on the worker nor the submitter sees it."""
    executor, view = make(kind)
    with executor:
        seen = [view.submit(fn, f"set by {x}").result(PATIENCE) for x in range(3)]
        assert seen == ["red"] * 3
        assert colour.get() == "red"


@every_kind
@every_form
@pytest.mark.parametrize("chunksize", [1, 5])
def test_L19_items_of_a_map_have_a_copy_each(kind: str, fn: Any, chunksize: int) -> None:
    """Also those that travel together."""
    executor, view = make(kind)
    with executor:
        results = view.map(fn, map(str, range(10)), chunksize=chunksize)
        assert list(results) == ["red"] * 10
        assert colour.get() == "red"


def set_two_colours(first: str, second: str) -> str:
    """Two arguments, and what was set before."""
    before = colour.get()
    colour.set(first + second)
    return before


def set_and_raise(to: str) -> Any:
    """What fails may have set something, too."""
    set_colour(to)
    raise ValueError(to)


def set_and_go_on(to: str) -> Any:
    """A plain function that sets something, and whose coroutine sees it and sets more."""
    before = set_colour(to)

    async def go_on() -> str:
        assert colour.get() == to
        colour.set("white")
        return before

    return go_on()


def set_and_reset(to: str) -> str:
    """It leaves nothing behind, but was seen to set it."""
    before = colour.get()
    token = colour.set(to)
    colour.reset(token)
    return before


def third(digits: str) -> str:
    """``decimal`` keeps its settings in a context variable."""
    before = str(Decimal(1) / 3)
    getcontext().prec = int(digits) + 1
    return before


SETTERS = [set_colour, set_colour_async, set_and_go_on, set_and_reset]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fn", [*SETTERS, third], ids=lambda fn: str(fn.__name__))
def test_L19_nothing_is_left_behind_where_nothing_was_set(kind: str, fn: Any) -> None:
    """Most callers have set no variable: those calls may share a context, which must not show."""

    def run_them() -> list[Any]:
        with create_executor(kind, max_workers=1) as executor:
            executor.submit(fn, "1").result(PATIENCE)  # it is known to be short
            travel_together = [executor.submit(fn, str(x)) for x in range(100)]
            seen = [task.result(PATIENCE) for task in travel_together]
            seen += executor.map(fn, map(str, range(100)), chunksize=50)
            seen += executor.map(fn, map(str, range(100)))
        return seen

    expected = "0." + "3" * 28 if fn is third else "unset"
    assert Context().run(run_them) == [expected] * 300
    assert len(NO_VARIABLES) == 0


@every_kind
def test_L19_failures_and_several_arguments_leave_nothing_behind(kind: str) -> None:
    """As above."""

    def run_them() -> list[Any]:
        with create_executor(kind, max_workers=1) as executor:
            seen = list(executor.map(set_two_colours, "abc" * 20, "def" * 20, chunksize=30))
            executor.submit(set_colour, "x").result(PATIENCE)
            tasks = [executor.submit((set_and_raise, set_colour)[x % 2], str(x)) for x in range(80)]
            seen += [task.result(PATIENCE) for task in tasks[1::2]]
            assert all(isinstance(task.exception(PATIENCE), ValueError) for task in tasks[::2])
            items = [str(x) for x in range(60)]
            both = [*executor.map(set_or_raise, items, chunksize=30, errors="return")]
            seen += [outcome.value for outcome in both[::2]]
            assert all(isinstance(outcome.error, ValueError) for outcome in both[1::2])
        return seen

    assert Context().run(run_them) == ["unset"] * 130
    assert len(NO_VARIABLES) == 0


def set_or_raise(to: str) -> Any:
    """Every second one fails."""
    return set_and_raise(to) if int(to) % 2 else set_colour(to)


@every_kind
@every_form
def test_L19_members_of_a_gather_have_a_copy_each(kind: str, fn: Any) -> None:
    """That of their own submit."""
    executor, view = make(kind)
    with executor:
        members = []
        for name in ("a", "b", "c"):
            colour.set(name)
            members.append(view.submit(fn, "x"))
        colour.set("red")
        assert executor.gather(*members).result(PATIENCE) == ("a", "b", "c")


@every_kind
@every_form
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_L19_coroutines_submit_from_their_own_context(kind: str, fn: Any, backend: str) -> None:
    """Two coroutines of one loop with different values: each task sees its caller's."""
    seen: dict[str, Any] = {}

    async def client(name: str) -> None:
        colour.set(name)
        await anyio.lowlevel.checkpoint()
        seen[name] = [await view.submit(fn, "x"), colour.get()]
        seen[name] += [item async for item in view.map(fn, ["y", "z"])]

    async def main() -> None:
        async with executor, anyio.create_task_group() as group:
            for name in ("blue", "black"):
                group.start_soon(client, name)

    executor, view = make(kind)
    anyio.run(main, backend=backend)
    assert seen == {name: [name] * 4 for name in ("blue", "black")}


@pytest.mark.parametrize("kind", ["thread", "process", "async"])
def test_L19_coroutines_on_one_loop_do_not_mix(kind: str) -> None:
    """What one sets while the other awaits stays its own (asserted in the task)."""
    with create_executor(kind, max_workers=4) as executor:
        view = executor.with_options(context=[colour])
        seen = list(view.map(set_colour_async, map(str, range(40)), chunksize=10))
    assert seen == ["red"] * 40


def test_L19_only_named_variables_reach_a_process() -> None:
    """Others have their default there."""
    with create_executor("process", max_workers=1) as executor:
        assert executor.submit(set_colour, "x").result(PATIENCE) == "unset"
        view = executor.with_options(context=[colour])
        assert view.submit(set_colour, "x").result(PATIENCE) == "red"
        assert executor.submit(set_colour, "x").result(PATIENCE) == "unset"


def test_L19_a_variable_without_a_value_travels_as_such() -> None:
    """It is unset there too, whatever an earlier task had."""
    with create_executor("process", max_workers=1) as executor:
        view = executor.with_options(context=[nothing])
        assert view.submit(has_value).result(PATIENCE) is False


nothing: ContextVar[int] = ContextVar("nothing")


def has_value() -> bool:
    return nothing.get(None) is not None


@every_kind
def test_L19_nested_tasks_inherit(kind: str) -> None:
    """A task is the submitter of those that it submits."""
    executor, view = make(kind)
    with executor:
        task = view.submit(set_and_submit, view, "green")
        assert task.result(PATIENCE) == "green"


def set_and_submit(executor: Any, value: str) -> Any:
    colour.set(value)
    return executor.submit(set_colour, "x").result()


def test_L19_a_context_of_asyncio_is_no_part_of_it() -> None:
    """`current_task` is that of the task that runs, not one that came with the context."""

    async def main() -> Any:
        with create_executor("thread", max_workers=1) as executor:
            return await executor.submit(submit_and_ask, executor)

    assert asyncio.run(main()) == ("ask", "submit_and_ask")


def submit_and_ask(executor: Any) -> Any:
    inner = executor.submit(ask).result()
    task = current_task()
    assert task is not None
    return inner, task.name


def ask() -> str:
    task = current_task()
    assert task is not None
    return task.name


# -- variables of `__main__`, which a worker cannot import --

MAIN = """
from contextvars import ContextVar
var = ContextVar("user", default="nobody")
who = lambda: var.get()
"""


@pytest.mark.parametrize("first", ["", "import multiprocessing\n"])
def test_L19_the_default_of_a_variable_of_main_travels(first: str) -> None:
    """Also when `multiprocessing` has given `__main__` a second name."""
    code, output, errors = run(
        first + MAIN + "with ProcessExecutor(1) as ex: print(ex.submit(who).result(20))"
    )
    assert (code, output) == (0, "nobody\n"), errors


def test_L19_a_variable_of_main_travels_with_its_value() -> None:
    """The worker makes it once, whether it came with the function or with ``context=``."""
    code, output, errors = run(
        "import multiprocessing\n"
        + MAIN
        + "with ProcessExecutor(1) as ex:\n"
        + "    var.set('me')\n"
        + "    print(ex.with_options(context=[var]).submit(who).result(20))\n"
        + "    print(ex.submit(who).result(20))\n"
        + "    print(ex.submit(lambda: var).result(20) is var)\n"
    )
    assert (code, output) == (0, "me\nnobody\nTrue\n"), errors


DEFAULTS = {
    "not picklable": "odd = threading.Lock()",
    "not to be rebuilt": "class Odd:\n  def __reduce__(self): return int, ('none',)\nodd = Odd()",
    "names its variable": "odd = []",
}


@pytest.mark.parametrize("odd", DEFAULTS.values(), ids=list(DEFAULTS))
def test_L19_a_default_that_cannot_travel_stays_behind(odd: str) -> None:
    """The variable travels all the same, and has none there."""
    code, output, errors = run(
        odd
        + """
from contextvars import ContextVar
var = ContextVar("odd", default=odd)
if odd == []: odd.append(var)
with ProcessExecutor(1) as ex:
    print(ex.submit(lambda: var.get("unset")).result(20))
    print(type(ex.submit(lambda: var.get()).exception(20)).__name__)
"""
    )
    assert (code, output) == (0, "unset\nLookupError\n"), errors


def third_in_a_context(digits: int) -> str:
    """As `third`, in a decimal context that it has for itself."""
    with localcontext() as own:
        own.prec = digits
        return str(Decimal(1) / 3)


@every_kind
def test_L19_an_object_in_a_variable_is_not_copied(kind: str) -> None:
    """A context has the same decimal context as its copies; `localcontext` is the cure."""

    def run_it(fn: Any) -> int:
        getcontext().prec = 9  # or there is none yet, and each makes its own
        with create_executor(kind, max_workers=1) as executor:
            executor.submit(fn, 4).result(PATIENCE)
        return getcontext().prec

    assert Context().run(run_it, third_in_a_context) == 9
    assert Context().run(run_it, third) == (9 if kind == "process" else 5)
