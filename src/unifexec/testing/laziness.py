"""L5 to L10: bounded, prompt, in the caller's thread; and stop means stop."""

from __future__ import annotations

import itertools
import threading
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import DeadlockError, ExecutorClosedError
from unifexec.testing import tasks
from unifexec.testing.callers import PATIENCE, Suite, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Counted:
    """Inputs that count how many were pulled, and by which threads."""

    def __init__(self, inputs: Any) -> None:
        self.inputs: Any = iter(inputs)
        self.pulled: int = 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.threads.add(threading.get_ident())
        item = next(self.inputs)
        self.pulled += 1
        return item


class Laziness(Suite):
    """Pulling."""

    @pytest.mark.parametrize("buffersize", [1, 2, 5])
    def test_L05_buffersize_bounds_what_is_pulled(self, ex: Any, buffersize: int) -> None:
        """The call pulls so many, and never more are pulled and unyielded."""
        inputs = Counted(range(30))
        results = ex.map(tasks.double, inputs, buffersize=buffersize)
        assert inputs.pulled == buffersize
        for yielded, _ in enumerate(results, 1):
            assert inputs.pulled - yielded <= buffersize
        assert inputs.pulled == 30

    def test_L05_buffersize_beyond_the_end(self, ex: Any) -> None:
        """All there are, if there are fewer."""
        inputs = Counted(range(3))
        results = ex.map(tasks.double, inputs, buffersize=10)
        assert inputs.pulled == 3
        assert list(results) == [0, 2, 4]

    def test_L05_an_infinite_iterable_is_fine(self, ex: Any, caller: Any) -> None:
        """The window is finite."""
        inputs = Counted(itertools.count())
        with ex.map(tasks.double, inputs) as results:
            assert [next(results) for _ in range(100)] == [2 * x for x in range(100)]
            assert inputs.pulled < 100_000

    def test_L06_work_starts_at_the_call(self, tmp_path: Any) -> None:
        """Nobody needs to ask for a result first (serial excepted)."""
        with self.make(2) as ex:
            if ex.traits.kind == "serial":
                return
            results = ex.map(tasks.touch, [str(tmp_path)] * 3, range(3))
            wait_until((tmp_path / "2").exists)
            assert list(results) == ["0", "1", "2"]

    def test_L06_two_maps_overlap(self, ex: Any) -> None:
        """They can be read in turn."""
        pairs = zip(ex.map(tasks.double, range(20)), ex.map(tasks.identity, range(20)), strict=True)
        assert list(pairs) == [(2 * x, x) for x in range(20)]

    def test_L06_a_finished_head_is_yielded_before_more_is_pulled(self, ex: Any) -> None:
        """Results are there, though the next input never comes."""
        gate = threading.Event()

        def inputs() -> Iterator[int]:
            yield from range(3)
            assert gate.wait(20)
            yield 3

        results = ex.map(tasks.double, inputs(), buffersize=3)
        try:
            assert next(results) == 0
            wait_until(lambda: ex.stats().running == 0 and ex.stats().queued == 0)
            if ex.traits.kind != "serial":
                assert [next(results), next(results)] == [2, 4]
        finally:
            gate.set()
            results.close()

    def test_L07_inputs_are_pulled_by_the_caller(self, ex: Any, caller: Any) -> None:
        """Never by a worker."""
        inputs = Counted(range(200))
        before = ex.stats().done
        results = ex.map(tasks.double, inputs)
        if ex.traits.kind != "serial":  # workers that finish their items leave it at that
            wait_until(lambda: ex.stats().done >= before + 8)
        assert len(caller.items(results)) == 200
        assert inputs.threads == {threading.get_ident()}

    def test_L08_leaving_a_started_map_cancels_the_rest(self, tmp_path: Any) -> None:
        """After ``break`` and close, what has not started never does."""
        with self.make(1) as ex:
            results = ex.map(tasks.touch, [str(tmp_path)] * 5000, range(5000), chunksize=1)
            next(results)
            results.close()
            assert list(results) == []
        ran = len(list(tmp_path.iterdir()))
        assert 1 <= ran < 4000

    def test_L08_a_dropped_started_map_is_closed(self, tmp_path: Any) -> None:
        """Losing the last reference is as good as closing."""
        with self.make(1) as ex:
            inputs = Counted(range(100_000))
            results = ex.map(tasks.double, inputs)
            next(results)
            del results
        assert inputs.pulled < 100_000

    def test_L08_an_unstarted_map_is_finished_by_close(self, tmp_path: Any) -> None:
        """A bare ``ex.map(side_effect, xs)`` loses nothing, however long."""
        with self.make(2) as ex:
            ex.map(tasks.touch, [str(tmp_path)] * 300, range(300))
        assert len(list(tmp_path.iterdir())) == 300

    def test_L08_results_stay_readable_after_close(self) -> None:
        """An unstarted map, kept, can be read when the executor is closed."""
        with self.make(2) as ex:
            results = ex.map(tasks.double, range(100))
        assert list(results) == [2 * x for x in range(100)]

    def test_L08_with_buffersize_only_what_was_pulled_counts(self) -> None:
        """Close finishes what was pulled; what comes after is an error, not an end."""
        with self.make(2) as ex:
            results = ex.map(tasks.double, range(100), buffersize=4)
        assert [next(results) for _ in range(4)] == [0, 2, 4, 6]
        with pytest.raises(ExecutorClosedError):
            next(results)

    def test_L08_a_failure_nobody_can_receive_is_logged(self, caplog: Any) -> None:
        """A map that is dropped unstarted tells its failures to the log."""
        with self.make(1) as ex:
            ex.map(tasks.reciprocal, [0])
        wait_until(lambda: "ZeroDivisionError" in caplog.text)

    def test_L09_a_faulty_iterable(self, ex: Any, caller: Any) -> None:
        """The results before the fault, then the iterable's exception."""

        def inputs() -> Iterator[int]:
            yield 1
            yield 2
            raise OSError("the input broke")

        seen, error = caller.items_until_error(ex.map(tasks.double, inputs()))
        assert seen == [2, 4]
        assert isinstance(error, OSError)
        assert "the input broke" in str(error)

    def test_L06_an_input_that_waits_for_the_result_before_it(self, ex: Any, tmp_path: Any) -> None:
        """What was pulled runs, however long the next input is in coming."""
        if ex.traits.kind == "serial":
            return
        folder = str(tmp_path)

        def inputs() -> Iterator[int]:
            for x in range(300):
                yield x
                if x % 50 == 49:
                    tasks.wait_for_file(folder, str(x), PATIENCE)

        assert list(ex.map(tasks.touch, repeat(folder), inputs())) == [str(x) for x in range(300)]

    def test_L07_inputs_that_wait_for_the_results_they_are_for(self, ex: Any) -> None:
        """If nothing runs any more that is seen, and raised."""
        results: Any = None

        def inputs() -> Iterator[int]:
            yield 1
            for _ in range(3):  # more than there are results
                yield next(results)

        results = ex.map(tasks.double, inputs(), buffersize=1)
        with pytest.raises(DeadlockError, match="yield more inputs first"):
            list(results)

    def test_L09_a_fault_that_is_false_as_a_value(self, ex: Any, caller: Any) -> None:
        """It is raised as any other."""

        def inputs() -> Iterator[int]:
            yield 1
            raise tasks.EmptyError

        seen, error = caller.items_until_error(ex.map(tasks.double, inputs()))
        assert (seen, type(error)) == ([2], tasks.EmptyError)

    def test_L09_an_iterable_that_exits(self, ex: Any, caller: Any) -> None:
        """What is no ``Exception`` comes in its place as well, and not before."""
        for fault in (SystemExit, GeneratorExit):

            def inputs(fault: Any = fault) -> Iterator[int]:
                yield 1
                yield 2
                raise fault("no more")

            seen, error = caller.items_until_error(ex.map(tasks.double, inputs()))
            assert seen == [2, 4]
            assert type(error) is fault

    def test_L10_batches_do_not_move_an_error(self, ex: Any, caller: Any) -> None:
        """The failing item is where it is, whatever travelled with it."""
        for chunksize in (1, 3, 100):
            results = ex.map(tasks.reciprocal, [1, 2, 4, 0, 5, 6], chunksize=chunksize)
            seen, error = caller.items_until_error(results)
            assert seen == [1.0, 0.5, 0.25]
            assert isinstance(error, ZeroDivisionError)

    def test_L10_an_item_may_wait_for_one_behind_it(self, tmp_path: Any) -> None:
        """Items that travel together do not block each other."""
        with self.make(2) as ex:
            if ex.traits.kind == "serial":
                return
            results = ex.map(_first_waits, [str(tmp_path)] * 8, range(8), chunksize=8)
            assert list(results) == list(range(8))


def _first_waits(folder: str, x: int) -> int:
    if x == 0:
        tasks.wait_for_file(folder, "7")
    else:
        tasks.touch(folder, x)
    return x
