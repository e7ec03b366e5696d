"""What became of a task: a `Success` or a `Failure`, as plain values.

Given for every item by ``errors="return"``, so that an exception *returned* is never
confused with one *raised*::

    for outcome in executor.map(fetch, urls, errors="return"):
        match outcome:
            case Success(page):
                save(page)
            case Failure(error):
                print(outcome.index, outcome.name, error)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, NoReturn, TypeVar

    R_co = TypeVar("R_co", covariant=True)
else:  # `typing` costs more than all of this package: nothing here needs it at run time
    from types import GenericAlias

    R_co = "R_co"

    class Generic:
        """Subscriptable, as ``typing.Generic`` is."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)


class Success(Generic[R_co]):
    """A task returned ``value``.

    Attributes:
        value: what the callable returned (awaited, if it was a coroutine).
        index: position in the ``map`` or ``gather``; 0 for a single task.
        name: the task's name.
        seconds: how long the task ran, as float; 0.0 if it never started.
    """

    __slots__ = ("index", "name", "seconds", "value")
    __match_args__ = ("value",)

    value: R_co
    index: int
    name: str
    seconds: float

    def __init__(self, value: R_co, index: int = 0, name: str = "", seconds: float = 0.0) -> None:
        self.value = value
        self.index = index
        self.name = name
        self.seconds = seconds

    def unwrap(self) -> R_co:
        """Return the value."""
        return self.value

    def at(self, index: int, name: str) -> Success[R_co]:
        """The same outcome, seen at another position."""
        return Success(self.value, index, name, self.seconds)

    def __repr__(self) -> str:
        return f"Success({self.value!r}, index={self.index}, name={self.name!r})"


class Failure:
    """A task raised ``error``, or was stopped or lost.

    Attributes:
        error: the exception, as the task raised it.
        index, name, seconds: as for `Success`.
    """

    __slots__ = ("_traceback", "error", "index", "name", "seconds")
    __match_args__ = ("error",)

    error: BaseException
    index: int
    name: str
    seconds: float

    def __init__(
        self,
        error: BaseException,
        index: int = 0,
        name: str = "",
        seconds: float = 0.0,
    ) -> None:
        self.error = error
        self.index = index
        self.name = name
        self.seconds = seconds
        self._traceback = error.__traceback__

    def unwrap(self) -> NoReturn:
        """Raise the error, with the traceback it arrived with.

        The traceback is put back each time, or an exception raised in several places
        would collect the frames of all of them (cpython#101267).
        """
        try:
            raise BaseException.with_traceback(self.error, self._traceback)
        finally:
            del self  # the traceback holds this frame: do not let it hold the outcome too

    def at(self, index: int, name: str) -> Failure:
        """The same outcome, seen at another position."""
        seen = Failure(self.error, index, name, self.seconds)
        seen._traceback = self._traceback
        return seen

    def __reduce__(self) -> Any:
        """A traceback cannot travel; the copy has none, or what its error brings."""
        return Failure, (self.error, self.index, self.name, self.seconds)

    def __repr__(self) -> str:
        return f"Failure({self.error!r}, index={self.index}, name={self.name!r})"


def outcome_of(succeeded: bool, value: Any, seconds: float) -> Success[Any] | Failure:
    """What `run_task` says came of a task."""
    if succeeded:
        return Success(value, 0, "", seconds)
    return Failure(value, 0, "", seconds)
