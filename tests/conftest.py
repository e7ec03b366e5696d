"""Fixtures and settings for every test. tests/README.md says where a new test goes."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Deadlines per example say nothing about code that waits for other threads and processes,
# and a busy machine is no fault of a test: each test has its own time limit instead.
settings.register_profile(
    "dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile(
    "nightly", settings.get_profile("ci"), derandomize=False, max_examples=2000
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "dev")
)

# A shell that starts us in the background has SIGINT ignored, and what we start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LINGERING_THREADS = (
    "unifexec-callbacks",  # one for the process: runs callbacks
    "Trio thread",  # trio keeps its threads for ten seconds, to use them again
    "pytest_timeout ",  # the time limit of the running test
)
PATIENCE = 5.0  # seconds: a worker that was told to leave needs a moment
DESCRIPTORS = Path("/proc/self/fd")


def _threads() -> set[tuple[str, object]]:
    return {
        ("thread", thread)
        for thread in threading.enumerate()
        if not thread.name.startswith(LINGERING_THREADS)
    }


def _children() -> set[tuple[str, object]]:
    """Return the processes whose parent we are, also those that ended and were not awaited."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, AttributeError):  # none (the usual case, at once); or no POSIX
        return set()
    found: set[tuple[str, object]] = set()
    for each in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # that thread has ended meanwhile
            found |= {("child process", pid) for pid in each.read_text().split()}
    return found


def _descriptors() -> set[tuple[str, object]]:
    """Return as many numbers as descriptors are open; what they stand for changes hands freely."""
    count = len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.exists() else 0
    return {("descriptor", number) for number in range(count)}


def inventory() -> set[tuple[str, object]]:
    """Return what this process holds: threads, children, descriptors."""
    return _threads() | _children() | _descriptors()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a descriptor of its own behind.

    A test that shares an executor with others of its class is checked with its class.
    """
    before = inventory()
    yield
    if "ex" not in request.fixturenames:
        _expect_no_more_than(before)


@pytest.fixture(autouse=True, scope="class")
def nothing_left_by_a_class() -> Iterator[None]:
    """As `nothing_left_behind`, for what the tests of a class share."""
    before = inventory()
    yield
    _expect_no_more_than(before)


def _expect_no_more_than(before: set[tuple[str, object]]) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = 0.001
    while left := inventory() - before:
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {sorted(map(str, left))}", pytrace=False)
        gc.collect()  # an executor that was dropped, not closed, leaves when it is collected
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
