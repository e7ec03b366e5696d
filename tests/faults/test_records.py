"""Small values that travel many at once (`_records`): as they are, each for itself, and once."""

from __future__ import annotations

import enum
import math
from array import array
from collections import OrderedDict, defaultdict, namedtuple
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifexec import ProcessExecutor, SerialExecutor, WorkerLostError, _records

from . import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=5)  # with lone surrogates
    | st.binary(max_size=5)
)
records = (
    st.lists(atoms, max_size=4)
    | st.lists(atoms, max_size=4).map(tuple)
    | st.dictionaries(atoms, atoms, max_size=4)
)


class Colour(enum.IntEnum):
    """Equal to an int, and none."""

    RED = 1


class Word(str):
    """Equal to a string, and no string."""

    __slots__ = ()


class Data(bytes):
    """Equal to bytes, and none; `marshal` would write bytes."""


Point = namedtuple("Point", "x y")  # noqa: PYI024  (as users write it)

LISTED: list[Any] = [1]
LISTED.append(LISTED)

NO_RECORDS: list[Any] = [
    [[1]],
    {"a": [1]},
    {"a": {}},
    ((),),
    {(1, 2): 3},
    [Colour.RED],
    {Colour.RED: 1},
    {Word("a"): 1},
    [Word("a")],
    {Data(b"a"): 1},
    [Data(b"a")],
    [bytearray(b"a")],
    [array("i", [1])],
    [1j],
    [...],
    (..., b"pickle"),
    [range(3)],
    [frozenset({1})],
    LISTED,
]


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    """One worker, to which all items of a batch go."""
    with ProcessExecutor(1) as executor:
        yield executor


def shape(value: Any, depth: int = 3) -> Any:
    """A value with all its types; the same for equal values only."""
    if depth == 0:
        return type(value)
    if isinstance(value, dict):
        parts = [(shape(key, depth - 1), shape(value[key], depth - 1)) for key in value]
        return type(value), parts
    if isinstance(value, (list, tuple)):
        return type(value), [shape(part, depth - 1) for part in value]
    return type(value), repr(value)


@given(st.lists(atoms | records))
def test_a_stream_is_what_was_written(values: list[Any]) -> None:
    """One after the other; the bytes of each do not depend on those before it."""
    stream = b"".join(map(_records.dumps, values))
    assert shape(_records.loads(_records.listed(len(values), stream))) == shape(values)
    assert shape(_records.loads(_records.dumps(values))) == shape(values)
    half = len(values) // 2
    assert shape(_records.loads(_records.listed(half, stream))) == shape(values[:half])


@given(st.lists(records, min_size=1))
def test_records_are_known(values: list[Any]) -> None:
    """Each, and many of one kind."""
    assert all(map(_records.is_record, values))
    kinds = set(map(type, values))
    assert _records.are_records(values) is (kinds == {dict} or dict not in kinds)
    assert not any(map(_records.is_pickled, values))


@pytest.mark.parametrize("value", NO_RECORDS, ids=repr)
def test_what_is_no_record(value: Any) -> None:
    """Whatever `marshal` would write otherwise than `pickle`, or would refuse."""
    assert not _records.is_record(value)
    assert not _records.are_records([value])
    assert not _records.are_records([type(value)(), value])


@pytest.mark.parametrize("kind", [ProcessExecutor, lambda: SerialExecutor(portable=True)])
@pytest.mark.parametrize("chunksize", [1, 100])
def test_L4_values_arrive_as_they_are(kind: Any, chunksize: int) -> None:
    """There and back, of all kinds, alone and together."""
    special = [math.inf, -0.0, 10**400, "\ud800", "", b"", [], (), {}, Word("a"), Data(b"a")]
    special += [Point(1, 2), OrderedDict(a=1), defaultdict(int, a=1), (b"a",), [b"a"], {"a": b"a"}]
    values = [*special, *NO_RECORDS[:-1], [{"a": 1}, (1, "a")], {"a" * 70_000: 1}]
    with kind() as executor:
        results = list(executor.map(jobs.same, values, chunksize=chunksize))
        assert shape(results) == shape(values)
        pairs = list(executor.map(jobs.pair, values, values, chunksize=chunksize))
        assert shape(pairs) == shape(list(zip(values, values, strict=True)))
        assert [shape(executor.submit(jobs.same, v).result(20)) for v in values] == [
            shape(value) for value in values
        ]


def test_L4_records_do_not_alias(executor: ProcessExecutor) -> None:
    """One object at several places becomes several; what a task returned is as it was then."""
    record = {"times": 0}
    results = list(executor.map(jobs.same, [record] * 6, chunksize=6))
    assert results == [record] * 6
    assert len(set(map(id, results))) == 6
    assert list(executor.map(jobs.show_again, range(6), chunksize=6)) == [
        {"times": x} for x in range(6)
    ]


@pytest.mark.parametrize("guilty", range(12))
def test_L22_whatever_values_are_kept(guilty: int, tmp_path: Path) -> None:
    """What was done before a worker died, and not sent, is done; the rest runs elsewhere."""
    columns = range(12), [guilty] * 12, [str(tmp_path)] * 12
    with ProcessExecutor(1) as executor:
        results = executor.map(jobs.odd_value, *columns, chunksize=12)
        for x in range(guilty):
            assert next(results) == jobs.odd(x)
        with pytest.raises(WorkerLostError, match=f"item {guilty}"):
            next(results)
    assert all((tmp_path / str(x)).read_text() == "x" for x in range(guilty + 1))


def test_L22_whatever_values_are_kept_and_one_runs_again(tmp_path: Path) -> None:
    """Each of the others runs once."""
    columns = range(12), [7] * 12, [str(tmp_path)] * 12
    with ProcessExecutor(1) as executor:
        again = executor.with_options(rerun_lost=1)
        assert list(again.map(jobs.odd_value, *columns, chunksize=12)) == [
            *map(jobs.odd, range(12))
        ]
    assert [len((tmp_path / str(x)).read_text()) for x in range(12)] == [1] * 7 + [2] + [1] * 4


@pytest.mark.parametrize("slow", [0, 3, 9])
def test_L10_what_was_sent_before_is_not_told_again(slow: int, tmp_path: Path) -> None:
    """Items in front of a slow one are sent while it runs, and it with the next."""
    columns = range(10), [slow] * 10, [str(tmp_path)] * 10
    with ProcessExecutor(1) as executor:
        list(executor.map(jobs.same, range(3)))
        results = list(executor.map(jobs.slow_at, *columns, chunksize=10))
        assert results == [{"square": x * x} for x in range(10)]
        tasks = [executor.submit(jobs.slow_at, x + 10, slow + 10, str(tmp_path)) for x in range(10)]
        assert [task.result(20) for task in tasks] == [{"square": x * x} for x in range(10, 20)]
    assert all((tmp_path / str(x)).read_text() == "x" for x in range(20))


def test_L22_values_wait_where_the_parent_finds_them(tmp_path: Path) -> None:
    """Small values beyond what the shared memory holds go by blocks, and none is missing."""
    with ProcessExecutor(1) as executor:
        texts = ["x" * 3000 + str(number) for number in range(200)]
        assert list(executor.map(jobs.same, texts, chunksize=200)) == texts


def test_a_copy_of_a_worker_knows_its_task(executor: ProcessExecutor) -> None:
    """In a process that a task of a batch forked."""
    names = list(executor.map(jobs.name_in_a_copy, range(4), chunksize=4))
    assert names == [f"name_in_a_copy {x}" for x in range(4)]
