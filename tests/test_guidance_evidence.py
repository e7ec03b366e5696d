"""What the comparison table claims, shown on the interpreter that runs these tests.

`unifexec.guidance.comparison` names them: each cell of the table has its evidence here.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
from bisect import bisect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import (
    AsyncExecutor,
    Executor,
    ProcessExecutor,
    SerialExecutor,
    ThreadExecutor,
    TimeLimitError,
    create_executor,
    current_task,
)
from unifexec.testing.tasks import wait_for_file

from .faults.jobs import hold_the_gil

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0  # seconds: nothing here waits longer for what must come
HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SEVERAL_CORES = pytest.mark.skipif(CORES < 2, reason="needs two cores")
LINUX = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")


# -- memory: who sees whose changes --


class Counter:
    """Counts by reading, then writing; what comes between can be lost."""

    def __init__(self) -> None:
        self.value = 0

    def add_one(self, between: Callable[[], object]) -> int:
        """Read, let others do the same, write."""
        seen = self.value
        between()
        self.value = seen + 1
        return self.value

    async def add_one_async(self, between: asyncio.Barrier) -> None:
        """As `add_one`, with an await between."""
        seen = self.value
        await between.wait()
        self.value = seen + 1

    async def add_one_without_await(self) -> None:
        """As `add_one`, with nothing between."""
        seen = self.value
        self.value = seen + 1


def nothing() -> None:
    pass


def test_threads_race_on_shared_memory() -> None:
    """Two threads that read before either writes count to one."""
    counter, both_have_read = Counter(), threading.Barrier(2, timeout=PATIENCE)
    with ThreadExecutor(2) as executor:
        list(executor.map(counter.add_one, [both_have_read.wait] * 2))
    assert counter.value == 1


def test_processes_share_no_memory() -> None:
    """A task in a process changes a copy: its own counts, the caller's does not."""
    counter = Counter()
    with ProcessExecutor(2) as executor:
        assert list(executor.map(counter.add_one, [nothing] * 4)) == [1, 1, 1, 1]
    assert counter.value == 0


def test_coroutines_race_only_across_an_await() -> None:
    """Coroutines share memory: an update is lost where an await stands between, else never."""
    counter, both_have_read = Counter(), asyncio.Barrier(2)
    with AsyncExecutor() as executor:
        list(executor.map(counter.add_one_async, [both_have_read] * 2))
        assert counter.value == 1
        tasks = [executor.submit(counter.add_one_without_await) for _ in range(1000)]
        executor.gather(*tasks).result(PATIENCE)
    assert counter.value == 1001


def test_serial_tasks_lose_no_update() -> None:
    """One task after the other, on shared memory."""
    counter = Counter()
    with SerialExecutor() as executor:
        list(executor.map(counter.add_one, [nothing] * 100))
    assert counter.value == 100


# -- waiting --


def test_waits_overlap_in_threads() -> None:
    """Two tasks meet, each waiting for the other."""
    meeting = threading.Barrier(2, timeout=PATIENCE)
    with ThreadExecutor(2) as executor:
        assert sorted(executor.map(lambda _: meeting.wait(), range(2))) == [0, 1]


def _meet(folder: str, mine: str, other: str) -> str:
    (Path(folder) / mine).touch()
    return wait_for_file(folder, other, PATIENCE)


def test_waits_overlap_in_processes(tmp_path: Path) -> None:
    """Two tasks meet, each waiting for a file of the other."""
    with ProcessExecutor(2) as executor:
        tasks = [
            executor.submit(_meet, str(tmp_path), "a", "b"),
            executor.submit(_meet, str(tmp_path), "b", "a"),
        ]
        executor.gather(*tasks).result(2 * PATIENCE)


@pytest.mark.slow
def test_ten_thousand_sleepers_share_one_thread() -> None:
    """Ten thousand coroutines wait at the same time, in the one thread of their loop."""
    count = 10_000
    all_here, arrived = asyncio.Event(), []

    async def arrive_and_wait(_: int) -> int:
        arrived.append(threading.get_ident())
        if len(arrived) == count:
            all_here.set()
        await all_here.wait()
        return threading.active_count()

    before = threading.active_count()
    with AsyncExecutor(2 * count) as executor:
        tasks = [executor.submit(arrive_and_wait, n) for n in range(count)]
        threads_then = max(executor.gather(*tasks).result(2 * PATIENCE))
    assert len(set(arrived)) == 1
    assert threads_then - before <= 2  # the loop's, and one for callbacks


