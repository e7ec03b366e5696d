"""Small values as bytes, one after the other: what a bunch is given, and what it has done.

*Atoms* cannot be changed and cannot alias. *Records* are tuples, lists and dicts of atoms. Both
are written by ``marshal``, in a third of the time that pickles take, and in its format 2, which
has no references: each value stands for itself, so that no two share what they would not share
elsewhere (L12b); and the bytes of many, joined, are what a list holds, and are read as one. A
value that is neither is a pickle, which stands among the others in a pair that is no record.
"""

from __future__ import annotations

import marshal
import pickle
from itertools import chain, repeat

from unifexec._pickling import ATOMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 2  # of `marshal`; from 3 on a value may refer to one before it
PICKLE = 0x80  # what a pickle begins with, and nothing that `marshal` writes in this format
SEQUENCES = frozenset({tuple, list})
RECORDS = SEQUENCES | {dict}


def is_record(value: Any) -> bool:
    """Whether a value of one of these types, and no other, holds atoms only."""
    if type(value) is dict:
        return ATOMS.issuperset(map(type, value.values())) and ATOMS.issuperset(map(type, value))
    return ATOMS.issuperset(map(type, value))


def are_records(values: list[Any]) -> bool:
    """Whether all of them are, where all are dicts or none is."""
    kinds = set(map(type, values))
    if kinds == {dict}:
        contents = chain.from_iterable(map(dict.values, values))
        parts = chain(contents, chain.from_iterable(values))
    elif kinds <= SEQUENCES:
        parts = chain.from_iterable(values)
    else:
        return False
    return ATOMS.issuperset(map(type, parts))


def dumps(value: Any) -> bytes:
    """An atom, a record, or a list of such."""
    return marshal.dumps(value, FORMAT)


def dump_each(values: list[Any]) -> list[bytes]:
    """Each by itself."""
    return list(map(marshal.dumps, values, repeat(FORMAT)))


def loads(data: bytes | memoryview) -> Any:
    """What was written here, or pickled."""
    return pickle.loads(data) if data[0] == PICKLE else marshal.loads(data)


def listed(count: int, stream: bytes | memoryview) -> bytes:
    """The first so many values of a stream as one list, as bytes."""
    return b"".join((b"[", count.to_bytes(4, "little"), stream))


def pickled(data: bytes) -> tuple[Any, ...]:
    """A pickle, as it stands in a stream."""
    return ..., data


def is_pickled(value: Any) -> bool:
    """Whether what stood in a stream is a pickle: only there, and in no record, is an `...`."""
    return type(value) is tuple and len(value) == 2 and value[0] is ...
