"""What has interrupted this thread: Ctrl-C, or a signal handler."""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


def is_ctrl_c(error: BaseException) -> bool:
    """Whether an exception is that of Ctrl-C: raised between two instructions, or in native code.

    A ``KeyboardInterrupt`` that a task raised itself comes from a ``raise`` statement: the
    instruction at which its innermost frame stopped.
    """
    from dis import opname

    if threading.current_thread() is not threading.main_thread():
        return False
    if not issubclass(type(error), KeyboardInterrupt):
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:  # in native code called by nobody's frame
        return True
    instruction = traceback.tb_frame.f_code.co_code[traceback.tb_lasti]
    return opname[instruction] not in ("RAISE_VARARGS", "RERAISE")


def in_signal_handler() -> bool:
    """Whether a Python signal handler is running on this thread.

    The interpreter calls a handler with the frame it interrupted, which is then the
    handler's caller. So: is one of the functions on our stack installed as a handler?
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    codes.discard(None)
    frame: FrameType | None = sys._getframe(1)
    while codes and frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


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
