"""``unifexec compare``: the table, its JSON, its manners."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.fetch_data import fetch_data
from unifexec.__main__ import main
from unifexec.compare import measure, report, server, work

from .faults.programs import children_of, is_running, wait_for

ROOT = Path(__file__).parents[1]
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
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
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


@pytest.mark.parametrize(
    ("option", "value", "cure"),
    [
        ("--workers", "0", "at least 1"),
        ("--workers", "2.5", "a whole number"),
        ("--scale", "nan", "above 0"),
        ("--scale", "0", "above 0"),
        ("--scale", "inf", "at most 100"),
        ("--json", "/no/such/folder/file.json", "cannot write"),
        ("--only", "nothing", "'http'"),
    ],
)
def test_bad_options_are_refused_before_the_work(
    option: str, value: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with the value and the cure, and exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["compare", option, value])
    text = capsys.readouterr().err
    assert value in text
    assert cure in text


def test_work_that_fails_shows_in_every_cell_of_the_table() -> None:
    """Also when already the sample fails by which the row is measured out."""
    row = work.Row("tiny", "a row that fails", _raise_in_a_worker, list(range(8)))
    ((_, cells),) = measure.measure_all([row], 1, lambda text: None)
    assert ["ValueError: broken" in (cell.error or "") for cell in cells] == [True] * 4


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is on loopback: neither the row nor the example goes through a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with server.running() as url:
        assert work.fetch(url) > 0
        assert len(fetch_data(url)) > 0


def test_an_executor_that_fails_shows_its_error() -> None:
    """The error stands in its cell, and the results are not called the same."""
    row = work.Row("tiny", "a row that fails", _raise_in_a_worker, list(range(8)))
    cells = [measure.measure(kind, row, 1) for kind in measure.KINDS]
    assert all("ValueError: broken" in (cell.error or "") for cell in cells)
    text = report.as_text([(row, cells)])
    assert "process failed: ValueError: broken" in text
    assert "same results: no" in text


@pytest.mark.slow
def test_a_cell_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that hangs ends its cell with an error, long before the work would end."""
    monkeypatch.setattr(measure, "CELL_SECONDS", 0.5)
    row = work.Row("tiny", "a row that hangs", _hang_at_three, [0, 1, 2, 2, 3, 2])
    start = time.monotonic()
    cells = [measure.measure(kind, row, 2) for kind in ("process", "async")]
    assert all("WaitTimeoutError" in (cell.error or "") for cell in cells)
    assert time.monotonic() - start < 20


async def _hang_at_three(x: int) -> int:
    await asyncio.sleep(60 if x == 3 else 0)
    return x


def _cells(**seconds: float) -> list[measure.Cell]:
    return [measure.Cell(kind, 2, value, "same") for kind, value in seconds.items()]


def test_advice_follows_what_was_measured() -> None:
    """The usual choice among equals; else the fastest, and that this is not the usual."""
    row = work.Row("hash", "", str, [1])
    told = report.advice(row, _cells(serial=2.0, thread=1.1, process=1.0))
    assert told.startswith("Choose thread (process did about as well), 1.8 times")
    row = row._replace(key="parse")
    told = report.advice(row, _cells(serial=2.0, thread=0.5, process=1.0))
    assert told.startswith("Choose thread, 4.0 times")
    assert "but usually process" in told
    assert report.advice(row, _cells(serial=1.0, process=0.95)).startswith("Choose serial")


def test_the_rule_of_the_advice_is_told() -> None:
    """A mark on one executor beside advice for another looks like a mistake."""
    row = work.Row("hash", "a row", str, [1])
    text = report.as_text([(row, _cells(serial=2.0, thread=1.1, process=1.0))])
    assert "*1.00 s" in text
    assert "Choose thread" in text
    rule = "advised is not always the *: of those less than 15 % slower, it is the simplest"
    assert [line for line in text.splitlines() if line.startswith(rule)]


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    "command",
    [
        ["compare", "--only", "tiny", "--scale", "0.01"],
        ["advise", "tests.guidance_functions:sleep", "--samples", "[0.001]", "--budget", "0.2"],
        ["table", "--page"],
        ["doctor"],
    ],
)
def test_a_reader_that_leaves_ends_it_quietly(
    command: list[str], buffered: bool, tmp_path: Path
) -> None:
    """As ``| head -1`` does: no traceback, the exit code of a broken pipe, and the JSON there."""
    figures = tmp_path / "figures.json"
    writes = command[0] in {"compare", "advise"}
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [*COMMAND[:3], *command, *(["--json", str(figures)] if writes else [])],
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            timeout=50,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"},
        )
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
    assert not writes or json.loads(figures.read_text())


def test_tiny_calls_want_a_plain_loop() -> None:
    """The advice says so, and it is true: a loop takes a fraction of the best executor's time."""
    (row,) = (row for row in work.rows("", 0.1) if row.key == "tiny")
    cells = [measure.measure(kind, row, 2) for kind in measure.KINDS]
    loops = []
    for _ in range(5):
        begin = time.perf_counter()
        results = [row.fn(item) for item in row.items]
        loops.append(time.perf_counter() - begin)
    assert 5 * min(loops) < min(cell.seconds for cell in cells)
    assert {cell.digest for cell in cells} == {measure.digest_of(results)}
    assert report.advice(row, cells).startswith("Choose a plain loop")


def test_a_busy_machine_gets_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time for all rows is over, no cell is measured twice."""
    monkeypatch.setattr(measure, "ENOUGH_SECONDS", 0.0)
    told: list[str] = []
    measure.measure_all([work.Row("tiny", "a row", work.add_one, [1, 2])], 1, told.append)
    assert [text for text in told if "round 2" in text] == []
    assert len([text for text in told if "round 1" in text]) == len(measure.KINDS)


def test_results_that_differ_get_no_advice() -> None:
    """Between executors or between rounds: a changed result is never called the same."""
    serial, process = _cells(serial=2.0, process=1.0)
    other = process._replace(digest="other")
    row = work.Row("parse", "", str, [1])
    assert "differ" in report.advice(row, [serial, other])
    assert not report.same_results([serial, other])
    assert measure.better(process, other).error == "the results of two rounds differ"
    assert measure.better(process, process._replace(seconds=0.5)).seconds == 0.5


def _raise_in_a_worker(x: int) -> int:
    raise ValueError("broken")


def test_ctrl_c_ends_it_cleanly() -> None:
    """No traceback, exit code 130, and neither workers nor the server stay behind."""
    process = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert wait_for(lambda: len(children_of(process.pid)) >= 2, 30)  # server and a worker
    children = children_of(process.pid)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, "Traceback" in errors) == (130, False)
    assert wait_for(lambda: not any(map(is_running, children)), 5)


@pytest.mark.slow
def test_killed_it_leaves_nothing_behind() -> None:
    """The server and the workers go with their parent, however it dies."""
    process = subprocess.Popen(
        [*COMMAND, "--only", "parse"], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert wait_for(lambda: len(children_of(process.pid)) >= 2, 30)  # server and a worker
        children = children_of(process.pid)
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert wait_for(lambda: not any(map(is_running, children)), 5)
