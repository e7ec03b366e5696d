"""The decision core keeps its promises, whatever happens in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import DispatchMachine

QUICK = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_model() -> None:
    """Generated histories: deaths, late answers, cancels, limits, waits, closings."""
    run_state_machine_as_test(DispatchMachine, settings=QUICK)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_model_deep() -> None:
    """The same, longer and many more."""
    deep = settings(QUICK, max_examples=5000, stateful_step_count=80)
    run_state_machine_as_test(DispatchMachine, settings=deep)
