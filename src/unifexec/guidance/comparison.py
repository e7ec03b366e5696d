"""The comparison of threads, processes and asyncio as it is commonly taught, made precise.

Plain data, to be read by programs too: `rows` gives one `Row` for each feature, with what is
commonly taught and our own `Cell` for each executor. Where an executor says something about
itself (`unifexec.Traits`), the cell is made from that. Each cell names its evidence: tests of
this project, rows of ``unifexec compare``, or functions of ``benchmarks/advice``, that show it
on the interpreter at hand.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from unifexec import Traits, create_executor

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("thread", "process", "async", "serial")
TAUGHT_AS = {"thread": "Threading", "process": "Multiprocessing", "async": "Asyncio"}

TESTS = "tests/test_guidance_evidence.py"
LIMITS = "tests/faults/test_limits.py"
DEATH = "tests/faults/test_worker_death.py"
COMPARE = "unifexec compare --only"
ADVICE = "python -m benchmarks.advice --only"  # in a clone of the repository


class Cell(NamedTuple):
    """What holds of one executor.

    Attributes:
        text: the claim, in words.
        evidence: what shows it: ids of tests, commands ``unifexec compare --only ROW``, or
            ``python -m benchmarks.advice --only FUNCTION``.
    """

    text: str
    evidence: tuple[str, ...]


class Row(NamedTuple):
    """One feature of all executors.

    Attributes:
        feature: its name.
        taught: what is commonly said of threading, multiprocessing and asyncio, under the
            names ``"thread"``, ``"process"`` and ``"async"``; empty for a feature we add.
        cells: what we say, for each of `KINDS`.
    """

    feature: str
    taught: Mapping[str, str]
    cells: Mapping[str, Cell]


def rows(gil: bool | None = None) -> tuple[Row, ...]:
    """The whole table, feature by feature.

    Arguments:
        gil: speak of an interpreter with the GIL (True), without it (False), or of this one
            (None, the default).
    """
    traits = {kind: _traits(kind) for kind in KINDS}
    if gil is not None:
        traits["thread"] = traits["thread"]._replace(parallel_python=not gil)
    return (
        _use_case(),
        _concurrency(traits),
        _gil(traits),
        _overhead(),
        _memory(traits),
        _best_for(traits),
        _stopping(traits),
        _crash(traits),
    )


def column(kind: str, gil: bool | None = None) -> dict[str, Cell]:
    """What holds of one executor, by feature.

    Arguments:
        kind: one of `KINDS`.
        gil: as for `rows`.

    Raises:
        ValueError: an unknown kind; the message lists the known ones.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of executor {kind!r}: the known ones are {KINDS}")
    return {row.feature: row.cells[kind] for row in rows(gil)}


def _traits(kind: str) -> Traits:
    with create_executor(kind) as executor:
        return executor.traits


def _row(feature: str, taught: tuple[str, str, str] | None, **cells: Cell) -> Row:
    """A row; ``taught`` is said of threading, multiprocessing and asyncio, in this order."""
    said = dict(zip(TAUGHT_AS, taught, strict=True)) if taught else {}
    return Row(feature, MappingProxyType(said), MappingProxyType({k: cells[k] for k in KINDS}))


def _shown(text: str, *evidence: str) -> Cell:
    """A cell; a bare name is a test of the evidence file."""
    return Cell(text, tuple(f"{TESTS}::{e}" if e.startswith("test_") else e for e in evidence))


def _sentence(text: str) -> str:
    """What traits say, with a capital letter."""
    return text[0].upper() + text[1:]