def test_coroutines_take_turns_on_one_thread() -> None:
    """Of coroutines that compute, each begins when the one before it ended or awaited."""
    log: list[str] = []

    async def compute(n: int) -> int:
        log.append(f"begin {n}")
        sum(range(20_000))
        log.append(f"end {n}")
        return threading.get_ident()

    with AsyncExecutor() as executor:
        assert len(set(executor.map(compute, range(20)))) == 1
    assert log == [f"{word} {n}" for n in range(20) for word in ("begin", "end")]


def test_serial_tasks_run_one_after_the_other_in_the_callers_thread() -> None:
    """Nothing is started for them."""
    before, log = threading.active_count(), []

    def note(n: int) -> int:
        log.append(f"begin {n}")
        log.append(f"end {n}")
        return threading.get_ident()

    with SerialExecutor() as executor:
        assert set(executor.map(note, range(5))) == {threading.get_ident()}
        assert threading.active_count() == before
    assert log == [f"{word} {n}" for n in range(5) for word in ("begin", "end")]


def test_a_blocking_coroutine_freezes_its_loop_and_only_that() -> None:
    """What another coroutine would do waits for it; a plain function beside the loop does not."""
    happened = threading.Event()

    async def block() -> bool:
        return happened.wait(0.3)

    async def let_it_happen() -> None:
        happened.set()

    with AsyncExecutor() as executor:
        blocked, other = executor.submit(block), executor.submit(let_it_happen)
        assert blocked.result(PATIENCE) is False
        other.result(PATIENCE)
        happened.clear()
        beside, other = executor.submit(happened.wait, PATIENCE), executor.submit(let_it_happen)
        assert beside.result(PATIENCE) is True
    happened.clear()
    with ThreadExecutor(2) as executor:  # each worker has a loop of its own
        other_loop, other = executor.submit(block), executor.submit(let_it_happen)
        assert other_loop.result(PATIENCE) is True


# -- cores --


Clock = tuple[float, float]  # the time of the whole machine, and the processor time of a thread


def spin(work: Callable[[], object], seconds: float = 0.2) -> list[Clock]:
    """Compute for a while, looking at both clocks again and again."""
    looks = [(time.monotonic(), time.thread_time())]
    while looks[-1][0] < looks[0][0] + seconds:
        work()
        looks.append((time.monotonic(), time.thread_time()))
    return looks


def python_code() -> None:
    """Hold the GIL for some bytecodes."""
    for _ in range(1000):
        pass


BUFFER = bytes(1 << 19)


def native_code() -> None:
    """Hash with the GIL released."""
    hashlib.sha256(BUFFER).digest()


def processor_time(looks: list[Clock], moment: float) -> float:
    """The processor time of a task at some moment, between two looks at its clocks."""
    at = min(max(bisect(looks, (moment, 0.0)), 1), len(looks) - 1)
    (before, low), (after, high) = looks[at - 1], looks[at]
    return low + (high - low) * (moment - before) / max(after - before, 1e-9)


def cores_used(executor: Executor, work: Callable[[], object], window: float = 0.02) -> float:
    """Seconds of processor time per second of two tasks, in the best window of both.

    Other programs can only take cores away from a window, never add one: so the best window
    shows whether the tasks can run at once, on a busy machine too.
    """
    tasks = [executor.submit(spin, work) for _ in range(2)]
    spells = executor.gather(*tasks).result(PATIENCE)
    moment, end = max(looks[0][0] for looks in spells), min(looks[-1][0] for looks in spells)
    best = 0.0
    while moment + window < end:
        used = (processor_time(a, moment + window) - processor_time(a, moment) for a in spells)
        best = max(best, sum(used) / window)
        moment += window / 4
    return best


def most_cores_used(executor: Executor, work: Callable[[], object], enough: float) -> float:
    """The best of several tries."""
    best, deadline = 0.0, time.monotonic() + 10.0
    while best < enough and time.monotonic() < deadline:
        best = max(best, cores_used(executor, work))
    return best


