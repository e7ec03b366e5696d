"""The model catches every fault that is planted in the core, one at a time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .faults import FAULTS, Fault, planted
from .machine import DispatchMachine

BITE = settings(
    max_examples=800,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


pytestmark = pytest.mark.slow  # two seconds each; `nox -s laws` runs them too


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_model_catches(fault: Fault) -> None:
    """A history is found in which the fault shows."""

    class Faulty(DispatchMachine):
        core_module = planted(fault)

    with pytest.raises(Caught):
        run_state_machine_as_test(stop_at_first(Faulty), settings=BITE)


def test_the_model_lets_the_core_pass() -> None:
    """With no fault planted the same histories are all well."""
    run_state_machine_as_test(stop_at_first(DispatchMachine), settings=BITE)


class Caught(BaseException):
    """The model saw the fault; a ``BaseException`` ends the search at once."""


def stop_at_first(machine: type[DispatchMachine]) -> type[DispatchMachine]:
    """A machine that ends the whole search with the first failure it sees."""

    class Stopping(machine):  # type: ignore[misc, valid-type]
        def deliver_one(self) -> None:
            try:
                super().deliver_one()
            except Exception as error:
                raise Caught from error

        def teardown(self) -> None:
            try:
                super().teardown()
            except Exception as error:
                raise Caught from error

        def time_passes(self, seconds: float) -> None:
            try:
                super().time_passes(seconds)
            except Exception as error:
                raise Caught from error

        def start(self, trip: object) -> None:
            try:
                super().start(trip)
            except Exception as error:
                raise Caught from error

        def check_invariants(self, *args: object, **kwargs: object) -> None:
            try:
                super().check_invariants(*args, **kwargs)
            except Exception as error:
                raise Caught from error

    return Stopping
