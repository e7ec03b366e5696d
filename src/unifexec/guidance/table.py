"""The comparison as text: for a terminal, for the README, and as the page of the documentation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from unifexec.guidance.comparison import KINDS, TAUGHT_AS, TESTS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD = """\
# The comparison, cell by cell

<!-- Written by `unifexec table --page`; a test fails when it is stale. -->

Threads, processes and asyncio are often compared in a table like the second column below. For each
feature, what is commonly taught stands beside what holds of the four executors here, and beside
that what shows it: tests of this project, which run on your interpreter, and rows of
`unifexec compare`, which measure on your machine. `unifexec table` prints what holds for the
interpreter at hand. Tests without a file stand in `tests/test_guidance_evidence.py`.
"""

SHORT = {"Use case": "when", "Overhead": "what it costs", "Memory": "memory"}


def as_text(rows: Iterable[Row], width: int = 80, evidence: bool = False) -> str:
    """The table for a terminal: a block for each feature, a paragraph for each executor.

    Arguments:
        rows: what `unifexec.guidance.comparison.rows` gives.
        width: columns of the terminal. Default 80.
        evidence: name what shows each claim, too. Default False.
    """
    lines: list[str] = []
    for row in rows:
        lines += ["", row.feature]
        for kind in KINDS:
            lines.append(_wrapped(f"  {kind:9}", row.cells[kind].text, width))
            if evidence:
                lines += [f"{'':11}shown by {name}" for name in row.cells[kind].evidence]
    return "\n".join(lines[1:])


def _wrapped(head: str, text: str, width: int) -> str:
    return textwrap.fill(
        text, max(width, 40), initial_indent=head, subsequent_indent=" " * len(head)
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """The table for a page: features down, executors across."""
    head = ["", *(f'`"{kind}"`' for kind in KINDS)]
    body = [[f"**{row.feature}**", *(row.cells[kind].text for kind in KINDS)] for row in rows]
    return _markdown_table(head, body)


def as_short(rows: Sequence[Row]) -> str:
    """The table of the README: executors down, the features that most choices rest on across."""
    found = {row.feature: row for row in rows}
    body = [
        [
            f'`{kind.capitalize()}Executor`, `"{kind}"`',
            *(found[feature].cells[kind].text for feature in SHORT),
        ]
        for kind in KINDS
    ]
    return _markdown_table(["use", *SHORT.values()], body)


def as_page(rows: Sequence[Row]) -> str:
    """The page of the documentation: a table for each feature, with evidence."""
    parts = [HEAD]
    parts += [f"## {row.feature}\n\n{_feature_table(row)}" for row in rows]
    return "\n".join(parts)


def _feature_table(row: Row) -> str:
    head = ["executor", "commonly taught", "what holds here", "shown by"]
    body = [
        [
            f'`"{kind}"`',
            _taught(row, kind),
            row.cells[kind].text,
            "<br>".join(f"`{_short(name)}`" for name in row.cells[kind].evidence),
        ]
        for kind in KINDS
    ]
    return _markdown_table(head, body)


def _taught(row: Row, kind: str) -> str:
    return f"{TAUGHT_AS[kind]}: {row.taught[kind]}" if kind in row.taught else "—"


def _short(evidence: str) -> str:
    """The name of a test without the file that most of them stand in."""
    return evidence.removeprefix(f"{TESTS}::")


def _markdown_table(head: list[str], body: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
