"""Facts about the machine and the interpreter, as far as they matter for executors."""

from __future__ import annotations

import sys

from unifexec import create_executor


def usable_cores() -> int:
    """The cores this process may really use: its affinity, and its cgroup's quota."""
    with create_executor("process") as executor:  # starts nothing: it has no task
        workers: int = executor._max_workers
    return workers


def has_gil() -> bool:
    """Whether this interpreter runs Python code on one core at a time."""
    enabled: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
    return enabled
