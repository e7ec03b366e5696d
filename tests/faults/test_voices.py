"""L19, L26: what workers say and see."""

from __future__ import annotations

import logging
import mmap
import os
import socket
import threading
import time
import warnings
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from unifexec import ProcessExecutor, _bunches, _messages, _worker

from . import jobs
from .programs import run, wait_for


@pytest.fixture(autouse=True)
def buffered_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual case: what is printed into a pipe waits in a buffer."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def speak(text: str) -> int:
    """Log and warn, in a worker."""
    logging.getLogger("some.module").warning("said %s", text)
    logging.getLogger("some.module").debug("not wanted")
    return os.getpid()


def warn(text: str) -> None:
    """Warn, in a worker."""
    warnings.warn(text, UserWarning, stacklevel=1)


def test_L26_log_records_reach_the_parent(caplog: pytest.LogCaptureFixture) -> None:
    """With logger, level, text, the worker's pid and the task's name; levels are the parent's."""
    with ProcessExecutor(1) as executor:
        pid = executor.submit(speak, "hello").result(20)
        assert wait_for(lambda: caplog.records)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("some.module", "WARNING")
    assert record.getMessage() == "said hello"
    assert record.process == pid != os.getpid()
    assert record.processName == "unifexec-process-0"
    assert record.task == "speak"  # type: ignore[attr-defined]


def say_all(logger: str) -> None:
    """Say something on every level."""
    for level in (logging.DEBUG, logging.INFO, logging.ERROR):
        logging.getLogger(logger).log(level, logging.getLevelName(level))


def test_L26_levels_follow_the_parent(caplog: pytest.LogCaptureFixture) -> None:
    """Also those that change after the workers started, up, down, and back to unset."""
    said: list[list[str]] = []
    with ProcessExecutor(1) as executor:
        executor.submit(jobs.square, 1).result(20)
        for level in (logging.DEBUG, logging.ERROR, logging.INFO, logging.NOTSET):
            logging.getLogger("some.module").setLevel(level)
            time.sleep(0.15)  # the promise: a tenth of a second later
            executor.submit(say_all, "some.module").result(20)
            assert wait_for(lambda: "ERROR" in caplog.messages)
            said.append(caplog.messages)
            caplog.clear()
    assert said == [["DEBUG", "INFO", "ERROR"], ["ERROR"], ["INFO", "ERROR"], ["ERROR"]]


