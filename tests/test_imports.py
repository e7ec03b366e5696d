"""Imports point one way, and importing the package is light (L25)."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import unifexec

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(unifexec.__file__).parent

# A module imports from rows above its own, or from its own. A package's name stands for all
# its modules that are not named themselves.
ROWS = [
    [
        "errors",
        "_core.outcome",
        "_core.checks",
        "_running",
        "_definitions",
        "_scripts",
        "_pickling",
        "_voices",
        "_segments",
        "_gate",
        "_records",
        "_messages",
        "_bunches",
        "_outbox",
    ],
    ["share", "_core.options", "_core.batches", "_core.runs", "_core.verdicts"],
    ["_wait"],
    ["_core.task", "_loops"],
    ["abc"],
    ["_core.batching", "_core.dispatch", "_core.maps", "_core.results", "_core.gather"],
    ["_core.verbs"],
    [
        "_backends.executor",
        "_backends.room",
        "_backends.setup",
        "_backends.ending",
        "_backends.callbacks",
        "_backends.interrupts",
        "_backends.cores",
        "_backends.lanes",
        "_worker",
        "_life",
    ],
    ["_backends"],
]
GUESTS = ["__main__", "compare", "guidance", "testing"]  # they use public names only
PUBLIC = ["unifexec.abc", *(f"unifexec.{guest}" for guest in GUESTS)]
NAMES_LOOPS = ["_wait", "_loops"]
BARE = [
    "_life",
    "_worker",
    "_running",
    "_definitions",
    "_scripts",
    "_pickling",
    "_gate",
    "_records",
    "_messages",
    "_bunches",
    "_outbox",
    "_segments",
]  # what a worker loads of ours at once,
# but for the segments, which wait for the first large value


def module_name(path: Path) -> str:
    """Return ``_core.task`` for ``…/unifexec/_core/task.py``, and "" for the front door."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
INSIDE = [name for name in MODULES if name and name.split(".")[0] not in GUESTS]
ROOMS = [name for name in INSIDE if name not in {"_core", "_backends"}]


def within(name: str, room: str) -> bool:
    """Whether a dotted name is that room or stands in it."""
    return name == room or name.startswith(f"{room}.")


def row_of(name: str) -> int:
    """Return the number of the row of a module: that of the longest name that fits."""
    fits = [
        (len(room), row) for row, rooms in enumerate(ROWS) for room in rooms if within(name, room)
    ]
    assert fits, f"{name} has no place in ROWS: give it one"
    return max(fits)[1]


def imports(name: str, *, early: bool = False) -> set[str]:
    """Return what a module imports when it runs; ``early``: what it imports when loaded."""
    found: set[str] = set()
    todo: list[ast.AST] = [ast.parse(MODULES[name].read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {imported_module(node, alias.name) for alias in node.names}
        elif not (early and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return found


def imported_module(node: ast.ImportFrom, name: str) -> str:
    """Return ``unifexec._wait`` for ``from unifexec import _wait``, else the ``from``."""
    assert node.level == 0, "imports are absolute"
    assert node.module is not None
    inner = f"{node.module}.{name}"
    return inner if inner.removeprefix("unifexec.") in MODULES else node.module


def top(names: set[str]) -> set[str]:
    """Return the packages that dotted names begin with."""
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_one_way(name: str) -> None:
    """A module imports only from its own row or from rows above it."""
    ours = [other.removeprefix("unifexec.") for other in imports(name) if within(other, "unifexec")]
    wrong = [other for other in ours if row_of(other) > row_of(name)]
    assert wrong == []


@pytest.mark.parametrize("name", INSIDE)
def test_nobody_inside_imports_the_front_door(name: str) -> None:
    """The front door is for users; inside, modules import each other by their own names."""
    guests = {f"unifexec.{guest}" for guest in GUESTS}
    assert not imports(name) & ({"unifexec"} | guests)


@pytest.mark.parametrize("name", ["_core.batching", "_core.dispatch", "_core.runs"])
def test_the_decision_core_has_no_thread_clock_pipe_or_loop(name: str) -> None:
    """What decides imports nothing that acts: the fake workers and clock of its model suffice."""
    acting = {"threading", "_thread", "time", "socket", "os", "asyncio", "anyio", "trio"}
    assert not top(imports(name)) & acting


@pytest.mark.parametrize("name", INSIDE)
def test_only_the_waiting_modules_name_an_event_loop(name: str) -> None:
    """Two files import asyncio and trio; all others are written once for both."""
    assert name in NAMES_LOOPS or not top(imports(name)) & {"asyncio", "trio"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in GUESTS])
def test_guests_use_public_names_only(name: str) -> None:
    """The command, the guidance and the conformance suite see what a user sees."""
    ours = {other for other in imports(name) if within(other, "unifexec")}
    private = {
        other
        for other in ours - {"unifexec"}
        if not any(within(other, public) for public in PUBLIC)
    }
    assert not private


@pytest.mark.parametrize("name", BARE)
def test_a_worker_starts_bare(name: str) -> None:
    """A worker process loads the standard library; everything else when a task needs it."""
    bare = {f"unifexec.{other}" for other in BARE}
    assert top(imports(name, early=True) - bare) <= sys.stdlib_module_names


@pytest.fixture(name="ask")
def fixture_ask(tmp_path: Path) -> Callable[[str], object]:
    """Run a program in a fresh interpreter, modules compiled; what it prints, read as JSON."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}

    def ask(program: str) -> object:
        command = [sys.executable, "-c", program]
        answer = subprocess.run(
            command, capture_output=True, check=True, timeout=30, text=True, env=env
        )
        return json.loads(answer.stdout)

    return ask


LOADED = "import json, sys, threading; print(json.dumps([*sys.modules, threading.active_count()]))"


def test_importing_an_executor_loads_nothing_heavy_and_starts_nothing(
    ask: Callable[[str], list[object]],
) -> None:
    """``from unifexec import ThreadExecutor`` loads no loop and no multiprocessing."""
    *bare, _ = ask(LOADED)
    *loaded, threads = ask(f"from unifexec import ThreadExecutor; {LOADED}")
    heavy = {"asyncio", "anyio", "trio", "multiprocessing", "cloudpickle", "typing_extensions"}
    assert threads == 1
    assert not (set(loaded) - set(bare)) & heavy


def test_importing_an_executor_takes_little_longer_than_the_standard_one(
    ask: Callable[[str], float],
) -> None:
    """At most 1.5 times ``concurrent.futures.thread``; the best of interleaved runs of each."""
    timed = "from time import process_time as t; a = t(); {}; print(t() - a)"
    standard, ours = [], []
    for _ in range(25):
        standard.append(ask(timed.format("import concurrent.futures.thread")))
        ours.append(ask(timed.format("from unifexec import ThreadExecutor")))
        if len(ours) >= 5 and min(ours) <= 1.4 * min(standard):
            break
    assert min(ours) <= 1.5 * min(standard)
