"""L20, L21, L23: Ctrl-C, signals, the end of the program, and dead parents."""

from __future__ import annotations

import os
import signal
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from unifexec import ExecutorClosedError, ProcessExecutor, TaskCancelledError, create_executor

from . import jobs
from .programs import Program, is_running, run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ["serial", "thread", "process", "async"]
POOLS = KINDS[1:]

PROGRAMS = {
    "submit": """
with create_executor(sys.argv[1], max_workers=2) as ex:
    task = ex.submit(time.sleep, 0)
    print("ready", flush=True)
    while True: ex.submit(pow, 2, 10)
""",
    "result": """
with create_executor(sys.argv[1], max_workers=2) as ex:
    tasks = [ex.submit(time.sleep, 0.01 if sys.argv[1] == "serial" else 60) for _ in range(6)]
    print("ready", flush=True)
    tasks[0].result()
    time.sleep(60)
""",
    "map": """
with create_executor(sys.argv[1], max_workers=2) as ex:
    print("ready", flush=True)
    for _ in ex.map(time.sleep, [60] * 10): pass
""",
    "gather": """
with create_executor(sys.argv[1], max_workers=2) as ex:
    print("ready", flush=True)
    ex.gather(*[ex.submit(time.sleep, 60) for _ in range(4)]).result()
""",
    "close": """
ex = create_executor(sys.argv[1], max_workers=2)
if sys.argv[1] != "serial": ex.submit(time.sleep, 60)
print("ready", flush=True)
if sys.argv[1] == "serial": ex.submit(time.sleep, 60)
ex.shutdown()
""",
    "no with": """
ex = create_executor(sys.argv[1], max_workers=2)
print("ready", flush=True)
task = ex.submit(time.sleep, 60)
task.result()
""",
    "asyncio": """
import asyncio
async def main():
    async with create_executor(sys.argv[1], max_workers=2) as ex:
        print("ready", flush=True)
        await ex.submit(time.sleep, 60)
asyncio.run(main())
""",
    "trio": """
import trio
async def main():
    async with create_executor(sys.argv[1], max_workers=2) as ex:
        print("ready", flush=True)
        await ex.submit(time.sleep, 60)
trio.run(main)
""",
}

ASYNC = """
import anyio
async def main():
    async with create_executor(sys.argv[1], max_workers=2) as ex:
        {do}
anyio.run(main, backend=sys.argv[2])
"""
ASYNC_PROGRAMS = {
    "submit": """task = ex.submit(pow, 2, 3); print("ready", flush=True)
        while True: ex.submit(pow, 2, 10); await anyio.sleep(0)""",
    "map": """print("ready", flush=True)
        async for _ in ex.map(time.sleep, [60] * 10): pass""",
    "gather": """print("ready", flush=True)
        await ex.gather(*[ex.submit(anyio.sleep, 60), ex.submit(time.sleep, 60)])""",
    "close": """ex.submit(time.sleep, 60); print("ready", flush=True)""",
}
KIND_AND_PLACE = pytest.mark.parametrize(
    ("kind", "where"),
    [("thread", "result"), ("async", "result"), *[("process", where) for where in PROGRAMS]],
)
LIBRARIES = pytest.mark.parametrize("library", ["asyncio", "trio"])


def test_L20_ctrl_c_in_an_initializer_of_the_callers_thread() -> None:
    """It ends the program, as in a plain call, and is no failure of the initializer."""
    program = """
def slow(): print("ready", flush=True); time.sleep(60)
with SerialExecutor(initializer=slow) as ex:
    ex.submit(pow, 1, 1)
"""
    with Program(program) as running:
        assert running.line() == "ready"
        assert running.comes_to_rest()
        running.send(signal.SIGINT)
        code, _, errors = running.finish(within=4)
        assert code in (-signal.SIGINT, 130, 1)
        assert "InitializerError" not in errors
        assert errors.strip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("task", ["time.sleep", "anyio.sleep"])
@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_L20_ctrl_c_while_a_loop_is_given_back(library: str, task: str) -> None:
    """Ctrl-C in the clean exit of an executor on the caller's loop gives up what still runs."""
    program = f"""
import anyio
async def main():
    async with AsyncExecutor(2) as ex:
        ex.submit({task}, 60)
        await anyio.sleep(0.05)
        print("ready", flush=True)
anyio.run(main, backend="{library}")
"""
    with Program(program) as running:
        assert running.line() == "ready"
        assert running.comes_to_rest()
        running.send(signal.SIGINT)
        code, _, errors = running.finish(within=4)
        assert code in (-signal.SIGINT, 130, 1)
        assert "KeyboardInterrupt" in errors


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", PROGRAMS)
def test_L20_ctrl_c_ends_the_program(kind: str, where: str) -> None:
    """One Ctrl-C: the program ends in under 2 s, by it, quietly, and leaves no worker."""
    if (kind, where) == ("serial", "asyncio"):
        return  # a blocked loop: asyncio itself waits for a second Ctrl-C
    with Program(PROGRAMS[where], kind) as program:
        assert program.line() == "ready"
        if kind == "process" and where != "submit":
            wait_for(lambda: program.send(0) or len(program.seen) >= 1)
        if where == "asyncio" or (kind == "serial" and where != "submit"):
            # A signal that comes as a thread is about to sleep in the kernel, and was asked for
            # signals already, wakes nobody: CPython hears of it when the sleep is over.
            assert program.comes_to_rest()
        program.send(signal.SIGINT)
        code, _, errors = program.finish(within=4)
        assert code in (-signal.SIGINT, 130, 1)  # 1: the interpreter's own choice at times
        assert errors.count("Traceback") <= 1 + errors.count("During handling")
        assert "KeyboardInterrupt" in errors
        assert "unifexec: internal" not in errors
        assert wait_for(lambda: not program.left_behind(), 3)


