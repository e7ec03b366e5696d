"""L19, L26: what workers say and see."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings

import pytest

from unifexec import ProcessExecutor

from . import jobs
from .programs import run, wait_for


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


def test_L26_warnings_reach_the_parent() -> None:
    """They are shown by the parent, which may record them or filter them."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with ProcessExecutor(1) as executor:
            executor.submit(warn, "careful").result(20)
            assert wait_for(lambda: seen)
    assert "careful [worker process" in str(seen[0].message)
    assert seen[0].category is UserWarning


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


def test_workers_share_the_cores_for_native_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenMP and BLAS pools of workers are limited, unless the user says otherwise."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    with ProcessExecutor(64) as executor:
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(20) == "1"
        assert executor.submit(os.getenv, "MKL_NUM_THREADS").result(20) == "7"
