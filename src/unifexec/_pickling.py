"""What crosses a pipe, as bytes: values, exceptions, and why something cannot.

Plain ``pickle`` first, which costs about a microsecond; ``cloudpickle`` where that fails, or
where the bytes name ``__main__``, whose script the worker does not import. Used on both
sides; cloudpickle is imported only when it is needed.
"""

from __future__ import annotations

import pickle
import sys
from _thread import get_ident
from contextvars import Context, ContextVar
from functools import cache, singledispatchmethod
from io import BytesIO, TextIOWrapper
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from weakref import ref

from unifexec import _scripts
from unifexec._definitions import by_key, by_number, here, with_key
from unifexec._running import REFUSAL, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

PROTOCOL = 5
HEAP_TYPE = 1 << 9  # the flag of a class that was made at run time: Py_TPFLAGS_HEAPTYPE
ATOMS = frozenset({int, float, str, bytes, bool, type(None)})
# Values of exactly these types cannot be changed and cannot alias: many may be one pickle.


def dumps(value: Any) -> bytes:
    """Serialise a value; raises what pickle raises, of any type."""
    try:
        data = pickle.dumps(value, PROTOCOL)
    except Exception:
        pass
    else:
        if b"__main__" not in data:
            return data
    return _cloud_dumps(value)


def _cloud_dumps(value: Any, buffer_callback: Any = None) -> bytes:
    file = BytesIO()
    _cloud_pickler()(file, PROTOCOL, buffer_callback=buffer_callback).dump(value)
    return file.getvalue()


# -- what is large travels apart (`_segments`) --

LARGE = 1 << 17  # bytes from which on shared memory is faster than a pipe, as measured


def are_large_bytes(value: Any) -> bool:
    """Whether a value is such as would be copied into its pickle."""
    kind = type(value)
    return (kind is bytes or kind is bytearray) and len(value) >= LARGE


class _LargeError(Exception):
    """There is a large buffer."""


def dumps_plainly(value: Any, homeward: bool = False) -> bytes | None:
    """Serialise a value with plain pickle; None if it does not do, or has a large buffer.

    ``homeward``: for the parent of this worker.
    """
    data = None
    if _last_named() is not type(value):  # else it would be in vain
        try:
            data = pickle.dumps(value, PROTOCOL, buffer_callback=_only_small)
        except _LargeError:
            return None
        except REFUSAL:
            pass
    if data is not None and b"__main__" not in data:
        return data
    try:
        return _dumps_named(value, homeward)
    except REFUSAL:
        return None


def _dumps_named(value: Any, homeward: bool) -> bytes | None:
    """As that, if all that a worker cannot import are classes that are known to who reads it.

    Else all of it goes by value: what is the same object here is to be the same there.
    """
    global _last_named
    file, before = BytesIO(), here.homeward
    here.homeward = homeward
    try:
        _NamingPickler(file, PROTOCOL, buffer_callback=_only_small).dump(value)
    finally:
        here.homeward = before
    data = file.getvalue()
    if b"__main__" in data:
        return None
    if type(value).__module__ != "builtins":  # lists may hold this or that
        _last_named = ref(type(value))
    return data


_last_named: Callable[[], type | None] = lambda: None  # noqa: E731  (as a dead reference)


class _NamingPickler(pickle.Pickler):
    """Names the classes that `_definitions` knows, and is plain for all else."""

    def reducer_override(self, obj: Any) -> Any:
        if not issubclass(type(obj), type):
            return NotImplemented
        return by_key(obj) or by_number(obj) or NotImplemented


def _only_small(buffer: Any) -> bool:
    if buffer.raw().nbytes >= LARGE:
        raise _LargeError
    return True


def dumps_apart(value: Any) -> list[Any]:
    """Serialise a value: the pickle, then its large buffers, which are not copied."""
    parts = [b""]
    callback = _Apart(parts)
    try:
        data = pickle.dumps(value, PROTOCOL, buffer_callback=callback)
    except REFUSAL:
        data = None
    if data is None or b"__main__" in data:
        del parts[1:]
        data = _cloud_dumps(value, callback)
    parts[0] = data
    return parts


