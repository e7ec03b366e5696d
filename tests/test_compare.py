"""``unifexec compare``: the table, its JSON, its manners."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from unifexec.compare import measure, report, work

from .faults.programs import children_of, is_running, wait_for

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "unifexec", "compare"]


def test_every_row_is_filled_and_the_results_are_the_same(tmp_path: Path) -> None:
    """All executors run all rows; the digests agree; piped output has no progress."""
    path = tmp_path / "figures.json"
    done = subprocess.run(
        [*COMMAND, "--scale", "0.05", "--json", str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("same results: yes") == 5
    assert "\r" not in done.stdout
    rows = json.loads(path.read_text())["rows"]
    assert [row["key"] for row in rows] == ["http", "parse", "hash", "tiny", "async"]
    for row in rows:
        assert [cell["executor"] for cell in row["cells"]] == list(measure.KINDS)
        assert all(cell["seconds"] > 0 and not cell["error"] for cell in row["cells"])
        assert sum(cell["best"] for cell in row["cells"]) == 1
        assert row["advice"] in done.stdout


def test_only_and_workers() -> None:
    """``--only`` picks rows; bad values are refused."""
    done = subprocess.run(
        [*COMMAND, "--only", "tiny", "--scale", "0.01", "--workers", "1"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count("same results: yes") == 1
    bad = subprocess.run([*COMMAND, "--workers", "0"], capture_output=True, timeout=20, check=False)
    assert (bad.returncode, b"at least 1" in bad.stderr) == (2, True)


def test_an_executor_that_fails_shows_its_error() -> None:
    """The error stands in its cell, and the results are not called the same."""
    row = work.Row("tiny", "a row that fails", _raise_in_a_worker, list(range(8)))
    cells = [measure.measure(kind, row, 1) for kind in measure.KINDS]
    assert all("ValueError: broken" in (cell.error or "") for cell in cells)
    text = report.as_text([(row, cells)])
    assert "process failed: ValueError: broken" in text
    assert "same results: no" in text


def _raise_in_a_worker(x: int) -> int:
    raise ValueError("broken")


def test_ctrl_c_ends_it_cleanly() -> None:
    """No traceback, exit code 130, and neither workers nor the server stay behind."""
    process = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert wait_for(lambda: children_of(process.pid), 20)
    time.sleep(0.3)  # somewhere in the middle of its work, wherever that is
    children = children_of(process.pid)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, "Traceback" in errors) == (130, False)
    assert wait_for(lambda: not any(map(is_running, children)), 5)
