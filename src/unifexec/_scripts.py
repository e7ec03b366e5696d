"""What of a script travels by value, and needs more for it than cloudpickle does.

- *Globals that an initializer has set.* A function of ``__main__`` brings along the globals that
  it refers to, as they are at the call (L12b). What the initializer of a worker has bound there is
  that worker's own, and wins, as it would where the script is imported once more.
- *Cached and dispatching functions* (`functools.cache`, `functools.singledispatch`), which pickle
  takes for functions that can be imported. They are made empty first and filled then, since what
  they call may refer to them. A cache arrives empty.
- *What `typing` makes* (`NewType`, `ParamSpec`, `type` aliases), which is pickled by its name.
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
OF_A_DISPATCH = {"__wrapped__", "registry", "dispatch", "register", "_clear_cache"}
DISPATCHING = getattr(functools.singledispatch(len), "__code__")  # noqa: B009  (its type is said to have none)
BROUGHT = "__unifexec_brought__"  # among globals: those that what is bound here stands for

_bound: dict[str, Any] = {}  # in a worker: the globals that its initializer has bound
_arriving: list[dict[str, Any]] | None = None  # those of functions that arrive with it


def is_script(fn: FunctionType) -> bool:
    """Whether a function's globals are those of the script; also of one that arrived here."""
    return fn.__globals__ is vars(sys.modules["__main__"]) or BROUGHT in fn.__globals__


def with_globals(fn: FunctionType, reduced: tuple[Any, ...], homeward: bool) -> tuple[Any, ...]:
    """What rebuilds a function of the script, and then looks what its worker has bound.

    What that is stays here when a function goes home: it gets back what it had brought.
    """
    make, args, state, _, _, set_state = reduced
    if homeward and _bound:
        attributes, slots = state
        names, brought = slots["__globals__"], fn.__globals__.get(BROUGHT, {})
        bound = {name for name in names if names[name] is _bound.get(name, _bound)}
        stays = {name: names[name] for name in names.keys() - bound}
        goes_back = {name: brought[name] for name in bound & brought.keys()}
        state = attributes, {**slots, "__globals__": {**stays, **goes_back}}
    return make, args, (set_state, state), None, None, _arrive


def _arrive(fn: FunctionType, state: tuple[Any, ...]) -> None:
    set_state, its_state = state
    own = its_state[1]["__globals__"]  # which `set_state` takes out of there
    set_state(fn, its_state)
    names = fn.__globals__
    if _arriving is not None:
        _arriving.append(names)
    names.setdefault(BROUGHT, {}).update({name: own[name] for name in _bound if name in own})
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
        _bound.update({name: names[name] for name in changed - {"__builtins__", BROUGHT}})
    return finalizer


def reduce_cached(fn: Any) -> Any:
    """A function with a cache; those of modules travel by name."""
    if _is_importable(fn):
        return NotImplemented
    options, its = fn.cache_parameters(), getattr(fn.__wrapped__, "__dict__", {})
    kept = vars(fn).keys() - OF_A_CACHE
    more = {name: vars(fn)[name] for name in kept if vars(fn)[name] is not its.get(name, fn)}
    sizes, filling = (options["maxsize"], options["typed"]), (fn.__wrapped__, more)
    return _empty_cached, sizes, filling, None, None, _fill_cached


def _is_importable(fn: Any) -> bool:
    module = str(getattr(fn, "__module__", None))
    found = None if module == "__main__" else sys.modules.get(module)
    for name in getattr(fn, "__qualname__", "").split("."):
        found = getattr(found, name, None)
    return found is fn


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


def is_dispatching(fn: FunctionType) -> bool:
    """Whether it is what `functools.singledispatch` makes; others may have its attributes."""
    return fn.__code__ is DISPATCHING


def reduce_dispatching(fn: Any) -> Any:
    """A function of the script that `functools.singledispatch` has made."""
    more = {name: value for name, value in vars(fn).items() if name not in OF_A_DISPATCH}
    filling = tuple(fn.registry.items()), more
    return _empty_dispatching, (), filling, None, None, _fill_dispatching


def _empty_dispatching() -> Any:
    return functools.singledispatch(lambda *args, **kwargs: None)


def _fill_dispatching(fn: Any, filling: tuple[Any, dict[str, Any]]) -> None:
    registry, more = filling
    for kind, implementation in registry:
        fn.register(kind, implementation)
    functools.update_wrapper(fn, fn.registry[object], updated=())
    vars(fn).update(more)


def reduce_dispatching_method(method: Any) -> Any:
    """A `functools.singledispatchmethod` of a class of the script."""
    return _empty_method, (), (method.dispatcher, method.func), None, None, _fill_method


def _empty_method() -> Any:
    return functools.singledispatchmethod(lambda self: None)


def _fill_method(method: Any, filling: tuple[Any, Any]) -> None:
    method.dispatcher, method.func = filling


def refuse_file(file: Any) -> Any:
    """A stream of the interpreter travels by name, as cloudpickle has it; no other does."""
    for name in ("stdout", "stderr"):
        if file is getattr(sys, name):
            return getattr, (sys, name)
    raise TypeError("an open file cannot travel: send its path, and open it in the task")


def for_types() -> dict[type, Any]:
    """How what `typing` makes in a script travels: it is pickled by its name, which nobody has."""
    import typing

    ours: dict[type, Any] = {typing.NewType: _reduce_new_type}
    for name in ("ParamSpec", "TypeVarTuple"):
        ours[getattr(typing, name)] = _reduce_parameter
    for name in ("ParamSpecArgs", "ParamSpecKwargs"):
        ours[getattr(typing, name)] = _reduce_part
    if sys.version_info >= (3, 12):
        ours[typing.TypeAliasType] = _reduce_alias
    return ours


def _is_found(thing: Any) -> bool:
    """Whether a worker finds it by its name."""
    name, module = thing.__name__, thing.__module__
    if module == "__main__":
        return False
    return getattr(sys.modules.get(module), name, None) is thing


def _reduce_new_type(thing: Any) -> Any:
    if _is_found(thing):
        return thing.__qualname__
    return type(thing), (thing.__name__, thing.__supertype__), {"__module__": thing.__module__}


def _reduce_parameter(thing: Any) -> Any:
    return thing.__name__ if _is_found(thing) else (type(thing), (thing.__name__,))


def _reduce_part(thing: Any) -> Any:
    return type(thing), (thing.__origin__,)


def _reduce_alias(thing: Any) -> Any:
    if _is_found(thing):
        return thing.__name__
    return _alias, (thing.__name__, thing.__value__, thing.__type_params__)


def _alias(name: str, value: Any, parameters: Any) -> Any:
    import typing

    kind: Any = vars(typing)["TypeAliasType"]
    return kind(name, value, type_params=parameters)
