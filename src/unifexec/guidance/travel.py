"""Whether a function, its inputs and its results can go to another process, and at what price."""

from __future__ import annotations

import math
import pickle
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unifexec import SerializationError, create_executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TRIES = 3  # the fastest counts


@dataclass(frozen=True)
class Travel:
    """The price of a call in another process.

    Attributes:
        problem: why it cannot be made there, naming what cannot travel; None if it can.
        input_stays: it is an input that cannot travel, so it cannot be copied either.
        there: bytes of an input, on average; 0 if none could be weighed.
        back: bytes of a result; None if none was seen, or could be weighed.
        seconds: to serialise and to rebuild an input and a result.
    """

    problem: str | None = None
    input_stays: bool = False
    there: int = 0
    back: int | None = None
    seconds: float = 0.0


def measure_travel(
    fn: Callable[..., Any],
    name: str,
    samples: Sequence[Any],
    results: Sequence[Any],
    seconds: float = math.inf,
) -> Travel:
    """Serialise the function, some samples and their results (empty: none are known).

    Takes about so many seconds, and one of each at least.
    """
    deadline = time.perf_counter() + seconds
    of_input = _problem(f"the input of {name!r}", samples, deadline)
    problem = (
        _problem(f"the function {name!r}", [fn], deadline)
        or of_input
        or _problem(f"the result of {name!r}", results, deadline)
    )
    if problem:
        return Travel(problem, input_stays=of_input is not None)
    there = _packed_in_time(samples, deadline)
    back = _packed_in_time(results, deadline)
    return Travel(
        there=sum(size for size, _ in there) // max(1, len(there)),
        back=sum(size for size, _ in back) // len(back) if back else None,
        seconds=_mean(seconds for _, seconds in there) + _mean(seconds for _, seconds in back),
    )


def _mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def _in_time(values: Sequence[Any], deadline: float) -> Iterator[Any]:
    """The different ones of these, until then; one at least."""
    for number, value in enumerate({id(value): value for value in values}.values()):
        if number and time.perf_counter() > deadline:
            return
        yield value


def _problem(what: str, values: Sequence[Any], deadline: float) -> str | None:
    """What `SerializationError` says of the first value that cannot travel."""
    with create_executor("serial", portable=True) as executor:
        for value in _in_time(values, deadline):
            try:
                executor.submit(_take, value).result()
            except SerializationError as error:
                _, _, path = str(error).partition("args[0]")
                return f"{what}: its part {path}" if path[:1] in ".[{" else f"{what}{path}"
    return None


def _take(_: object) -> None:
    """An argument is all that is asked of it."""


def _packed_in_time(values: Sequence[Any], deadline: float) -> list[tuple[int, float]]:
    """What can be weighed of these: a handle of `share`, say, travels only with a task."""
    packed = []
    for value in _in_time(values, deadline):
        with suppress(Exception):
            packed.append(_packed(value, deadline))
    return packed


def _packed(value: Any, deadline: float) -> tuple[int, float]:
    """Bytes of a value, and seconds to serialise and to rebuild it."""
    best, size = math.inf, 0
    for number in range(TRIES):
        if number and time.perf_counter() > deadline:
            break
        begin = time.perf_counter()
        data = _dumps(value)
        pickle.loads(data)
        best, size = min(best, time.perf_counter() - begin), len(data)
    return size, best


def _dumps(value: Any) -> bytes:
    """As the executors do: pickle, else cloudpickle."""
    try:
        return pickle.dumps(value, 5)
    except Exception:
        import cloudpickle

        data: bytes = cloudpickle.dumps(value, 5)
        return data
