"""The benchmarks run: each function on one of its samples; figures are no matter of tests."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from benchmarks.advice.__main__ import Result, line, score, why
from benchmarks.advice.functions import CASES, Case, Place
from unifexec import create_executor
from unifexec.compare import server
from unifexec.guidance import advise
from unifexec.guidance.trials import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", name="place")
def fixture_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give the functions a server and a folder."""
    with server.running() as url:
        yield Place(url, tmp_path_factory.mktemp("place"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_function_works_on_its_samples(case: Case, place: Place) -> None:
    """One call, here; what it needs and is not installed is left out."""
    if not case.is_possible():
        pytest.skip(f"needs {', '.join(case.needs)}")
    with create_executor("serial") as executor:
        executor.submit(case.fn, case.samples(place)[0]).result()


def test_there_are_many_levers() -> None:
    """At least forty functions, no two with the same lever, each lever on one line."""
    levers = [case.lever for case in CASES.values()]
    assert len(levers) >= 40
    assert len(set(levers)) == len(levers)
    assert all("\n" not in lever and len(lever) < 80 for lever in levers)
    assert sum(inspect.iscoroutinefunction(case.fn) for case in CASES.values()) >= 5


def test_a_pick_within_ten_per_cent_is_right() -> None:
    """And a miss says what the advice saw."""
    advice = advise(CASES["add_one"].fn, [1], budget=0.2)
    serial, thread = Candidate("serial", 1), Candidate("thread", 2)
    right = Result(CASES["add_one"], advice, {serial: [91.0], thread: [100.0]})
    wrong = Result(CASES["add_one"], advice, {serial: [80.0] * 5, thread: [100.0] * 5})
    unclear = Result(CASES["add_one"], advice, {serial: [80.0, 70.0], thread: [60.0, 100.0]})
    assert (right.is_right, wrong.is_right, score([right, wrong])) == (True, False, 0.5)
    assert line(wrong).startswith("MISS    80%  add_one")
    assert line(unclear).startswith("miss?   80%  add_one")
    assert "advice saw" in why(wrong)
