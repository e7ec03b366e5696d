"""L1: generated programs give on every executor what they give on `SerialExecutor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unifexec import (
    AsyncExecutor,
    Failure,
    ProcessExecutor,
    SerialExecutor,
    Success,
    ThreadExecutor,
)

from . import lockstep

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = [ThreadExecutor, ProcessExecutor, AsyncExecutor]


@pytest.fixture(scope="class", params=KINDS)
def ex(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One executor for all programs of a class."""
    with request.param(2) as executor:
        yield executor


values = st.one_of(
    st.none(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.integers(), max_size=3)
)
functions = st.sampled_from(["keep", "keep_async", "invert", "invert_async", "raise_stop"])
leaves = st.tuples(st.just("submit"), functions, st.integers(-2, 2) | values)
maps = st.fixed_dictionaries(
    {
        "fn": functions,
        "items": st.lists(st.integers(-3, 3), max_size=12),
        "chunksize": st.none() | st.integers(1, 5),
        "buffersize": st.none() | st.integers(1, 5),
        "errors": st.sampled_from(["raise", "return"]),
        "ordered": st.booleans(),
    }
).map(lambda options: ("map", options))
steps = st.recursive(
    leaves | maps,
    lambda inner: st.one_of(
        st.tuples(
            st.just("gather"),
            st.lists(inner, max_size=3),
            st.sampled_from(["raise", "return", "group"]),
        ),
        st.tuples(st.just("nest"), inner),
    ),
    max_leaves=6,
)


class TestLockstep:
    @given(program=steps)
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    def test_L01_every_program_equals_its_serial_run(self, ex: Any, program: Any) -> None:
        """Submits, maps with windows and chunks, gathers, nested ones, values and failures."""
        check(ex, program)

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    @given(program=steps)
    @settings(max_examples=1500, suppress_health_check=list(HealthCheck))
    def test_L01_deep(self, ex: Any, program: Any) -> None:
        """The same, with many more programs."""
        check(ex, program)


def check(ex: Any, program: Any) -> None:
    """Run a program on both, and compare; `lockstep` leaves out what time decides."""
    with SerialExecutor() as serial:
        expected = lockstep.run(serial, program)
    got = lockstep.run(ex, program)
    assert got == expected


def test_outcomes_are_compared_by_content() -> None:
    """The comparison itself tells values from failures."""
    assert lockstep.plain(Success(1, index=2)) == ("value", 1, 2)
    assert lockstep.plain(Failure(ValueError("x"), index=1)) == ("error", "ValueError('x')", 1)
