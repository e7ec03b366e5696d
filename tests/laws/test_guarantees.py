"""The guarantees page names, for each law, tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import unifexec

from .table import ROWS, Row

PACKAGE = Path(unifexec.__file__).parent
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
LAWS = [f"L{number}" for number in range(1, 28)] + ["L12b"]


def test_every_law_is_told_and_shown_by_tests_that_exist() -> None:
    """In words, in a row of the page, and in a row of the table of planted faults."""
    for law in LAWS:
        assert f"**{law} " in PAGE
        (row,) = re.findall(rf"^\| {law} \|(.*)$", PAGE, re.MULTILINE)
        named = re.findall(r"`([\w/.]+)(?:::\w+)?::(test_\w+)`", row)
        assert named, f"no test for {law}"
        for file, test in named:
            assert test in functions_of(file), f"{file} has no {test}"
            assert re.search(rf"_L0?{law[1:]}_", test), f"{test} is not of {law}"
    assert {row.law for row in ROWS} == set(LAWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.law}-{row.test.rpartition(':')[2]}")
def test_every_fault_can_be_planted(row: Row) -> None:
    """What it replaces stands in the source, once: else the row is out of date."""
    assert (PACKAGE / row.file).read_text(encoding="utf-8").count(row.old) == 1


def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