@SEVERAL_CORES
@pytest.mark.slow  # it measures time
def test_python_code_in_threads_uses_several_cores_only_without_the_gil() -> None:
    """Two threads of Python code get one core between them; without the GIL, more."""
    with ThreadExecutor(2) as executor:
        if HAS_GIL:
            assert max(cores_used(executor, python_code) for _ in range(3)) < 1.2
        else:
            assert most_cores_used(executor, python_code, 1.4) >= 1.4


@SEVERAL_CORES
@pytest.mark.slow  # it wants two cores that other programs leave alone, at least for a moment
def test_python_code_uses_several_cores_in_processes() -> None:
    """Two processes of Python code get more than one core."""
    with ProcessExecutor(2) as executor:
        assert most_cores_used(executor, python_code, 1.4) >= 1.4


@SEVERAL_CORES
@pytest.mark.slow  # as above
def test_native_code_that_releases_the_gil_uses_several_cores_in_threads() -> None:
    """Two threads that hash get more than one core."""
    with ThreadExecutor(2) as executor:
        assert most_cores_used(executor, native_code, 1.4) >= 1.4


def longest_silence(
    executor: Executor, folder: Path, work: Callable[..., object], *args: object
) -> tuple[float, float]:
    """Seconds that a native call took, and how long a clock beside it stood still meanwhile."""
    folder.mkdir()
    ticking = executor.submit(tick_until, str(folder), "stop")
    wait_for_file(str(folder), "ticking", PATIENCE)
    begin = time.monotonic()
    executor.submit(work, *args).result(PATIENCE)
    taken = time.monotonic() - begin
    (folder / "stop").touch()
    return taken, ticking.result(PATIENCE)


def tick_until(folder: str, stop: str) -> float:
    """Look at the clock until a file is there; the longest time between two looks."""
    longest, before = 0.0, time.monotonic()
    (Path(folder) / "ticking").touch()
    while not (Path(folder) / stop).exists():
        now = time.monotonic()
        longest, before = max(longest, now - before), now
        time.sleep(0.001)
    return longest


@pytest.mark.slow
@pytest.mark.skipif(not HAS_GIL, reason="needs a GIL to hold")
def test_native_code_that_holds_the_gil_stops_other_threads_but_not_processes(
    tmp_path: Path,
) -> None:
    """A thread beside it stands still for nearly all of the call; a process goes on."""
    with ThreadExecutor(2) as threads, ProcessExecutor(2) as processes:
        list(processes.map(abs, range(4)))
        taken, silence = longest_silence(threads, tmp_path / "thread", hold_the_gil, 1_500_000)
        assert silence > 0.6 * taken
        taken, silence = longest_silence(processes, tmp_path / "process", hold_the_gil, 1_500_000)
        assert silence < 0.6 * taken


def test_native_code_that_releases_the_gil_leaves_other_threads_running(tmp_path: Path) -> None:
    """A thread beside a long hash goes on."""
    with ThreadExecutor(2) as threads:
        hashing = (hashlib.pbkdf2_hmac, "sha256", b"password", b"salt", 600_000)
        taken, silence = longest_silence(threads, tmp_path / "thread", *hashing)
    assert silence < 0.6 * taken


# -- costs --


class Counted:
    """An argument that counts how often it is serialised."""

    def __init__(self) -> None:
        self.times = 0

    def __reduce__(self) -> Any:
        self.times += 1
        return Counted, ()


def take(_: Counted) -> None:
    pass


def test_serialising_is_paid_for_every_task_and_only_by_processes() -> None:
    """Ten tasks with one argument serialise it ten times in processes, and never elsewhere."""
    times = {}
    for kind in ("serial", "thread", "async", "process"):
        argument = Counted()
        with create_executor(kind, max_workers=1) as executor:
            list(executor.map(take, [argument] * 10))
        times[kind] = argument.times
    assert times == {"serial": 0, "thread": 0, "async": 0, "process": 10}


def worker_process() -> int:
    return os.getpid()


def test_start_up_is_paid_once_per_worker() -> None:
    """A hundred tasks run in the two processes that were started for them."""
    with ProcessExecutor(2) as executor:
        tasks = [executor.submit(worker_process) for _ in range(100)]
        assert len(set(executor.gather(*tasks).result(PATIENCE))) <= 2


