"""Calls as bytes: what a task in another process is given, taken at the call (L12b).

Used by the process room, and by ``SerialExecutor(portable=True)``, which shows without
starting a process whether code is ready for one.
"""

from __future__ import annotations

import pickle
import sys
from types import FunctionType

from unifexec import _pickling
from unifexec._core.outcome import Failure, Success
from unifexec._core.verbs import name_of
from unifexec.errors import RemoteError, SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from unifexec._core.options import Options


def pack_function(fn: Callable[..., Any], options: Options) -> tuple[str, bool, bytes, Any]:
    """Name, whether it is lasting, the function and the named context variables as bytes."""
    name = options.name or name_of(fn)
    try:
        data = _pickling.dumps(fn)
        context = None
        if options.context:
            present = [(var, var.get()) for var in options.context if _is_set(var)]
            context = _pickling.dumps(present)
    except Exception as error:
        text = _pickling.explain(f"the function {name!r}", fn, error)
        raise SerializationError(text) from error
    return name, _pickling.is_lasting(fn), data, context


def is_reference(fn: Any) -> bool:
    """Whether a function travels as its name, which a worker can import: always the same bytes."""
    if not isinstance(fn, FunctionType) or fn.__module__ == "__main__":
        return False
    module = sys.modules.get(fn.__module__)
    return getattr(module, fn.__qualname__, None) is fn


def _is_set(variable: Any) -> bool:
    try:
        variable.get()
    except LookupError:
        return False
    return True


def pack_arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """The arguments of one call as bytes; each call gets copies of its own."""
    try:
        return _pickling.dumps((args, kwargs))
    except Exception as error:
        parts: Any = {**dict(enumerate(args)), **kwargs}
        text = _pickling.explain(f"argument of {name!r}: args", parts, error)
        raise SerializationError(text) from error


def unpack_value(data: Any, seconds: float) -> Success[Any] | Failure:
    """A result; one that cannot be rebuilt here fails its own task."""
    try:
        return Success(pickle.loads(data), seconds=seconds)
    except BaseException as error:
        lost = SerializationError(f"the result cannot be rebuilt in this process: {error!r}")
        lost.__cause__ = error
        return Failure(lost, seconds=seconds)


def unpack_error(data: bytes, seconds: float) -> Failure:
    """An exception as the task raised it, or a `RemoteError` with its text."""
    return Failure(_pickling.load_error(data, RemoteError), seconds=seconds)
