"""L11 to L14: the same exceptions, at the same place."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest

from unifexec import Failure, RemoteError, SerializationError, Success, TaskCancelledError
from unifexec.testing import tasks
from unifexec.testing.callers import PATIENCE, Suite

BOTH = pytest.mark.parametrize("fn", [tasks.raise_it, tasks.raise_it_async])


class Failures(Suite):
    """Exceptions."""

    @BOTH
    def test_L11_the_exception_itself(self, ex: Any, caller: Any, fn: Any) -> None:
        """Type, args and attributes."""
        with pytest.raises(tasks.OddError) as caught:
            caller.value(ex.submit(fn, tasks.OddError("text", 7)))
        assert caught.value.args == ("text", 7)
        assert caught.value.code == 7

    def test_L11_values_that_do_not_say_what_they_are(self, ex: Any, caller: Any) -> None:
        """Objects and exceptions whose ``__class__`` raises, as proxies of nothing do."""
        value = caller.value(ex.submit(tasks.Unbound))
        assert type(value) is tasks.Unbound
        (value,) = caller.items(ex.map(tasks.raise_or_return, [tasks.Unbound()]))
        assert type(value) is tasks.Unbound
        error = ex.submit(tasks.raise_or_return, tasks.UnboundError()).exception(PATIENCE)
        assert type(error) is (tasks.UnboundError if ex.traits.shares_memory else RemoteError)

    def test_L11_an_outcome_can_be_copied(self, ex: Any) -> None:
        """A success as well as a failure."""
        for x, text in ((1, "Success(1.0"), (0, "Failure(ZeroDivisionError")):
            (outcome,) = ex.map(tasks.reciprocal, [x], errors="return")
            for again in (copy.deepcopy(outcome), pickle.loads(pickle.dumps(outcome))):
                assert repr(again) == repr(outcome)
                assert repr(again).startswith(text)

    def test_L11_notes_and_cause(self, ex: Any) -> None:
        """They come along; what a worker adds comes after."""
        error = ex.submit(tasks.raise_full).exception(PATIENCE)
        assert error.__notes__[0] == "a note"
        assert repr(error.__cause__) == "KeyError('cause')"
        if not ex.traits.shares_memory:
            assert "raise_full" in error.__notes__[-1]
            assert "raise_full" in str(error.__cause__.__cause__)

    def test_L11_groups(self, ex: Any) -> None:
        """Exception groups keep their members."""
        error = ex.submit(tasks.raise_group).exception(PATIENCE)
        assert isinstance(error, ExceptionGroup)
        assert [type(member) for member in error.exceptions] == [tasks.OddError, ValueError]

    def test_L12_what_cannot_travel_fails_its_own_task(self, ex: Any) -> None:
        """Elsewhere than in shared memory a lock cannot be an argument."""
        if ex.traits.shares_memory:
            return
        task = ex.submit(tasks.identity, threading.Lock())
        assert isinstance(task.exception(PATIENCE), SerializationError)
        assert ex.submit(tasks.double, 2).result(PATIENCE) == 4

    def test_L12b_a_snapshot_of_the_arguments(self, ex: Any) -> None:
        """Where memory is not shared, changing a list afterwards changes nothing."""
        if ex.traits.shares_memory:
            return
        items = [1]
        task = ex.submit(tasks.identity, items)
        items.append(2)
        assert task.result(PATIENCE) == [1]

    @BOTH
    @pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
    def test_L13_stop_iteration_ends_nothing(
        self, ex: Any, caller: Any, fn: Any, kind: Any
    ) -> None:
        """It becomes ``RuntimeError`` with it as the cause, as PEP 479."""
        seen, error = caller.items_until_error(ex.map(fn, [kind("stop")]))
        assert (seen, type(error)) == ([], RuntimeError)
        assert isinstance(error.__cause__, kind)

    @BOTH
    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("k"), GeneratorExit("g")])
    def test_L13_odd_exceptions_are_outcomes(self, ex: Any, fn: Any, error: Any) -> None:
        """No worker and no loop dies of them."""
        got = ex.submit(fn, error).exception(PATIENCE)
        assert (type(got), got.args) == (type(error), error.args)
        assert ex.submit(tasks.double, 2).result(PATIENCE) == 4

    def test_L13_a_loops_own_cancellation(self, ex: Any) -> None:
        """A cancellation that nobody asked us for becomes ``TaskCancelledError``."""
        error = ex.submit(_cancel_myself).exception(PATIENCE)
        assert isinstance(error, TaskCancelledError)
        assert error.__cause__ is not None

    @pytest.mark.parametrize("fn", [tasks.reciprocal, tasks.reciprocal_async])
    def test_L14_results_before_the_failure_then_the_failure(
        self, ex: Any, caller: Any, fn: Any
    ) -> None:
        """As serial code would show; then the iteration is over."""
        results = ex.map(fn, [1, 2, 0, 4, 0])
        seen, error = caller.items_until_error(results)
        assert seen == [1.0, 0.5]
        assert isinstance(error, ZeroDivisionError)
        assert list(results) == []

    def test_L14_pulling_stops_at_a_failure(self) -> None:
        """An endless input after a failure is not pulled on."""
        pulled = []

        def inputs() -> Any:
            for x in range(1_000_000):
                pulled.append(x)
                yield x

        with self.make(2) as ex, pytest.raises(ZeroDivisionError):
            list(ex.map(tasks.reciprocal, inputs()))
        assert len(pulled) < 100_000

    def test_L14_unordered_map_raises_one_of_the_failures(self, ex: Any, caller: Any) -> None:
        """The first in time."""
        seen, error = caller.items_until_error(ex.map(tasks.reciprocal, [1, 0, 2], ordered=False))
        assert isinstance(error, ZeroDivisionError)
        assert set(seen) <= {1.0, 0.5}

    def test_L14_gather_raises_the_first_failure(self, ex: Any, caller: Any) -> None:
        """And settles when all its tasks have."""
        members = [ex.submit(tasks.reciprocal, x) for x in (1, 0, 2)]
        with pytest.raises(ZeroDivisionError):
            caller.value(ex.gather(*members))
        assert all(task.done() for task in members)

    def test_L14_gather_cancels_what_has_not_started(self, tmp_path: Any) -> None:
        """Tasks behind a failure never start."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            blocker = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
            members = [ex.submit(tasks.reciprocal, 0)]
            members += [ex.submit(tasks.touch, str(tmp_path), f"ran{x}") for x in range(3)]
            joined = ex.gather(members[0], *members[1:])
            tasks.touch(str(tmp_path), "go")
            with pytest.raises(ZeroDivisionError):
                joined.result(PATIENCE)
            blocker.result(PATIENCE)
        assert sum(task.cancelled() for task in members) >= 2

    def test_L14_gather_return_gives_outcomes(self, ex: Any, caller: Any) -> None:
        """One for each task, in call order, at its position."""
        joined = ex.gather(*[ex.submit(tasks.reciprocal, x) for x in (1, 0, 2)], errors="return")
        outcomes = caller.value(joined)
        assert [type(outcome) for outcome in outcomes] == [Success, Failure, Success]
        assert [outcome.index for outcome in outcomes] == [0, 1, 2]

    def test_L14_gather_group_finishes_all(self, ex: Any, caller: Any) -> None:
        """All failures in one group, in call order."""
        joined = ex.gather(*[ex.submit(tasks.reciprocal, x) for x in (0, 1, 0)], errors="group")
        with pytest.raises(ExceptionGroup) as caught:
            caller.value(joined)
        assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError] * 2

    def test_L14_gather_of_nothing(self, ex: Any, caller: Any) -> None:
        """An empty tuple."""
        assert caller.value(ex.gather()) == ()

    def test_L14_gather_of_several_executors(self, ex: Any, caller: Any) -> None:
        """Tasks of different executors join."""
        with self.make(1) as other:
            joined = ex.gather(ex.submit(tasks.double, 1), other.submit(tasks.double, 2))
            assert caller.value(joined) == (2, 4)

    def test_L11_each_task_has_an_exception_of_its_own(self, ex: Any) -> None:
        """Raising one of them does not grow the traceback of another."""
        members = [ex.submit(tasks.reciprocal, 0) for _ in range(3)]
        assert len({id(task.exception(PATIENCE)) for task in members}) == 3
        lengths = []
        for _ in range(3):
            with pytest.raises(ZeroDivisionError) as caught:
                members[0].result(PATIENCE)
            lengths.append(len(caught.traceback))
        assert len(set(lengths)) == 1


async def _cancel_myself() -> None:
    import asyncio

    raise asyncio.CancelledError("by the task itself")