def _use_case() -> Row:
    return _row(
        "Use case",
        ("I/O-bound tasks", "CPU-bound tasks", "I/O-bound tasks"),
        thread=_shown(
            "Plain functions that wait; native code that releases the GIL",
            "test_waits_overlap_in_threads",
            "test_native_code_that_releases_the_gil_uses_several_cores_in_threads",
            f"{COMPARE} http",
        ),
        process=_shown(
            "Python code that computes; code that may crash, or must be stopped on time",
            "test_python_code_uses_several_cores_in_processes",
            f"{COMPARE} parse",
            f"{DEATH}::test_L22_only_the_guilty_task_is_lost",
            f"{LIMITS}::test_L16_process_is_stopped_on_time",
        ),
        **{
            "async": _shown(
                "Coroutines that wait, thousands at once",
                "test_ten_thousand_sleepers_share_one_thread",
                f"{COMPARE} async",
            )
        },
        serial=_shown(
            "Debugging, tests, and work too small to share out",
            "test_serial_tasks_run_one_after_the_other_in_the_callers_thread",
            f"{COMPARE} tiny",
        ),
    )


def _concurrency(traits: dict[str, Traits]) -> Row:
    evidence = {
        "thread": "test_waits_overlap_in_threads",
        "process": "test_waits_overlap_in_processes",
        "async": "test_coroutines_take_turns_on_one_thread",
        "serial": "test_serial_tasks_run_one_after_the_other_in_the_callers_thread",
    }
    return _row(
        "Concurrency type",
        (
            "Concurrent threads sharing memory",
            "Independent processes with separate memory",
            "Cooperative multitasking within a single thread",
        ),
        **{kind: _shown(_sentence(traits[kind].concurrency), evidence[kind]) for kind in KINDS},
    )


def _gil(traits: dict[str, Traits]) -> Row:
    if traits["thread"].parallel_python:
        threads = "No GIL in this interpreter: Python code in threads runs on several cores"
    else:
        threads = (
            "Python code runs on one core at a time; native code that releases the GIL, and "
            "Python code on a free-threaded build, on several"
        )
    return _row(
        "GIL",
        (
            "Affected by the Global Interpreter Lock",
            "No GIL limitation (true parallelism)",
            "No GIL limitation (async context)",
        ),
        thread=_shown(
            threads,
            "test_python_code_in_threads_uses_several_cores_only_without_the_gil",
            "test_native_code_that_releases_the_gil_leaves_other_threads_running",
            "test_native_code_that_releases_the_gil_uses_several_cores_in_threads",
            "test_native_code_that_holds_the_gil_stops_other_threads_but_not_processes",
        ),
        process=_shown(
            "Each process has a GIL of its own: Python code runs on several cores"
            if traits["process"].parallel_python
            else "Python code runs on one core at a time",
            "test_python_code_uses_several_cores_in_processes",
            "test_native_code_that_holds_the_gil_stops_other_threads_but_not_processes",
        ),
        **{
            "async": _shown(
                "Not free of it: coroutines of one loop never run two at once, with the GIL or "
                "without; one that computes or blocks stops all others",
                "test_coroutines_take_turns_on_one_thread",
                "test_a_blocking_coroutine_freezes_its_loop_and_only_that",
            )
        },
        serial=_shown(
            "No matter: there is one task at a time",
            "test_serial_tasks_run_one_after_the_other_in_the_callers_thread",
        ),
    )


def _overhead() -> Row:
    return _row(
        "Overhead",
        (
            "Lower overhead, more efficient for I/O",
            "Higher overhead due to process creation",
            "Minimal overhead",
        ),
        thread=_shown(
            "Less per task than in a process; a thread starts several times sooner than a process",
            "test_a_task_costs_less_in_a_thread_than_in_a_process",
            "test_a_thread_starts_sooner_than_a_process",
        ),
        process=_shown(
            "Start-up, several times that of a thread, is paid once per worker; serialising "
            "arguments and results is paid for every task",
            "test_start_up_is_paid_once_per_worker",
            "test_serialising_is_paid_for_every_task_and_only_by_processes",
            "test_a_thread_starts_sooner_than_a_process",
        ),
        **{
            "async": _shown(
                "No thread per coroutine: thousands wait in one, each in less memory than a thread",
                "test_ten_thousand_sleepers_share_one_thread",
                "test_memory_of_a_waiting_task",
            )
        },
        serial=_shown(
            "Nothing to start, nothing to send",
            "test_serial_tasks_run_one_after_the_other_in_the_callers_thread",
            "test_serialising_is_paid_for_every_task_and_only_by_processes",
        ),
    )


