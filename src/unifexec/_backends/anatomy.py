"""What the bytes of functions and classes are made of, so that they are made once.

What a worker cannot import, such as a function of ``__main__``, travels by value: its code, and
all that this refers to, as it is at the call (L12b). To write that down anew takes some ten times
as long as to see that nothing of it is another than before. That can be seen where all of it is
of kinds that cannot be changed, that travel by name, or that can be looked into.
"""

from __future__ import annotations

import sys
from opcode import opmap
from operator import is_
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    UnionType,
    WrapperDescriptorType,
)
from weakref import WeakKeyDictionary, ref

from unifexec import _pickling
from unifexec._running import REFUSAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

FIXED = _pickling.ATOMS | {complex, type(Ellipsis), type(NotImplemented)}
FORMS = (GenericAlias, UnionType)  # of annotations: as fixed as their arguments
BUILT_IN = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)
SLOTS = (GetSetDescriptorType, MemberDescriptorType)  # of a class; they are made anew with it
SIZED = (str, bytes)
LONG = 1 << 16  # characters or bytes: what is longer is not kept alive for this
MANY = 1000  # parts of all kinds: what has more is written anew each time
DECLARED = {
    "__annotations__", "__dataclass_fields__", "__slots__", "__slotnames__", "_field_defaults",
}  # fmt: skip
WRITERS = {"collections", "dataclasses", "reprlib"}  # closures of theirs know nothing of a class
BASE = ("__package__", "__name__", "__path__", "__file__")  # what cloudpickle takes of a module
CONTAINERS = frozenset({list, dict, set, frozenset, MappingProxyType})
GLOBAL_CHANGES = {opmap["STORE_GLOBAL"], opmap["DELETE_GLOBAL"]}
OUTER_CHANGES = GLOBAL_CHANGES | {opmap["STORE_DEREF"], opmap["DELETE_DEREF"]}
NOT_SENT = {"__dict__", "__weakref__"}  # of a class

_NEXT, _INTO = object(), object()  # among the parts: another group of them, or those of a part

_known: WeakKeyDictionary[Any, tuple[Anatomy, bytes] | None] = WeakKeyDictionary()


def is_reference(value: Any) -> bool:
    """Whether a function or class travels as its name, which a worker can import."""
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


def lasting_bytes(fn: Any, alone: bool = False) -> bytes | None:
    """A function or class as bytes, and the same object while it would be the same bytes.

    None at the first time, or if that cannot be known, or if it cannot be pickled; or (``alone``)
    if with it comes what may change where it arrives, or may be in other arguments, too.
    """
    if type(fn) is not FunctionType and type(fn) is not type:
        return None
    if fn not in _known:  # many come once only, and are not worth a look
        _known[fn] = None
        return None
    if _modules_by_value():
        return None
    now = anatomy_of(fn)
    if now is None or (alone and not now.is_alone()):
        return None
    known = _known[fn]
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
    cloudpickle = sys.modules.get("cloudpickle")  # another thread may be importing it
    told = getattr(cloudpickle, "list_registry_pickle_by_value", None)
    return told is not None and bool(told())


class _ChangeableError(Exception):
    """Something may change unseen."""


def anatomy_of(fn: Any) -> Anatomy | None:
    """All that a function or class is made of, if each part can only be replaced, not changed."""
    anatomy = Anatomy()
    try:
        if type(fn) is FunctionType:
            anatomy.add_function(fn)
        else:
            anatomy.add_class(fn)
    except Exception:  # above all: `_ChangeableError`; and what annotations raise
        return None
    return anatomy