def test_L26_a_record_with_things_that_cannot_travel(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments are made text in the worker; extra attributes are, where they must be."""
    with ProcessExecutor(1) as executor:
        executor.submit(log_a_lock).result(20)
        assert wait_for(lambda: len(caplog.records) == 2)
    first, second = caplog.records
    assert "lock" in first.getMessage()
    assert "lock" in first.extra  # type: ignore[attr-defined]
    assert "ZeroDivisionError" in (second.exc_text or "")


def log_a_lock() -> None:
    """Log a lock as argument and as attribute, and an exception with its traceback."""
    lock = threading.Lock()
    logging.getLogger("some.module").warning("%s", lock, extra={"extra": lock})
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("some.module").exception("failed")


def test_L26_filters_of_warnings_follow_the_parent() -> None:
    """A warning that is an error in the parent is one in its workers; one ignored is not sent."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("ignore")
        with ProcessExecutor(1) as executor:
            executor.submit(warn, "unheard").result(20)
            warnings.simplefilter("error")
            time.sleep(0.15)  # the promise: a tenth of a second later
            with pytest.raises(UserWarning, match="too much"):
                executor.submit(warn, "too much").result(20)
    assert seen == []


def test_L26_what_a_task_catches_stays_caught() -> None:
    """Also if the parent wants to hear other things meanwhile, which count from the next task."""
    with ProcessExecutor(2) as executor:
        list(executor.map(jobs.square, range(2), chunksize=1))
        with warnings.catch_warnings():
            task = executor.submit(jobs.catch_warnings_for, 1.0)
            assert wait_for(task.running)
            warnings.simplefilter("ignore", ResourceWarning)
            logging.getLogger("some.module").setLevel(logging.ERROR)
            while not task.done():
                executor.submit(jobs.square, 2).result(20)
            assert task.result(20) == 0
            assert executor.submit(jobs.is_ignored, ResourceWarning).result(20)
            logging.getLogger("some.module").setLevel(logging.NOTSET)


def test_L26_warnings_reach_the_parent() -> None:
    """They are shown by the parent, which may record or filter them, with task name and pid."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with ProcessExecutor(1) as executor:
            pid = executor.submit(os.getpid).result(20)
            executor.with_options(name="the warner").submit(warn, "careful").result(20)
            assert wait_for(lambda: seen)
    (told,) = seen
    assert str(told.message) == f"careful [task 'the warner', worker process {pid}]"
    assert (told.category, Path(told.filename).name) == (UserWarning, "test_voices.py")


def test_L26_warnings_go_where_the_parent_sends_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Into the log, say, by ``logging.captureWarnings``."""
    with warnings.catch_warnings(), ProcessExecutor(1) as executor:
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        try:
            executor.submit(warn, "careful").result(20)
            assert wait_for(lambda: caplog.records)
        finally:
            logging.captureWarnings(False)
    assert caplog.records[0].name == "py.warnings"
    assert "UserWarning: careful [task 'warn'" in caplog.text


def test_L26_what_is_logged_last_is_heard() -> None:
    """Before the program ends, whether the executor was closed or not."""
    text = """
import logging
logging.basicConfig(format="%(levelname)s %(task)s %(message)s", level=logging.INFO)
def say(x): logging.info("said %s", x)
if sys.argv[1] == "closed":
    with ProcessExecutor(2) as ex: list(ex.map(say, range(20)))
else:
    ex = ProcessExecutor(2)
    for x in range(20): ex.submit(say, x)
"""
    for how in ("closed", "open"):
        code, output, errors = run(text, how)
        assert (code, output) == (0, "")
        assert sorted(errors.splitlines()) == sorted(f"INFO say said {x}" for x in range(20))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_L26_workers_of_a_forked_child_are_heard_there() -> None:
    """Also if the parent heard its own workers before; and callbacks of tasks are called."""
    text = """
import logging, warnings
warnings.simplefilter("ignore")  # 3.12: fork of a threaded process
logging.basicConfig(format="%(message)s")
def say(text): logging.warning(text)
def listen(text):
    with ProcessExecutor(1) as executor:
        task = executor.submit(say, text)
        task.add_done_callback(lambda task: logging.warning("%s, called", text))
listen("parent")
if pid := os.fork(): os.waitpid(pid, 0)
else: listen("child")
"""
    code, output, errors = run(text)
    assert (code, output) == (0, "")
    assert sorted(errors.splitlines()) == ["child", "child, called", "parent", "parent, called"]


def test_L26_children_that_tasks_fork_speak_for_themselves() -> None:
    """To standard error, as the pipe is their worker's: its answer of 50 MB stays whole."""
    text = """
import logging, warnings
logging.basicConfig(format="PARENT %(message)s")
def child(number):
    for _ in range(20): logging.warning("child %s", number); warnings.warn("careful")
def work(size):
    import multiprocessing
    logging.warning("the task")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [multiprocessing.get_context("fork").Process(target=child, args=(n,))
                    for n in range(3)]
        for one in children: one.start()
    for one in children: one.join()
    return [one.exitcode for one in children], bytes(size)
with ProcessExecutor(1) as ex:
    exitcodes, data = ex.submit(work, 50_000_000).result()
print(exitcodes, len(data))
"""
    code, output, errors = run(text)
    assert (code, output) == (0, "[0, 0, 0] 50000000\n")
    lines = errors.splitlines()
    assert lines.count("PARENT the task") == 1
    assert [lines.count(f"child {n}") for n in range(3)] == [20] * 3
    assert errors.count("UserWarning: careful") == 3


def test_L26_a_handler_that_raises_harms_nobody() -> None:
    """It is the parent's own; the tasks and the executor go on."""

    class Faulty(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    logger, handler = logging.getLogger("some.module"), Faulty()
    logger.addHandler(handler)
    try:
        with ProcessExecutor(1) as executor:
            executor.submit(speak, "hello").result(20)
            assert executor.submit(jobs.square, 3).result(20) == 9
    finally:
        logger.removeHandler(handler)


def test_L26_what_workers_print_is_out_before_their_outcome() -> None:
    """Nothing is lost or torn at exit, also when the output is a pipe."""
    text = """
def say(x):
    sys.stdout.write(f"line {x}\\n")
with ProcessExecutor(2) as ex:
    list(ex.map(say, range(20)))
print("end", flush=True)
"""
    code, output, errors = run(text)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert sorted(lines[:-1]) == sorted(f"line {x}" for x in range(20))
    assert lines[-1] == "end"


def test_L26_lines_of_many_workers_are_whole() -> None:
    """What a task writes is one write: not torn, if the system's pipe takes it at once."""
    text = """
def say(x): sys.stdout.write("<" + str(x) * 1000 + ">\\n")
with ProcessExecutor(4) as ex:
    list(ex.map(say, [n % 10 for n in range(200)]))
"""
    code, output, errors = run(text)
    assert (code, errors) == (0, "")
    assert sorted(output.splitlines()) == sorted(f"<{str(n % 10) * 1000}>" for n in range(200))


def test_L26_a_task_that_is_done_has_printed() -> None:
    """Its text is out when its result is there, though its worker lives on."""
    text = """
import tempfile
with tempfile.TemporaryFile("w+") as file:
    os.dup2(file.fileno(), 1)
    with ProcessExecutor(1) as ex:
        ex.submit(print, "said").result()
        sys.stderr.write(os.pread(1, 100, 0).decode())
"""
    assert run(text)[2] == "said\n"


def test_L26_nothing_that_is_printed_is_lost() -> None:
    """Lines longer than the pipe may mix with those of other workers, but all of them arrive."""
    text = """
def say(letter): print(letter * 200_000)
with ProcessExecutor(3) as ex:
    for letter in "abc": ex.submit(say, letter)
"""
    code, output, errors = run(text)
    assert (code, errors) == (0, "")
    assert [output.count(letter) for letter in "abc\n"] == [200_000] * 3 + [3]


def test_L26_what_is_said_at_the_end_is_out() -> None:
    """By a finalizer, and by what the worker calls at its exit."""
    text = """
import atexit
def begin(): atexit.register(print, "at exit")
with ProcessExecutor(1, initializer=begin, finalizer=lambda: print("finalizer")) as ex:
    ex.submit(print, "task").result()
print("end")
"""
    assert run(text) == (0, "task\nfinalizer\nat exit\nend\n", "")


def test_L26_what_a_dying_worker_said_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    """Records that were made before the death arrive."""
    with ProcessExecutor(1) as executor:
        assert executor.submit(speak_and_die).exception(20) is not None
        assert wait_for(lambda: caplog.records)
    assert caplog.messages == ["last words"]


def speak_and_die() -> None:
    logging.getLogger("some.module").warning("last words")
    os._exit(3)


def test_L26_records_come_in_order_and_all(caplog: pytest.LogCaptureFixture) -> None:
    """Many, of a named task, each with the process that made it."""
    with ProcessExecutor(2) as executor:
        named = executor.with_options(name="the speaker")
        pids = set(named.map(speak, map(str, range(50)), chunksize=5))
        assert wait_for(lambda: len(caplog.records) == 50)
    assert {record.process for record in caplog.records} == pids
    assert {record.task for record in caplog.records} == {"the speaker"}  # type: ignore[attr-defined]
    for pid in pids:
        made = [record.created for record in caplog.records if record.process == pid]
        assert made == sorted(made)


def test_L26_a_filter_of_the_parents_logger_applies(caplog: pytest.LogCaptureFixture) -> None:
    """Filters of loggers and handlers run in the parent, on the records of workers."""
    logger = logging.getLogger("some.module")

    def unwanted(record: logging.LogRecord) -> bool:
        return "secret" not in record.getMessage()

    logger.addFilter(unwanted)
    try:
        with ProcessExecutor(1) as executor:
            executor.submit(speak, "secret").result(20)
            executor.submit(speak, "open").result(20)
            assert wait_for(lambda: caplog.records)
    finally:
        logger.removeFilter(unwanted)
    assert caplog.messages == ["said open"]


def test_L26_once_is_once_for_each_worker() -> None:
    """The filter "once" is the parent's; its memory is each worker's own."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("once")
        with ProcessExecutor(1) as executor:
            for _ in range(3):
                executor.submit(warn, "careful").result(20)
            assert wait_for(lambda: seen)
    assert len(seen) == 1


def test_workers_share_the_cores_for_native_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenMP and BLAS pools of workers are limited, unless the user says otherwise."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    with ProcessExecutor(64) as executor:
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(20) == "1"
        assert executor.submit(os.getenv, "MKL_NUM_THREADS").result(20) == "7"


@pytest.mark.timeout(30)
def test_L26_what_is_said_in_the_midst_of_a_message(caplog: pytest.LogCaptureFixture) -> None:
    """By a signal handler of the worker, while it sends an answer: both are whole."""
    with ProcessExecutor(1) as executor:
        executor.submit(jobs.log_at_every_tick, 0.0003).result(20)
        assert list(executor.map(jobs.squared_text, range(5000))) == [
            jobs.squared_text(number) for number in range(5000)
        ]
        executor.submit(jobs.log_at_every_tick, 0.0).result(20)
    assert {record.getMessage() for record in caplog.records} == {"tick"}


def test_L26_an_alarm_of_a_task_tears_no_message() -> None:
    """A signal handler of a task's that raises while a record is sent: the record is whole."""
    text, wrong = "0123456789" * 30_000, []

    class Reader(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() != text:
                wrong.append(record)

    logger, reader = logging.getLogger("alarm"), Reader()
    logger.addHandler(reader)
    logger.propagate = False
    try:
        with ProcessExecutor(1) as executor:
            assert executor.submit(jobs.log_under_alarms, text, 200).result(50) > 100
            assert list(executor.map(jobs.square, range(100))) == [x * x for x in range(100)]
    finally:
        logger.removeHandler(reader)
        logger.propagate = True
    assert not wrong


def test_L26_what_is_said_between_two_messages() -> None:
    """By a signal handler that comes when one has been looked for, and sends it: both are whole."""
    ours, theirs = socket.socketpair()
    hand, their_hand = socket.socketpair()
    with ours, theirs, hand, their_hand:
        worker = _worker.Worker(theirs, mmap.mmap(-1, _bunches.SCRATCH_SIZE), their_hand)

        class Interrupted(deque[Any]):
            """Looked at, it is not empty; and then it is, since the handler has sent all."""

            is_due = True

            def __len__(self) -> int:
                count = super().__len__()
                if count and self.is_due:
                    self.is_due = False
                    worker._send(_messages.SAID, 2, 0)
                return count

        worker._outbox._unsent = Interrupted()
        worker._send(_messages.SAID, 1, 0)
        worker._file.close()
        numbers = [number for _, number, _, _ in _messages.HEADER.iter_unpack(ours.recv(4096))]
    assert numbers == [1, 2]


def test_L26_a_record_that_cannot_be_said_fails_no_task() -> None:
    """As nowhere else."""
    with ProcessExecutor(1) as executor:
        assert executor.submit(jobs.log_nonsense).result(20) == 1


@pytest.mark.parametrize("when", ["before", "while a task runs"])
def test_L26_levels_and_filters_that_workers_do_not_know(when: str) -> None:
    """A level is a number, others are none; a category that they cannot import filters nothing."""
    text = """
import enum, logging, types, warnings
from unifexec._backends.process import VOICES_SECONDS
class Level(enum.IntEnum): TRACE = 5
def change():
    logging.getLogger("app").setLevel(Level.TRACE)
    logging.getLogger("odd").level = "INFO"  # past `setLevel`
    plugin = sys.modules["plugin"] = types.ModuleType("plugin")
    exec("class MyWarning(UserWarning): pass", plugin.__dict__)
    warnings.simplefilter("ignore", plugin.MyWarning)
if sys.argv[1] == "before": change()
with ProcessExecutor(2) as executor:
    running = executor.submit(time.sleep, 1)
    if sys.argv[1] != "before":
        while not running.running(): pass
        change()
        time.sleep(2 * VOICES_SECONDS)  # so the next task looks at them
    print(executor.submit(abs, -1).result(), running.result())
"""
    assert run(text, when) == (0, "1 None\n", "")


@pytest.mark.parametrize("filters", ["none", "ignored"])
def test_L26_filters_that_name_the_module_of_the_script(filters: str) -> None:
    """As Python's own for DeprecationWarning does; its functions are of that module there, too."""
    text = """
import warnings
ignored = sys.argv[1] == "ignored"
if ignored: warnings.filterwarnings("ignore", module="__main__")
def old(): warnings.warn("old thing", UserWarning if ignored else DeprecationWarning)
with ProcessExecutor(1) as executor: executor.submit(old).result()
"""
    code, _, errors = run(text, filters)
    assert code == 0
    assert ("Warning: old thing" in errors) == (filters == "none")
