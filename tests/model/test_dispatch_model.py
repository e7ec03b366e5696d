"""The decision core keeps its promises, whatever happens in whatever order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import DispatchMachine, walk

QUICK = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_model() -> None:
    """Generated histories: deaths, late answers, cancels, limits, waits, closings."""
    run_state_machine_as_test(DispatchMachine, settings=QUICK)


@pytest.mark.parametrize("length", [15, 40, 100])
def test_walks(length: int) -> None:
    """Many random histories, the same ones every time."""
    for seed in range(1000):
        walk_noted(seed, length)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_model_deep() -> None:
    """Generated histories, longer and many more."""
    deep = settings(QUICK, max_examples=5000, stateful_step_count=80)
    run_state_machine_as_test(DispatchMachine, settings=deep)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_walks_deep() -> None:
    """Random histories, new ones every time."""
    first = Random().randrange(1 << 60)
    for seed in range(first, first + 100_000):
        walk_noted(seed, 60)


def walk_noted(seed: int, length: int) -> None:
    try:
        walk(DispatchMachine(), Random(seed), length)
    except Exception as error:
        error.add_note(f"walk(DispatchMachine(), Random({seed}), {length})")
        raise
