"""Classes of a script, which travel by value: known again wherever they come to.

Written down with every object of theirs they would cost a hundred times what the object does. So

- a class that ``__main__`` has under its name gets a *key*, which travels with it. A result comes
  home with the key alone, and is of the very class that it was there, which knows nothing of what
  a worker did to its copy;
- one that stands alone (`_backends.anatomy`) has *definitions*, numbered: one for each state that
  it had when arguments of it were sent. Each worker is told of each once, before the first
  arguments that name it.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from operator import is_
from threading import local
from weakref import WeakKeyDictionary, WeakValueDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KEPT = 256  # classes that live on for results that may come, though a script has others instead

_keys: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_classes: WeakValueDictionary[str, type] = WeakValueDictionary()
_lately: deque[type] = deque(maxlen=KEPT)
_from_above: WeakKeyDictionary[type, None] = WeakKeyDictionary()  # in a worker: of its parent's
_told: dict[int, bytes] = {}  # in a worker: the definitions
_made: dict[int, tuple[type, tuple[str, ...], tuple[Any, ...]]] = {}  # and what is in them


class _Here(local):
    """What this thread pickles now."""

    homeward: bool = False  # a worker's result, for its parent
    number_of: Callable[[type], int | None] | None = None  # arguments: by numbers, if it has them


here = _Here()


def is_of_script(cls: type) -> bool:
    """Whether ``__main__`` has a class under its name: then it will not end soon."""
    main = sys.modules.get("__main__")
    return cls.__module__ == "__main__" and getattr(main, cls.__qualname__, None) is cls


def by_key(cls: type) -> tuple[Any, ...] | None:
    """Of a result: what finds a class that came from the parent, there."""
    return (find, (_keys[cls],)) if here.homeward and cls in _from_above else None


def by_number(cls: type) -> tuple[Any, ...] | None:
    """Of arguments: what finds a class whose definition the worker was told."""
    number = None if here.number_of is None else here.number_of(cls)
    return None if number is None else (defined, (number,))


def with_key(cls: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """What rebuilds a class, as cloudpickle has it, and besides tells which it is."""
    if cls not in _keys:
        if not is_of_script(cls):
            return reduced
        _remember(cls, os.urandom(12).hex())
    make, args, state, _, _, set_state = reduced
    return make, args, (_keys[cls], set_state, state), None, None, _arrive


def _remember(cls: type, key: str) -> None:
    key = _keys.setdefault(cls, key)
    _classes[key] = cls
    _lately.append(cls)


def _arrive(cls: type, state: tuple[Any, ...]) -> None:
    """A class came by value, with its key: from the parent, for a worker gives nobody a key."""
    key, set_state, its_state = state
    set_state(cls, its_state)
    if cls not in _keys:
        _remember(cls, key)
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
    """In a worker: a class in the state that it had when an object of it was sent.

    It is made anew if it has other attributes than it was made with: from another state of it,
    from a function that brought it along, or from a task that set them.
    """
    if number in _made:
        cls, names, inside = _made[number]
        now = vars(cls)
        if tuple(now) == names and all(map(is_, now.values(), inside)):
            return cls
    if number not in _told:
        raise LookupError("the definition of a class did not arrive")
    made: type = pickle.loads(_told[number])
    _made[number] = made, tuple(vars(made)), tuple(vars(made).values())
    return made
