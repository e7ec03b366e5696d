"""Score the advice: on each function, is what it recommends as fast as the best there is?

A pick is right if it makes at least 90 % of the calls per second of the best of the field:
serial, threads, processes and event loops of several sizes, and the pick itself. All of them
take turns in short slices, and the best slice of each counts.

Among many that are equally good some come out ahead by luck, the more the busier the machine
is. So a miss is called clear if the pick was also behind in nearly all of the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.advice.functions import CASES, Case, Place
from unifexec.compare import server
from unifexec.guidance import Advice, advise, machine
from unifexec.guidance.alone import measure_alone
from unifexec.guidance.travel import measure_travel
from unifexec.guidance.trials import Attempt, Candidate, Contest

GOAL = 0.95
RIGHT = 0.9  # of the best rate
NEARLY_ALL = 0.8  # of the turns
SLICE_SECONDS = 0.2
HOPELESS = 0.5  # of the best rate, after two slices: no more turns
CASE_SECONDS = 60.0  # no case takes longer


class Result(NamedTuple):
    """One function: the advice, and the best rate of every executor of the field."""

    case: Case
    advice: Advice
    slices: dict[Candidate, list[float]]

    @property
    def rates(self) -> dict[Candidate, float]:
        """The best slice of each."""
        return {candidate: max(rates) for candidate, rates in self.slices.items()}

    @property
    def pick(self) -> Candidate:
        """What was recommended."""
        return Candidate(self.advice.executor, self.advice.workers, self.advice.chunksize)

    @property
    def best(self) -> Candidate:
        """The fastest of all."""
        return max(self.rates, key=lambda candidate: self.rates[candidate])

    @property
    def share(self) -> float:
        """The rate of the pick, over that of the best."""
        return self.rates.get(self.pick, 0.0) / self.rates[self.best]

    @property
    def is_right(self) -> bool:
        """Within ten per cent of the best."""
        return self.share >= RIGHT

    @property
    def is_clear_miss(self) -> bool:
        """Behind in nearly all of the turns that it had with the best."""
        if self.is_right or self.pick not in self.slices:
            return not self.is_right
        pick, best = self.slices[self.pick], self.slices[self.best]
        turns = min(len(pick), len(best))
        behind = sum(a < RIGHT * b for a, b in zip(pick[-turns:], best[-turns:], strict=True))
        return behind >= NEARLY_ALL * turns


def field(coroutine: bool, cores: int) -> list[Candidate]:
    """Every executor, with several counts of workers."""
    loops = [100, 1000] if coroutine else [32]
    return [
        Candidate("serial", 1),
        *(Candidate("thread", count) for count in sorted({cores, 8, 32})),
        *(Candidate("process", count) for count in sorted({cores, 4 * cores})),
        *(Candidate("async", count) for count in loops),
    ]


def measure(case: Case, place: Place, budget: float, rounds: int) -> Result:
    """Ask for advice, then measure the field."""
    samples = case.samples(place)
    advice = advise(case.fn, samples, budget=budget)
    alone, record = measure_alone(case.fn, samples, 0.3)
    travel = measure_travel(case.fn, case.name, record.tried[:3], record.results)
    pick = Candidate(advice.executor, advice.workers, advice.chunksize)
    entered = field(alone.coroutine, machine.usable_cores())
    entered += [pick] if pick not in entered else []
    entered = [each for each in entered if not (travel.problem and each.kind == "process")]
    attempts = [Attempt(each, case.fn, record.tried[: len(samples)], alone) for each in entered]
    deadline = time.monotonic() + CASE_SECONDS
    contest = Contest(case.fn, samples, alone, travel, deadline)
    try:
        for attempt in attempts:
            contest.prepare(attempt, SLICE_SECONDS)
        contest.take_turns(attempts, rounds, HOPELESS)
    finally:
        for attempt in attempts:
            attempt.stop()
    slices = {a.trial.candidate: a.trial.rates for a in attempts if a.trial.rates}
    return Result(case, advice, slices)


def line(result: Result) -> str:
    """One line for the report."""
    mark = "right" if result.is_right else "MISS " if result.is_clear_miss else "miss?"
    return (
        f"{mark} {result.share:5.0%}  {result.case.name:22} {_shown(result.pick):18} "
        f"best {_shown(result.best):18} {result.case.lever}"
    )


def why(result: Result) -> str:
    """A missed function: what the advice saw, beside what the field gave."""
    seen = {trial.candidate: trial for trial in result.advice.trials}
    rows = [
        f"    {_shown(each):18} {rate:>12,.4g}/s   advice saw "
        + (f"{seen[each].rate:,.4g}/s" if each in seen else "nothing: it did not try this")
        for each, rate in sorted(result.rates.items(), key=lambda item: -item[1])[:4]
    ]
    head = f"{result.case.name} ({result.advice.confidence} confidence): {result.case.lever}"
    return "\n".join([head, *rows, *(f"    {reason}" for reason in result.advice.reasons)])


def _shown(candidate: Candidate) -> str:
    chunk = f"/{candidate.chunksize}" if candidate.chunksize else ""
    return f"{candidate.kind} x{candidate.workers}{chunk}"


def as_data(results: list[Result]) -> dict[str, Any]:
    """The whole run, for programs."""
    return {
        "python": platform.python_version(),
        "cores": machine.usable_cores(),
        "score": score(results),
        "cases": [
            {
                "name": each.case.name,
                "lever": each.case.lever,
                "right": each.is_right,
                "clear_miss": each.is_clear_miss,
                "share": each.share,
                "pick": _shown(each.pick),
                "best": _shown(each.best),
                "rates": {_shown(candidate): rate for candidate, rate in each.rates.items()},
                "advice": json.loads(each.advice.to_json()),
            }
            for each in results
        ],
    }


def score(results: list[Result]) -> float:
    """Right picks over all."""
    return sum(each.is_right for each in results) / len(results)


def main() -> int:
    """Run the cases; exit code 1 if the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advice", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="NAME", help="these cases")
    parser.add_argument("--budget", type=float, default=5.0, help="seconds for each advice")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each executor")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    chosen = [CASES[name] for name in options.only or CASES]
    results = []
    with server.running() as url, tempfile.TemporaryDirectory() as folder:
        place = Place(url, Path(folder))
        try:
            for number, case in enumerate(chosen):
                if not case.is_possible():
                    print(f"skip         {case.name:22} needs {', '.join(case.needs)}", flush=True)
                    continue
                results.append(measure(case, place, options.budget, options.rounds))
                print(line(results[-1]), f"[{number + 1}/{len(chosen)}]", flush=True)
        except KeyboardInterrupt:
            print(
                f"interrupted after {len(results)} of {len(chosen)}: the score so far", flush=True
            )
    if not results:
        return 1
    report(results)
    if options.json is not None:
        options.json.write_text(json.dumps(as_data(results), indent=2) + "\n", encoding="utf-8")
    return 0 if score(results) >= GOAL else 1


def report(results: list[Result]) -> None:
    """The score, and why each miss was one."""
    misses = [each for each in results if not each.is_right]
    print(
        f"\nscore: {len(results) - len(misses)} of {len(results)} within 10 % of the best "
        f"({score(results):.0%}; the goal is {GOAL:.0%}), "
        f"{sum(each.is_clear_miss for each in misses)} clear misses; Python "
        f"{platform.python_version()}, "
        f"{machine.usable_cores()} cores, load {os.getloadavg()[0]:.1f}"
    )
    for each in misses:
        print("\n" + why(each))


if __name__ == "__main__":
    sys.exit(main())
