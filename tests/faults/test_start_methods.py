"""`start_method`: what holds for spawned workers holds for forked ones."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

from unifexec import InitializerError, ProcessExecutor, TimeLimitError, WorkerLostError

from . import jobs
from .programs import Program, children_of, is_running, run, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork server needs Linux")


def make(workers: int = 1, **options: Any) -> ProcessExecutor:
    return ProcessExecutor(workers, **{"start_method": "forkserver", **options})


def parent_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_unknown_start_methods_are_refused() -> None:
    """At the call, with those there are; the caller's process is not forked (L25)."""
    with pytest.raises(ValueError, match=r"'spawn'.*'forkserver'.*'fork'"):
        ProcessExecutor(1, start_method="fork")


def test_workers_are_forked_from_one_bare_process() -> None:
    """Not from ours, and from the same one, which has imported nothing of the caller's."""
    with make(2) as executor:
        assert executor.traits.start_method == "forkserver"
        pids = set(executor.map(jobs.pid_after, [0.1] * 4, chunksize=1))
        (server,) = {parent_of(pid) for pid in pids}
        assert len(pids) == 2
        assert server in children_of(os.getpid())
        assert "pytest" not in executor.submit(lambda: list(sys.modules)).result(20)


@pytest.mark.parametrize(("how", "told"), [("exit", 3), ("SIGKILL", -9), ("SIGSEGV", -11)])
def test_L22_a_lost_worker_tells_how_it_ended(how: str, told: int) -> None:
    """With its exit code or signal, as a spawned one does."""
    with make() as executor:
        with pytest.raises(WorkerLostError) as caught:
            executor.submit(jobs.die, how).result(20)
        assert caught.value.exitcode == told
        assert executor.submit(jobs.square, 3).result(20) == 9


@pytest.mark.parametrize("task", [jobs.spin, jobs.swallow_everything])
def test_L16_a_forked_worker_is_stopped_on_time(task: Any) -> None:
    """By interruption, or by force."""
    with make(grace=0.1) as executor:
        with pytest.raises(TimeLimitError):
            executor.with_options(time_limit=0.1).submit(task, 30).result(20)
        assert executor.submit(jobs.square, 3).result(20) == 9


def test_L22_a_killed_fork_server_is_replaced() -> None:
    """Its workers live on; the next ones come from a new server."""
    with make(2, max_tasks_per_child=1) as executor:
        pid = executor.submit(os.getpid).result(20)
        (server,) = children_of(os.getpid())
        os.kill(server, signal.SIGKILL)
        assert wait_for(lambda: not is_running(server))
        assert executor.submit(os.getpid).result(20) != pid
        assert list(executor.map(jobs.square, range(5))) == [0, 1, 4, 9, 16]


def test_L22_how_the_workers_of_a_killed_server_ended_is_not_guessed() -> None:
    """Its successor does not know them, and goes on knowing its own."""
    with make(2) as executor:
        old = executor.submit(jobs.die_after, 2.0, "exit")
        assert wait_for(old.running)
        (server,) = children_of(os.getpid())
        os.kill(server, signal.SIGKILL)
        assert wait_for(lambda: not is_running(server))
        pid = executor.submit(os.getpid).result(20)  # from a new server
        error = old.exception(20)
        assert isinstance(error, WorkerLostError)
        assert (error.exitcode, "how was not told" in str(error)) == (None, True)
        assert executor.submit(os.getpid).result(20) == pid
        died = executor.submit(jobs.die, "exit").exception(20)
        assert isinstance(died, WorkerLostError)
        assert died.exitcode == 3


def test_L22_a_late_answer_of_the_fork_server_is_nobodys() -> None:
    """A server that was stalled is given up: its exit codes are not taken for process ids."""
    text = """
def pid_of_two(i): time.sleep(0.3); return os.getpid()
with ProcessExecutor(2, start_method="forkserver") as ex:
    before = set(ex.map(pid_of_two, range(4), chunksize=1))
    starter = ex._room._starter
    starter._sock.settimeout(0.5)
    server = starter._popen.pid
    os.kill(server, signal.SIGSTOP)
    print(ex.submit(os._exit, 3).exception(20).exitcode)
    try: os.kill(server, signal.SIGCONT)
    except ProcessLookupError: pass
    after = set(ex.map(pid_of_two, range(4), chunksize=1))
    print(len(after), len(after & before), [pid for pid in after if pid < 0 or os.kill(pid, 0)])
    print(ex.submit(os._exit, 4).exception(20).exitcode)
"""
    assert run(text) == (0, "None\n2 1 []\n4\n", "")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_L22_where_nothing_tells_the_end_of_a_process(method: str) -> None:
    """On a system without ``pidfd_open``: exit codes are known, and a long task is left alone."""
    text = f"""
del os.pidfd_open
def pid_later(): time.sleep(2); return os.getpid()
with ProcessExecutor(1, start_method={method!r}) as ex:
    print(ex.submit(os._exit, 5).exception(20).exitcode)
    pid = ex.submit(os.getpid).result(20)
    if {method!r} == "forkserver": ex._room._starter._sock.settimeout(1)
    print(ex.submit(pid_later).result(20) == pid)
    print(type(ex.with_options(time_limit=0.1).submit(time.sleep, 9).exception(20)).__name__)
    os.kill(ex.submit(os.getpid).result(20), signal.SIGKILL)
    print(ex.submit(abs, -3).result(20))
"""
    assert run(text) == (0, "5\nTrue\nTimeLimitError\n3\n", "")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("missing", ["interpreter", "memory"])
