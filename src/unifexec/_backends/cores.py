"""How many cores there are for us: what executors take for the number of their workers."""

from __future__ import annotations

import os
from contextlib import suppress


def usable_cores() -> int:
    """The cores this process may really use: its affinity, and its cgroup's quota.

    Or fewer, where ``PYTHON_CPU_COUNT`` says so: from 3.13 on that is what `os` counts.
    """
    cores = os.cpu_count() or 1
    with suppress(AttributeError):  # not on every platform
        cores = min(cores, len(os.sched_getaffinity(0)))
    quota = _cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota + 0.999)))


def _cgroup_quota() -> float | None:
    """Cores that the container may use, as float; None without a limit."""
    for read in (_cgroup2_quota, _cgroup1_quota):
        try:
            return read()
        except (OSError, ValueError):
            continue
    return None


def _cgroup2_quota() -> float | None:
    with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
        quota, period = file.read().split()
    return None if quota == "max" else int(quota) / int(period)


def _cgroup1_quota() -> float | None:
    folder = "/sys/fs/cgroup/cpu/cpu.cfs_"
    with open(folder + "quota_us", encoding="ascii") as file:
        quota = int(file.read())
    with open(folder + "period_us", encoding="ascii") as file:
        return None if quota <= 0 else quota / int(file.read())
