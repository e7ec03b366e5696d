"""L25: nothing is left behind, and nothing grows: descriptors, processes, threads, memory."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from unifexec import InitializerError, ProcessExecutor, ThreadExecutor, create_executor

from . import jobs
from .programs import children_of, run, wait_for

KINDS = ["serial", "thread", "process", "async"]
LINGERING = ("unifexec-callbacks", "pytest_timeout ")
MIB = 1 << 20


def holdings() -> dict[str, int]:
    """How much of everything this process holds."""
    shared, queues = Path("/dev/shm"), Path("/proc/sysvipc/sem")
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": len(children_of(os.getpid())),
        "threads": sum(not t.name.startswith(LINGERING) for t in threading.enumerate()),
        "shared memory": sum(len(list(shared.glob(name))) for name in ("psm_*", "unifexec*")),
        "semaphores": len(list(shared.glob("sem.*")))
        + (len(queues.read_text().splitlines()) if queues.exists() else 0),
    }


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_and_close(kind: str, times: int) -> None:
    """Open, use and close an executor again and again; all is as before."""
    with create_executor(kind, max_workers=2) as executor:  # what it loads may stay
        executor.submit(abs, -1).result(20)
    before = holdings()
    for number in range(times):
        with create_executor(kind, max_workers=2) as executor:
            if number % 2:
                assert list(executor.map(abs, [-1, -2])) == [1, 2]
            else:
                assert executor.submit(abs, -1).result(20) == 1
    assert wait_for(lambda: holdings() == before), (before, holdings())


@pytest.mark.parametrize(
    ("kind", "times"), [("serial", 300), ("thread", 300), ("async", 100), ("process", 15)]
)
def test_L25_open_and_close(kind: str, times: int) -> None:
    """Executors come and go; what they held is given back."""
    open_and_close(kind, times)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_L25_open_and_close_a_thousand_times(kind: str) -> None:
    """As above, a thousand times."""
    open_and_close(kind, 1000)


GROWTH = """
import gc
from itertools import islice
from tests.faults.test_clean import memory

