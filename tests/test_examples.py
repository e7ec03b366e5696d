"""The examples run on every executor, by one word on the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
KINDS = pytest.mark.parametrize("kind", ["serial", "thread", "process", "async"])


def run(example: str, *args: str) -> list[str]:
    """Run an example to its end; what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *args],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@KINDS
def test_print_numbers(kind: str) -> None:
    """Both print all their numbers; side by side, except in serial."""
    *printed, done, took = run("print_numbers.py", kind, "0.2")
    lines = re.findall(r"\w+ \d", " ".join(printed))  # two may print at once, on one line
    assert sorted(lines) == sorted(f"{name} {n}" for name in ("first", "second") for n in range(5))
    assert done == "done: first second"
    seconds = float(took.split(": ")[1].split()[0])
    assert (lines.index("second 0") < lines.index("first 4")) is (kind != "serial")
    assert seconds >= (2.0 if kind == "serial" else 1.0)


@KINDS
def test_fetch_data(kind: str) -> None:
    """Every page arrives, in order."""
    *pages, took = run("fetch_data.py", kind)
    assert pages == [f"page /{n}" for n in range(8)]
    assert took.startswith(f"on {kind}")


@KINDS
def test_count_words(kind: str, tmp_path: Path) -> None:
    """The counts are right, whatever counts them."""
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("one two two three three three\n" * 50)
    lines = run("count_words.py", kind, str(tmp_path))
    assert [line.split() for line in lines[:3]] == [
        ["3000", "three"],
        ["2000", "two"],
        ["1000", "one"],
    ]
