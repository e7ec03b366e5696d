"""The laws, on each of our executors. A new one joins by one line."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import AsyncExecutor, ProcessExecutor, SerialExecutor, ThreadExecutor
from unifexec.testing import conformance

if TYPE_CHECKING:
    from pathlib import Path

TestSerial = conformance(SerialExecutor)
TestPortable = conformance(SerialExecutor, portable=True)
TestThread = conformance(ThreadExecutor)
TestProcess = conformance(ProcessExecutor, grace=5.0)  # a busy machine may take half a second
TestAsync = conformance(AsyncExecutor)
TestForkServer = pytest.mark.slow(conformance(ProcessExecutor, start_method="forkserver"))

WITHOUT_TRIO = """
import sys
sys.modules["trio"] = None  # as if it were not installed
from unifexec import SerialExecutor
from unifexec.testing import conformance
TestMine = conformance(SerialExecutor)
"""


def test_without_trio_its_laws_are_skipped(tmp_path: Path) -> None:
    """Those that are tried from trio alone, too: an executor does not fail for want of it."""
    (tmp_path / "test_mine.py").write_text(WITHOUT_TRIO)
    names = "async_with_waits or cancelled_scope or gives_the_value"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", names]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" in done.stdout


def test_a_law_has_the_say_on_its_workers() -> None:
    """Also where the factory is to be called with a number of them."""
    laws: Any = conformance(ThreadExecutor, max_workers=4)
    with laws.make(1) as executor:
        assert executor._max_workers == 1
