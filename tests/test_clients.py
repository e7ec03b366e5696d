"""Who accepts the standard library's executors and futures accepts ours."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from unifexec import ProcessExecutor, Task, TaskCancelledError, ThreadExecutor
from unifexec.testing import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="class", params=[ThreadExecutor, ProcessExecutor])
def ex(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Threads, then processes."""
    with request.param(2) as executor:
        yield executor


class TestClients:
    def test_wait(self, ex: Any) -> None:
        """``concurrent.futures.wait`` sees every task end, also those cancelled."""
        members = [ex.submit(tasks.double, x) for x in range(50)]
        done, pending = concurrent.futures.wait(members, 20)
        assert (len(done), len(pending)) == (50, 0)
        first = concurrent.futures.wait(
            [ex.submit(tasks.reciprocal, 0)], 20, concurrent.futures.FIRST_EXCEPTION
        )
        assert len(first.done) == 1

    def test_wait_sees_cancelled_tasks(self, tmp_path: Any) -> None:
        """A cancelled task wakes its waiters."""
        with ThreadExecutor(1) as ex:
            blocker = ex.submit(tasks.wait_for_file, str(tmp_path), "go")
            pending = ex.submit(tasks.double, 1)
            pending.cancel()
            assert concurrent.futures.wait([pending], 20).done == {pending}
            tasks.touch(str(tmp_path), "go")
            assert blocker.result(20) == "go"

    def test_as_completed_while_tasks_settle(self, ex: Any) -> None:
        """No task is seen twice or never, wherever its settling is just then."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for _ in range(100):
                members = [ex.submit(tasks.double, x) for x in range(20)]
                assert len(list(concurrent.futures.as_completed(members, 20))) == 20
                members = [ex.submit(tasks.double, x) for x in range(20)]
                assert len(concurrent.futures.wait(members, 20).done) == 20
        finally:
            sys.setswitchinterval(before)

    def test_as_completed(self, ex: Any) -> None:
        """``as_completed`` yields each task once."""
        members = [ex.submit(tasks.double, x) for x in range(50)]
        got = [task.result() for task in concurrent.futures.as_completed(members, 20)]
        assert sorted(got) == [2 * x for x in range(50)]

    def test_wrap_future(self, ex: Any) -> None:
        """``asyncio.wrap_future`` gives result and exception."""

        async def main() -> None:
            assert await asyncio.wrap_future(ex.submit(tasks.double, 4)) == 8
            with pytest.raises(ZeroDivisionError):
                await asyncio.wrap_future(ex.submit(tasks.reciprocal, 0))

        asyncio.run(main())

    def test_run_in_executor(self, ex: Any) -> None:
        """``loop.run_in_executor`` takes our executors."""

        async def main() -> int:
            result: int = await asyncio.get_running_loop().run_in_executor(ex, tasks.double, 21)
            return result

        assert asyncio.run(main()) == 42

    def test_cancelling_through_asyncio_never_aborts(self, tmp_path: Any) -> None:
        """It is asyncio's own: a running task goes on, a pending one is cancelled."""
        with ThreadExecutor(1) as ex:

            async def main() -> None:
                running = ex.submit(tasks.wait_for_file_async, str(tmp_path), "go")
                pending = ex.submit(tasks.double, 1)
                while not (tmp_path / "go.started").exists():
                    await asyncio.sleep(0.002)
                wrapped = [asyncio.wrap_future(task) for task in (running, pending)]
                for future in wrapped:
                    future.cancel()
                await asyncio.sleep(0.05)
                assert not running.done()
                assert pending.cancelled()
                tasks.touch(str(tmp_path), "go")
                assert await running == "go"

            asyncio.run(main())

    def test_asyncio_gather_wait_for_and_task_groups(self, ex: Any) -> None:
        """Asyncio's own tools take our tasks as awaitables."""

        async def main() -> list[Any]:
            both = await asyncio.gather(ex.submit(tasks.double, 1), ex.submit(tasks.double, 2))
            both.append(await asyncio.wait_for(ex.submit(tasks.double, 3), 20))
            return both

        assert asyncio.run(main()) == [2, 4, 6]

    def test_dask(self, ex: Any) -> None:
        """``dask.compute(scheduler=executor)`` runs a graph on it."""
        dask = pytest.importorskip("dask", reason="dask is in the tests group of dependencies")
        graph = [dask.delayed(tasks.double)(x) for x in range(10)]
        (total,) = dask.compute(dask.delayed(sum)(graph), scheduler=ex)
        assert total == 90

    def test_a_cancelled_task_is_a_cancelled_future(self) -> None:
        """Its exception is the standard library's, too."""
        assert issubclass(TaskCancelledError, concurrent.futures.CancelledError)


def test_wait_is_told_once_of_a_task_that_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has its outcome, and has not come to tell: who waits counts it once."""
    publish = Task._publish_under

    def tell_late(task: Any, condition: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.01)
        publish(task, condition)

    monkeypatch.setattr(Task, "_publish_under", tell_late)
    with ThreadExecutor(2) as executor:
        for _ in range(5):
            gates = threading.Event(), threading.Event()
            soon, late = [executor.submit(gate.wait, 20) for gate in gates]
            concurrent.futures.wait([soon, late], timeout=0)  # from now on they have a condition
            threading.Timer(0.05, gates[1].set).start()
            gates[0].set()
            while not soon.done():
                pass
            assert not concurrent.futures.wait([soon, late], timeout=20).not_done


def test_L17_somebody_waits_in_the_way_of_the_standard_library() -> None:
    """A scope that is cancelled does not abort the task for which `wait` waits."""
    go_on = threading.Event()

    async def main(task: Any) -> None:
        with anyio.move_on_after(0.05):
            await task

    with ThreadExecutor(1) as executor:
        task = executor.submit(_wait_for, go_on)
        waiter = threading.Thread(target=concurrent.futures.wait, args=([task],))
        waiter.start()
        while not task._waiters:
            time.sleep(0.001)
        anyio.run(main, task)
        go_on.set()
        assert task.result(20) == "went on"
        waiter.join(20)


async def _wait_for(event: threading.Event) -> str:
    while not event.is_set():
        await anyio.sleep(0.001)
    return "went on"
