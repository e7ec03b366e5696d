"""Run a program as a user would, in a session of its own, and look at what is left of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "import os, signal, sys, threading, time\nfrom unifexec import *\n"


class Program:
    """A Python program that is running; leaving the ``with`` ends it and all it started."""

    def __init__(self, text: str, *args: str, path: Path | None = None) -> None:
        command = (
            [sys.executable, "-c", HEAD + text] if path is None else [sys.executable, str(path)]
        )
        self.process = subprocess.Popen(
            [*command, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.seen: set[int] = set()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for pid in [*self.seen, self.process.pid]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def line(self) -> str:
        """Wait for the next line it prints; on the way, note its workers."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline().strip()
        self.seen |= children_of(self.process.pid)
        return text

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.seen |= children_of(self.process.pid)
        self.process.send_signal(number)

    def comes_to_rest(self) -> bool:
        """Wait until its main thread sleeps, seen several times in a row."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        seen: list[str] = []

        def asleep() -> bool:
            seen.append(stat.read_text().rpartition(")")[2].split()[0])
            return seen[-10:] == ["S"] * 10

        return wait_for(asleep)

    def finish(self, within: float) -> tuple[int, str, str]:
        """Wait for its end: exit code, output, errors. Too late is a failure."""
        output, errors = self.process.communicate(timeout=within)
        return self.process.returncode, output, errors

    def left_behind(self) -> set[int]:
        """Those of its workers that still run."""
        return {pid for pid in self.seen if is_running(pid)}


def run(text: str, *args: str, within: float = 20) -> tuple[int, str, str]:
    """Run a program to its end."""
    with Program(text, *args) as program:
        return program.finish(within)


def children_of(pid: int) -> set[int]:
    """The processes that a process has started and not reaped."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {int(child) for child in task.read_text().split()}
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    return _state(pid) not in "ZX"


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    return _state(pid) == "T"


def _state(pid: int) -> str:
    """The letter that the system gives a process; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def wait_for(condition: Callable[[], object], within: float = 10) -> bool:
    """Poll until the condition holds; False when the time is over."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
