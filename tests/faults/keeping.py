"""What is kept of functions and classes that travel by value."""

from __future__ import annotations

from typing import Any

from unifexec._backends.anatomy import _known, lasting_bytes


def kept(value: Any, **options: Any) -> bytes | None:
    """The bytes that are kept of it; nothing is the first time."""
    assert value in _known or lasting_bytes(value) is None
    return lasting_bytes(value, **options)
