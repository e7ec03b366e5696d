"""Small values that travel many at once (`_records`): as they are, each for itself, and once."""

from __future__ import annotations

import bz2
import enum
import math
from array import array
from collections import OrderedDict, defaultdict, namedtuple
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifexec import (
    Failure,
    ProcessExecutor,
    SerialExecutor,
    SerializationError,
    Success,
    WorkerLostError,
    _records,
)

from . import jobs
from .programs import wait_for

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
    | st.dictionaries(st.text(st.characters(), max_size=5), atoms, max_size=4)
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
    list(range(100)),
    ["x" * 2000],
    ["x" * 100] * 20,
    {"x" * 2000: 1},
    {"a": b"x" * 2000},
    {1: 1},
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
    assert not any(map(_records.is_pickled, values))
    assert not any(map(_records.is_atom, values))
    assert all(_records.is_atom(part) for value in values for part in value)


@pytest.mark.parametrize("value", NO_RECORDS, ids=repr)
def test_what_is_no_record(value: Any) -> None:
    """Whatever `marshal` would write otherwise than `pickle`, or would refuse."""
    assert not _records.is_record(value)
    assert not _records.is_atom(value)


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


def test_L12_one_long_string_at_many_places(executor: ProcessExecutor) -> None:
    """It is written once, as in a pickle: not as often as it is there."""
    many = ["x" * 1_000_000] * 3000  # three gigabytes, if it were
    assert list(executor.map(len, [many, [1], many], chunksize=3)) == [3000, 1, 3000]
    lists = list(executor.map(jobs.repeated, [3000, 1, 3000], chunksize=3))
    assert list(map(len, lists)) == [3000, 1, 3000]
    tasks = [executor.submit(jobs.repeated, size) for size in (3000, 1, 3000)]
    assert [len(task.result(20)) for task in tasks] == [3000, 1, 3000]


def test_L12_a_type_that_cannot_be_hashed(executor: ProcessExecutor) -> None:
    """It fails its own item, as whatever cannot travel."""
    odd = jobs.unhashable()
    outcomes = list(executor.map(jobs.same, [1, [odd], odd, 2], chunksize=4, errors="return"))
    assert [type(outcome) for outcome in outcomes] == [Success, Failure, Failure, Success]
    assert [type(outcomes[x].error) for x in (1, 2)] == [SerializationError] * 2
    for fn, args in ((jobs.same, (odd,)), (odd, (3,)), (jobs.unhashable, ())):
        assert isinstance(executor.submit(fn, *args).exception(20), SerializationError)
    results = executor.map(jobs.unhashable_at, range(6), [4] * 6, chunksize=6)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(SerializationError, match=r"unhashable_at"):
        next(results)


def test_L3_an_alarm_of_a_task_that_is_over(executor: ProcessExecutor) -> None:
    """What it raises between two items of a batch belongs to neither: none is told another's."""
    tasks = [executor.submit(jobs.same_with_alarm, x) for x in range(1500)]
    outcomes = [(x, task) for x, task in enumerate(tasks) if task.exception(60) is None]
    assert [task.result() for _, task in outcomes] == [x for x, _ in outcomes]
    assert len(outcomes) > 1000


def test_a_copy_of_a_copy_of_a_worker_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """A task forks, and what it forked forks."""
    with ProcessExecutor(1) as executor:
        assert list(executor.map(jobs.fork_twice, range(4), chunksize=4)) == [0] * 4
    assert capfd.readouterr().err == ""


def test_L25_what_did_not_fit_is_let_go(executor: ProcessExecutor) -> None:
    """A large value of a batch does not live on while the next item runs."""
    assert list(executor.map(jobs.count_blocks, range(4), chunksize=4))[1::2] == [0, 0]


def test_L15_an_abort_that_comes_as_an_item_raises() -> None:
    """Its signal is noticed when native code ends, which raises: the worker goes on."""
    broken = bytearray(bz2.compress(bytes(150_000_000)))  # zeros: some bytes, and long to read
    broken[-5] ^= 255
    with ProcessExecutor(2, grace=10) as executor:
        list(executor.map(jobs.pid_after, [0.1] * 2, chunksize=1))
        before = {worker.pid for worker in executor.stats().workers}
        with pytest.raises(KeyError, match="first"):
            list(executor.map(jobs.fail_late, range(8), [bytes(broken)] * 8, chunksize=4))
        assert wait_for(lambda: executor.stats().running == 0)
        after = set(executor.map(jobs.pid_after, [0.1] * 2, chunksize=1))
    assert (len(before), after) == (2, before)