def grows_by(chunks, many):
    "How much more memory is in use after all chunks than after the first fifth of them."
    for _ in islice(chunks, many // 5): pass
    before = memory()
    for _ in chunks: pass
    return (memory() - before) / (1 << 20)

def tasks(ex, many):
    for _ in range(many):
        for task in [ex.submit(abs, -1) for _ in range(1000)]: task.result()
        yield

def items(ex, many):
    results = ex.map(abs, iter(range(1000 * many)))
    for _ in range(many):
        for _ in islice(results, 1000): pass
        yield

if __name__ == "__main__":
    with create_executor(sys.argv[1], max_workers=2) as ex:
        many = int(sys.argv[3]) // 1000
        print(grows_by((tasks if sys.argv[2] == "tasks" else items)(ex, many), many))
"""


def growth(kind: str, what: str, many: int, within: float) -> float:
    """MiB by which a program grows from the first fifth of its tasks to the last."""
    code, output, errors = run(GROWTH, kind, what, str(many), within=within)
    assert (code, errors) == (0, "")
    return float(output)


@pytest.mark.parametrize("what", ["tasks", "items"])
@pytest.mark.parametrize("kind", [pytest.param("async", marks=pytest.mark.slow), *KINDS[:-1]])
def test_L25_memory_does_not_grow(kind: str, what: str) -> None:
    """With the number of tasks that were done, or of items that were mapped."""
    assert growth(kind, what, 30_000, 50) < 4


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", KINDS)
def test_L25_half_a_million_tasks(kind: str) -> None:
    """And not by a byte for each."""
    assert growth(kind, "tasks", 500_000, 1100) < 4


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("kind", ["serial", "thread", "process"])
def test_L25_ten_million_items(kind: str) -> None:
    """A map over an iterable that would fill the memory."""
    assert growth(kind, "items", 10_000_000, 2300) < 8


@pytest.mark.parametrize("kind", ["thread", "process", "async"])
def test_L25_L27_a_thousand_threads_submit(kind: str) -> None:
    """At once; each gets its own results."""
    begin = threading.Barrier(1001)
    got: list[Any] = []

    def submit(number: int) -> None:
        begin.wait()
        got.append((number, executor.submit(jobs.square, number).result(50)))

    with create_executor(kind, max_workers=2) as executor:
        threads = [threading.Thread(target=submit, args=(n,)) for n in range(1000)]
        for thread in threads:
            thread.start()
        begin.wait()
        for thread in threads:
            thread.join()
    assert sorted(got) == [(n, n * n) for n in range(1000)]


def test_L05_L25_yielded_results_are_not_kept() -> None:
    """Large results of an endless map come and go."""
    with ThreadExecutor(2) as executor:
        executor.submit(abs, 1).result(20)
        before = memory()
        results = executor.map(lambda _: bytearray(MIB), count(), buffersize=4)
        for number, result in enumerate(results):
            assert len(result) == MIB
            if number == 200:
                break
        assert memory() - before < 50 * MIB


def test_L25_lost_workers_leave_nothing() -> None:
    """Neither pipes nor marks nor zombies, after twenty deaths."""
    with ProcessExecutor(2) as executor:
        list(executor.map(jobs.pid_after, [0.05] * 4, chunksize=1))
        before = holdings()
        tasks = [executor.submit(jobs.die, "exit") for _ in range(20)]
        assert all(type(task.exception(30)).__name__ == "WorkerLostError" for task in tasks)
        list(executor.map(jobs.pid_after, [0.05] * 4, chunksize=1))
        assert wait_for(lambda: holdings() == before), (before, holdings())


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_L25_nobody_can_connect_and_no_file_has_a_name(method: str) -> None:
    """Neither parent nor workers listen; no worker holds a file that others could find."""
    with ProcessExecutor(2, start_method=method) as executor:
        pids = set(executor.map(jobs.pid_after, [0.1] * 4, chunksize=1))
        for pid in [os.getpid(), *pids, *children_of(os.getpid())]:
            assert not open_files(pid) & listening()
        theirs = set.union(*map(open_files, pids))
    named = {link for link in theirs if link.startswith("/")}
    assert all(link == "/dev/null" or link.endswith("(deleted)") for link in named)


def open_files(pid: int) -> set[str]:
    """What the descriptors of a process stand for; 0, 1 and 2 came from its parent."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if link.name not in "012":
            try:
                found.add(os.readlink(link))
            except OSError:  # closed meanwhile
                pass
    return found


def listening() -> set[str]:
    """The sockets that anybody on this machine listens on, as `open_files` names them."""
    found = set()
    for name, state in (("tcp", "0A"), ("tcp6", "0A")):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                found.add(f"socket:[{fields[9]}]")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) & 0x10000:  # it accepts connections
            found.add(f"socket:[{fields[6]}]")
    return found


def test_L25_listening_sockets_are_seen() -> None:
    """The test above would see one, of either family."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.socket(socket.AF_UNIX) as other:
        other.bind(b"\0unifexec-test-%d" % os.getpid())
        other.listen()
        assert {os.readlink(f"/proc/self/fd/{s.fileno()}") for s in (one, other)} <= listening()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_L25_the_callers_process_is_never_forked(method: str) -> None:
    """No hook of a fork runs in it, whatever starts its workers."""
    text = """
forks = []
os.register_at_fork(before=lambda: forks.append("one of its own"))
pid = os.fork()
if not pid: os._exit(0)
os.waitpid(pid, 0)
with ProcessExecutor(2, start_method=sys.argv[1], max_tasks_per_child=3) as ex:
    print(sum(ex.map(abs, range(20), chunksize=2)), forks)
"""
    assert run(text, method) == (0, "190 ['one of its own']\n", "")


def test_L25_importing_starts_nothing() -> None:
    """Neither thread nor process nor descriptor."""
    text = """
print(threading.active_count(), len(os.listdir("/proc/self/fd")) <= 4)
"""
    assert run(text) == (0, "1 True\n", "")


def test_L25_workers_that_cannot_be_started_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor of theirs stays open."""
    monkeypatch.setattr(sys, "executable", "/no/such/interpreter")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with ProcessExecutor(1) as executor:
            assert isinstance(executor.submit(abs, -1).exception(20), InitializerError)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])
def test_L08_a_failure_that_is_dropped_after_the_close(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as well."""
    with create_executor(kind, max_workers=1) as executor:
        results = executor.map(divmod, [1], [0])
    del results
    assert wait_for(lambda: "nobody can read its results" in caplog.text)
