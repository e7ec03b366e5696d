"""L15 to L19: cancelling, limits, awaiting, nesting, context."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import anyio
import pytest

from unifexec import TaskCancelledError, TimeLimitError, WaitTimeoutError, current_task
from unifexec.testing import tasks
from unifexec.testing.callers import BACKENDS, PATIENCE, Looping, Suite, wait_until

WAITERS = pytest.mark.parametrize("wait", [tasks.wait_for_file, tasks.wait_for_file_async])


class Control(Suite):
    """Steering."""

    @WAITERS
    def test_L15_cancel_before_the_start(self, tmp_path: Any, wait: Any) -> None:
        """True: it never runs, and its waiters are told at once."""
        folder = str(tmp_path)
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            running = ex.submit(wait, folder, "go")
            pending = ex.submit(tasks.touch, folder, "ran")
            wait_until((tmp_path / "go.started").exists)
            assert pending.cancel()
            assert pending.cancelled()
            assert pending.done()
            with pytest.raises(TaskCancelledError):
                pending.result(PATIENCE)
            assert not running.cancel()
            assert running.running()
            tasks.touch(folder, "go")
            assert running.result(PATIENCE) == "go"
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("how", ["task", "tasks", "map", "gather"])
    def test_L20_what_was_cancelled_holds_no_close_up(self, how: str) -> None:
        """All that was submitted is cancelled, maybe before there is a worker; then we leave."""
        with self.make(1) as ex:
            if how == "map":
                ex.map(tasks.double, range(100)).close()
                return
            pending = [ex.submit(tasks.double, 1) for _ in range(1 if how == "task" else 5)]
            for task in [ex.gather(*pending)] if how == "gather" else pending:
                task.cancel()

    def test_L15_cancel_a_gather(self, tmp_path: Any) -> None:
        """It is cancelled at once, like a task, also if some of its tasks were done."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            done = ex.submit(tasks.double, 1)
            assert done.result(PATIENCE) == 2
            running = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
            wait_until((tmp_path / "go.started").exists)
            for errors in ("raise", "return", "group"):
                pending = [ex.submit(tasks.double, x) for x in range(2)]
                joined = ex.gather(done, *pending, errors=errors)
                assert not joined.running()  # or it could not be cancelled
                assert [joined.cancel(), joined.cancelled(), joined.done(), joined.cancel()] == (
                    [True] * 4
                )
                with pytest.raises(TaskCancelledError):
                    joined.result(PATIENCE)
                assert concurrent.futures.wait([joined], PATIENCE).done == {joined}
                assert [joined.cancelled(), joined.cancel()] == [True, True]
            tasks.touch(str(tmp_path), "go")
            assert running.result(PATIENCE) == "go"

    def test_L15_cancel_after_the_end(self, ex: Any) -> None:
        """False, and the result stays."""
        task = ex.submit(tasks.double, 2)
        task.result(PATIENCE)
        assert not task.cancel()
        assert not task.abort()
        assert task.result() == 4

    def test_L15_abort_stops_a_coroutine(self, tmp_path: Any) -> None:
        """Its ``finally`` blocks run; it fails with ``TaskCancelledError``."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            task = ex.submit(tasks.sleep_with_finally_async, str(tmp_path), 60)
            wait_until((tmp_path / "started").exists)
            wait_until(lambda: task.abort() or task.done())
            with pytest.raises(TaskCancelledError):
                task.result(PATIENCE)
            assert not task.cancelled()
            assert (tmp_path / "finally").exists()
            assert ex.submit(tasks.double, 1).result(PATIENCE) == 2

    def test_L15_abort_of_a_plain_function(self, tmp_path: Any) -> None:
        """Stopped where ``traits.can_abort``; else told to stop, and False."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            seconds = 60 if ex.traits.can_abort else 0.2
            task = ex.submit(tasks.sleep_with_finally, str(tmp_path), seconds)
            wait_until((tmp_path / "started").exists)
            assert task.abort() is ex.traits.can_abort
            if ex.traits.can_abort:
                with pytest.raises(TaskCancelledError):
                    task.result(PATIENCE)
            else:
                assert task.result(PATIENCE) is None
            assert (tmp_path / "finally").exists()

    def test_L16_a_coroutine_over_its_limit(self, ex: Any) -> None:
        """It is stopped, and says so; a shorter one is not touched."""
        limited = ex.with_options(time_limit=0.2)
        with pytest.raises(TimeLimitError):
            limited.submit(anyio.sleep, 60).result(PATIENCE)
        assert limited.submit(tasks.double, 1).result(PATIENCE) == 2

    def test_L16_a_limit_beyond_all_bounds(self, ex: Any) -> None:
        """Of three centuries: it is never over, and nothing breaks."""
        limited = ex.with_options(time_limit=1e10)
        for fn in (tasks.double, tasks.double_async):
            assert limited.submit(fn, 2).result(1e10) == 4
        assert list(ex.map(tasks.double, [1, 2], timeout=1e10)) == [2, 4]
        given: list[int] = []
        thread = threading.Thread(
            target=lambda: given.append(ex.submit(tasks.double, 3).result(1e10))
        )
        thread.start()
        thread.join(PATIENCE)
        assert given == [6]
        with pytest.raises(TimeLimitError):
            ex.with_options(time_limit=0.1).submit(anyio.sleep, 60).result(PATIENCE)

    def test_L16_giving_up_waiting_is_not_the_tasks_fault(self, ex: Any, tmp_path: Any) -> None:
        """``WaitTimeoutError``; the task goes on."""
        if ex.traits.kind == "serial":
            return
        task = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
        with pytest.raises(WaitTimeoutError):
            task.result(0.01)
        results = ex.map(tasks.wait_for_file, [str(tmp_path)], ["go"], timeout=0.01)
        with pytest.raises(WaitTimeoutError):
            next(results)
        tasks.touch(str(tmp_path), "go")
        assert task.result(PATIENCE) == "go"

    @pytest.mark.parametrize("how", ["wrap_future", "callback"])
    def test_L17_others_wait_in_their_way(self, ex: Any, tmp_path: Any, how: str) -> None:
        """A scope that is cancelled aborts no task that somebody else waits for."""
        if ex.traits.kind == "serial":
            return
        task = ex.submit(tasks.wait_for_file_async, str(tmp_path), "go")
        wait_until((tmp_path / "go.started").exists)
        if how == "callback":
            task.add_done_callback(lambda task: None)

        async def main() -> None:
            other = asyncio.wrap_future(task) if how == "wrap_future" else None
            with anyio.move_on_after(0.05):
                await task
            tasks.touch(str(tmp_path), "go")
            assert other is None or await other == "go"

        anyio.run(main)
        assert task.result(PATIENCE) == "go"

    @BACKENDS
    def test_L17_a_cancelled_scope_aborts_what_it_awaits(self, tmp_path: Any, backend: str) -> None:
        """If it was the only waiter."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return

            async def main() -> Any:
                task = ex.submit(tasks.sleep_with_finally_async, str(tmp_path), 60)
                while not (tmp_path / "started").exists():
                    await anyio.sleep(0.002)
                await anyio.sleep(0.05)
                with anyio.move_on_after(0.05):
                    await task
                return task

            task = anyio.run(main, backend=backend)
            with pytest.raises(TaskCancelledError):
                task.result(PATIENCE)

    @BACKENDS
    def test_L17_a_cancelled_scope_cancels_what_has_not_started(
        self, tmp_path: Any, backend: str
    ) -> None:
        """It never runs."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return

            async def main() -> Any:
                blocker = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
                pending = ex.submit(tasks.touch, str(tmp_path), "ran")
                with anyio.move_on_after(0.05):
                    await pending
                assert pending.cancelled()
                tasks.touch(str(tmp_path), "go")
                return await blocker

            assert anyio.run(main, backend=backend) == "go"
        assert not (tmp_path / "ran").exists()

    def test_L17_shield_protects(self, ex: Any, tmp_path: Any) -> None:
        """``asyncio.shield``: the task goes on when its waiter is cancelled."""
        if ex.traits.kind == "serial":
            return

        async def main() -> Any:
            task = ex.submit(tasks.wait_for_file_async, str(tmp_path), "go")
            inner = asyncio.ensure_future(task)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(inner), 0.05)
            tasks.touch(str(tmp_path), "go")
            return await inner

        assert asyncio.run(main()) == "go"

    @BACKENDS
    def test_L17_a_task_that_failed_as_cancelled_is_seen(self, tmp_path: Any, backend: str) -> None:
        """No task group swallows it: it is an ordinary exception."""
        with self.make(1) as ex:
            if ex.traits.kind == "serial":
                return
            blocker = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
            pending = ex.submit(tasks.double, 1)
            pending.cancel()

            async def wait() -> None:
                await pending

            async def main() -> None:
                async with anyio.create_task_group() as group:
                    group.start_soon(wait)

            with pytest.raises(ExceptionGroup) as caught:
                anyio.run(main, backend=backend)
            assert isinstance(caught.value.exceptions[0], TaskCancelledError)
            tasks.touch(str(tmp_path), "go")
            blocker.result(PATIENCE)

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("fn", [tasks.count_down, tasks.count_down_async])
    def test_L18_nested_submits(self, workers: int, fn: Any) -> None:
        """To any depth, with one worker."""
        with self.make(workers) as ex:
            assert ex.submit(fn, ex, 5).result(PATIENCE) == 5

    @pytest.mark.parametrize("fn", [tasks.map_inside, tasks.map_inside_async])
    def test_L18_nested_maps(self, fn: Any) -> None:
        """A task maps on its own executor."""
        with self.make(1) as ex:
            assert list(ex.map(fn, [ex] * 3, range(3))) == [[], [0], [0, 2]]

    def test_L18_nested_gather_and_recursion(self) -> None:
        """Gather inside, and Fibonacci by executor."""
        with self.make(1) as ex:
            assert ex.submit(tasks.gather_inside, ex).result(PATIENCE) == (2, 4)
            assert ex.submit(tasks.fibonacci, ex, 7).result(PATIENCE) == 13

    def test_L18_never_more_than_max_workers_run(self) -> None:
        """Waiting tasks give up their places, and nobody takes two."""
        with self.make(2) as ex:
            if not ex.traits.shares_memory or ex.traits.kind == "serial":
                return
            running: list[int] = []
            most = []
            lock = threading.Lock()

            def work(depth: int) -> None:
                with lock:
                    running.append(1)
                    most.append(len(running))
                if depth:
                    below = [ex.submit(work, depth - 1) for _ in range(2)]
                    with lock:
                        running.pop()
                    for task in below:
                        task.result(PATIENCE)
                    with lock:
                        running.append(1)
                        most.append(len(running))
                with lock:
                    running.pop()

            ex.submit(work, 4).result(PATIENCE)
            assert max(most) <= 2

    def test_L18_a_waiting_tasks_lock_is_its_own(self) -> None:
        """No task runs on another's stack, under its locks."""
        with self.make(1) as ex:
            if not ex.traits.shares_memory or ex.traits.kind == "serial":
                return
            lock = threading.RLock()

            def inner() -> bool:
                got = lock.acquire(blocking=False)
                if got:
                    lock.release()
                return got

            def outer() -> bool:
                with lock:
                    return bool(ex.submit(inner).result(PATIENCE))

            assert ex.submit(outer).result(PATIENCE) is False

    @pytest.mark.parametrize("fn", [tasks.set_colour, tasks.set_colour_async])
    def test_L19_a_task_sees_its_submitters_context(self, ex: Any, fn: Any) -> None:
        """One copy for each task; what it sets stays its own."""
        token = tasks.colour.set("red")
        try:
            view = ex.with_options(context=[tasks.colour])
            assert view.submit(fn, "blue").result(PATIENCE) == "red"
            assert list(view.map(fn, ["a", "b", "c"])) == ["red"] * 3
            assert tasks.colour.get() == "red"
        finally:
            tasks.colour.reset(token)

    def test_L19_map_takes_the_context_of_its_call(self, ex: Any) -> None:
        """Not that of who reads the results."""
        token = tasks.colour.set("at the call")
        try:
            results = ex.with_options(context=[tasks.colour]).map(tasks.set_colour, range(40))
        finally:
            tasks.colour.reset(token)
        assert set(results) == {"at the call"}

    def test_current_task_knows_itself(self, ex: Any) -> None:
        """Name, index and worker; nothing outside a task."""
        assert current_task() is None
        assert ex.submit(tasks.who_am_i).result(PATIENCE) == ("who_am_i", 0, True)
        named = ex.with_options(name="Bob")
        assert named.submit(tasks.who_am_i).result(PATIENCE)[0] == "Bob"

    def test_views_share_the_workers(self, ex: Any) -> None:
        """A view has the same workers, its own options, and closing it closes nothing."""
        view = ex.with_options(name="viewed")
        with view:
            task = view.submit(tasks.double, 1)
            assert task.name == view.gather(task).name == "viewed"
        assert ex.submit(tasks.double, 1).name == "double"
        assert view.submit(tasks.double, 2).result(PATIENCE) == 4
        assert view.traits == ex.traits

    def test_L17_two_loops_await_one_task(self, ex: Any) -> None:
        """A task may be awaited from several loops, and waited for besides."""
        task = ex.submit(tasks.double, 5)
        assert Looping("asyncio").value(task) == 10
        assert Looping("asyncio").value(task) == 10
        assert task.result(PATIENCE) == 10
