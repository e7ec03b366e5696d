"""The README and the pages of docs/ are true: their programs run, and print what they say.

The ``python`` blocks of a page are one program, its ``output`` blocks what that prints.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

import unifexec

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]


def blocks(page: Path, language: str) -> str:
    """Return the fenced blocks of a language on a page, joined."""
    found: list[str] = []
    parser = CodeBlockParser(language, evaluator=lambda example: found.append(example.parsed))
    for example in Sybil([parser]).parse(page).examples():
        example.evaluate()
    return "".join(found)


PROGRAMS = [page for page in PAGES if blocks(page, "python")]


def run(tmp_path: Path, program: str) -> str:
    """Run a program as a user would, as a script without a guard; warnings are errors."""
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_readme_and_the_quickstart_hold_programs() -> None:
    """The examples are found at all, so that the tests below test something."""
    assert {README, ROOT / "docs" / "quickstart.md"} <= set(PROGRAMS)


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    """The program of a page prints the page's output blocks."""
    assert run(tmp_path, blocks(page, "python")) == blocks(page, "output")


@pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])
def test_the_readme_changes_one_word(kind: str, tmp_path: Path) -> None:
    """The example of the README gives the same with every word for the place."""
    program = blocks(README, "python")
    assert program.count('"thread"') == 1
    assert run(tmp_path, program.replace('"thread"', f'"{kind}"')) == blocks(README, "output")


def test_the_readme_example_is_short() -> None:
    """The first example has at most fifteen lines, not counting empty ones."""
    assert len(list(filter(str.strip, blocks(README, "python").splitlines()))) <= 15


def test_the_reference_has_every_public_name() -> None:
    """Each name that the front door offers stands in the reference."""
    words = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").split()
    assert [name for name in unifexec.__all__ if f"unifexec.{name}" not in words] == []


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
