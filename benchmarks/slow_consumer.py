"""A map whose results are taken slowly, in an interpreter of its own.

``python -c "from benchmarks.slow_consumer import main; main('growth', 'our_threads', 1000000)"``
prints the growth of memory in MiB, or the most inputs that were taken ahead of the consumer.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks import peers
from benchmarks.tasks import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOK_EVERY = 1_000  # results: then the memory is looked at,
PAUSE = 0.005  # and the consumer rests, so that whoever runs ahead does
BEFORE = 2_000  # items that are mapped first: what any use costs is no growth
MEMORY = Path("/proc/self/statm")
BUFFERSIZE = 256  # of the row that asks for one


def resident_mib() -> float:
    """Memory of this process; where it cannot be asked for, the most it ever was."""
    if MEMORY.exists():
        return int(MEMORY.read_bytes().split()[1]) * resource.getpagesize() / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


class Watched:
    """Inputs and results of one map, counted where they pass."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self.ahead = 0
        self.growth = 0.0

    def inputs(self) -> Iterator[int]:
        """The inputs; how many were taken ahead is known when the next one is."""
        for item in range(self.count):
            self.ahead = max(self.ahead, item + 1 - self.taken)
            yield item

    def consume(self, map_: Callable[..., Iterable[Any]]) -> None:
        """Map, and take the results slowly."""
        before = resident_mib()
        for result in map_(nothing, self.inputs()):
            assert result == self.taken
            self.taken += 1
            if self.taken % LOOK_EVERY == 0:
                time.sleep(PAUSE)
                self.growth = max(self.growth, resident_mib() - before)


def consume(map_: Any, count: int) -> Watched:
    """Map once to warm up and once to watch."""
    for _ in map_(nothing, range(BEFORE)):
        pass
    watched = Watched(count)
    watched.consume(map_)
    return watched


def main(
    what: Literal["growth", "ahead"], opener: str, count: int, buffersize: int | None = None
) -> None:
    """Print the one number; the opener is one of `peers`, or "builtin"."""
    if opener == "builtin":
        watched = consume(map, count)
    else:
        with getattr(peers, opener)() as pool:
            map_ = pool.map
            if buffersize is not None:
                map_.keywords["buffersize"] = buffersize
            watched = consume(map_, count)
    print(getattr(watched, what))
