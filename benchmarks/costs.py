"""How costs grow, and work to be profiled: the figures of ``docs/explanation/costs.md``.

``python -m benchmarks.costs`` prints ratios; with ``--loop NAME`` it does one kind of work for
some seconds, so that a profiler can look at it.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.tasks import integers, nothing, orders, price, same, square, suspend
from unifexec import AsyncExecutor, ProcessExecutor, SerialExecutor, ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unifexec import Executor

SIZES = [0, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]
ROUNDS = 7


def bursts(executor: Executor, count: int = 20_000) -> None:
    """Submit many calls, then take all results."""
    for task in [executor.submit(nothing, item) for item in range(count)]:
        task.result()


def single_calls(executor: Executor, count: int = 1_000) -> None:
    """One call after the other, each awaited."""
    for item in range(count):
        executor.submit(nothing, item).result()


def maps(fn: Callable[[Any], Any], items: Sequence[Any]) -> Callable[[Executor], object]:
    """Map a function over items."""
    return lambda executor: list(executor.map(fn, items))


LOOPS: dict[str, tuple[Callable[[], Executor], Callable[[Executor], object]]] = {
    "thread-submit": (ThreadExecutor, bursts),
    "thread-map": (ThreadExecutor, maps(nothing, integers(100_000))),
    "process-submit": (lambda: ProcessExecutor(2), bursts),
    "process-single": (lambda: ProcessExecutor(2), single_calls),
    "process-map-ints": (lambda: ProcessExecutor(2), maps(square, integers(100_000))),
    "process-map-dicts": (lambda: ProcessExecutor(2), maps(price, orders(20_000))),
    "async-map": (lambda: AsyncExecutor(100), maps(suspend, integers(10_000))),
}


def loop(name: str, seconds: float) -> None:
    """Do one kind of work for so long."""
    make, work = LOOPS[name]
    with make() as executor:
        until = perf_counter() + seconds
        while perf_counter() < until:
            work(executor)


def rounds(ways: Sequence[Callable[[], object]]) -> list[float]:
    """How long each takes beside the first: the median over interleaved rounds."""
    took: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, times in zip(ways, took, strict=True):
            start = perf_counter()
            way()
            times.append(perf_counter() - start)
    beside = [[time / first for time, first in zip(times, took[0], strict=True)] for times in took]
    return [median(ratios) for ratios in beside]


def payloads() -> None:
    """A call that gets bytes and returns them, beside one that gets none."""
    values = [bytes(size) for size in SIZES]
    with ProcessExecutor(1) as executor:
        for value in values:
            executor.submit(same, value).result()

        def calls(value: bytes) -> None:
            for _ in range(20):
                executor.submit(same, value).result()

        ratios = rounds([partial(calls, value) for value in values])
    print("a process call with so many bytes there and back, beside one with none:")
    for size, ratio in zip(SIZES, ratios, strict=True):
        print(f"  {size:>12,} bytes {ratio:8.2f}")


def places() -> None:
    """One call after the other, on each executor."""
    executors: list[Executor] = [SerialExecutor(), ThreadExecutor(2), AsyncExecutor(2)]
    executors.append(ProcessExecutor(2))
    names = ["serial", "thread", "async, a plain function", "process"]
    ratios = rounds([partial(single_calls, executor, 300) for executor in executors])
    print("one call at a time, submitted and waited for, beside the serial executor:")
    for name, ratio in zip(names, ratios, strict=True):
        print(f"  {name:>24} {ratio:8.1f}")
    for executor in executors:
        executor.shutdown()


def backlogs() -> None:
    """One call of a burst, beside one call at a time."""
    print("a call in a burst of 20,000, beside one call at a time on the same executor:")
    for name, make in (("thread", ThreadExecutor), ("process", lambda: ProcessExecutor(2))):
        with make() as executor:
            bursts(executor)
            _, many = rounds([partial(single_calls, executor), partial(bursts, executor)])
        print(f"  {name:>12} {many / 20:8.3f}")


def main(given: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="benchmarks.costs", description=__doc__)
    parser.add_argument("--loop", choices=LOOPS, help="work to be profiled")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long the loop goes on")
    options = parser.parse_args(given)
    if options.loop:
        loop(options.loop, options.seconds)
    else:
        places()
        backlogs()
        payloads()
    return 0


if __name__ == "__main__":
    sys.exit(main())
