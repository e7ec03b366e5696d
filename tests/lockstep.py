"""Small programs as data, and how to run one on an executor: for lockstep tests.

A program is one step: ``("submit", function, value)``, ``("map", options)``,
``("gather", steps, errors)`` or ``("nest", step)``, which runs the step inside a task.
"""

from __future__ import annotations

from typing import Any

import anyio

from unifexec import Failure

PATIENCE = 30.0


def keep(x: Any) -> Any:
    return x


async def keep_async(x: Any) -> Any:
    await anyio.sleep(0)
    return x


def invert(x: Any) -> Any:
    return 1 / x


async def invert_async(x: Any) -> Any:
    await anyio.sleep(0)
    return 1 / x


def raise_stop(x: Any) -> Any:
    raise StopIteration(x)


def plain(outcome: Any) -> Any:
    """An outcome as data that compares by content."""
    if isinstance(outcome, Failure):
        return ("error", repr(outcome.error), outcome.index)
    return ("value", outcome.value, outcome.index)


def run(executor: Any, step: Any) -> Any:
    """Run a program to its end; what it gave, as data."""
    if step[0] == "map":
        return _run_map(executor, **step[1])
    if step[0] == "gather":
        return _run_gather(executor, *step[1:])
    if step[0] == "nest":
        return executor.submit(run, executor, step[1]).result(PATIENCE)
    return plain_result(submitted(executor, step))


def submitted(executor: Any, step: Any) -> Any:
    """A step as a task."""
    if step[0] == "submit":
        return executor.submit(globals()[step[1]], step[2])
    return executor.submit(run, executor, step)


def plain_result(task: Any) -> Any:
    """The outcome of a task as data."""
    error = task.exception(PATIENCE)
    return ("value", task.result()) if error is None else ("error", repr(error))


def _run_map(executor: Any, fn: str, items: Any, ordered: bool, errors: str, **sizes: Any) -> Any:
    results = executor.map(globals()[fn], items, ordered=ordered, errors=errors, **sizes)
    seen: list[Any] = []
    try:
        for item in results:
            seen.append(plain(item) if errors == "return" else item)
    except Exception as error:
        if ordered:
            return ("map", seen, repr(error))
        return ("unordered map failed", type(error).__name__)
    if not ordered:
        seen.sort(key=repr)
    return ("map", seen, None)


def _run_gather(executor: Any, steps: Any, errors: str) -> Any:
    members = [submitted(executor, step) for step in steps]
    joined = executor.gather(*members, errors=errors)
    error = joined.exception(PATIENCE)
    if error is None:
        value = joined.result()
        return ("gather", [plain(item) for item in value] if errors == "return" else list(value))
    if errors == "group":
        return ("group", [repr(member) for member in error.exceptions])
    return ("gather failed", "one of several")