def seconds_to_first_result(kind: str) -> float:
    begin = time.perf_counter()
    with create_executor(kind, max_workers=1) as executor:
        executor.submit(abs, -1).result(PATIENCE)
        return time.perf_counter() - begin


def test_a_thread_starts_sooner_than_a_process() -> None:
    """The best of three first results: several times sooner."""
    thread = min(seconds_to_first_result("thread") for _ in range(3))
    process = min(seconds_to_first_result("process") for _ in range(3))
    assert 3 * thread < process


def seconds_per_task(executor: Executor, count: int = 100) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        executor.submit(abs, -1).result(PATIENCE)
    return (time.perf_counter() - begin) / count


def test_a_task_costs_less_in_a_thread_than_in_a_process() -> None:
    """There and back, one at a time; the best of ten interleaved rounds."""
    with ThreadExecutor(1) as threads, ProcessExecutor(1) as processes:
        rounds = [(seconds_per_task(threads), seconds_per_task(processes)) for _ in range(10)]
    thread, process = (min(column) for column in zip(*rounds, strict=True))
    assert thread < process


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process has of its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines[1:])
    private = ("Private_Clean", "Private_Dirty")
    return sum(int(fields[name].split()[0]) * 1024 for name in private)


RELEASED = threading.Event()


async def wait_on_the_loop() -> None:
    while not RELEASED.is_set():
        await asyncio.sleep(0.05)


def memory_while_waiting(kind: str, count: int) -> float:
    """Bytes per task of many that wait at the same time; to be called in a fresh process."""
    wait: Callable[[], Any] = wait_on_the_loop if kind == "async" else RELEASED.wait
    with create_executor(kind, max_workers=count) as executor:
        executor.submit(resident).result(PATIENCE)
        before = resident()
        tasks = [executor.submit(wait) for _ in range(count)]
        deadline = time.monotonic() + PATIENCE
        while executor.stats().running < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        bytes_each = (resident() - before) / count
        RELEASED.set()
        executor.gather(*tasks).result(PATIENCE)
    return bytes_each


@LINUX
def test_memory_of_a_waiting_task() -> None:
    """A waiting coroutine takes some kilobytes, a waiting thread a few times as much."""
    each = {}
    for kind, count in [("async", 1000), ("thread", 200)]:
        with ProcessExecutor(1) as fresh:
            each[kind] = fresh.submit(memory_while_waiting, kind, count).result(2 * PATIENCE)
    assert 0 < each["async"] < 20_000
    assert each["async"] < each["thread"] < 500_000


@LINUX
def test_memory_of_a_worker_process() -> None:
    """A worker process holds megabytes: an interpreter of its own."""
    with ProcessExecutor(1) as executor:
        pid = executor.submit(worker_process).result(PATIENCE)
        assert resident(pid) > 2_000_000


# -- endings --


def test_serial_reports_a_time_limit_after_the_fact() -> None:
    """The plain function runs to its end, then its task has failed."""
    ended = threading.Event()

    def run_over() -> None:
        time.sleep(0.05)
        ended.set()

    with SerialExecutor() as executor:
        task = executor.with_options(time_limit=0.01).submit(run_over)
        with pytest.raises(TimeLimitError):
            task.result(PATIENCE)
    assert ended.is_set()


def test_a_plain_function_on_a_loop_cannot_be_stopped() -> None:
    """``abort`` says so, and the function can see that it is asked to stop."""
    started = threading.Event()

    def until_asked() -> bool:
        started.set()
        task, deadline = current_task(), time.monotonic() + PATIENCE
        assert task is not None
        while not task.stop_requested and time.monotonic() < deadline:
            time.sleep(0.001)
        return task.stop_requested

    with AsyncExecutor() as executor:
        task = executor.submit(until_asked)
        assert started.wait(PATIENCE)
        assert task.abort() is False
        assert task.result(PATIENCE) is True


CRASH = """
import os, signal, sys
from unifexec import create_executor
with create_executor(sys.argv[1]) as executor:
    try:
        executor.submit(os.kill, os.getpid(), signal.SIGKILL).result(10)
    except Exception:
        pass
print("went on")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_a_crash_ends_the_program_where_memory_is_shared(kind: str) -> None:
    """A task that kills its process takes the program with it."""
    command = [sys.executable, "-c", CRASH, kind]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode < 0, done.stdout) == (True, b"")
