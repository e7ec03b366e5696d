"""L20, L21, L27: leaving, closing, and many threads."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from unifexec import ExecutorClosedError, TaskCancelledError
from unifexec.testing import tasks
from unifexec.testing.callers import BACKENDS, PATIENCE, Suite, wait_until


class Life(Suite):
    """Beginning and end."""

    def test_L20_a_clean_exit_waits(self, tmp_path: Any) -> None:
        """Every accepted task is done when the block is left."""
        with self.make(2) as ex:
            members = [ex.submit(tasks.touch, str(tmp_path), x) for x in range(20)]
        assert all(task.done() for task in members)
        assert len(list(tmp_path.iterdir())) == 20

    @BACKENDS
    def test_L20_async_with_waits(self, tmp_path: Any, backend: str) -> None:
        """From asyncio and trio as well."""

        async def main() -> None:
            async with self.make(2) as ex:
                members = [ex.submit(tasks.touch, str(tmp_path), x) for x in range(20)]
                assert await ex.submit(tasks.double_async, 4) == 8
                assert [x async for x in ex.map(tasks.double, range(5))] == [0, 2, 4, 6, 8]
            assert all(task.done() for task in members)

        anyio.run(main, backend=backend)
        assert len(list(tmp_path.iterdir())) == 20

    def test_L20_leaving_by_an_exception_cancels(self, tmp_path: Any) -> None:
        """What is pending never runs; the exception gets through; it does not take long."""
        start = time.monotonic()
        started: list[Any] = []
        with pytest.raises(KeyError, match="through"), self.make(1) as ex:
            if ex.traits.kind != "serial":
                started.append(ex.submit(tasks.sleep_with_finally_async, str(tmp_path), 60))
                started.append(ex.submit(tasks.touch, str(tmp_path), "ran"))
                wait_until((tmp_path / "started").exists)
            raise KeyError("through")
        assert all(isinstance(_error_of(task), TaskCancelledError) for task in started)
        assert not (tmp_path / "ran").exists()
        assert time.monotonic() - start < 10

    def test_L21_after_shutdown_every_verb_raises(self) -> None:
        """``ExecutorClosedError``, a ``RuntimeError``; closing twice is fine."""
        ex = self.make(1)
        ex.submit(tasks.double, 1).result(PATIENCE)
        ex.shutdown(True)
        ex.shutdown()
        view = ex.with_options(name="late")
        for call in (
            lambda: ex.submit(tasks.double, 1),
            lambda: ex.map(tasks.double, [1]),
            ex.gather,
            lambda: ex.wrap(tasks.double)(1),
            lambda: view.submit(tasks.double, 1),
        ):
            with pytest.raises(ExecutorClosedError):
                call()
        assert issubclass(ExecutorClosedError, RuntimeError)

    def test_L21_an_unused_executor_closes(self) -> None:
        """Nothing was started, nothing is waited for."""
        with self.make(1):
            pass
        self.make(1).shutdown(wait=False)

    def test_L21_cancel_futures_settles_everything(self, tmp_path: Any) -> None:
        """Every pending future is cancelled, and told."""
        ex = self.make(1)
        blocked = ex.traits.kind != "serial"
        first = ex.submit(tasks.wait_for_file, str(tmp_path), "go") if blocked else None
        if blocked:
            wait_until((tmp_path / "go.started").exists)
        rest = [ex.submit(tasks.double, x) for x in range(10)]
        ex.shutdown(wait=False, cancel_futures=True)
        tasks.touch(str(tmp_path), "go")
        ex.shutdown()
        assert all(task.done() for task in rest)
        if first is not None:
            assert first.result(PATIENCE) == "go"
            assert all(isinstance(_error_of(task), TaskCancelledError) for task in rest)

    def test_L21_shutdown_without_waiting_completes_accepted_tasks(self, tmp_path: Any) -> None:
        """They still run; a later shutdown waits."""
        ex = self.make(1)
        members = [ex.submit(tasks.touch, str(tmp_path), x) for x in range(5)]
        ex.shutdown(wait=False)
        ex.shutdown()
        assert [task.result(PATIENCE) for task in members] == [str(x) for x in range(5)]

    def test_L22_initializer_and_finalizer(self, tmp_path: Any) -> None:
        """Run in each worker, before its first task and at its end."""
        with self.make(
            1, initializer=tasks.touch, initargs=(str(tmp_path), "began"), finalizer=_nothing
        ) as ex:
            assert ex.submit(tasks.double, 1).result(PATIENCE) == 2
            assert (tmp_path / "began").read_text() == "x"

    def test_L27_many_threads_submit(self, ex: Any) -> None:
        """Each gets its own results."""
        wrong: list[Any] = []

        def client(number: int) -> None:
            members = [ex.submit(tasks.double, number + x) for x in range(20)]
            got = [task.result(PATIENCE) for task in members]
            if got != [2 * (number + x) for x in range(20)]:
                wrong.append(got)

        _run_all([threading.Thread(target=client, args=(n,)) for n in range(10)])
        assert wrong == []

    def test_L27_many_threads_share_one_results(self, ex: Any) -> None:
        """Each result goes to one of them."""
        results = ex.map(tasks.identity, range(500))
        seen: list[int] = []

        def client() -> None:
            for item in results:
                seen.append(item)

        _run_all([threading.Thread(target=client) for _ in range(4)])
        assert sorted(seen) == list(range(500))

    def test_L27_callbacks_run_once_after_the_outcome(self, ex: Any) -> None:
        """Those added before and after; what one raises harms nobody."""
        seen: list[Any] = []
        task = ex.submit(tasks.double, 3)
        task.add_done_callback(lambda done: seen.append(done.result()))
        task.add_done_callback(lambda done: 1 / 0)
        task.add_done_callback(lambda done: seen.append("last"))
        wait_until(lambda: len(seen) == 2)
        assert seen == [6, "last"]
        task.add_done_callback(lambda done: seen.append("late"))
        assert seen[-1] == "late"

    def test_L27_a_slow_callback_delays_no_task(self, ex: Any, tmp_path: Any) -> None:
        """Callbacks run on a thread that carries no traffic."""
        if ex.traits.kind == "serial":
            return
        begun, release = threading.Event(), threading.Event()
        task = ex.submit(tasks.wait_for_file, str(tmp_path), "go")

        def call_back(done: Any) -> None:
            begun.set()
            release.wait(PATIENCE)

        task.add_done_callback(call_back)
        tasks.touch(str(tmp_path), "go")
        try:
            assert begun.wait(PATIENCE)
            results = ex.map(tasks.double, range(20), timeout=PATIENCE / 2)
            assert list(results) == [2 * x for x in range(20)]
        finally:
            release.set()

    def test_stats_count(self) -> None:
        """Done and failed tasks are counted."""
        with self.make(1) as ex:
            ex.gather(
                ex.submit(tasks.double, 1), ex.submit(tasks.reciprocal, 0), errors="return"
            ).result(PATIENCE)
            wait_until(lambda: (ex.stats().done, ex.stats().failed) == (1, 1))


def _run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def _error_of(task: Any) -> Any:
    try:
        return task.exception(PATIENCE)
    except TaskCancelledError as error:
        return error


def _nothing() -> None:
    pass