@pytest.mark.parametrize(
    "kind",
    ["process", *[pytest.param(kind, marks=pytest.mark.slow) for kind in ("thread", "async")]],
)
@pytest.mark.parametrize("where", ASYNC_PROGRAMS)
@LIBRARIES
def test_L20_ctrl_c_ends_an_async_program(kind: str, where: str, library: str) -> None:
    """As a plain one, in every verb and in the close."""
    with Program(ASYNC.format(do=ASYNC_PROGRAMS[where]), kind, library) as program:
        assert program.line() == "ready"
        if where != "submit":
            assert program.comes_to_rest()
        program.send(signal.SIGINT)
        code, _, errors = program.finish(within=4)
        assert code in (-signal.SIGINT, 130, 1)
        assert "KeyboardInterrupt" in errors
        assert "unifexec: internal" not in errors
        assert wait_for(lambda: not program.left_behind(), 3)


@KIND_AND_PLACE
def test_L20_ctrl_c_to_the_whole_group(kind: str, where: str) -> None:
    """As a terminal sends it: workers say nothing."""
    with Program(PROGRAMS[where], kind) as program:
        assert program.line() == "ready"
        if where != "submit":
            assert program.comes_to_rest()
            program.send(0)  # note its workers
        os.killpg(program.process.pid, signal.SIGINT)
        code, _, errors = program.finish(within=5)
        assert code in (-signal.SIGINT, 130, 1)
        assert errors.count("Traceback") <= 1 + errors.count("During handling")
        assert wait_for(lambda: not program.left_behind(), 3)


def test_L20_ctrl_c_that_reaches_a_worker_does_nothing(tmp_path: Path) -> None:
    """Workers have groups of their own; and one that gets it all the same goes on."""
    with ProcessExecutor(1) as executor:
        pid = executor.submit(os.getpid).result(20)
        assert os.getpgid(pid) == pid
        task = executor.submit(jobs.wait_for_file, str(tmp_path / "go"))
        assert wait_for(lambda: executor.stats().running == 1)
        os.kill(pid, signal.SIGINT)
        (tmp_path / "go").touch()
        assert task.result(20) is None
        assert executor.submit(os.getpid).result(20) == pid


@KIND_AND_PLACE
def test_L20_a_second_ctrl_c_does_not_hang(kind: str, where: str) -> None:
    """Pressing again while it ends is no way to make it stay."""
    with Program(PROGRAMS[where], kind) as program:
        assert program.line() == "ready"
        program.send(signal.SIGINT)
        wait_for(lambda: program.process.poll() is not None, 0.2)
        if program.process.poll() is None:
            program.send(signal.SIGINT)
        program.finish(within=6)
        assert wait_for(lambda: not program.left_behind(), 3)


@pytest.mark.parametrize("kind", KINDS)
def test_L20_an_exception_leaves_the_with_block(kind: str) -> None:
    """It cancels what is pending, and gets through."""
    text = """
try:
    with create_executor(sys.argv[1], max_workers=1) as ex:
        if sys.argv[1] != "serial":
            tasks = [ex.submit(time.sleep, 30) for _ in range(5)]
        raise ValueError("through")
except ValueError as error:
    print(error)
    if sys.argv[1] != "serial":
        print(all(isinstance(task.exception(), TaskCancelledError) for task in tasks[1:]
                  if not task.cancelled()))
os._exit(0) if sys.argv[1] == "thread" else None
"""
    code, output, errors = run(text, kind, within=6)
    assert (code, output.splitlines()[0], errors) == (0, "through", "")


@pytest.mark.parametrize("kind", KINDS)
def test_L20_a_normal_exit_completes_accepted_tasks(kind: str) -> None:
    """Without close: tasks and maps that were accepted complete, callbacks too."""
    text = """
ex = create_executor(sys.argv[1], max_workers=2)
tasks = [ex.submit(pow, 2, n) for n in range(5)]
for task in tasks: task.add_done_callback(lambda task: print("callback", task.result()))
ex.map(print, ["mapped"] * 3)
print("end of program")
"""
    code, output, errors = run(text, kind)
    assert (code, errors) == (0, "")
    assert output.count("mapped") == 3
    assert output.count("callback") == 5


def test_L20_a_normal_exit_waits_for_what_runs() -> None:
    """Pending work of every kind of executor, none of them closed, while all are busy."""
    text = """
executors = [create_executor(kind, max_workers=1) for kind in ("thread", "process", "async")]
def late(x): time.sleep(0.2); return x
for ex in executors:
    for x in range(3): ex.submit(late, x).add_done_callback(lambda task: print(task.result()))
"""
    code, output, errors = run(text)
    assert (code, errors) == (0, "")
    assert sorted(output.split()) == ["0"] * 3 + ["1"] * 3 + ["2"] * 3


