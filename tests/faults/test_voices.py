"""L19, L26: what workers say and see."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING

from unifexec import ProcessExecutor

from .programs import run, wait_for

if TYPE_CHECKING:
    import pytest


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