class _Bytes:
    """Stands for large bytes, which so travel apart."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data

    def __reduce__(self) -> Any:
        return type(self._data), (pickle.PickleBuffer(self._data),)


def bytes_apart(value: Any) -> Any:
    """A value, or what stands for it if it is large bytes."""
    return _Bytes(value) if are_large_bytes(value) else value


class _Apart:
    """Keeps the large buffers of a pickle; true for those that stay in it."""

    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts

    def __call__(self, buffer: Any) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        self._parts.append(raw)
        return False


LONGEST_REDUCED = 6  # parts of what rebuilds an object, the last of which sets its state


@cache
def _cloud_pickler() -> Any:
    from collections import ChainMap

    import cloudpickle

    theirs: Any = cloudpickle.CloudPickler.dispatch_table

    def reduce_code(code: CodeType) -> Any:
        return _with_file, (code.co_filename, *theirs[CodeType](code))

    ours: dict[type, Any] = {ContextVar: reduce_context_variable, memoryview: reduce_view}
    ours.update(_scripts.for_types())
    ours[TextIOWrapper] = _scripts.refuse_file
    ours[singledispatchmethod] = _scripts.reduce_dispatching_method
    if CodeType in theirs:  # a test would notice its disappearance
        ours[CodeType] = reduce_code

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
        dispatch_table: Any = ChainMap(ours, theirs)

        def reducer_override(self, obj: Any) -> Any:
            kind = type(obj)
            if kind is FunctionType:
                return self._reduce_function(obj)
            if kind is _scripts.CACHED:
                return _scripts.reduce_cached(obj)
            if not issubclass(kind, type):
                return super().reducer_override(obj)
            if (known := by_key(obj)) is not None:
                return known
            reduced = super().reducer_override(obj)
            by_value = type(reduced) is tuple and len(reduced) == LONGEST_REDUCED
            return with_key(obj, reduced) if by_value else reduced

        def _reduce_function(self, fn: FunctionType) -> Any:
            if fn.__module__ == "__main__" and _scripts.is_dispatching(fn):
                return _scripts.reduce_dispatching(fn)
            reduced = super().reducer_override(fn)
            by_value = type(reduced) is tuple and len(reduced) == LONGEST_REDUCED
            if not (by_value and _scripts.is_script(fn)):
                return reduced
            return _scripts.with_globals(fn, reduced, here.homeward)

    return Pickler


def _with_file(name: str, make: Callable[..., CodeType], parts: tuple[Any, ...]) -> CodeType:
    """Code with the file it is from, which tracebacks show and cloudpickle drops."""
    return make(*parts).replace(co_filename=name)


def reduce_view(view: memoryview) -> Any:
    """A memoryview travels as a view of a copy; cloudpickle makes bytes of it."""
    data = view.tobytes()
    return _view_of, (data if view.readonly else bytearray(data), view.format, view.shape)


def _view_of(data: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    # typeshed names formats and shapes one by one: any will do here
    return memoryview(data).cast(format, shape)  # type: ignore[call-overload, no-any-return]


def is_lasting(fn: Any) -> bool:
    """Whether a function may be rebuilt once and used for many tasks.

    Not what may hold state that a task changes: closures, bound methods, partials, objects.
    """
    if type(fn) is _scripts.CACHED:  # its cache is there to last
        fn = fn.__wrapped__
    if isinstance(fn, FunctionType):
        return fn.__closure__ is None
    if isinstance(fn, BuiltinFunctionType):  # of a module or a class, not of an object
        return fn.__self__ is None or isinstance(fn.__self__, (ModuleType, type))
    return isinstance(fn, type)


# -- context variables: found again by name --

_by_name: dict[str, ContextVar[Any]] = {}
_reducing: set[tuple[int, ContextVar[Any]]] = set()  # in which thread, and what


def reduce_context_variable(variable: ContextVar[Any]) -> Any:
    """A context variable travels as where it is found: module and attribute, else its name.

    `__main__` is no such place, by whatever name it is known: `multiprocessing` gives it a
    second one.
    """
    main = sys.modules["__main__"]
    for module_name, module in list(sys.modules.items()):
        if module is not main:
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is variable:
                    return find_context_variable, (variable.name, module_name, attribute, None)
    return find_context_variable, (variable.name, None, None, _dump_default(variable))


def find_context_variable(
    name: str, module: str | None, attribute: str | None, default: bytes | None
) -> Any:
    """The context variable of that name in this process; made if it is not there."""
    if module is not None and attribute is not None:
        from importlib import import_module

        return getattr(import_module(module), attribute)
    main = sys.modules["__main__"].__dict__
    for value in list(main.values()):
        if type(value) is ContextVar and value.name == name:
            return value  # back home
    return _by_name.get(name) or _by_name.setdefault(name, _make_variable(name, default))


def _dump_default(variable: ContextVar[Any]) -> bytes | None:
    """What the variable gives where it was never set; None if that is nothing, or cannot travel.

    A default may lead back to its variable, which then travels without it.
    """
    here = get_ident(), variable
    if here in _reducing:
        return None
    _reducing.add(here)
    try:
        return dumps(Context().run(variable.get))
    except Exception:
        return None
    finally:
        _reducing.discard(here)


def _make_variable(name: str, default: bytes | None) -> ContextVar[Any]:
    if default is not None:
        try:
            value = pickle.loads(default)
            return ContextVar(name, default=value)
        except Exception:  # it cannot be rebuilt here
            pass
    return ContextVar(name)


# -- exceptions (L11, L12) --


class WorkerTraceback(Exception):  # noqa: N818  (it is no error, it tells of one)
    """The traceback of another process, as text, at the end of the chain of causes."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def dump_error(error: BaseException, note: str, refusal: Any = BaseException) -> bytes:
    """Serialise an exception with its causes, contexts, notes and groups, for a worker's parent.

    What cannot be serialised, or not be rebuilt from it, leaves its text. ``refusal``: what its
    own code may raise to say so; in a worker that is KeyboardInterrupt as well.
    """
    text = _as_text(error)
    described = f"{type(error).__module__}.{type(error).__qualname__}: {shown(error, str)}"
    before, here.homeward = here.homeward, True
    try:
        family: Any = _dump_family(error)
    except refusal as why:
        family = None
        described += f" ({explain('the exception', error, why)})"
    finally:
        here.homeward = before
    return pickle.dumps((family, described, text, note), PROTOCOL)


