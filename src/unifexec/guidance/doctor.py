"""``unifexec doctor``: what this machine and interpreter offer, and what stands in the way."""

from __future__ import annotations

import importlib.util
import os
import platform
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from unifexec import create_executor
from unifexec.guidance import machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NATIVE_POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
OVERSUBSCRIBING = ("numpy", "scipy", "torch", "numexpr", "tensorflow", "faiss", "sklearn")
EXTRAS = {"trio": "trio", "plot": "matplotlib"}
FEW_DESCRIPTORS = 1024  # a thousand connections and some files want more


class Finding(NamedTuple):
    """One fact.

    Attributes:
        name: what it is about.
        value: what was found, in words.
        warning: what is amiss and how to cure it; None if nothing is.
    """

    name: str
    value: str
    warning: str | None = None


def examine() -> list[Finding]:
    """Look at everything; takes a moment, and starts nothing."""
    return [
        interpreter(),
        gil(machine.has_gil(), _built_without_gil()),
        cores(os.cpu_count() or 1, _affinity(), machine.usable_cores()),
        start_methods(),
        native_pools(os.environ, _installed(OVERSUBSCRIBING), machine.usable_cores()),
        *extras(_installed(EXTRAS.values())),
        descriptors(_descriptor_limit()),
    ]


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each fact, and a paragraph for each warning."""
    lines = [f"{finding.name:20} {finding.value}" for finding in findings]
    warnings = [finding.warning for finding in findings if finding.warning]
    lines += ["", *(textwrap.fill(f"warning: {w}", 88, subsequent_indent="  ") for w in warnings)]
    if not warnings:
        lines.append("nothing amiss")
    return "\n".join(lines)


def interpreter() -> Finding:
    """Which Python this is; others than CPython are not tested."""
    name = platform.python_implementation()
    value = f"{name} {platform.python_version()} on {platform.system()} {platform.machine()}"
    if name != "CPython":
        return Finding(
            "interpreter", value, f"unifexec was never run on {name}: use CPython, or run its tests"
        )
    return Finding("interpreter", value)


def gil(enabled: bool, free_threaded: bool) -> Finding:
    """Whether Python code in threads runs on one core at a time."""
    if enabled and free_threaded:
        return Finding(
            "GIL",
            "on, in a build that could do without",
            "the GIL was switched on, by PYTHON_GIL=1, -X gil=1 or an extension module that needs "
            "it: unset it, or see which import switches it on with -W default",
        )
    return Finding("GIL", "on" if enabled else "off: Python code in threads uses several cores")


def cores(present: int, affinity: int | None, usable: int) -> Finding:
    """How many cores there are, and how many of them are ours."""
    value = f"{usable} usable of {present}"
    if affinity is not None and affinity < present:
        value += f", affinity allows {affinity}"
    if usable < min(affinity or present, present):  # PYTHON_CPU_COUNT may say less than is there
        value += ", the cgroup's quota fewer"
    if usable == 1:
        return Finding(
            "cores",
            value,
            "with one usable core no executor computes faster than serial: give the process more "
            "(taskset, docker --cpus, PYTHON_CPU_COUNT), or use executors for waiting only",
        )
    if usable < present:
        return Finding(
            "cores",
            value,
            f"libraries that ask os.cpu_count() see {present} cores and start too many workers: "
            f"set max_workers or OMP_NUM_THREADS to {usable} for them (our executors do so)",
        )
    return Finding("cores", value)


def start_methods() -> Finding:
    """How our workers come to be, and what multiprocessing would do."""
    import multiprocessing

    with create_executor("process") as executor:
        ours = executor.traits.start_method
    others = ", ".join(multiprocessing.get_all_start_methods())
    return Finding("start of processes", f"{ours}; multiprocessing here knows {others}")


def native_pools(environment: Mapping[str, str], libraries: Sequence[str], usable: int) -> Finding:
    """Libraries with thread pools of their own, which multiply with our threads."""
    chosen = {name: environment[name] for name in NATIVE_POOLS if environment.get(name)}
    shown = ", ".join(f"{name}={value}" for name, value in chosen.items()) or "no limit set"
    value = f"{', '.join(libraries) or 'none installed'} ({shown})"
    firsts = [each.partition(",")[0].strip() for each in chosen.values()]  # "4,2": nested ones
    most = max((int(first) for first in firsts if first.isdecimal()), default=None)
    if libraries and most is None and usable > 1:
        return Finding(
            "native thread pools",
            value,
            f"each thread of a ThreadExecutor that calls {libraries[0]} may start {usable} threads "
            "of its own: set OMP_NUM_THREADS=1 when tasks run in threads (a ProcessExecutor "
            "shares the cores among its workers by itself)",
        )
    if most is not None and most > usable:
        return Finding(
            "native thread pools",
            value,
            f"{most} threads were asked for on {usable} usable cores: set OMP_NUM_THREADS={usable}",
        )
    return Finding("native thread pools", value)


def extras(installed: Sequence[str]) -> list[Finding]:
    """Optional packages: to lack one is no problem, only good to know."""
    return [
        Finding(
            f"extra {name!r}",
            f"{module} is there"
            if module in installed
            else f"{module} is not there: pip install 'unifexec[{name}]'",
        )
        for name, module in EXTRAS.items()
    ]


def descriptors(limit: int | None) -> Finding:
    """How many files and connections may be open at once; None is not known, or no limit."""
    if limit is None:
        return Finding("open files", "no limit known")
    value = f"at most {limit}"
    if limit < FEW_DESCRIPTORS:
        return Finding(
            "open files",
            value,
            f"{limit} open files are few for many connections or worker processes: ulimit -n 4096",
        )
    return Finding("open files", value)


def _affinity() -> int | None:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return None


def _built_without_gil() -> bool:
    import sysconfig

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def _installed(modules: Iterable[str]) -> list[str]:
    return [name for name in modules if _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None  # a mere folder of that name has none


def _descriptor_limit() -> int | None:
    try:
        import resource
    except ImportError:  # not on every platform
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit
