"""What workers say reaches the parent: log records and warnings (L26).

The worker's half replaces the handlers of its process by one that sends; levels and filters
are those of the parent, told when a worker starts and when they have changed. The parent's
half hands each record to the parent's own loggers.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings

from unifexec._running import current_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROCESS = "unifexec-process"  # what records say of their process; of a task's, with its number

# -- in the parent --


def levels_and_filters() -> bytes:
    """What decides here which records and warnings are wanted."""
    named = {
        name: int(logger.level)
        for name, logger in list(logging.root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and _is_set(logger.level)
    }
    filters = [pickle.dumps(entry) for entry in warnings.filters if _filter_travels(entry)]
    levels = int(logging.root.level), int(logging.root.manager.disable), named
    return pickle.dumps((*levels, filters))


def _is_set(level: Any) -> bool:
    """Whether a level is one; some set it to a name, past `Logger.setLevel`."""
    return isinstance(level, int) and level != logging.NOTSET


def _filter_travels(entry: Any) -> bool:
    """Not if its category is a class of the script; it may well name the script's module."""
    try:
        pickle.dumps(entry)
    except Exception:
        return False
    return _travels(entry[2])


def _travels(entry: Any) -> bool:
    try:
        return b"__main__" not in pickle.dumps(entry)
    except Exception:
        return False


def repeat(data: bytes | memoryview) -> None:
    """Say here what a worker said."""
    kind, content = pickle.loads(data)
    if kind == "log":
        record = logging.makeLogRecord(content)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    else:
        text, category, filename, lineno = content
        warnings.showwarning(text, category, filename, lineno)


# -- in the worker --


class Sender(logging.Handler):
    """Sends every record to the parent, with the task's name and our process id."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; its text is made here, where its arguments are.

        A record that cannot be said fails no task, as with any handler of ``logging``.
        """
        try:
            self._send(_dump("log", _content_of(record)))
        except Exception:
            self.handleError(record)


def _content_of(record: logging.LogRecord) -> dict[str, Any]:
    content = dict(record.__dict__)
    content.update(msg=record.getMessage(), args=None, exc_info=None)
    if record.exc_info:
        content["exc_text"] = logging.Formatter().formatException(record.exc_info)
    task = current_task()
    content["task"] = None if task is None else task.name
    if content.get("processName") == "MainProcess":  # what `logging` takes for it: it is a worker
        content["processName"] = PROCESS if task is None else f"{PROCESS}-{task.worker}"
    return content


def _dump(kind: str, content: Any) -> bytes:
    try:
        return pickle.dumps((kind, content))
    except Exception:  # somebody's own attributes of a record: as text, then
        content = {key: value if _travels(value) else repr(value) for key, value in content.items()}
        return pickle.dumps((kind, content))


def follow_levels(settings: bytes) -> None:
    """Want here the log records that the parent wants."""
    level, disabled, named, _ = pickle.loads(settings)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name not in named:
            logger.setLevel(logging.NOTSET)
    logging.root.setLevel(level)
    logging.disable(disabled)
    for name, its_level in named.items():
        logging.getLogger(name).setLevel(its_level)


_followed: list[bytes] = []  # the filters that the parent had when it last changed some


def follow_filters(settings: bytes) -> None:
    """Want here the warnings that the parent wants. Between tasks: each may have its own."""
    *_, filters = pickle.loads(settings)
    if filters != _followed:
        _followed[:] = filters
        warnings.resetwarnings()
        known = [entry for data in filters if (entry := _loaded(data)) is not None]
        warnings.filters[:] = known  # type: ignore[index]  # a list, whatever its type says


def _loaded(data: bytes) -> Any:
    """A filter, or None if its category is of a module that we cannot import."""
    try:
        return pickle.loads(data)
    except Exception:
        return None


def speak_through(send: Callable[[bytes], object], settings: bytes) -> None:
    """Send records and warnings of this process from now on; not of those that tasks fork."""
    logging.root.handlers[:] = [Sender(send)]
    follow_levels(settings)
    follow_filters(settings)
    original = warnings.showwarning

    def speak_for_ourselves() -> None:
        logging.root.handlers[:] = [logging.StreamHandler()]
        warnings.showwarning = original

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=speak_for_ourselves)

    def show(
        message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        task = current_task()
        whose = "" if task is None else f"task {task.name!r}, "
        text = f"{message} [{whose}worker process {os.getpid()}]"
        try:
            send(pickle.dumps(("warning", (text, category, filename, lineno))))
        except Exception:  # a category that does not travel
            send(pickle.dumps(("warning", (text, UserWarning, filename, lineno))))

    warnings.showwarning = show