class Anatomy:
    """The parts of a function or class, and of what it refers to and takes along by value."""

    __slots__ = ("_classes", "_declared", "_modules", "_mutable", "_parts", "_seen")

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._seen: dict[int, int] = {}  # functions, classes, containers, by id: which is which
        self._modules = len(sys.modules)  # cloudpickle takes submodules that are there
        self._classes = 0  # by value
        self._mutable = False  # there is a list or the like that a task might change, or have
        self._declared = False  # while we look at what is only declared in a class

    def is_alone(self) -> bool:
        """Whether it is one class, with nothing in it that its tasks might change in place."""
        return self._classes == 1 and not self._mutable

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
        if fn.__module__ is None or getattr(fn, "__type_params__", False):
            raise _ChangeableError
        code, names = fn.__code__, fn.__globals__
        declared, self._declared = self._declared, names.get("__name__") in WRITERS
        self._mutable |= not self._declared and _changes_what_it_refers_to(code)
        self._parts += code, fn.__name__, fn.__qualname__
        self._add_all((fn.__module__, fn.__doc__, *(fn.__defaults__ or ())))
        for more in (fn.__kwdefaults__, fn.__annotations__, fn.__dict__):
            self._add_items(more or {})
        for cell in fn.__closure__ or ():
            if not self._was_seen(cell):
                self._add_all((cell.cell_contents,))
        if not self._was_seen(names):
            self._declared = True
            self._add_all(map(names.get, BASE))
        self._declared = False
        self._add_items({name: names[name] for name in _names_in(code) if name in names})
        self._declared = declared

    def add_class(self, cls: Any) -> None:
        """Its bases and all attributes. Those with a metaclass have more to them than we know."""
        if type(cls) is not type:
            raise _ChangeableError
        if self._was_seen(cls):
            return
        self._classes += 1
        declared = self._declared
        self._parts += ref(cls), cls.__name__, cls.__qualname__
        self._add_all(cls.__bases__)
        for name, value in list(vars(cls).items()):
            if name in NOT_SENT and type(value) is GetSetDescriptorType:
                continue
            self._declared = name in DECLARED
            self._parts.append(name)
            self._add_all((value,))
        self._declared = declared

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
        if len(parts) > MANY:
            raise _ChangeableError
        for value in values:
            kind = type(value)
            if kind in FIXED:
                if kind in SIZED and len(value) > LONG:
                    raise _ChangeableError
                parts.append(value)
            elif kind is tuple:  # as good as another of the same parts
                if len(value) > MANY:
                    raise _ChangeableError
                parts += _INTO, len(value)
                self._add_all(value)
            elif value is type(None) or is_reference(value):
                parts.append(value)
            elif kind is FunctionType:
                self.add_function(value)
            elif issubclass(kind, type):
                self.add_class(value)
            else:
                self._add_other(value, kind)

    def _add_other(self, value: Any, kind: type) -> None:
        """What classes are made of besides, and modules; all of it the interpreter's own kinds."""
        self._parts.append(kind)
        if kind is ModuleType:
            if sys.modules.get(value.__name__) is not value:
                raise _ChangeableError
            self._parts.append(value)
        elif kind in CONTAINERS:
            self._add_container(value)
        elif kind is staticmethod or kind is classmethod:
            self._add_all((value.__func__,))
        elif kind is property:
            self._add_all((value.fget, value.fset, value.fdel, value.__doc__))
        elif kind in FORMS:
            unpacked = getattr(value, "__unpacked__", False)
            self._add_all((getattr(value, "__origin__", None), unpacked, *value.__args__))
        elif kind in BUILT_IN:  # of a built-in class, not of an object
            owner = value.__self__ if kind is BuiltinFunctionType else value.__objclass__
            self._add_all((sys.intern(value.__name__), owner))
        elif kind in SLOTS and id(value.__objclass__) in self._seen:
            self._parts.append(value.__name__)
        elif kind.__module__ == "dataclasses":
            self._add_all([getattr(value, name) for name in getattr(kind, "__slots__", ())])
        elif kind.__qualname__ == "_tuplegetter":  # of a named tuple
            self._parts.append(value)
        else:
            raise _ChangeableError

    def _add_container(self, value: Any) -> None:
        self._mutable |= not self._declared
        if not self._was_seen(value):
            if len(value) > MANY:
                raise _ChangeableError
            self._parts.append(len(value))
            self._add_all(tuple(value))
            if isinstance(value, (dict, MappingProxyType)):
                self._add_all(value.values())


def _changes_what_it_refers_to(code: CodeType) -> bool:
    """Whether code may bind a global, or a variable of a function around it, to something else."""
    changes = OUTER_CHANGES if code.co_freevars else GLOBAL_CHANGES
    inner = (constant for constant in code.co_consts if type(constant) is CodeType)
    return bool(changes & set(code.co_code[::2])) or any(map(_changes_what_it_refers_to, inner))


def _names_in(code: CodeType) -> tuple[str, ...]:
    """Names that code may look up in its module: those, and those of attributes."""
    names = code.co_names
    for constant in code.co_consts:
        if type(constant) is CodeType:
            names += _names_in(constant)
    return names