def load_error(data: bytes | memoryview, cannot: Callable[[str], BaseException]) -> BaseException:
    """The exception as the task raised it, or ``cannot(description)``."""
    family, described, text, note = pickle.loads(data)
    error = None
    if family is not None:
        try:
            error = _load_family(family)
        except BaseException as why:
            described += f" (it cannot be rebuilt here: {shown(why)})"
    if error is None:
        error = cannot(described)
    for tell, what in (BaseException.add_note, note), (_hang_below, text):
        try:
            tell(error, what)
        except Exception:  # an exception class of its own mind: as it is, then
            pass
    return error


def _hang_below(error: BaseException, text: str) -> None:
    """Put the worker's traceback at the end of the chain of causes."""
    last, seen = WorkerTraceback(text), set()
    while error.__cause__ is not None and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__
    shown = error.__suppress_context__ or error.__context__ is None
    _set(error, "__cause__", last)  # which also hides the context: show it below, if it was shown
    if not shown:
        last.__context__ = error.__context__
        last.__suppress_context__ = False


def _dump_family(error: BaseException) -> list[Any]:
    """An exception and all that it leads to, each once, in no depth that could be too deep.

    Of each: itself, and by their numbers the members of a group, cause and context; then
    whether the context is suppressed.
    """
    family, numbers = [error], {id(error): 0}

    def number_of(other: BaseException | None) -> int | None:
        if other is None:
            return None
        if id(other) not in numbers:
            numbers[id(other)] = len(family)
            family.append(other)
        return numbers[id(other)]

    dumped = []
    for one in family:  # it grows on the way
        members = None
        if issubclass(type(one), BaseExceptionGroup):
            group: Any = one
            members = [number_of(member) for member in group.exceptions]
        itself = _dump_one(one) if members is None else _dump_group(one)
        links = number_of(one.__cause__), number_of(one.__context__)
        dumped.append((itself, members, *links, one.__suppress_context__))
    return dumped