@pytest.mark.parametrize("kind", POOLS)
def test_L20_ctrl_c_at_the_normal_exit_tells_what_it_costs(kind: str) -> None:
    """Nothing else would: Python has no exit code for it, so late."""
    text = """
ex = create_executor(sys.argv[1], max_workers=1)
tasks = [ex.submit(time.sleep, 60) for _ in range(3)]
while not tasks[0].running(): time.sleep(0.01)
print("ready", flush=True)
"""
    with Program(text, kind) as program:
        assert program.line() == "ready"
        assert program.comes_to_rest()
        program.send(signal.SIGINT)
        code, _, errors = program.finish(within=6)
        assert code == 0
        assert "3 accepted tasks are given up" in errors
        assert wait_for(lambda: not program.left_behind(), 3)


@pytest.mark.parametrize("kind", POOLS)
def test_L20_sys_exit_gives_up_what_is_pending(kind: str) -> None:
    """It leaves the block as any exception does: soon, with its code, and nothing left."""
    text = """
with create_executor(sys.argv[1], max_workers=1) as ex:
    ex.submit(pow, 2, 3).result()
    ex.submit(time.sleep, 60 if sys.argv[1] == "process" else 0.5)
    for _ in range(5): ex.submit(print, "not wanted")
    print("ready", flush=True)
    sys.exit(7)
"""
    with Program(text, kind) as program:
        assert program.line() == "ready"
        assert program.finish(within=6) == (7, "", "")
        assert wait_for(lambda: not program.left_behind(), 3)


@pytest.mark.parametrize("kind", KINDS)
def test_L20_sys_exit_keeps_its_code(kind: str) -> None:
    """``sys.exit`` inside the block ends the program with its code."""
    text = """
with create_executor(sys.argv[1], max_workers=1) as ex:
    ex.submit(pow, 2, 3).result()
    sys.exit(7)
"""
    assert run(text, kind, within=6)[0] == 7


def test_L20_exit_hook_is_what_we_think() -> None:
    """The private hook of `threading` that completes work at exit exists, and runs early."""
    text = """
threading._register_atexit(lambda: print("hook", threading.main_thread().is_alive()))
print("end")
"""
    assert run(text)[1] == "end\nhook True\n"


