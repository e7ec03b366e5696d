"""The comparison table: every cell has evidence that exists, and the page is not stale."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.advice.functions import CASES
from unifexec.__main__ import ROWS, main
from unifexec.guidance import comparison, table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "choosing-table.md"
CELLS = [
    pytest.param(row.cells[kind], id=f"{row.feature}-{kind}")
    for row in comparison.rows()
    for kind in comparison.KINDS
]


@pytest.fixture(scope="module", name="known")
def fixture_known() -> set[str]:
    """Return what may be named: ids of tests, as pytest collects them, and what is measured."""
    names = {name for cell in CELLS for name in cell.values[0].evidence}
    files = sorted({name.split("::")[0] for name in names if "::" in name})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", *files]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    tests = {line.split("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert tests, done.stdout + done.stderr
    compared = {f"{comparison.COMPARE} {row}" for row in ROWS}
    return tests | compared | {f"{comparison.ADVICE} {name}" for name in CASES}


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_has_evidence_that_exists(cell: comparison.Cell, known: set[str]) -> None:
    """A claim names what shows it, and that can be run."""
    assert cell.text
    assert cell.evidence
    assert [name for name in cell.evidence if name not in known] == []


def test_every_evidence_test_is_named_by_a_cell(known: set[str]) -> None:
    """The file of evidence has no test that no cell of the table rests on."""
    named = {name for cell in CELLS for name in cell.values[0].evidence}
    assert {name for name in known if name.startswith(comparison.TESTS)} <= named


def test_the_table_has_what_is_commonly_taught() -> None:
    """Six features, each with a sentence on threading, multiprocessing and asyncio."""
    taught = [row for row in comparison.rows() if row.taught]
    assert [row.feature for row in taught] == [
        "Use case",
        "Concurrency type",
        "GIL",
        "Overhead",
        "Memory",
        "Best for",
    ]
    assert all(set(row.taught) == {"thread", "process", "async"} for row in taught)


def test_the_table_follows_the_traits() -> None:
    """Without the GIL the cell of threads says something else."""
    assert (
        comparison.column("thread", gil=True)["GIL"]
        != comparison.column("thread", gil=False)["GIL"]
    )
    assert comparison.column("process", gil=True) == comparison.column("process", gil=False)
    with pytest.raises(ValueError, match="unknown kind of executor 'fiber'"):
        comparison.column("fiber")


def test_the_page_is_not_stale() -> None:
    """``unifexec table --page`` writes what stands in docs/choosing-table.md."""
    assert PAGE.read_text(encoding="utf-8") == printed("table", "--page")


@pytest.mark.parametrize("page", ["README.md", "docs/choosing.md"])
def test_the_short_table_is_not_stale(page: str) -> None:
    """``unifexec table --short`` writes the table of the README and of the page on choosing."""
    begin, end = (
        "<!-- Written by `unifexec table --short`; a test fails when it is stale. -->",
        "<!-- -->",
    )
    _, _, rest = (ROOT / page).read_text(encoding="utf-8").partition(begin)
    assert rest.partition(end)[0].strip() == printed("table", "--short").strip()


def test_the_terminal_shows_all_of_it() -> None:
    """Every claim stands there, wrapped to the width; its evidence when asked for."""
    text = table.as_text(comparison.rows(), width=60)
    assert max(map(len, text.splitlines())) <= 60
    words = " ".join(text.split())
    assert all(cell.values[0].text in words for cell in CELLS)
    assert "test_threads_race_on_shared_memory" not in text
    assert "test_threads_race_on_shared_memory" in printed("table", "--evidence")
    assert printed("table", "--markdown").count("\n") == 2 + len(comparison.rows())


def printed(*arguments: str) -> str:
    """Return what a command prints; it must succeed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(arguments) == 0
    return out.getvalue()
