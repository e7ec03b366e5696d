"""Two at once: does a function hold the GIL while it computes?

Two threads call it side by side. A thread's time is computing, waiting in the queue of the
processor (other programs, told by Linux), or being blocked. Whoever shares a lock with its
twin is blocked half of the time, however busy the machine is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from unifexec import create_executor
from unifexec.guidance.alone import queueing_seconds
from unifexec.guidance.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unifexec.guidance.alone import Alone

HOLDS, RELEASES = 0.3, 0.15  # of the time, more than alone: blocked by the twin; or hardly
MOSTLY_COMPUTING = 0.25  # of the time alone: who waits more than this is out of its twin's way
LEAST_SECONDS = 0.05  # for several turns of the GIL, of 5 ms each
LEAST_COMPUTING = 0.02  # seconds of each twin; less shows nothing
END_SECONDS = 1.0  # for a twin that is blocked by the other for good: more is not waited
PATIENCE = 3.0  # times as long as planned, on a machine too busy to give them that


def holds_the_gil(
    fn: Callable[[Any], Any], samples: Sequence[Any], alone: Alone, seconds: float, shared: bool
) -> bool | None:
    """Whether one of two threads that call it is blocked while the other computes.

    Takes about so many seconds, and one call at least. None if it cannot be told: the
    function hardly computes, computes elsewhere, is a coroutine, or does some of both; or
    there is one sample, and it may not be ``shared`` by both.
    """
    if alone.coroutine or alone.mostly_elsewhere:
        return None
    if alone.waiting_share > 0.7 or alone.seconds > seconds:
        return None
    if not shared and len(samples) < 2:
        return None
    given = [samples, samples] if shared else [samples[::2], samples[1::2]]
    until = time.perf_counter() + max(seconds, LEAST_SECONDS)
    executor = create_executor("thread", max_workers=2)
    twins = [executor.submit(_call_until, fn, each, until) for each in given]
    ending = PATIENCE * (max(seconds, LEAST_SECONDS) + alone.longest)
    try:
        spent = executor.gather(*twins).result(ending + END_SECONDS)
    except (Exception, SystemExit):  # it works alone, and not beside itself
        return None
    finally:
        end(executor, END_SECONDS)
    computing = sum(each[0] for each in spent)
    blocked = sum(each[1] for each in spent)
    more = blocked / max(blocked + computing, 1e-9) - alone.waiting_share
    if more > HOLDS:
        return True
    return False if more < RELEASES and alone.waiting_share < MOSTLY_COMPUTING else None


def _call_until(
    fn: Callable[[Any], Any], samples: Sequence[Any], until: float
) -> tuple[float, float]:
    """Call until then; seconds of this thread spent computing, and blocked."""
    computing, queueing, begin = time.thread_time(), queueing_seconds(), time.perf_counter()
    position = 0
    while time.perf_counter() < until or time.thread_time() - computing < LEAST_COMPUTING:
        fn(samples[position % len(samples)])
        position += 1
        if time.perf_counter() > until + PATIENCE * (until - begin):
            break
    taken = time.perf_counter() - begin
    computing = time.thread_time() - computing
    return computing, max(0.0, taken - computing - (queueing_seconds() - queueing))
