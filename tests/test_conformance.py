"""The laws, on each of our executors. A new one joins by one line."""

from __future__ import annotations

import pytest

from unifexec import AsyncExecutor, ProcessExecutor, SerialExecutor, ThreadExecutor
from unifexec.testing import conformance

TestSerial = conformance(SerialExecutor)
TestPortable = conformance(SerialExecutor, portable=True)
TestThread = conformance(ThreadExecutor)
TestProcess = conformance(ProcessExecutor, grace=5.0)  # a busy machine may take half a second
TestAsync = conformance(AsyncExecutor)
TestForkServer = pytest.mark.slow(conformance(ProcessExecutor, start_method="forkserver"))
