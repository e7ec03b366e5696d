"""What has interrupted this thread: Ctrl-C, or a signal handler."""

from __future__ import annotations

import sys
import threading
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

VARARGS = 0x04  # `inspect.CO_VARARGS`


def is_from_outside(error: BaseException) -> bool:
    """Whether an exception that came out of a task ends the program: Ctrl-C, or a handler's exit.

    That is a ``KeyboardInterrupt`` that no ``raise`` statement made, which is the instruction at
    which its innermost frame stopped, or one in native code; or such a one, or a ``SystemExit``,
    of a signal handler, which has interrupted the task.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if not issubclass(type(error), (KeyboardInterrupt, SystemExit)):
        return False
    frames = _frames_of(error.__traceback__)
    codes = _codes_of_handlers()
    if any(_was_handler(frame, codes) for frame, _ in frames):
        return True
    return issubclass(type(error), KeyboardInterrupt) and not (frames and _raises(*frames[-1]))


def _frames_of(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    """The frames of a traceback, and at which instruction each of them stopped."""
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lasti))
        traceback = traceback.tb_next
    return frames


def _raises(frame: FrameType, instruction: int) -> bool:
    """Whether it is a ``raise`` statement."""
    from dis import opname

    return opname[frame.f_code.co_code[instruction]] in ("RAISE_VARARGS", "RERAISE")


def in_signal_handler() -> bool:
    """Whether a Python signal handler is running on this thread."""
    if threading.current_thread() is not threading.main_thread():
        return False
    codes = _codes_of_handlers()
    frame: FrameType | None = sys._getframe(1)
    while codes and frame is not None:
        if _is_handler(frame, codes):
            return True
        frame = frame.f_back
    return False


def _codes_of_handlers() -> set[Any]:
    """The code of every handler that is installed."""
    signal = sys.modules.get("signal")
    if signal is None:  # then nobody has installed one
        return set()
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    return codes - {None}


def _is_handler(frame: FrameType, codes: set[Any]) -> bool:
    """Whether the interpreter has called it: with the frame that it interrupted, its caller.

    Its code alone does not say so: all functions of one decorator have the same, and a handler
    may be called as any other function. But one that has deleted its arguments counts: a close
    that waits in a handler may never end.
    """
    if frame.f_code not in codes:
        return False
    given = _given_to(frame)
    return given is None or any(value is frame.f_back for value in given)


def _was_handler(frame: FrameType, codes: set[Any]) -> bool:
    """The same of a frame that an exception has left; it need not be installed any more."""
    given = _given_to(frame)
    if given is None or frame.f_back is None:
        return given is None and frame.f_code in codes
    has_number = any(isinstance(value, int) for value in given)
    return has_number and any(value is frame.f_back for value in given)


def _given_to(frame: FrameType) -> list[Any] | None:
    """The arguments of a call by position, or None where some of them were deleted."""
    code, names = frame.f_code, frame.f_locals
    count = code.co_argcount
    parameters = list(code.co_varnames[:count])
    rest = code.co_varnames[count + code.co_kwonlyargcount] if code.co_flags & VARARGS else None
    if not {*names} >= {*parameters, *filter(None, [rest])}:
        return None
    given = [names[name] for name in parameters]
    return given if rest is None else [*given, *names[rest]]


def _code_of(handler: Any) -> Any:
    """The code of a function or method, of what a partial calls, or of an object's `__call__`."""
    while isinstance(handler, partial):
        handler = handler.func
    by_type = getattr(type(handler), "__call__", None)  # noqa: B004  (wanted is its code)
    for function in (handler, by_type):
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if code is not None:
            return code
    return None