def _dump_one(error: BaseException) -> bytes:
    """One exception, by its own way to be pickled if that works, else by its parts.

    The default way calls the class with ``args``, which fails for one whose ``__init__``
    wants something else, and for some succeeds with other ``args``.
    """
    try:
        data = dumps(error)
        again = pickle.loads(data)
        if type(again) is type(error) and _are_same(again.args, error.args):
            lost = {name: error.__dict__[name] for name in error.__dict__.keys() - again.__dict__}
            lost = {name: value for name, value in lost.items() if _travels(value)}
            return dumps((_with_attributes, (error, lost))) if lost else data
    except REFUSAL:
        pass
    data = dumps((_rebuild, _parts_of(error)))
    rebuild, parts = pickle.loads(data)
    rebuild(*parts)
    return data


def _with_attributes(error: BaseException, lost: dict[str, Any]) -> BaseException:
    """An exception with what its own way to be pickled leaves out, such as notes."""
    error.__dict__.update(lost)
    return error


def _are_same(args: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether they look the same, or pickle so: a ``repr`` may have an address in it.

    Both were rebuilt once, then: equal strings are one object in the same places.
    """
    return repr(args) == repr(others) or dumps(args) == dumps(pickle.loads(dumps(others)))


def _parts_of(error: Any) -> tuple[Any, ...]:
    """Class, what its built-in base is made of, and its attributes: in `__dict__`, elsewhere."""
    reduced: Any = _built_in_base(type(error)).__reduce__(error)
    _, args, *state = reduced
    members = object.__getstate__(error)
    slots = members[1] if isinstance(members, tuple) else {}
    own = dict(error.__dict__)
    others = {key: value for given in state for key, value in given.items() if key not in own}
    others = {key: value for key, value in (others | slots).items() if _travels(value)}
    return type(error), args, own, others


def _rebuild(kind: type[BaseException], args: Any, own: Any, others: Any) -> BaseException:
    """Neither ``__new__`` nor ``__init__`` of the class is called, but those of its base."""
    base = _built_in_base(kind)
    error = base.__new__(kind, *args)
    try:
        base.__init__(error, *args)
    except Exception:  # what the class has made of ``args`` is not for its base
        error.args = args
    error.__dict__.update(own)
    for name, value in others.items():
        try:
            BaseException.__setattr__(error, name, value)
        except (AttributeError, TypeError):  # the class has a property of that name
            pass
    return error


def _built_in_base(kind: type[BaseException]) -> type[BaseException]:
    """The class that lays out its memory: the nearest that was not made at run time."""
    while kind.__flags__ & HEAP_TYPE:
        kind = kind.__base__  # type: ignore[assignment]  # None for `object` only, which is static
    return kind


def _dump_group(error: Any) -> bytes:
    """A group without its members, which travel each for themselves."""
    kind, _, own, others = _parts_of(error)
    return dumps((kind, error.message, own, others))


def _load_family(family: list[Any]) -> BaseException:
    """What was dumped: first each by itself, a group after its members; then their links."""
    loaded: dict[int, BaseException] = {}
    todo = list(range(len(family)))
    while todo:
        number = todo[-1]
        itself, members, *_ = family[number]
        missing = [member for member in members or () if member not in loaded]
        if missing:
            todo += missing
            continue
        todo.pop()
        if number not in loaded:
            inside = None if members is None else [loaded[member] for member in members]
            loaded[number] = _load_one(itself, inside)
    for number, (_, _, cause, context, suppressed) in enumerate(family):
        error = loaded[number]
        _set(error, "__cause__", None if cause is None else loaded[cause])
        _set(error, "__context__", None if context is None else loaded[context])
        _set(error, "__suppress_context__", suppressed)
    return loaded[0]


def _set(error: BaseException, name: str, value: Any) -> None:
    """Set an attribute that all exceptions have, also of a frozen dataclass."""
    BaseException.__setattr__(error, name, value)


def _load_one(itself: bytes, members: list[BaseException] | None) -> BaseException:
    parts = pickle.loads(itself)
    error: BaseException
    if members is not None:
        kind, message, own, others = parts
        error = _rebuild(kind, (message, members), own, others)
    elif isinstance(parts, tuple):
        error = parts[0](*parts[1])
    else:
        error = parts
    return error


def _as_text(error: BaseException) -> str:
    try:
        import traceback

        return "".join(traceback.format_exception(error))
    except REFUSAL:  # its __str__ raises; or there is no descriptor to read the source with
        return f"{_places(error)}{type(error).__qualname__}\n"


def _places(error: BaseException) -> str:
    """The frames of its traceback, without their source."""
    text, step = "Traceback (most recent call last):\n", error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        text += f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_name}\n'
        step = step.tb_next
    return text


# -- why something cannot travel (L12) --


def explain(what: str, value: Any, error: BaseException) -> str:
    """A sentence that names the path of attributes to the object that cannot travel."""
    try:
        path, culprit = _culprit(what, value)
    except REFUSAL:  # an object whose attributes cannot be asked for
        path, culprit = what, value
    text = shown(culprit)
    if len(text) > 200:
        text = text[:200] + "…"
    reason = f"{type(error).__name__}: {shown(error, str)}"
    return f"{path} cannot be sent to another process: {text} ({reason})"


def _culprit(path: str, value: Any) -> tuple[str, Any]:
    """Follow what does not pickle, down to something whose parts all do.

    Or to what is ours and refuses: a task or a handle says itself why it does not travel.
    """
    seen = {id(value)}
    while len(seen) < 20 and not _speaks_for_itself(value):
        for step, part in _parts(value):
            if id(part) not in seen and not _travels(part):
                path, value = path + step, part
                seen.add(id(part))
                break
        else:
            break
    return path, value


def _speaks_for_itself(value: Any) -> bool:
    return any(
        str(kind.__module__).startswith("unifexec.") and "__reduce__" in vars(kind)
        for kind in type(value).__mro__
    )


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What is in it; of a subclass's own way to iterate nothing is run, it may have no end."""
    if isinstance(value, dict):
        for key, item in dict.items(value):
            yield f"[{shown(key)}]", item
    elif isinstance(value, (list, tuple)):
        kind: Any = list if isinstance(value, list) else tuple
        for index, item in enumerate(kind.__iter__(value)):
            yield f"[{index}]", item
    elif isinstance(value, (set, frozenset)):
        kind = set if isinstance(value, set) else frozenset
        for item in kind.__iter__(value):
            yield f"{{{shown(item)}}}", item
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield f".<closure>.{name}", cell.cell_contents
        for name in value.__code__.co_names:
            if value.__module__ == "__main__" and name in value.__globals__:
                yield f".<global>.{name}", value.__globals__[name]
    elif hasattr(value, "__self__") and hasattr(value, "__func__"):
        yield ".__self__", value.__self__
    elif hasattr(value, "func") and hasattr(value, "keywords"):
        yield ".func", value.func
        yield ".args", value.args
        yield ".keywords", value.keywords
    elif not isinstance(value, type):
        if isinstance(value, BaseException):
            yield ".args", value.args
            yield ".__cause__", value.__cause__
            yield ".__context__", value.__context__
        state: Any = object.__getstate__(value)  # a dict, or one and another of slots, or None
        for attributes in state if isinstance(state, tuple) else (state,):
            for name, item in (attributes or {}).items():
                yield f".{name}", item


def _travels(value: Any) -> bool:
    try:
        dumps(value)
    except REFUSAL:
        return False
    return True
