"""What can be seen of a function without calling it: names it uses, and how long it is."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITING = frozenset(
    [
        "aiohttp",
        "ftplib",
        "grpc",
        "http",
        "httpx",
        "imaplib",
        "paramiko",
        "psycopg",
        "psycopg2",
        "pymongo",
        "redis",
        "requests",
        "select",
        "selectors",
        "smtplib",
        "socket",
        "subprocess",
        "telnetlib",
        "urllib",
        "urllib3",
        "urlopen",
        "sleep",
        "recv",
        "sendall",
        "connect",
        "check_output",
    ]
)
NATIVE = frozenset(
    [
        "bz2",
        "hashlib",
        "lzma",
        "numpy",
        "scipy",
        "torch",
        "zlib",
        "PIL",
        "cv2",
        "sha256",
        "sha512",
        "md5",
    ]
)
TINY_INSTRUCTIONS = 30  # and no loop and no call among them


@dataclass(frozen=True)
class Hints:
    """Guesses from the source: good for a first word, no more.

    Attributes:
        coroutine: it is an ``async def``.
        waits: it names something that waits for others.
        native: it names a library whose native code releases the GIL.
        tiny: a few instructions, without a loop.
    """

    coroutine: bool
    waits: bool
    native: bool
    tiny: bool


def look_at(fn: Any) -> Hints:
    """Look at a function; what cannot be seen (native code) gives no hints."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    called = fn if inspect.isroutine(fn) else getattr(fn, "__call__", fn)  # noqa: B004
    names = set(_names(called))
    code = getattr(called, "__code__", None)
    return Hints(
        coroutine=inspect.iscoroutinefunction(called),
        waits=bool(names & WAITING),
        native=bool(names & NATIVE),
        tiny=code is not None and _is_tiny(code),
    )


def _names(fn: Any) -> Iterator[str]:
    """The names in its code, and the modules that its globals come from; one level deep."""
    yield from str(getattr(fn, "__module__", None) or "").split(".")
    yield str(getattr(fn, "__name__", ""))
    code = getattr(fn, "__code__", None)
    for name in _names_in(code) if code is not None else ():
        yield name
        value = getattr(fn, "__globals__", {}).get(name)
        if value is not None:
            yield from _home_of(value).split(".")


def _home_of(value: Any) -> str:
    """The module that it is, or is of; "" if it cannot be asked, as a proxy of nothing yet."""
    is_module = issubclass(type(value), ModuleType)  # `isinstance` would ask a proxy
    try:
        return str(getattr(value, "__name__" if is_module else "__module__", None) or "")
    except Exception:
        return ""


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
        elif isinstance(constant, tuple):  # the names of ``from module import name``
            yield from (item for item in constant if isinstance(item, str))


def _is_tiny(code: CodeType) -> bool:
    import dis

    steps = list(dis.get_instructions(code))
    loops_or_calls = ("JUMP_BACKWARD", "CALL", "FOR_ITER", "IMPORT")
    return len(steps) < TINY_INSTRUCTIONS and not any(
        step.opname.startswith(loops_or_calls) for step in steps
    )
