"""Ending an executor whose tasks are somebody else's, and may never end."""

from __future__ import annotations

from typing import Any

from unifexec import WaitTimeoutError


def end(executor: Any, patience: float) -> bool:
    """End it; what has not started never runs. False if something had to be given up.

    What still runs after so many seconds is stopped where that can be, as leaving a ``with``
    by an exception does; a plain function in a thread goes on, and holds nobody up.
    """
    try:
        with executor:
            executor.shutdown(cancel_futures=True, timeout=patience)
    except WaitTimeoutError:
        return False
    return True
