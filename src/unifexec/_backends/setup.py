"""How workers are set up, and how many there are: as the constructors of executors take it."""

from __future__ import annotations

from unifexec._backends.interrupts import is_from_outside
from unifexec._core.checks import check_choice, check_count
from unifexec._core.task import tell_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def is_installed(name: str) -> bool:
    """Whether a package could be imported."""
    from importlib.util import find_spec

    return find_spec(name) is not None


class Setup:
    """How workers are set up, as the constructors of executors take it; checked here."""

    __slots__ = ("async_backend", "finalizer", "initargs", "initializer")

    def __init__(
        self,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        finalizer: Callable[[], object] | None,
        async_backend: str,
        *,
        awaits: bool = False,
    ) -> None:
        for name, fn in (("initializer", initializer), ("finalizer", finalizer)):
            if fn is None:
                continue
            if not callable(fn):
                raise TypeError(f"{name} must be callable or None, got {fn!r}")
            from inspect import iscoroutinefunction  # few ask, and it is not light

            if iscoroutinefunction(fn) and not (awaits and name == "initializer"):
                raise TypeError(
                    f"{name} must be a plain function, got {fn!r}: what an async def makes is "
                    "awaited of an AsyncExecutor's initializer only"
                )
        if not isinstance(initargs, (tuple, list)):
            raise TypeError(f"initargs must be a tuple, got {initargs!r}")
        check_choice("async_backend", async_backend, ("asyncio", "trio"))
        if async_backend == "trio" and not is_installed("trio"):
            raise ModuleNotFoundError('async_backend="trio" needs trio: pip install trio')
        self.initializer: Callable[..., object] | None = initializer
        self.initargs: tuple[Any, ...] = tuple(initargs)
        self.finalizer: Callable[[], object] | None = finalizer
        self.async_backend: str = async_backend

    def initialize(self) -> None:
        """Run the initializer, in the worker."""
        if self.initializer is not None:
            self.initializer(*self.initargs)

    def finalize(self) -> None:
        """Run the finalizer, in the worker; what it raises is logged."""
        if self.finalizer is not None:
            try:
                self.finalizer()
            except BaseException as error:
                if is_from_outside(error):
                    raise  # Ctrl-C, where it runs in the main thread
                tell_fault("the finalizer %r raised", self.finalizer)


def checked_workers(max_workers: int | None, default: int) -> int:
    """The number of workers asked for, or the default."""
    if max_workers is None:
        return default
    return check_count("max_workers", max_workers)
