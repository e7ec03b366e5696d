"""Small values as bytes, one after the other: what a bunch is given, and what it has done.

*Atoms* cannot be changed and cannot alias. *Records* are short tuples, lists and dicts of atoms.
Both are written by ``marshal``, in less time than pickles take, and in its format 2, which has
no references: each value stands for itself, so that no two share what they would not share
elsewhere (L12b); and the bytes of many, joined, are what a list holds, and are read as one. A
value that is neither is a pickle, which stands among the others in a pair that is no record.
"""

from __future__ import annotations

import marshal
import pickle
from itertools import repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 2  # of `marshal`; from 3 on a value may refer to one before it
PICKLE = 0x80  # what a pickle begins with, and nothing that `marshal` writes in this format
MOST_PARTS = 64  # of a record
MOST_LENGTH = 1 << 10  # of all strings in it: each is written as often as it is there


def is_atom(value: Any) -> bool:
    """Whether a value is of exactly one of these types; asked without any code of its own."""
    kind = type(value)
    if kind is int or kind is float or kind is bool or value is None:
        return True
    return kind is str or kind is bytes


def is_record(value: Any) -> bool:
    """Whether a value is of exactly one of these types, and small; a dict has keys that are str."""
    kind = type(value)
    if not (kind is dict or kind is tuple or kind is list) or len(value) > MOST_PARTS:
        return False
    room, parts = MOST_LENGTH, value
    try:
        if kind is dict:
            for key in value:
                if type(key) is not str:
                    return False
                room -= len(key)
            parts = value.values()
        for part in parts:
            kind = type(part)
            if kind is int or kind is float or kind is bool or part is None:
                continue
            if not (kind is str or kind is bytes):
                return False
            room -= len(part)
    except RuntimeError:  # another thread has just changed it
        return False
    return room >= 0


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
