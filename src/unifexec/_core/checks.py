"""Checks made once, at the edge: each names the value and the cure."""

from __future__ import annotations

from _operator import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    R = TypeVar("R")


INFINITY = float("inf")
_SHAPES = {  # of the calls that take a function
    "submit": "fn, *args",
    "map": "fn, *iterables",
    "wrap": "fn",
    "add_done_callback": "fn",
}


def check_callable(fn: Any, verb: str) -> None:
    """Refuse what cannot be called, above all a coroutine that was called already."""
    if callable(fn):
        return
    if hasattr(fn, "cr_frame") or hasattr(fn, "__await__"):
        close = getattr(fn, "close", None)
        if close is not None:
            close()  # or the interpreter warns that it was never awaited
        raise TypeError(
            f"{verb}() needs a callable, not the coroutine object {fn!r}: pass the function "
            f"and its arguments, {verb}({_SHAPES[verb]}), not {verb}(fn(*args))"
        )
    raise TypeError(f"{verb}() needs a callable, got {fn!r}: {verb}({_SHAPES[verb]})")


def check_flag(name: str, value: Any) -> bool:
    """True or False, also numpy's; all else would count as one of them by chance."""
    kind = type(value)
    if kind is not bool and (kind.__module__, kind.__name__.rstrip("_")) != ("numpy", "bool"):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_count(name: str, value: Any, least: int = 1) -> int:
    """The whole number, of whatever type (numpy's, say); a bool is none."""
    number = _number_of(value, index)
    if number is None:
        raise TypeError(f"{name} must be an int or left out, got {value!r}")
    if number < least:
        bound = "greater than 0" if least == 1 else f"at least {least}"
        raise ValueError(f"{name} must be {bound}, got {value!r}")
    return number


def check_seconds(name: str, value: Any, *, zero: bool = True, none: bool = True) -> float:
    """A finite, non-negative number of seconds; say whether None would do."""
    number = _seconds_of(name, value, none)
    if not 0 <= number < INFINITY or (number == 0 and not zero):  # NaN is neither
        least = "at least 0" if zero else "greater than 0"
        or_none = " (None: no limit)" if none else ""
        raise ValueError(f"{name} must be finite and {least}{or_none}, got {value!r}")
    return number


def check_timeout(name: str, value: Any) -> float:
    """How long to wait, at most: a time that is over already is 0, as in the standard library."""
    return 0.0 if _seconds_of(name, value, True) < 0 else check_seconds(name, value)


def _seconds_of(name: str, value: Any, none: bool) -> float:
    is_number = hasattr(value, "__float__") or hasattr(value, "__index__")
    number = _number_of(value, float) if is_number else None
    if number is None:
        or_none = ", or None for no limit" if none else ""
        raise TypeError(f"{name} must be seconds as a float{or_none}, got {value!r}")
    return number


def _number_of(value: Any, kind: Callable[[Any], R]) -> R | None:
    """A number of any type as one of ours; None if it is none, or beyond all of them."""
    if isinstance(value, (bool, complex)):
        return None
    try:
        return kind(value)
    except (TypeError, ValueError, ArithmeticError):
        return None


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Refuse a word that is not one of the choices, and list them."""
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {known}; got {value!r}")
