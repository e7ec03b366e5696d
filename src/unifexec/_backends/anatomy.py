"""What the bytes of a function are made of, so that they are made once and not at every submit.

A function that a worker cannot import, such as one of ``__main__``, travels by value: its code,
and all that this refers to, as it is at the call (L12b). To write that down anew takes some
fifty times as long as to see that nothing of it is another than before. That can be seen where
all of it is of kinds that cannot be changed, or that travel by name; else it is written anew.
"""

from __future__ import annotations

import sys
from operator import is_
from types import BuiltinFunctionType, CodeType, FunctionType, GenericAlias, ModuleType, UnionType
from weakref import WeakKeyDictionary

from unifexec import _pickling
from unifexec._running import REFUSAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

FIXED = _pickling.ATOMS | {complex, type(Ellipsis), type(NotImplemented)}
FORMS = (GenericAlias, UnionType)  # of annotations: as fixed as their arguments
SIZED = (str, bytes)
LONG = 1 << 16  # characters or bytes: what is longer is not kept alive for this
BASE = ("__package__", "__name__", "__path__", "__file__")  # what cloudpickle takes of a module

_NEXT, _INTO = object(), object()  # among the parts: another group of them, or those of a part

_known: WeakKeyDictionary[Any, tuple[Anatomy, bytes]] = WeakKeyDictionary()


def is_reference(value: Any) -> bool:
    """Whether something travels as its name, which a worker can import: always the same bytes."""
    kind = type(value)
    try:
        if kind is FunctionType or kind is BuiltinFunctionType:
            module, name = value.__module__, value.__qualname__
        elif issubclass(kind, type):
            module, name = _module_of(value), _name_of(value)
        else:
            return False
        if module == "__main__":
            return False
        return getattr(sys.modules.get(module), name, None) is value
    except Exception:  # a module of its own mind, or a name that is none
        return False


_module_of = type.__dict__["__module__"].__get__  # whatever its metaclass makes of it
_name_of = type.__dict__["__qualname__"].__get__


def lasting_bytes(fn: Any) -> bytes | None:
    """A function as bytes, and the same object while it would be the same bytes.

    None if that cannot be known, or if it cannot be pickled.
    """
    if type(fn) is not FunctionType or _modules_by_value():
        return None
    now = anatomy_of(fn)
    if now is None:
        return None
    known = _known.get(fn)
    if known is not None and known[0].is_same(now):
        return known[1]
    try:
        data = _pickling.dumps(fn)
    except REFUSAL:
        return None
    after = anatomy_of(fn)
    if after is None or not after.is_same(now):  # another thread has just changed something
        return None
    _known[fn] = now, data
    return data


def _modules_by_value() -> bool:
    """Whether the program told cloudpickle that more than ``__main__`` is to travel by value."""
    cloudpickle: Any = sys.modules.get("cloudpickle")
    return cloudpickle is not None and bool(cloudpickle.list_registry_pickle_by_value())


class _ChangeableError(Exception):
    """Something of the function may change unseen."""


def anatomy_of(fn: Any) -> Anatomy | None:
    """All that a function is made of, if each part can only be replaced, not changed."""
    anatomy = Anatomy()
    try:
        anatomy.add_function(fn)
    except Exception:  # above all: `_ChangeableError`; and what annotations raise
        return None
    return anatomy


class Anatomy:
    """The parts of a function, and of those that it refers to and that travel with it."""

    __slots__ = ("_modules", "_parts", "_seen")

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._seen: dict[int, int] = {}  # functions and namespaces, by id: which is whose
        self._modules = len(sys.modules)  # cloudpickle takes submodules that are there

    def is_same(self, other: Anatomy) -> bool:
        """Whether all parts are the very same objects."""
        mine, theirs = self._parts, other._parts
        return (
            len(mine) == len(theirs)
            and all(map(is_, mine, theirs))
            and self._modules == other._modules
        )

    def add_function(self, fn: Any) -> None:
        """Its code, and all that comes with it. Itself it is not kept: it may end any time."""
        if self._was_seen(fn):
            return
        if (
            fn.__closure__ is not None
            or fn.__module__ is None
            or getattr(fn, "__type_params__", False)
        ):
            raise _ChangeableError
        code, names = fn.__code__, fn.__globals__
        self._parts += code, fn.__name__, fn.__qualname__
        self._add_all((fn.__module__, fn.__doc__, *(fn.__defaults__ or ())))
        for more in (fn.__kwdefaults__, fn.__annotations__, fn.__dict__):
            self._add_items(more or {})
        if not self._was_seen(names):
            self._add_all(map(names.get, BASE))
        self._add_items({name: names[name] for name in _names_in(code) if name in names})

    def _was_seen(self, thing: Any) -> bool:
        """Note which it is; and whether its parts are here already."""
        count = len(self._seen)
        number = self._seen.setdefault(id(thing), count)
        self._parts += _INTO, number
        return number < count

    def _add_items(self, items: dict[str, Any]) -> None:
        self._parts.append(_NEXT)
        if items:
            self._parts += items
            self._add_all(items.values())

    def _add_all(self, values: Iterable[Any]) -> None:
        parts = self._parts
        for value in values:
            kind = type(value)
            if kind in FIXED:
                if kind in SIZED and len(value) > LONG:
                    raise _ChangeableError
                parts.append(value)
            elif kind is FunctionType and not is_reference(value):
                self.add_function(value)
            elif kind is tuple:  # as good as another of the same parts
                parts += _INTO, len(value)
                self._add_all(value)
            else:
                parts.append(value)
                self._add_other(value, kind)

    def _add_other(self, value: Any, kind: type) -> None:
        """What travels by name, or is made of what does."""
        if kind in FORMS:
            self._add_all((getattr(value, "__origin__", None), *value.__args__))
        elif kind is ModuleType:
            if sys.modules.get(value.__name__) is not value:
                raise _ChangeableError
        elif value is not type(None) and not is_reference(value):
            raise _ChangeableError


def _names_in(code: CodeType) -> tuple[str, ...]:
    """Names that code may look up in its module: those, and those of attributes."""
    names = code.co_names
    for constant in code.co_consts:
        if type(constant) is CodeType:
            names += _names_in(constant)
    return names
