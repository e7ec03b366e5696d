"""Classes whose definitions workers are told: the parent's half of `_definitions`."""

from __future__ import annotations

import threading
from itertools import count
from weakref import WeakKeyDictionary

from unifexec._backends.anatomy import lasting_bytes
from unifexec._definitions import here, is_of_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 1000  # definitions that workers are told; further ones travel with their objects
MOST_BYTES = 1 << 22  # of them all: each worker keeps them
MOST_STATES = 8  # of one class: one that changes all the time is not worth it

definitions: dict[int, bytes] = {}  # of this process, by number: each worker is told all of them
_numbers = count()
_registering = threading.RLock()  # a signal handler may submit in the midst of a submit
_states: WeakKeyDictionary[type, dict[bytes, int]] = WeakKeyDictionary()


class naming:  # noqa: N801  (it reads as a verb, as `contextlib.suppress` does)
    """While arguments are pickled: what class has which definition, each looked at once.

    Without ``numbers``, while anything else is: nothing has one. Either way it is not for a parent.
    """

    def __init__(self, numbers: bool = True) -> None:
        self._numbers = numbers
        self._known: dict[type, int | None] = {}

    def __enter__(self) -> None:
        self._outer = here.number_of, here.homeward
        here.number_of, here.homeward = self._number_of if self._numbers else None, False

    def __exit__(self, *exc_info: object) -> None:
        here.number_of, here.homeward = self._outer

    def _number_of(self, cls: type) -> int | None:
        if cls not in self._known:
            self._known[cls] = _number_of(cls)
        return self._known[cls]


def _number_of(cls: type) -> int | None:
    """The number of the definition of a class as it is now; None if it has none."""
    data = lasting_bytes(cls, alone=True) if is_of_script(cls) else None
    if data is None:
        return None
    states: Any = _states.get(cls)
    if states is None:
        states = _states.setdefault(cls, {})
    with _registering:
        number: int | None = states.get(data)
        if number is None and len(states) < MOST_STATES and _is_room_for(data):
            number = next(_numbers)
            definitions[number] = data
            states[data] = number
        return number


def _is_room_for(data: bytes) -> bool:
    size = sum(map(len, list(definitions.values())))
    return len(definitions) < MOST and size + len(data) <= MOST_BYTES
