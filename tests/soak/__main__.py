"""The soak: random programs with random faults until the time is over.

python -m tests.soak [--minutes N] [--seed S]
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import logging
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.conftest import inventory

from .books import Books
from .program import run

REPORT_SECONDS = 30.0
HANG_SECONDS = 150.0  # no program takes that long: then show where every thread stands, and end
SHARED_MEMORY = Path("/dev/shm")
OURS = ("unifexec", "psm_", "sem.")  # so begins what we, or the standard library for us, make


def main() -> int:
    """Run the soak; 0 if the books are balanced and nothing is left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="default: from the time")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time())
    print(f"seed {seed}", flush=True)
    logging.getLogger("unifexec").addHandler(logging.NullHandler())  # failures of closed maps
    soak = Soak(Random(seed))
    soak.go_on(options.minutes * 60)
    soak.report()
    return 1 if soak.complaints else 0


class Soak:
    """Programs one after the other, and the sum of their books."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.programs = self.accepted = 0
        self.fates: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.complaints: list[str] = []

    def go_on(self, seconds: float) -> None:
        """Run programs for some seconds, and at least one."""
        end = time.monotonic() + seconds
        told = time.monotonic()
        self.one()  # what it loads stays, and is not left behind
        before = belongings()
        while time.monotonic() < end:
            self.one()
            self.complaints += [f"left behind: {thing}" for thing in left_of(before)]
            if time.monotonic() - told > REPORT_SECONDS:
                told = time.monotonic()
                print(f"{self.programs} programs, {self.accepted} tasks", flush=True)
            if self.complaints:
                break

    def one(self) -> None:
        """Run one program, and add up its books."""
        seed = self.random.randrange(1 << 32)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        with Books() as books:
            how = run(Random(seed), books)
            complaints = books.close()
        faulthandler.cancel_dump_traceback_later()
        self.programs += 1
        self.accepted += books.accepted
        self.fates += books.fates
        self.faults += books.faults
        self.complaints += [f"program {seed} ({how}): {text}" for text in complaints]

    def report(self) -> None:
        """Print how many tasks and faults of each kind there were, and whether all is well."""
        print(f"\n{self.programs} programs; faults injected: {self.faults.total()}")
        for what, count in self.faults.most_common():
            print(f"  {count:8}  {what}")
        print(f"tasks accepted: {self.accepted}")
        for fate in ("success", "failure", "cancelled", "time limit", "lost"):
            print(f"  {self.fates[fate]:8}  {fate}")
        total = self.fates.total()
        sign = "=" if total == self.accepted else "IS NOT"
        print(f"  {self.accepted} accepted {sign} {total} settled")
        for complaint in self.complaints:
            print(f"WRONG: {complaint}")
        print("the books are not in order" if self.complaints else "the books are balanced")
        print(flush=True, end="")


def belongings() -> set[tuple[str, object]]:
    """What this process holds, and what is in shared memory."""
    shared = SHARED_MEMORY.iterdir() if SHARED_MEMORY.exists() else ()
    return inventory() | {("shared memory", p.name) for p in shared if p.name.startswith(OURS)}


def left_of(before: set[tuple[str, object]]) -> set[tuple[str, object]]:
    """What is still there that was not before; workers told to leave get a moment."""
    deadline = time.monotonic() + 10
    while (left := belongings() - before) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return left


if __name__ == "__main__":
    sys.exit(main())
