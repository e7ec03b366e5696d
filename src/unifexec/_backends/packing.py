"""Calls as bytes: what a task in another process is given, taken at the call (L12b).

Used by the process room, and by ``SerialExecutor(portable=True)``, which shows without
starting a process whether code is ready for one.
"""

from __future__ import annotations

import pickle
from itertools import chain
from operator import itemgetter

from unifexec import _pickling, _records
from unifexec._bunches import joined
from unifexec._core.outcome import Failure, Success
from unifexec._core.verbs import name_of
from unifexec._running import REFUSAL, shown
from unifexec.errors import RemoteError, SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from unifexec._core.options import Options
    from unifexec._segments import Inbox

MOST_IN_A_BUNCH = 1 << 20  # bytes: larger ones are not worth copying together
SIZED = frozenset({str, bytes})  # atoms that may be large
LONE_ATOMS = _pickling.ATOMS - {bytes}  # those that may be items as they are: see `are_atoms`


def pack_function(
    fn: Callable[..., Any], options: Options, data: bytes | None = None
) -> tuple[str, bool, bytes, Any]:
    """Name, whether it is lasting, the function and the named context variables as bytes.

    ``data``: the function, if it was packed already.
    """
    name = options.name or name_of(fn)
    try:
        data = data or _pickling.dumps(fn)
        context = None
        if options.context:
            present = [(var, var.get()) for var in options.context if _is_set(var)]
            context = _pickling.dumps(present)
    except REFUSAL as error:
        text = _pickling.explain(f"the function {name!r}", fn, error)
        raise SerializationError(text) from error
    return name, _pickling.is_lasting(fn), data, context


def _is_set(variable: Any) -> bool:
    try:
        variable.get()
    except LookupError:
        return False
    return True


def pack_arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], unary: bool) -> bytes:
    """The arguments of one call as bytes, or (``unary``) the one that it has."""
    try:
        return _pickling.dumps(args[0] if unary else (args, kwargs))
    except REFUSAL as error:
        raise cannot_travel(name, args, kwargs, error) from error


def cannot_travel(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException
) -> SerializationError:
    """Says which argument, and why."""
    parts: Any = {**dict(enumerate(args)), **kwargs}
    return SerializationError(_pickling.explain(f"argument of {name!r}: args", parts, error))


def packed_items(room: Any, work: Any, inputs: list[Any], unary: bool) -> list[Any]:
    """The arguments of items of a map, each as bytes; what cannot travel as its error (L12)."""
    if isinstance(work, SerializationError):
        return [_same_error(work) for _ in inputs]
    packed: list[Any] | None = _packed_records(inputs) if unary else None
    if packed is not None:
        return packed
    packed = []
    for item in inputs:
        data = _pickling.dumps_plainly(item if unary else (item, {}))
        if data is None or len(data) >= _pickling.LARGE:
            data = _packed_item(room, work, (item,) if unary else item, unary)
        packed.append(data)
    return packed


def _packed_records(inputs: list[Any]) -> list[Any] | None:
    """Each of many records as bytes; None if one is something else, or has a huge number."""
    if not all(map(_records.is_record, inputs)):
        return None
    try:
        packed = _records.dump_each(inputs)
    except ValueError:  # another thread has just changed one
        return None
    return packed if max(map(len, packed)) < _pickling.LARGE else None


def _packed_item(room: Any, work: Any, args: tuple[Any, ...], unary: bool) -> Any:
    try:
        return room.pack_call(work, args, {}, unary)
    except SerializationError as error:
        return error


def unpack_item(item: bytes, unary: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What was packed by `packed_items` or `pack_arguments`."""
    value = _records.loads(item)
    args, kwargs = ((value,), {}) if unary else value
    return args, kwargs


def _same_error(error: SerializationError) -> SerializationError:
    """The function cannot travel: each of its items fails, with an exception of its own."""
    again = SerializationError(*error.args)
    again.__cause__ = error.__cause__
    return again


def are_atoms(inputs: list[Any], unary: bool) -> bool:
    """Whether all arguments are such as can neither be changed nor alias, and none is large.

    Single arguments must not be bytes either: that is what pickled ones are.
    """
    arguments = inputs if unary else list(chain.from_iterable(inputs))
    try:
        kinds = set(map(type, arguments))
    except TypeError:  # of a type that cannot be hashed
        return False
    if not kinds <= (LONE_ATOMS if unary else _pickling.ATOMS):
        return False
    if not kinds & SIZED:
        return True
    return max(len(arg) for arg in arguments if type(arg) in SIZED) < _pickling.LARGE


def are_small_atoms(args: tuple[Any, ...]) -> bool:
    """As `are_atoms`, of one call."""
    for arg in args:
        if not _records.is_atom(arg):
            return False
        if type(arg) in SIZED and len(arg) >= _pickling.LARGE:
            return False
    return True


def pack_bunch(items: list[Any]) -> tuple[bool, bytes] | None:
    """Many items as one message: whether as one list, and its bytes; None if not worth it."""
    kinds = set(map(type, items))
    if kinds == {tuple} or kinds <= LONE_ATOMS:
        return True, _records.dumps(items)
    if kinds != {bytes} or sum(map(len, items)) >= MOST_IN_A_BUNCH:
        return None
    if _records.PICKLE in map(itemgetter(0), items):
        return False, joined(items)
    return True, _records.listed(len(items), b"".join(items))


def unpack_value(data: Any, seconds: float) -> Success[Any] | Failure:
    """A result; one that cannot be rebuilt here fails its own task."""
    try:
        return Success(pickle.loads(data), seconds=seconds)
    except BaseException as error:
        return _unreadable(error, seconds)


def _unreadable(error: BaseException, seconds: float) -> Failure:
    lost = SerializationError(f"the result cannot be rebuilt in this process: {shown(error)}")
    lost.__cause__ = error
    return Failure(lost, seconds=seconds)


def unpack_cargo(inbox: Inbox, note: memoryview, seconds: float) -> Success[Any] | Failure:
    """As `unpack_value`, from shared memory."""
    try:
        return Success(inbox.loads(note), seconds=seconds)
    except BaseException as error:
        return _unreadable(error, seconds)


def unpack_error(data: bytes, seconds: float) -> Failure:
    """An exception as the task raised it, or a `RemoteError` with its text."""
    return Failure(_pickling.load_error(data, RemoteError), seconds=seconds)
