"""L1 to L4: the same values, in the same order, exactly one outcome each."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from unifexec import Executor, Failure, Success, Task
from unifexec.testing import tasks
from unifexec.testing.callers import PATIENCE, Suite

DOUBLES = pytest.mark.parametrize("double", [tasks.double, tasks.double_async])


class Results(Suite):
    """Values."""

    @DOUBLES
    def test_L01_submit_gives_the_value(self, ex: Any, caller: Any, double: Any) -> None:
        """A plain function and a coroutine function give their value to every caller."""
        assert caller.value(ex.submit(double, 21)) == 42

    @DOUBLES
    def test_L01_map_gives_the_values(self, ex: Any, caller: Any, double: Any) -> None:
        """Map is the built-in map, elsewhere."""
        assert caller.items(ex.map(double, range(50))) == [2 * x for x in range(50)]

    @DOUBLES
    def test_L01_gather_gives_the_values(self, ex: Any, caller: Any, double: Any) -> None:
        """Gather gives a tuple, in call order."""
        task = ex.gather(*[ex.submit(double, x) for x in range(5)])
        assert caller.value(task) == (0, 2, 4, 6, 8)

    def test_L01_a_lambda_that_returns_an_awaitable_is_awaited(self, ex: Any) -> None:
        """What counts is what the call returns."""
        assert ex.submit(lambda: tasks.double_async(4)).result(PATIENCE) == 8

    def test_L01_arguments_pass_untouched(self, ex: Any) -> None:
        """Positional and keyword arguments, also those with names of our own."""
        assert ex.submit(tasks.add, 1, 2, self=3, fn=4, timeout=5).result(PATIENCE) == 15

    def test_L01_max_workers_is_readable(self, ex: Any) -> None:
        """As the standard library's is; existing libraries read it."""
        assert isinstance(ex._max_workers, int)

    def test_L01_it_is_an_executor(self, ex: Any) -> None:
        """Of our protocol and of the standard library; its tasks are futures."""
        assert isinstance(ex, concurrent.futures.Executor)
        task = ex.submit(tasks.double, 1)
        assert isinstance(task, Task)
        assert isinstance(task, concurrent.futures.Future)
        protocol: type = Executor
        assert isinstance(ex, protocol)

    @pytest.mark.parametrize("chunksize", [None, 1, 7, 1000])
    def test_L02_map_yields_in_input_order(self, ex: Any, caller: Any, chunksize: Any) -> None:
        """Whatever travels together."""
        results = ex.map(tasks.double, range(200), chunksize=chunksize)
        assert caller.items(results) == [2 * x for x in range(200)]

    def test_L03_a_long_chain_of_gathers(self, ex: Any) -> None:
        """Each of the one before it; however long it is, the last has its outcome."""
        task = ex.submit(tasks.double, 1)
        for _ in range(2000):
            task = ex.gather(task)
        value: Any = task.result(PATIENCE)
        for _ in range(2000):
            (value,) = value
        assert value == 2

    def test_L03_an_outcome_is_there_when_it_is(self, tmp_path: Any) -> None:
        """Who asks a task for its outcome before that is told so."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            task = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
            with pytest.raises(concurrent.futures.InvalidStateError, match="not done"):
                task.outcome()
            tasks.touch(str(tmp_path), "go")
            assert task.result(PATIENCE) == "go"
            assert task.outcome().value == "go"

    def test_L02_unordered_map_yields_everything_once(self, ex: Any, caller: Any) -> None:
        """``ordered=False`` loses and doubles nothing."""
        results = ex.map(tasks.double, range(100), ordered=False)
        assert sorted(caller.items(results)) == [2 * x for x in range(100)]

    def test_L02_tasks_start_first_in_first_out(self, tmp_path: Any) -> None:
        """One worker starts them in the order of their submits."""
        with self.make(1) as ex:
            log = tmp_path / "log"
            for x in range(20):
                ex.submit(_append, str(log), x)
        assert log.read_text().split() == [str(x) for x in range(20)]

    def test_L03_every_task_has_exactly_one_outcome(self, tmp_path: Any) -> None:
        """A thousand calls, each run once, each answered once."""
        with self.make(2) as ex:
            outcomes = list(ex.map(tasks.touch, [str(tmp_path)] * 200, range(200), errors="return"))
        assert [outcome.index for outcome in outcomes] == list(range(200))
        assert [(tmp_path / str(x)).read_text() for x in range(200)] == ["x"] * 200

    def test_L03_tasks_of_a_backlog_keep_their_own(self, ex: Any) -> None:
        """Function, arguments, name and outcome, however many of them travel together."""
        kinds = [tasks.double, tasks.double_async, tasks.identity, tasks.reciprocal, tasks.add]
        calls = [(kinds[x % 5], x // 5) for x in range(500)]
        for task, (fn, x) in [(ex.submit(fn, x), (fn, x)) for fn, x in calls]:
            assert task.name == fn.__qualname__
            if (fn, x) == (tasks.reciprocal, 0):
                assert isinstance(task.exception(PATIENCE), ZeroDivisionError)
            else:
                expected = {tasks.identity: x, tasks.add: x, tasks.reciprocal: 1 / max(x, 1)}
                assert task.result(PATIENCE) == expected.get(fn, 2 * x)

    @pytest.mark.parametrize("value", [None, (), 0, [None], ValueError("a value"), float("inf")])
    def test_L04_all_values_are_just_values(self, ex: Any, value: Any) -> None:
        """None, empty things, and exceptions that are returned."""
        for got in (
            ex.submit(tasks.identity, value).result(PATIENCE),
            *ex.map(tasks.identity, [value] * 3),
            *ex.gather(ex.submit(tasks.identity, value)).result(PATIENCE),
        ):
            assert repr(got) == repr(value)

    def test_L04_results_that_compare_badly(self, ex: Any) -> None:
        """Nothing of ours compares, hashes or asks a result."""
        assert type(ex.submit(tasks.never_equal, 1).result(PATIENCE)) is tasks.NeverEqual
        assert len(list(ex.map(tasks.never_equal, range(5)))) == 5

    def test_L04_empty_and_unequal_iterables(self, ex: Any, caller: Any) -> None:
        """As the built-in map: the shortest ends it."""
        assert caller.items(ex.map(tasks.double, [])) == []
        assert caller.items(ex.map(tasks.add, [1, 2, 3], [10, 20])) == [11, 22]

    def test_L04_strict_as_in_zip(self, ex: Any, caller: Any) -> None:
        """``strict=True``: the results before, then ``ValueError``."""
        results = ex.map(tasks.add, [1, 2, 3], [10, 20], strict=True)
        seen, error = caller.items_until_error(results)
        assert seen == [11, 22]
        assert isinstance(error, ValueError)

    def test_L04_outcomes_tell_index_name_and_seconds(self, ex: Any, caller: Any) -> None:
        """``errors="return"`` gives an outcome for every item."""
        outcomes = caller.items(ex.map(tasks.reciprocal, [1, 0, 2], errors="return"))
        assert [type(outcome) for outcome in outcomes] == [Success, Failure, Success]
        assert [outcome.index for outcome in outcomes] == [0, 1, 2]
        assert {outcome.name for outcome in outcomes} == {"reciprocal"}
        assert all(outcome.seconds >= 0 for outcome in outcomes)
        assert (outcomes[0].value, outcomes[2].value) == (1.0, 0.5)
        assert isinstance(outcomes[1].error, ZeroDivisionError)

    def test_L04_unordered_outcomes_still_tell_which(self, ex: Any) -> None:
        """The index says which item it was."""
        outcomes = list(ex.map(tasks.double, range(20), ordered=False, errors="return"))
        assert {outcome.index: outcome.value for outcome in outcomes} == {
            x: 2 * x for x in range(20)
        }

    def test_wrap_submits(self, ex: Any, caller: Any) -> None:
        """A wrapped function has the same name, and returns a task."""
        add = ex.wrap(tasks.add)
        assert add.__name__ == "add"
        assert caller.value(add(1, more=2)) == 3

    def test_wrap_in_a_class_is_a_method(self, ex: Any, caller: Any) -> None:
        """It takes the object that it is called on, as its types say."""

        class Wrapped(tasks.Scale):
            times = ex.wrap(tasks.Scale.times)
            double = ex.wrap(staticmethod(tasks.double))

        assert caller.value(Wrapped(3).times(4)) == 12
        assert caller.value(Wrapped(3).double(4)) == 8


def _append(path: str, x: int) -> None:
    with open(path, "a") as file:
        file.write(f"{x} ")
