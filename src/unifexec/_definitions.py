"""Classes that travel by value, such as those of ``__main__``: known again wherever they come to.

Written down with every object of theirs they would cost a hundred times what the object does. So

- a class has a *key*, which travels with it. A result comes home with the key alone, and is of the
  very class that it was there, which knows nothing of what a worker did to its copy;
- a class that can be looked into (`_backends.anatomy`) has *definitions*, numbered: one for each
  state that it had when arguments of it were sent. Each worker is told of each once, before the
  first arguments that name it.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from threading import local
from weakref import WeakKeyDictionary, WeakValueDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KEPT = 1000  # classes that live on for results that may come, though all else forgot them

_keys: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_classes: WeakValueDictionary[str, type] = WeakValueDictionary()
_lately: deque[type] = deque(maxlen=KEPT)
_from_above: WeakKeyDictionary[type, None] = WeakKeyDictionary()  # in a worker: of its parent's
_told: dict[int, bytes] = {}  # in a worker: the definitions
_made: dict[int, type] = {}  # in a worker: what they were made to
_latest: WeakKeyDictionary[type, int] = WeakKeyDictionary()  # in a worker: the state of a class


class _Here(local):
    """What this thread pickles now."""

    homeward: bool = False  # a worker's result, for its parent
    number_of: Callable[[type], int | None] | None = None  # arguments: by numbers, if it has them


here = _Here()


def reference(cls: type) -> tuple[Any, ...] | None:
    """What finds a class that those who read this have; None if they may not have it."""
    if here.homeward:
        return (find, (_keys[cls],)) if cls in _from_above else None
    number = None if here.number_of is None else here.number_of(cls)
    return None if number is None else (defined, (number,))


def with_key(cls: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """What rebuilds a class, as cloudpickle has it, and besides tells which it is."""
    make, args, state, _, _, set_state = reduced
    return make, args, (_key_of(cls), here.homeward, set_state, state), None, None, _arrive


def _key_of(cls: type) -> str:
    key = _keys.get(cls)
    if key is None:
        key = _keys.setdefault(cls, os.urandom(12).hex())
        _remember(cls, key)
    return key


def _remember(cls: type, key: str) -> None:
    _classes[key] = cls
    _lately.append(cls)


def _arrive(cls: type, state: tuple[Any, ...]) -> None:
    """A class came by value."""
    key, homeward, set_state, its_state = state
    set_state(cls, its_state)
    if cls not in _keys:
        _keys[cls] = key
        _remember(cls, key)
        if not homeward:
            _from_above[cls] = None


def find(key: str) -> type:
    """The class of that key, in the process that had sent it."""
    cls = _classes.get(key)
    if cls is None:
        raise LookupError("the class of a result is gone: keep it until its results are there")
    return cls


def tell(number: int, data: bytes) -> None:
    """In a worker: keep a definition until it is wanted."""
    _told[number] = data


def defined(number: int) -> type:
    """In a worker: a class in the state that it had when an object of it was sent."""
    cls = _made.get(number)
    if cls is None or _latest.get(cls) != number:
        if number not in _told:
            raise LookupError("the definition of a class did not arrive")
        cls = _made[number] = pickle.loads(_told[number])
        _latest[cls] = number
    return cls
