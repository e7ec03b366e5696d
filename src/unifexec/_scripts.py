"""What of a script travels by value, and needs more for it than cloudpickle does.

- *Globals that an initializer has set.* A function of ``__main__`` brings along the globals that
  it refers to, as they are at the call (L12b). What the initializer of a worker has bound there is
  that worker's own, and wins, as it would where the script is imported once more.
- *Cached and dispatching functions* (`functools.cache`, `functools.singledispatch`), which pickle
  takes for functions that can be imported. They are made empty first and filled then, since what
  they call may refer to them. A cache arrives empty.
- *Open text files*, of which cloudpickle would send the text: they are refused.
"""

from __future__ import annotations

import functools
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType
    from typing import Any

CACHED = type(functools.cache(len))
OF_A_CACHE = {"__wrapped__", "cache_parameters"}
DISPATCHING = {"registry", "dispatch", "register", "_clear_cache"}  # attributes of such a function

_bound: dict[str, Any] = {}  # in a worker: the globals that its initializer has bound
_arriving: list[dict[str, Any]] | None = None  # those of functions that arrive with it


def is_dispatching(fn: FunctionType) -> bool:
    """Whether a function was made by `functools.singledispatch`."""
    return vars(fn).keys() >= DISPATCHING


def with_globals(reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """What rebuilds a function of ``__main__``, and then looks what its worker has set."""
    make, args, state, _, _, set_state = reduced
    return make, args, (set_state, state), None, None, _arrive


def _arrive(fn: FunctionType, state: tuple[Any, ...]) -> None:
    set_state, its_state = state
    set_state(fn, its_state)
    names = fn.__globals__
    if _arriving is not None:
        _arriving.append(names)
    names.update(_bound)


def initialize(load: Callable[[], tuple[Any, ...]]) -> Any:
    """In a worker: load an initializer, its arguments and a finalizer, run the first.

    Returns the last; and keeps what the first has bound.
    """
    global _arriving
    arriving: list[dict[str, Any]] = []
    _arriving = arriving
    try:
        initializer, initargs, finalizer = load()
    finally:
        _arriving = None
    before = [(names, names.copy()) for names in {id(names): names for names in arriving}.values()]
    if initializer is not None:
        initializer(*initargs)
    for names, then in before:
        changed = {name for name in names if names[name] is not then.get(name, _bound)}
        _bound.update({name: names[name] for name in changed if name != "__builtins__"})
    return finalizer


def reduce_cached(fn: Any) -> Any:
    """A function with a cache, of ``__main__``; others travel by name."""
    if fn.__module__ != "__main__":
        return NotImplemented
    options = fn.cache_parameters()
    more = {name: value for name, value in vars(fn).items() if name not in OF_A_CACHE}
    sizes, filling = (options["maxsize"], options["typed"]), (fn.__wrapped__, more)
    return _empty_cached, sizes, filling, None, None, _fill_cached


def _empty_cached(maxsize: int | None, typed: bool) -> Any:
    @functools.lru_cache(maxsize, typed)
    def call(*args: Any, **kwargs: Any) -> Any:
        return cached.__wrapped__(*args, **kwargs)

    cached: Any = call
    return cached


def _fill_cached(cached: Any, filling: tuple[Any, dict[str, Any]]) -> None:
    wrapped, more = filling
    functools.update_wrapper(cached, wrapped)
    vars(cached).update(more)


def reduce_dispatching(fn: Any) -> Any:
    """A function that `functools.singledispatch` has made, of ``__main__``."""
    if fn.__module__ != "__main__":
        return NotImplemented
    return _empty_dispatching, (), tuple(fn.registry.items()), None, None, _fill_dispatching


def _empty_dispatching() -> Any:
    return functools.singledispatch(lambda *args, **kwargs: None)


def _fill_dispatching(fn: Any, registry: tuple[tuple[type, Any], ...]) -> None:
    for kind, implementation in registry:
        fn.register(kind, implementation)
    functools.update_wrapper(fn, fn.registry[object], updated=())


def refuse_file(file: Any) -> Any:
    """A stream of the interpreter travels by name, as cloudpickle has it; no other does."""
    for name in ("stdout", "stderr"):
        if file is getattr(sys, name):
            return getattr, (sys, name)
    raise TypeError("an open file cannot travel: send its path, and open it in the task")