def _memory(traits: dict[str, Traits]) -> Row:
    shared = {kind: traits[kind].shares_memory for kind in KINDS}
    return _row(
        "Memory",
        (
            "Shared memory between threads",
            "Separate memory for each process",
            "Single-threaded, no shared memory",
        ),
        thread=_shown(
            "Shared: two tasks can change one object at any moment, and lose updates"
            if shared["thread"]
            else "Separate",
            "test_threads_race_on_shared_memory",
            "test_memory_of_a_waiting_task",
        ),
        process=_shown(
            "Shared"
            if shared["process"]
            else "Separate: tasks work on copies, and each worker holds an interpreter of its own",
            "test_processes_share_no_memory",
            "test_memory_of_a_worker_process",
        ),
        **{
            "async": _shown(
                "Shared, with all of the program; another task can come between only at an await"
                if shared["async"]
                else "Separate",
                "test_coroutines_race_only_across_an_await",
                "test_memory_of_a_waiting_task",
            )
        },
        serial=_shown(
            "Shared, and no other task can come between" if shared["serial"] else "Separate",
            "test_serial_tasks_lose_no_update",
        ),
    )


def _best_for(traits: dict[str, Traits]) -> Row:
    evidence = {
        "thread": (
            "test_waits_overlap_in_threads",
            f"{COMPARE} http",
            f"{COMPARE} hash",
            f"{ADVICE} run_sleep",
        ),
        "process": (
            "test_python_code_uses_several_cores_in_processes",
            f"{COMPARE} parse",
            f"{ADVICE} python_30_ms",
        ),
        "async": (
            "test_ten_thousand_sleepers_share_one_thread",
            f"{COMPARE} async",
            f"{ADVICE} http_get_async",
        ),
        "serial": (
            "tests/test_lockstep.py::TestLockstep::test_L01_every_program_equals_its_serial_run",
        ),
    }
    return _row(
        "Best for",
        (
            "Web scraping, file I/O, network calls",
            "Data processing, heavy computations",
            "Handling many concurrent I/O-bound tasks",
        ),
        **{kind: _shown(_sentence(traits[kind].best_for), *evidence[kind]) for kind in KINDS},
    )


def _stopping(traits: dict[str, Traits]) -> Row:
    told = "A coroutine is stopped; a plain function can only be told to stop"
    stopped = "Whatever runs is stopped, at its time limit or by abort"
    return _row(
        "Stopping a task",
        None,
        thread=_shown(
            stopped if traits["thread"].can_abort else told,
            f"{LIMITS}::test_L16_a_thread_is_told_to_stop",
            f"{LIMITS}::test_L16_coroutine_is_cancelled_on_time",
        ),
        process=_shown(
            stopped if traits["process"].can_abort else told,
            f"{LIMITS}::test_L16_process_is_stopped_on_time",
        ),
        **{
            "async": _shown(
                stopped if traits["async"].can_abort else told,
                f"{LIMITS}::test_L16_coroutine_is_cancelled_on_time",
                "test_a_plain_function_on_a_loop_cannot_be_stopped",
            )
        },
        serial=_shown(
            "The time limit of a plain function is reported after the fact",
            "test_serial_reports_a_time_limit_after_the_fact",
        ),
    )


def _crash(traits: dict[str, Traits]) -> Row:
    alone = "Costs the task that crashed; its worker is replaced"
    all_ends = "Ends the whole program"
    return _row(
        "A crash in a task",
        None,
        process=_shown(
            alone if traits["process"].crash_isolated else all_ends,
            f"{DEATH}::test_L22_only_the_guilty_task_is_lost",
        ),
        **{
            kind: _shown(
                alone if traits[kind].crash_isolated else all_ends,
                "test_a_crash_ends_the_program_where_memory_is_shared",
            )
            for kind in ("thread", "async", "serial")
        },
    )
