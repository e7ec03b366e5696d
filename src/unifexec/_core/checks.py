"""Checks made once, at the edge: each names the value and the cure."""

from __future__ import annotations

from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


_SHAPES = {"submit": "fn, *args", "map": "fn, *iterables", "wrap": "fn"}  # of calls of the verbs


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


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is not a whole number of at least ``least``; a bool is not a number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int or left out, got {value!r}")
    if value < least:
        bound = "greater than 0" if least == 1 else f"at least {least}"
        raise ValueError(f"{name} must be {bound}, got {value!r}")


def check_seconds(name: str, value: Any, *, zero: bool = True, none: bool = True) -> None:
    """Refuse what is not a finite, non-negative number of seconds; say whether None would do."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        or_none = ", or None for no limit" if none else ""
        raise TypeError(f"{name} must be seconds as a float{or_none}, got {value!r}")
    if not isfinite(value) or value < 0 or (value == 0 and not zero):
        least = "at least 0" if zero else "greater than 0"
        or_none = " (None: no limit)" if none else ""
        raise ValueError(f"{name} must be finite and {least}{or_none}, got {value!r}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Refuse a word that is not one of the choices, and list them."""
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {known}; got {value!r}")