def test_L25_what_cannot_be_started_holds_nothing(
    method: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a descriptor, however often it is tried."""

    def no_memory(*args: Any) -> int:
        raise OSError("no memory")

    with make(start_method=method) as executor:
        for _ in range(2):  # what is opened once is open after the first
            with monkeypatch.context() as patch:
                if missing == "interpreter":
                    patch.setattr(sys, "executable", "/no/such/interpreter")
                else:
                    patch.setattr(os, "memfd_create", no_memory)
                before = len(os.listdir("/proc/self/fd"))
                for _ in range(5):
                    assert isinstance(executor.submit(abs, -1).exception(20), InitializerError)
                assert len(os.listdir("/proc/self/fd")) <= before
        assert executor.submit(abs, -1).result(20) == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_L22_in_a_program_that_ignores_the_ends_of_its_children(method: str) -> None:
    """Nobody tells it how they ended; all else is the same."""
    text = f"""
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def die(): os._exit(3)
with ProcessExecutor(1, start_method={method!r}, grace=0.1) as ex:
    print(ex.submit(die).exception(10).exitcode)
    print(type(ex.with_options(time_limit=0.1).submit(time.sleep, 9).exception(10)).__name__)
    print(ex.submit(abs, -3).result(10))
"""
    known = "None" if method == "spawn" else "3"
    assert run(text) == (0, f"{known}\nTimeLimitError\n3\n", "")


def test_L25_the_server_goes_with_its_executor() -> None:
    """When it is closed, no process is left."""
    with make() as executor:
        executor.submit(jobs.square, 3).result(20)
        assert children_of(os.getpid())
    assert not children_of(os.getpid())


def test_L23_server_and_workers_go_with_their_parent() -> None:
    """However the parent dies."""
    text = """
ex = ProcessExecutor(2, start_method="forkserver")
ex.submit(time.sleep, 60), ex.submit(time.sleep, 60)
while ex.stats().running < 2: time.sleep(0.01)
print(*[worker.pid for worker in ex.stats().workers], flush=True)
time.sleep(60)
"""
    with Program(text) as program:
        program.seen |= set(map(int, program.line().split()))
        program.send(signal.SIGKILL)
        program.finish(within=5)
        assert len(program.seen) == 3
        assert wait_for(lambda: not program.left_behind(), 3)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_L22_a_worker_that_dies_while_there_is_no_descriptor(method: str) -> None:
    """While a process that it forked holds its pipe open: the task is lost, the next one runs."""
    text = f"""
import resource
def die(path):
    if os.fork() == 0: time.sleep(3); os._exit(0)
    while not os.path.exists(path): time.sleep(0.01)
    os._exit(3)
import tempfile
folder = tempfile.mkdtemp()
ex = ProcessExecutor(1, start_method={method!r})
print(ex.submit(abs, -1).result(10))
pid = ex.stats().workers[0].pid
task = ex.submit(die, folder + "/go")
while not task.running(): time.sleep(0.01)
os.mkdir(folder + "/go")
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
error = task.exception(10)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
print(type(error).__name__, error.exitcode, ex.submit(abs, -2).result(10))
ex.shutdown()
os.rmdir(folder + "/go"); os.rmdir(folder)
"""
    code, out, _ = run(text)
    assert (code, out) == (0, "1\nWorkerLostError 3 2\n")


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_default_time_out_of_sockets(start_method: str) -> None:
    """It is for the program's own: a worker waits for its parent for as long as that takes."""
    program = """
import socket
socket.setdefaulttimeout(0.1)
with ProcessExecutor(1, start_method=sys.argv[1]) as ex:
    for _ in range(2):
        print(ex.submit(abs, -2).result())
        time.sleep(0.3)  # longer than that: the worker waits meanwhile
"""
    assert run(program, start_method) == (0, "2\n2\n", "")
