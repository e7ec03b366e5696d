"""Classes whose definitions workers are told: the parent's half of `_definitions`."""

from __future__ import annotations

from itertools import count
from weakref import WeakKeyDictionary

from unifexec._backends.anatomy import is_reference, lasting_bytes
from unifexec._definitions import here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 1000  # definitions that workers are told; further ones travel with their objects
MOST_STATES = 8  # of one class: one that changes all the time is not worth it

definitions: dict[int, bytes] = {}  # of this process, by number: each worker is told all of them
_numbers = count()
_states: WeakKeyDictionary[type, dict[bytes, int]] = WeakKeyDictionary()


class naming:  # noqa: N801  (it reads as a verb, as `contextlib.suppress` does)
    """While arguments are pickled: what class has which definition, each looked at once."""

    def __enter__(self) -> None:
        self._outer = here.number_of
        self._known: dict[type, int | None] = {}
        if self._outer is None:
            here.number_of = self._number_of

    def __exit__(self, *exc_info: object) -> None:
        here.number_of = self._outer

    def _number_of(self, cls: type) -> int | None:
        if cls not in self._known:
            here.number_of = None  # a definition stands for itself
            try:
                self._known[cls] = _number_of(cls)
            finally:
                here.number_of = self._number_of
        return self._known[cls]


def _number_of(cls: type) -> int | None:
    """The number of the definition of a class as it is now; None if it has none."""
    data = None if is_reference(cls) else lasting_bytes(cls)
    if data is None:
        return None
    states: Any = _states.get(cls)
    if states is None:
        states = _states.setdefault(cls, {})
    number: int | None = states.get(data)
    if number is None and len(states) < MOST_STATES and len(definitions) < MOST:
        number = next(_numbers)
        definitions[number] = data
        states[data] = number
    return number
