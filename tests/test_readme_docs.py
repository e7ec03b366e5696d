"""The README and the pages of docs/ are true: their programs run, and print what they say.

The ``python`` blocks of a page are one program, its ``output`` blocks what that prints. Pages whose
programs use a library of the dependency group ``examples`` are skipped where that is missing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OPTIONAL = {re.split(r"\W", name)[0] for name in PROJECT["dependency-groups"]["examples"]}


def blocks(page: Path, language: str) -> str:
    """Return the fenced blocks of a language on a page, joined."""
    found: list[str] = []
    parser = CodeBlockParser(language, evaluator=lambda example: found.append(example.parsed))
    for example in Sybil([parser]).parse(page).examples():
        example.evaluate()
    return "".join(found)


PROGRAMS = [page for page in PAGES if blocks(page, "python")]
SIDE_BY_SIDE = sorted((ROOT / "docs" / "how-to").glob("migrate-*.md"))


def need_libraries(program: str) -> None:
    """Skip the test if the program imports a library of the group `examples` that is missing."""
    for node in ast.walk(ast.parse(program)):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            library = str(module).partition(".")[0]
            if library in OPTIONAL and find_spec(library) is None:
                pytest.skip(f"{library} is not installed (dependency group `examples`)")


def run(tmp_path: Path, program: str) -> str:
    """Run a program as a user would, as a script without a guard; warnings are errors."""
    need_libraries(program)
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    return python(str(script))


def python(*args: str, cwd: Path = ROOT) -> str:
    """Run Python to its end, which must be a good and silent one; what it printed."""
    command = [sys.executable, "-W", "error", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_the_pages_hold_programs() -> None:
    """The examples are found at all, so that the tests below test something."""
    guides = set((ROOT / "docs" / "how-to").glob("*.md"))
    assert {README, ROOT / "docs" / "tutorial.md"} | guides <= set(PROGRAMS)
    assert guides > set(SIDE_BY_SIDE) != set()


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    """The program of a page prints the page's output blocks."""
    assert run(tmp_path, blocks(page, "python")) == blocks(page, "output")


@pytest.mark.parametrize("page", SIDE_BY_SIDE, ids=lambda page: page.stem)
def test_both_sides_of_a_table_give_the_same(page: Path) -> None:
    """Each call of another library gives what the call beside it gives."""
    need_libraries(blocks(page, "py"))
    rows = python("-m", "tests.side_by_side", str(page)).splitlines()
    assert len(rows) > 5
    assert [row for row in rows if not row.startswith("same ")] == []


@pytest.mark.slow
def test_the_tests_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    """Run by pytest, the page is a module of tests that pass, one of them on every executor."""
    module = tmp_path / "test_page.py"
    module.write_text(blocks(ROOT / "docs" / "how-to" / "testing.md", "python"), encoding="utf-8")
    told = python("-m", "pytest", "-q", "-k", "not Mine", str(module), cwd=tmp_path)
    assert "6 passed" in told


@pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])
def test_the_readme_changes_one_word(kind: str, tmp_path: Path) -> None:
    """The example of the README gives the same with every word for the place."""
    program = blocks(README, "python")
    assert program.count('"thread"') == 1
    assert run(tmp_path, program.replace('"thread"', f'"{kind}"')) == blocks(README, "output")


def test_the_readme_example_is_short() -> None:
    """The first example has at most fifteen lines, not counting empty ones."""
    assert len(list(filter(str.strip, blocks(README, "python").splitlines()))) <= 15


def test_the_guarantees_name_every_law() -> None:
    """The page of guarantees has the laws L1 to L27, and L12b."""
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    laws = [*(f"L{number}" for number in range(1, 28)), "L12b"]
    assert [law for law in laws if f"**{law} " not in text] == []


def test_ci_runs_the_second_command_of_the_readme() -> None:
    """The README has two commands; the second is, to the letter, what `.ci/run` ends with."""
    _, second = blocks(README, "sh").splitlines()
    program = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert program.splitlines()[-1] == second
