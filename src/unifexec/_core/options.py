"""How tasks run: time limit, reruns, name, context, abort. Frozen, checked when made."""

from __future__ import annotations

from contextvars import ContextVar

from unifexec._core.checks import check_count, check_flag, check_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Options:
    """The options of `Executor.with_options`, with their defaults."""

    __slots__ = ("abort", "context", "name", "rerun_lost", "time_limit")

    time_limit: float | None
    rerun_lost: int
    name: str | None
    context: tuple[ContextVar[Any], ...]
    abort: bool

    def __init__(
        self,
        *,
        time_limit: float | None = None,
        rerun_lost: int = 0,
        name: str | None = None,
        context: Iterable[ContextVar[Any]] = (),
        abort: bool = True,
    ) -> None:
        if time_limit is not None:
            time_limit = check_seconds("time_limit", time_limit, zero=False)
        rerun_lost = check_count("rerun_lost", rerun_lost, least=0)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str or None, got {name!r}")
        self.time_limit = time_limit
        self.rerun_lost = rerun_lost
        self.name = name
        self.context = _context_variables(context)
        self.abort = check_flag("abort", abort)

    def but(self, **changes: Any) -> Options:
        """A copy with some options changed; an unknown name is a ``TypeError``."""
        unknown = changes.keys() - set(self.__slots__)
        if unknown:
            known = ", ".join(self.__slots__)
            raise TypeError(f"unknown option {min(unknown)!r}: the options are {known}")
        values = {name: getattr(self, name) for name in self.__slots__}
        return Options(**{**values, **changes})


def _context_variables(context: Any) -> tuple[ContextVar[Any], ...]:
    """The variables as a tuple, whatever iterable they came in."""
    cure = "context must be a list of ContextVar objects"
    if isinstance(context, (str, ContextVar)):
        raise TypeError(f"{cure}, got {context!r}")
    try:
        variables = tuple(context)
    except TypeError:
        raise TypeError(f"{cure}, got {context!r}") from None
    for variable in variables:
        if not isinstance(variable, ContextVar):
            raise TypeError(f"{cure}; it holds {variable!r}")
    return variables
