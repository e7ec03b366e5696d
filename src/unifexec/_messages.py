"""The words of the protocol between an executor and its worker processes.

The steps, and what happens between any two of them, are in `docs/process-room.md`.
"""

from __future__ import annotations

import struct

# Every message: a header of fixed size, outside any pickle, and a payload. A payload that
# cannot be read fails its own task, and nothing else.
HEADER = struct.Struct("!BQIQ")  # kind, number (of a run, or of work), offset, size of payload
ANSWER = struct.Struct("!Bd")  # in front of the payload of DONE: status, seconds
ITEMS_HEAD = struct.Struct("!QI??")  # in front of ITEMS: work, first, as one list, one argument
BLOCK_HEAD = struct.Struct("!dI?")  # in front of BLOCK: seconds each, how many are old, pickles
FORK = struct.Struct("=q")  # asks a fork server for a new worker (0), or how one ended (its pid)

# from the parent
SETUP, WORK, DROP, ITEM, WITHDRAW, ABORT, STOP, VOICES, ITEMS, TASKS = range(10)
DEFINE = 30
# from the worker; BLOCK has the number of its items where others have an offset
READY, INIT_FAILED, STARTED, DONE, RETURNED, SAID, BLOCK = range(10, 17)
# what is large (`_segments`): from either side, from the parent, from the worker
SEGMENT, UNMAPPED, RETIRE, SHARED, LARGE_ITEM, LARGE_DONE = range(20, 26)
# status of an answer
VALUE, ERROR, INTERRUPTED, UNSENDABLE = range(4)

INITIALIZING = 1 << 63  # the mark of a worker that runs its initializer
LONG = 1 << 16  # bytes: a payload of this size is sent as it is, not joined with others


def tasks_head(count: int) -> struct.Struct:
    """What stands in front of TASKS: whether as one list, then the work of each task."""
    return struct.Struct(f"!?{count}Q")