@pytest.mark.parametrize("made", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
def test_L20_no_tasks_after_the_end(kind: str, made: str) -> None:
    """An exit handler gets a clear error, from an executor made before or there."""
    text = """
import atexit
ex = create_executor(sys.argv[1], max_workers=1)
ex.submit(pow, 2, 3).result()
def late():
    try: (ex if sys.argv[2] == "before" else create_executor(sys.argv[1])).submit(pow, 2, 3)
    except ExecutorClosedError as error: print(error)
    else: print("accepted")
atexit.register(late)
"""
    code, printed, errors = run(text, kind, made)
    assert (code, errors) == (0, "")
    assert printed.startswith(("the interpreter is shutting down", "the executor was shut down"))


@pytest.mark.parametrize("kind", POOLS)
def test_L21_close_from_task_callback_and_handler(kind: str) -> None:
    """Closing there only posts the request: nothing hangs, and what was accepted completes."""
    text = """
ex = create_executor(sys.argv[1], max_workers=1)
def handler(number, frame): ex.shutdown()
signal.signal(signal.SIGUSR1, handler)
tasks = [ex.submit(time.sleep, 0.1) for _ in range(3)]
tasks[0].add_done_callback(lambda task: ex.shutdown())
signal.raise_signal(signal.SIGUSR1)
try: ex.submit(pow, 1, 1); print("open?")
except ExecutorClosedError: print("closed")
ex.shutdown(); ex.shutdown()
print(all(task.done() for task in tasks))
"""
    assert run(text, kind) == (0, "closed\nTrue\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L21_close_from_many_threads(kind: str) -> None:
    """At once, each waits until all is done, and nobody hangs."""
    text = """
ex = create_executor(sys.argv[1], max_workers=2)
tasks = [ex.submit(time.sleep, 0.05) for _ in range(6)]
left = []
def close(): ex.shutdown(); left.append(all(task.done() for task in tasks))
threads = [threading.Thread(target=close) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(left == [True] * 20)
"""
    assert run(text, kind) == (0, "True\n", "")


@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
@pytest.mark.parametrize(
    "close", ["ex.shutdown()", "asyncio.run(ex.aclose())", "await ex.aclose()"]
)
def test_L21_close_from_inside_a_task(kind: str, close: str) -> None:
    """A task may close its own executor; those accepted before complete."""
    text = f"""
import asyncio
ex = create_executor(sys.argv[1], max_workers=1)
{"async " if "await" in close else ""}def close():
    {close}
    return "went on"
tasks = [ex.submit(pow, 2, 3)]
task = ex.submit(close)
if sys.argv[1] != "serial": print(task.result(10))
ex.shutdown()
try: ex.submit(pow, 1, 1)
except RuntimeError as error: print("closed", task.result(), tasks[0].result())
"""
    code, output, errors = run(text, kind)
    assert (code, output.splitlines()[-1], errors) == (0, "closed went on 8", "")


def test_L21_a_task_elsewhere_closes_what_it_has_there() -> None:
    """In a worker process: what stands there for the executor, not the parent's own."""
    text = """
with ProcessExecutor(1) as ex:
    print(ex.submit(ex.shutdown).result(10), ex.submit(pow, 2, 3).result(10))
"""
    assert run(text) == (0, "None 8\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L21_handler_at_any_moment(kind: str) -> None:
    """A signal handler that closes, at random moments of a busy program, never deadlocks."""
    text = """
for round in range(25):
    ex = create_executor(sys.argv[1], max_workers=2)
    def handler(number, frame): ex.shutdown()
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005 + round * 0.0004)
    try:
        while True: tasks = [ex.submit(pow, 2, n) for n in range(20)]; [t.result(10) for t in tasks]
    except ExecutorClosedError: pass
    ex.shutdown(timeout=10)
print("done")
"""
    assert run(text, kind, within=30) == (0, "done\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L21_fork_of_the_parent(kind: str) -> None:
    """In a forked child the parent's executor and tasks raise at once; the parent goes on."""
    text = """
import warnings; warnings.simplefilter("ignore")
with create_executor(sys.argv[1], max_workers=1) as ex:
    pending = ex.submit(time.sleep, 0.5)
    ex.submit(pow, 1, 1)
    pid = os.fork()
    if pid == 0:
        for call in (lambda: ex.submit(pow, 1, 1), pending.result):
            try: call(); print("no error")
            except ExecutorClosedError: print("raised", flush=True)
    else:
        os.waitpid(pid, 0)
        print(ex.submit(pow, 2, 5).result(10), flush=True)
"""
    code, output, errors = run(text, kind)
    assert (code, output, errors) == (0, "raised\nraised\n32\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L21_garbage_collected_without_close(kind: str) -> None:
    """An executor that is dropped completes what it accepted, and leaves nothing."""
    text = """
import gc
ex = create_executor(sys.argv[1], max_workers=1)
tasks = [ex.submit(pow, 2, n) for n in range(5)]
del ex; gc.collect()
print([task.result(10) for task in tasks])
from tests.faults.programs import children_of, wait_for
def ours(): return [t.name for t in threading.enumerate() if t is not threading.main_thread()]
print(wait_for(lambda: ours() in ([], ["unifexec-callbacks"]) and not children_of(os.getpid())))
"""
    assert run(text, kind) == (0, "[1, 2, 4, 8, 16]\nTrue\n", "")


BUSY = """
import tempfile
folder = tempfile.mkdtemp()
def begin(name, sleep):
    open(os.path.join(folder, name), "w").close()
    if sleep: time.sleep(60)
    else: 7 ** 400_000_000
ex = ProcessExecutor(2)
ex.submit(begin, "one", {sleep})
ex.submit(begin, "two", {sleep})
while len(os.listdir(folder)) < 2: time.sleep(0.01)
__import__("shutil").rmtree(folder)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("sleep", [True, False])
def test_L23_workers_go_with_their_parent(number: int, sleep: bool) -> None:
    """However the parent dies, its workers are gone within 3 s, also while they hold the GIL."""
    with Program(BUSY.format(sleep=sleep)) as program:
        assert program.line() == "ready"
        program.send(number)
        program.finish(within=5)
        assert program.seen
        assert wait_for(lambda: not program.left_behind(), 3)


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_L23_what_tasks_started_goes_with_a_killed_parent(start_method: str) -> None:
    """A subprocess of a task is in its worker's process group, and ends with it."""
    text = """
import subprocess
def start_one():
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    child.wait()
with ProcessExecutor(1, start_method=sys.argv[1]) as ex:
    ex.submit(start_one).result()
"""
    with Program(text, start_method) as program:
        child = int(program.line())
        program.seen.add(child)
        assert is_running(child)
        program.send(signal.SIGKILL)
        program.process.wait(5)
        assert wait_for(lambda: not program.left_behind(), 3)


def test_L23_a_forked_child_does_not_keep_workers_alive() -> None:
    """A child that the parent forked holds none of what the workers watch."""
    text = BUSY.format(sleep=True).replace(
        'print("ready"', 'os.fork() or time.sleep(3) or os._exit(0)\nprint("ready"'
    )
    with Program(text) as program:
        assert program.line() == "ready"
        workers = set(program.seen)
        program.send(signal.SIGKILL)
        program.process.wait(5)
        assert workers
        assert wait_for(lambda: len(program.left_behind()) <= 1, 2)


def test_a_signal_handler_may_submit_in_the_midst_of_a_submit() -> None:
    """It finds no lock held, and its tasks are tasks like others."""
    text = """
tasks = []
def handler(number, frame): tasks.append(ex.submit(lambda: len("from a handler")))
with ProcessExecutor(1) as ex:
    assert ex.submit(lambda: 1).result() == 1  # what it imports for that, is imported
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)  # long against what the handler takes
    end = time.monotonic() + 1.5
    while time.monotonic() < end: ex.submit(lambda: len(tasks))
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(tasks) > 100, {task.result() for task in tasks})
"""
    assert run(text, within=30) == (0, "True {14}\n", "")


@pytest.mark.parametrize("kind", KINDS)
def test_L21_a_submit_that_is_overtaken_by_the_close(kind: str) -> None:
    """It was let in, and all was closed before it came to the core: it is refused, not lost."""
    executor = create_executor(kind, max_workers=1)
    assert executor.submit(pow, 2, 3).result(20) == 8
    executor.shutdown()
    executor._room.check_open = lambda: None  # what the verb saw a moment ago
    for task in (executor.submit(pow, 2, 3), executor.submit(threading.Lock)):
        assert isinstance(task.exception(5), ExecutorClosedError)


def test_L20_a_submit_as_the_last_line() -> None:
    """The carrier was started, and has not come to carry: the end of the program waits for it."""
    text = """
from unifexec._backends.room import Room
def hold(frame, event, arg):
    if frame.f_code is Room._become_carrier.__code__: time.sleep(0.2)
threading.settrace(hold)
ex = create_executor(sys.argv[1])
ex.submit(print, "ran", flush=True)
"""
    for kind in ("thread", "async"):
        assert run(text, kind) == (0, "ran\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L21_a_map_that_is_overtaken_by_the_close(kind: str) -> None:
    """It was let in, and all was closed before it began: it is refused, and nobody waits for it."""
    executor = create_executor(kind, max_workers=1)
    assert executor.submit(pow, 2, 3).result(20) == 8
    executor.shutdown()
    check_open, calls = executor._room.check_open, iter([lambda: None])  # what the verb saw
    executor._room.check_open = lambda: next(calls, check_open)()
    with pytest.raises(ExecutorClosedError):
        executor.map(abs, range(1000))
    executor.shutdown(timeout=10)


@pytest.mark.parametrize("kind", KINDS)
def test_L21_inputs_that_close_their_executor(kind: str) -> None:
    """The close does not wait for who calls it; what was pulled before it is there."""
    executor = create_executor(kind, max_workers=2)

    def inputs() -> Iterator[int]:
        yield 1
        yield 2
        executor.shutdown()
        yield 3

    got = []
    with pytest.raises(ExecutorClosedError):
        for value in executor.map(abs, inputs()):
            got.append(value)
    assert got in ([1, 2], [1, 2, 3])
    executor.shutdown()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", POOLS)
def test_L08_a_close_wakes_who_waits_for_the_next_result(kind: str, ordered: bool) -> None:
    """Threads that share results all see the end."""
    ended = threading.Event()
    with create_executor(kind, max_workers=1) as executor:
        results = executor.map(jobs.nap_long, [0.5] * 8, ordered=ordered)

        def consume() -> None:
            for _ in results:
                pass
            ended.set()

        consumer = threading.Thread(target=consume, daemon=True)
        consumer.start()
        assert wait_for(lambda: results._run._watchers)
        results.close()
        assert ended.wait(10)
        consumer.join()


@pytest.mark.parametrize("kind", POOLS)
def test_L08_a_map_that_was_interrupted_is_cancelled_while_that_is_handled(kind: str) -> None:
    """The traceback does not hold the results: they were dropped, as by ``break``."""
    text = """
import asyncio
def use(how, results):
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    try:
        if how == "list":
            list(results())
        else:
            for _ in results():
                pass
    except KeyboardInterrupt:
        start = time.monotonic()
        assert list(ex.map(abs, [-1])) == [1]
        print(time.monotonic() - start < 3)
async def timed_out():
    async with create_executor(sys.argv[1], max_workers=2) as ex:
        try:
            async with asyncio.timeout(0.2):
                async for _ in ex.map(time.sleep, [0.5] * 30):
                    pass
        except TimeoutError:
            start = time.monotonic()
            await ex.submit(abs, -1)
            print(time.monotonic() - start < 3)
ex = create_executor(sys.argv[1], max_workers=2)
ex.submit(abs, -1).result()
for how in "list", "for":
    use(how, lambda: ex.map(time.sleep, [0.5] * 30))
ex.shutdown()
asyncio.run(timed_out())
"""
    code, out, err = run(text, kind)
    assert (code, out) == (0, "True\n" * 3), err


@pytest.mark.parametrize("kind", KINDS)
def test_L14_one_of_several_threads_is_told_of_the_failure(kind: str) -> None:
    """Another that saw it too, and comes a moment later, has the end."""

    class Seen(list):  # type: ignore[type-arg]  # it is not generic when it runs
        def __bool__(self) -> bool:
            return True

    with create_executor(kind, max_workers=1) as executor:
        results = executor.map(jobs.square, ["no number"])
        run = results._run
        assert run is not None
        run.last = Seen(run.last)
        with pytest.raises(TypeError):
            next(results)
        results._run = run  # as the other had it before
        with pytest.raises(StopIteration):
            next(results)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["exit", "close"])
def test_L21_finalizers_that_misbehave(kind: str, how: str) -> None:
    """One that exits, or closes its executor, keeps nobody from closing it."""
    text = """
def finalize(): sys.exit(3) if sys.argv[2] == "exit" else ex.shutdown()
kind = sys.argv[1]
ex = create_executor(kind, max_workers=2, finalizer=None if kind == "process" else finalize)
print(sorted(ex.map(abs, [-1, -2])))
ex.shutdown()
print("closed")
"""
    assert run(text, kind, how)[:2] == (0, "[1, 2]\nclosed\n")


def test_L21_an_initializer_that_closes_its_executor() -> None:
    """It would wait for itself; the task that was let in runs."""
    with create_executor("thread", max_workers=1, initializer=lambda: executor.shutdown()) as ex:
        executor = ex
        assert ex.submit(abs, -2).result(20) == 2


def test_L15_a_cancelled_task_never_runs() -> None:
    """Not even if the core asks in the midst of its cancelling: who has the token has won."""
    with create_executor("serial") as executor:
        task = executor.submit(abs, -1)
    pending = type(task)(task._home, "pending")
    assert pending._take_token()  # as `cancel` begins
    assert pending.claim_batch(None) == 0
    assert pending.cancelled()


def fold(executor: Any, first: Any, depth: int) -> Any:
    """Gathers of gathers, one inside the other."""
    for _ in range(depth):
        first = executor.gather(first, executor.submit(int))
    return first


def test_L15_deep_gathers_are_asked_and_cancelled() -> None:
    """They do not ask each other, one inside the other."""
    go = threading.Event()
    with create_executor("thread", max_workers=1) as executor:
        blocker = executor.submit(go.wait)
        pending = executor.submit(int)
        joined = fold(executor, executor.gather(pending), 2000)
        assert not joined.running()
        assert joined.cancel()
        assert joined.cancelled()
        assert pending.cancelled()
        started = fold(executor, executor.gather(blocker), 2000)
        assert started.running()
        assert not started.cancel()
        assert started.abort()  # what waits behind the blocker
        go.set()
        with pytest.raises(TaskCancelledError):
            started.result(20)


def test_L14_a_failure_beside_a_deep_gather() -> None:
    """All that is below it is aborted, and it settles."""
    go = threading.Event()

    def fail() -> None:
        go.wait()
        raise ZeroDivisionError

    with create_executor("thread", max_workers=2) as executor:
        failing, slow = executor.submit(fail), executor.submit(go.wait)
        joined = executor.gather(failing, fold(executor, executor.gather(slow), 2000))
        go.set()
        with pytest.raises(ZeroDivisionError):
            joined.result(20)


def test_L15_gathers_that_share_their_tasks_are_asked_once() -> None:
    """Else each level would double the questions."""
    go = threading.Event()
    with create_executor("thread", max_workers=1) as executor:
        joined = executor.submit(go.wait)
        for _ in range(60):
            joined = executor.gather(joined, joined)
        while not joined.running():
            pass
        assert not joined.cancel()
        assert not joined.abort()  # a plain function in a thread
        go.set()
        joined.result(20)


@pytest.mark.parametrize("errors", ["raise", "return", "group"])
def test_L15_a_gather_that_is_cancelled(errors: str) -> None:
    """It is cancelled as a whole, as any task: whatever it makes of failures."""
    gate = threading.Event()
    with create_executor("thread", max_workers=1) as executor:
        executor.submit(gate.wait)
        inner = executor.gather(*[executor.submit(abs, -x) for x in range(3)], errors=errors)
        outer = executor.gather(inner, errors=errors)
        assert not outer.running()
        assert outer.cancel()
        gate.set()
        for task in (inner, outer):
            with pytest.raises(TaskCancelledError):
                task.result(20)
            assert task.cancelled()


def test_L19_what_a_serial_initializer_sets_is_its_own() -> None:
    """As that of any other executor, which runs elsewhere."""
    variable: ContextVar[str] = ContextVar("variable", default="default")
    with create_executor("serial", initializer=lambda: variable.set("set")) as executor:
        assert executor.submit(variable.get).result() == "default"
        assert executor.submit(variable.get).result() == "default"
    assert variable.get() == "default"


@pytest.mark.parametrize("kind", POOLS)
def test_L20_a_close_goes_on_where_another_was_interrupted(kind: str) -> None:
    """While that one pulled the inputs of a map, for which both wait."""
    main, pulling, go_on = threading.current_thread(), threading.Event(), threading.Event()

    def inputs() -> Iterator[int]:
        while threading.current_thread() is main:  # as many as the window takes
            yield 1
        pulling.set()
        go_on.wait(10)
        raise KeyboardInterrupt

    def close(ended: list[type[BaseException] | None]) -> None:
        try:
            executor.shutdown()
        except KeyboardInterrupt as error:
            ended.append(type(error))
        else:
            ended.append(None)

    executor = create_executor(kind, max_workers=1)
    results = executor.map(jobs.square, inputs())
    ended: list[type[BaseException] | None] = []
    first, second = [threading.Thread(target=close, args=(ended,)) for _ in range(2)]
    first.start()
    assert pulling.wait(10)
    second.start()
    assert wait_for(lambda: results._run is not None and len(results._run._watchers) == 1)
    go_on.set()
    for closer in (first, second):
        closer.join(10)
        assert not closer.is_alive()
    assert ended == [KeyboardInterrupt, None]


LATE = {
    "closed by atexit": """
import atexit
ex = create_executor(sys.argv[1], max_workers=1)
atexit.register(lambda: print("closed"))
atexit.register(ex.shutdown)
""",
    "made by atexit": """
import atexit
def late():
    with create_executor(sys.argv[1], max_workers=1) as ex:
        try: ex.submit(abs, -3)
        except RuntimeError: print("closed")
atexit.register(late)
""",
    "left by a thread": """
def late():
    threading.main_thread().join()
    time.sleep(0.2)
    with ex: pass
    print("closed")
ex = create_executor(sys.argv[1], max_workers=1)
threading.Thread(target=late).start()
""",
    "used by a thread": """
def late():
    threading.main_thread().join()
    time.sleep(0.2)
    with ex:
        try: ex.submit(abs, -3)
        except RuntimeError: print("closed")
ex = create_executor(sys.argv[1], max_workers=1)
threading.Thread(target=late).start()
""",
    "made by a task that is completed": """
def late():
    time.sleep(0.3)
    try:
        with create_executor(sys.argv[1], max_workers=1) as ex: ex.submit(abs, -3).result()
    except RuntimeError: pass
    print("closed")
ThreadExecutor(1).submit(late)
""",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", LATE)
def test_L20_an_executor_while_the_program_ends(how: str, kind: str) -> None:
    """It can be closed; a submit runs, or says that it is too late, as in the standard library."""
    code, out, err = run(LATE[how], kind)
    assert (code, out) == (0, "closed\n"), err


@pytest.mark.parametrize("name", ["asyncio", "sniffio", "trio"])
@pytest.mark.parametrize("kind", ["serial", "thread", "async"])
def test_L13_a_module_that_another_thread_imports(kind: str, name: str) -> None:
    """Half of it is there: nobody can be using it, so it is as if nothing were."""
    text = f"""
import asyncio, types
half, whole = types.ModuleType({name!r}), sys.modules.get({name!r})
async def nothing(): return 1
async def main(ex): return await ex.submit(abs, -2)
def fail(): raise ValueError
with create_executor(sys.argv[1], max_workers=2) as ex:
    ex.submit(nothing).result(10)  # what is needed is imported
    sys.modules[{name!r}] = half
    print(type(ex.submit(fail).exception(10)).__name__)
    if {name != "asyncio"}:
        print([task.result(10) for task in [ex.submit(nothing) for _ in range(4)]])
        print(asyncio.run(main(ex)))
    sys.modules.pop({name!r}) if whole is None else sys.modules.update({{{name!r}: whole}})
"""
    more = "" if name == "asyncio" else "[1, 1, 1, 1]\n2\n"
    assert run(text, kind) == (0, "ValueError\n" + more, "")


@pytest.mark.parametrize(
    "how", ["shutdown", "partial(shutdown, 1)", "Shutdown()", "Shutdown().end"]
)
def test_L21_a_close_in_a_signal_handler_of_any_kind(how: str) -> None:
    """It does not wait there for what it interrupts."""
    text = f"""
from functools import partial
class Shutdown:
    def __call__(self, *args): shutdown(1)
    def end(self, *args): shutdown(1)
def shutdown(*args):
    began = time.monotonic()
    ex.shutdown()
    print(time.monotonic() - began < 0.5)
ex = ThreadExecutor(1)
task = ex.submit(time.sleep, 1)
signal.signal(signal.SIGUSR1, {how})
os.kill(os.getpid(), signal.SIGUSR1)
print(task.result(10))
"""
    assert run(text) == (0, "True\nNone\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L20_ctrl_c_in_the_midst_of_the_first_submit(kind: str) -> None:
    """The task was accepted, and nobody was started for it: the program ends, and is silent."""
    text = """
from unifexec._backends.room import Room
ring = Room.ring
def struck(room):
    Room.ring = ring
    raise KeyboardInterrupt
ex = create_executor(sys.argv[1], max_workers=1)
Room.ring = struck
try: ex.submit(abs, -3)
except KeyboardInterrupt: print("struck")
"""
    assert run(text, kind) == (0, "struck\n", "")


@pytest.mark.parametrize("kind", ["serial", "thread"])
def test_L20_ctrl_c_at_any_moment_of_a_map(kind: str) -> None:
    """A few hundred times, between any two instructions: each time the `with` is left."""
    text = """
import random
main, armed, fired = threading.main_thread().ident, threading.Event(), threading.Event()
def strike():
    while True:
        armed.wait()
        armed.clear()
        until = time.perf_counter() + random.random() * 0.002
        while time.perf_counter() < until: pass
        signal.pthread_kill(main, signal.SIGINT)
        fired.set()
threading.Thread(target=strike, daemon=True).start()
def inputs():
    while True: yield 1
def interrupted():
    try:
        with create_executor(sys.argv[1], max_workers=2) as ex:
            ex.submit(abs, 1).result()
            armed.set()
            for _ in ex.map(abs, inputs()): pass
    except KeyboardInterrupt: return fired.wait()
count, until = 0, time.monotonic() + 4
while time.monotonic() < until: count += interrupted()
print(count > 50)
"""
    assert run(text, kind) == (0, "True\n", "")


HANDLERS = {
    "plain": "def handler(number, frame): strike()",
    "decorated": """
def logged(fn):
    @functools.wraps(fn)
    def wrapper(*args): return fn(*args)
    return wrapper
@logged
def handler(number, frame): strike()
""",
    "partial": "handler = functools.partial(lambda fn, number, frame: fn(), lambda: strike())",
    "deletes its arguments": "def handler(number, frame): del number, frame; strike()",
    "resets itself": """
def handler(number, frame): signal.signal(number, signal.SIG_DFL); strike()
""",
    "object": """
class Handler:
    def __call__(self, number, frame): strike()
handler = Handler()
""",
}


@pytest.mark.parametrize("how", HANDLERS)
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_L20_a_handler_that_ends_the_program_is_no_failure_of_a_task(how: str, error: str) -> None:
    """Where the task runs in the caller's thread: the program ends by it, as it does elsewhere."""
    program = f"""
import functools
def strike(): raise {error}(7)
{HANDLERS[how]}
signal.signal(signal.SIGTERM, handler)
def task(x): signal.raise_signal(signal.SIGTERM)
def own(x): raise {error}(x)
with SerialExecutor() as ex:
    try: list(ex.map(task, range(3), errors="return"))
    except BaseException as error: print(type(error).__name__)
with SerialExecutor() as ex: print(*map(type, ex.map(own, [1], errors="return")))
"""
    code, output, _ = run(program)
    assert (code, output.split("\n")[0]) == (0, error)
    assert "Failure" in output.split("\n")[1]


def test_L20_a_close_waits_in_a_function_that_is_a_handler_too() -> None:
    """Whether it was called as one is what counts; and functions of one decorator are alike."""
    program = """
import functools
def logged(fn):
    @functools.wraps(fn)
    def wrapper(*args): return fn(*args)
    return wrapper
@logged
def handler(number, frame): raise SystemExit(1)
def stop(number=None, frame=None): ex.shutdown()
signal.signal(signal.SIGTERM, handler)
signal.signal(signal.SIGUSR2, stop)
@logged
def work():
    with ThreadExecutor(2) as ex: task = ex.submit(time.sleep, 0.2)
    print(task.done())
work()
ex = ThreadExecutor(2)
task = ex.submit(time.sleep, 0.2)
stop()
print(task.done())
"""
    assert run(program) == (0, "True\nTrue\n", "")


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_L20_ctrl_c_that_leaves_the_import_system_locked(kind: str) -> None:
    """As when it strikes a main thread that is to import what another imports: we can close."""
    program = """
import _imp
async def nap(): pass
try:
    with create_executor(sys.argv[1]) as ex:
        _imp.acquire_lock()  # which CPython leaves so, for lack of a `try`
        tasks = [ex.submit(nap) for _ in range(3)]
        if sys.argv[2] == "interrupted": raise KeyboardInterrupt
except KeyboardInterrupt: pass
print(_imp.lock_held(), all(task.done() for task in tasks))
"""
    for how in ("closed", "interrupted"):
        assert run(program, kind, how, within=10) == (0, "False True\n", "")


def test_L21_a_close_in_a_handler_that_deletes_its_arguments() -> None:
    """It does not wait: what it would wait for may need what the main thread holds."""
    program = """
lock = threading.Lock()
def needs_it():
    with lock: pass
def stop(number, frame): del number, frame; ex.shutdown(); print("left")
signal.signal(signal.SIGTERM, stop)
ex = ThreadExecutor(1)
with lock:
    task = ex.submit(needs_it)
    signal.raise_signal(signal.SIGTERM)
task.result()
"""
    assert run(program, within=10) == (0, "left\n", "")


@pytest.mark.parametrize("kind", POOLS)
def test_L20_ctrl_c_while_a_close_waits(kind: str) -> None:
    """It leaves by an exception: what is pending never starts, what can be stopped is."""
    text = """
import asyncio
ex = create_executor(sys.argv[1], max_workers=2)
async def wait(): await asyncio.sleep(30)
try:
    with ex:
        tasks = [ex.submit(wait) for _ in range(6)]
        while not tasks[1].running(): pass
        print("waiting", flush=True)
except KeyboardInterrupt:
    for task in tasks:
        try: task.result(10)
        except TaskCancelledError: pass
    print(sum(task.cancelled() for task in tasks))
"""
    with Program(text, kind) as program:
        assert program.line() == "waiting"
        assert program.comes_to_rest()
        program.send(signal.SIGINT)
        assert program.finish(20) == (0, "4\n", "")


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_L20_a_scope_that_is_cancelled_while_a_close_waits(kind: str, backend: str) -> None:
    """The same everywhere."""

    async def leave_early() -> list[Any]:
        with anyio.move_on_after(0.3):
            async with create_executor(kind, max_workers=2, async_backend=backend) as executor:
                tasks = [executor.submit(anyio.sleep, 30) for _ in range(6)]
        return tasks

    tasks = anyio.run(leave_early, backend=backend)
    assert all(task.done() for task in tasks)
    assert sum(task.cancelled() for task in tasks) == 4


def test_L25_deadlines_that_were_kept_are_forgotten() -> None:
    """Also behind one that is far away."""
    gate = threading.Event()
    with create_executor("thread", max_workers=2) as executor:
        view = executor.with_options(time_limit=3600)
        view.submit(gate.wait)
        for task in [view.submit(int) for _ in range(3000)]:
            task.result(20)
        assert len(executor._room.dispatch._deadlines) <= 2002
        gate.set()
