"""The model catches every fault that is planted in the core, one at a time."""

from __future__ import annotations

from random import Random

import pytest

from .faults import FAULTS, Fault, planted
from .machine import DispatchMachine, walk

WALKS = 6000
LENGTH = 25

each_fault = pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-")
)


@each_fault
def test_the_model_catches(fault: Fault) -> None:
    """A history is found in which the fault shows."""
    assert shows(faulty(fault), first_seed=0), "no history shows it"


@pytest.mark.slow
@each_fault
def test_the_model_catches_by_no_luck(fault: Fault) -> None:
    """Other histories show it as well; the rarest one in two thousand."""
    machine = faulty(fault)
    for number in range(1, 6):
        first_seed = number * 3 * WALKS
        assert shows(machine, first_seed, 3 * WALKS), f"only luck: not from {first_seed}"


def test_the_model_lets_the_core_pass() -> None:
    """With no fault planted the same histories are all well."""
    for seed in range(WALKS):
        walk(DispatchMachine(), Random(seed), LENGTH)


def faulty(fault: Fault) -> type[DispatchMachine]:
    class Faulty(DispatchMachine):
        core_module = planted(fault)

    return Faulty


def shows(machine: type[DispatchMachine], first_seed: int, walks: int = WALKS) -> bool:
    """Whether one of many histories goes wrong."""
    for seed in range(first_seed, first_seed + walks):
        try:
            walk(machine(), Random(seed), LENGTH)
        except Exception:  # the model objects, or the core itself breaks down
            return True
    return False
