"""The benchmarks measure, judge and report. How fast anything is, no test asks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import costs, floors, tasks
from benchmarks.command import main
from benchmarks.measuring import CHECK_ROUNDS, measure
from benchmarks.model import PER_RUN, Group, Row, Sizes, must_be_at_most, must_be_faster, row
from benchmarks.peers import PEERS, Pool, library
from benchmarks.rows import ROWS
from benchmarks.verdicts import judge
from benchmarks.ways import burst, floor, opened, ours, peer, standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.model import Contender, Run

ROOT = Path(__file__).parent.parent
CHEAP = ["thread-submit", "process-submit", "coroutine-map"]


@pytest.mark.slow
def test_rows_are_measured_and_written_down(tmp_path: Path) -> None:
    """The command, as it is used, gives numbers for ours, the floor and the standard library."""
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--only", *CHEAP]
    files = ["--json", str(tmp_path / "all.json"), "--markdown", str(tmp_path / "all.md")]
    done = subprocess.run(
        [*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "all.json").read_text())
    assert [each["name"] for each in found["rows"]] == CHEAP
    for each in found["rows"]:
        assert each["name"] in done.stdout
        measured = {one["group"] for one in each["contenders"] if one["values"]}
        assert measured >= {"ours", "floor", "standard library"}, each["contenders"]
        assert all(one["values"] or one["trouble"] for one in each["contenders"])
        assert all(rule["state"] in {"held", "missed"} for rule in each["rules"])
    table = (tmp_path / "all.md").read_text().splitlines()
    assert [line.split()[1] for line in table if line.startswith("| ") and "must" not in line][
        1 : 1 + len(CHEAP)
    ] == CHEAP


def fabricated(
    seconds: float,
    *rivals: Contender,
    rule: float = 2.0,
    runs: list[int] | None = None,
) -> Row:
    """A row in which ours takes so long, the floor 1 s and the standard library 4 s."""

    def run(count: int) -> float:
        if runs is not None:
            runs.append(count)
        return seconds * count

    @row("fabricated", must_be_faster(rule, Group.STANDARD), sizes=Sizes(100, 100, 100))
    def contenders() -> Iterator[Contender]:
        """Nothing."""
        yield ours("ours", opened(run))
        yield floor("floor", opened(float))
        yield standard("standard", opened(lambda count: 4.0 * count))
        yield from rivals

    return contenders


def test_check_fails_when_a_must_is_missed_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """A must that is missed is measured once more, told, and makes the command fail."""
    runs: list[int] = []
    assert main(["--check"], [fabricated(3.0, runs=runs)]) == 1
    output = capsys.readouterr().out
    assert runs.count(100) == 2 * CHECK_ROUNDS
    assert "missed (1.333x as fast)" in output
    assert "measured 2 times" in output
    assert "musts: 0 held, 1 missed, 0 not measured" in output


@pytest.mark.slow
def test_check_passes_when_the_musts_are_held(capsys: pytest.CaptureFixture[str]) -> None:
    """A must that is held is measured once."""
    runs: list[int] = []
    assert main(["--check"], [fabricated(1.5, runs=runs)]) == 0
    assert runs.count(100) == CHECK_ROUNDS
    assert "musts: 1 held, 0 missed, 0 not measured" in capsys.readouterr().out


@pytest.mark.slow
def test_a_second_try_may_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """What was missed once and held then is held."""
    runs: list[int] = []
    slow_at_first = opened(lambda count: (runs.append(count), 9.0 if len(runs) < 7 else 1.0)[1])

    @row("moody", must_be_at_most(2.0), sizes=Sizes(100, 100), unit=PER_RUN)
    def moody() -> Iterator[Contender]:
        """Nothing."""
        yield ours("ours", slow_at_first)

    assert main(["--check"], [moody]) == 0
    assert "measured 2 times" in capsys.readouterr().out


def failing(error: Exception) -> Callable[[int], float]:
    """A run that fails."""

    def run(_: int) -> float:
        raise error

    return run


@contextmanager
def not_installed() -> Iterator[Run]:
    """A peer that is not there."""
    library("no_such_library_as_this")
    yield float


def test_a_peer_that_fails_or_is_not_there_is_left_out() -> None:
    """The others are measured, and it says why it was not."""
    absent = peer("absent", not_installed)
    broken = peer("broken", opened(failing(OSError("no luck"))))
    made = fabricated(1.0, absent, broken)
    measured = {each.contender.name: each for each in measure(made, "tiny", rounds=2)}
    assert measured["absent"].trouble == "not installed"
    assert measured["broken"].trouble == "failed: OSError: no luck"
    assert measured["ours"].values == [1.0, 1.0]
    assert [each.state for each in judge(made, list(measured.values())).verdicts] == ["held"]


def test_ours_failing_is_a_must_missed() -> None:
    """A failure is no excuse for ours."""

    @row("broken", must_be_at_most(1.0), sizes=Sizes(1, 1))
    def broken() -> Iterator[Contender]:
        """Nothing."""
        yield ours("ours", opened(failing(RuntimeError("broken"))))

    assert main(["--check", "--rounds", "1"], [broken]) == 1


def test_wrong_results_do_not_count() -> None:
    """A contender that is fast and wrong has no number."""

    @contextmanager
    def wrong() -> Iterator[Pool]:
        yield Pool(lambda *_: None, lambda _: 7, map)

    made = fabricated(1.0, peer("wrong", burst(wrong)))
    (measured,) = [each for each in measure(made, "tiny", 1) if each.contender.name == "wrong"]
    assert measured.trouble.startswith("failed: AssertionError: wrong results")


def test_an_unknown_name_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """``--only`` says what there is."""
    assert main(["--only", "threads"]) == 2
    assert "'threads'; there are coroutine, " in capsys.readouterr().err


def test_pictures_without_matplotlib_name_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is said before anything is measured."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["--plot", str(tmp_path)], [fabricated(1.0)]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err


def test_every_row_has_one_of_ours_and_a_floor() -> None:
    """And no two rows, nor two contenders of a row, have one name."""
    assert len({each.name for each in ROWS}) == len(ROWS)
    for each in ROWS:
        members = list(each.contenders())
        groups = [member.group for member in members]
        assert groups.count(Group.OURS) == 1
        assert Group.FLOOR in groups
        assert len({member.name for member in members}) == len(members)
        assert each.title


def test_a_rule_names_someone_in_its_row() -> None:
    """A rule against nobody could never be measured."""
    for each in ROWS:
        known = {key for one in each.contenders() for key in (one.name, str(one.group))}
        assert {rule.than for rule in each.rules if rule.than} <= known


def test_the_pipe_floor_gives_what_was_asked_for() -> None:
    """Calls over many messages and two workers come back in order."""
    with floors.PipeWorkers(2) as workers:
        assert workers.map(tasks.square, range(500), 7) == [n * n for n in range(500)]
        assert workers.burst(tasks.nothing, range(500), 64) == list(range(500))
        assert workers.call(tasks.spin, 1001) == tasks.spin(1001) == tasks.spun(1001)


def test_the_peers_can_be_installed() -> None:
    """The group that `nox -s bench` installs is the list that the report names."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert sorted(groups["peers"]) == sorted(PEERS)


def test_costs_are_told_as_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each beside the first of its table."""
    monkeypatch.setattr(costs, "ROUNDS", 1)
    monkeypatch.setattr(costs, "SIZES", [0, 1_000])
    assert costs.main([]) == 0
    told = capsys.readouterr().out
    assert told.count("beside") == 3
    assert re.search(r"serial +1\.0\n", told)
    assert re.search(r"1,000 bytes +\d+\.\d\d\n", told)


@pytest.mark.slow
@pytest.mark.parametrize("name", costs.LOOPS)
def test_work_for_a_profiler(name: str) -> None:
    """It is done once at least."""
    assert costs.main(["--loop", name, "--seconds", "0.001"]) == 0
