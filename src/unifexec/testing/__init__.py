"""The conformance suite: every law of the contract, for anyone's executor.

An executor joins by one line in a test module that pytest collects::

    from unifexec.testing import conformance

    TestMine = conformance(MyExecutor)

``MyExecutor`` is called with the standard keywords (``max_workers``, ``initializer``,
``initargs``, ``finalizer``) and must satisfy `unifexec.Executor`. Where executors differ by
right, the suite asks ``executor.traits``. Each test is named after its law.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from unifexec import Executor

__all__ = ["conformance"]


def conformance(factory: Callable[..., Executor], **options: Any) -> type:
    """Return a class of tests for the executors that ``factory`` makes.

    Arguments:
        factory: called with the standard constructor keywords.
        options: passed to each call as well; where a law wants a keyword of its own, such as
            ``max_workers``, it has the say.

    Raises ``ImportError`` if pytest is missing; its message names the cure.
    """
    try:
        import pytest  # noqa: F401  (the laws need it; say so in our words)
    except ImportError as error:
        raise ImportError("unifexec.testing needs pytest: pip install pytest") from error
    from unifexec.testing import control, failures, laziness, life, results

    laws = (
        results.Results,
        laziness.Laziness,
        failures.Failures,
        control.Control,
        life.Life,
    )

    def make(cls: type, /, max_workers: int = 2, **more: Any) -> Executor:
        return factory(**{**options, "max_workers": max_workers, **more})

    body = {"make": classmethod(make), "__doc__": f"The laws, for {factory!r}."}
    return type("Conformance", laws, body)
