"""The command: which rows, how often, and what is written."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import CHECK_ROUNDS, ROUNDS, measure
from benchmarks.plot import MatplotlibMissingError, draw_families, pyplot
from benchmarks.report import as_json, conditions, markdown, told
from benchmarks.rows import ROWS
from benchmarks.verdicts import MISSED, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.model import Effort, Row
    from benchmarks.verdicts import Result


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="unifexec beside its peers.")
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer tasks and rounds: about two minutes")
    add("--tiny", action="store_true", help="next to no tasks: only shows that all of it works")
    add("--check", action="store_true", help="fail if a must is missed, twice; five rounds")
    add("--only", nargs="+", default=[], metavar="NAME", help="rows or families; see --list")
    add("--rounds", type=int, metavar="N", help="how often each contender is measured")
    add("--json", type=Path, metavar="FILE", help="write all numbers")
    add("--markdown", type=Path, metavar="FILE", help="write tables")
    add("--plot", type=Path, metavar="DIR", help="draw a picture per family; needs matplotlib")
    add("--list", action="store_true", help="show the rows and what they must keep")
    options = parser.parse_args(given)
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {options.rounds}")
    return options


def main(given: Sequence[str] | None = None, rows: Sequence[Row] = ROWS) -> int:
    """Run the command; 1 if --check found a must missed, 2 if it was used wrongly."""
    options = arguments(given)
    try:
        chosen = choose(rows, options.only)
        if options.plot:
            pyplot()  # to say now, not after minutes, that it is not there
    except (LookupError, MatplotlibMissingError) as error:
        print(f"benchmarks: {error.args[0]}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(listed(row) for row in chosen))
        return 0
    return run(chosen, options)


def run(rows: list[Row], options: argparse.Namespace) -> int:
    """Measure the rows, tell what was found, and write it where asked."""
    effort: Effort = "tiny" if options.tiny else "quick" if options.quick else "full"
    rounds = options.rounds or (CHECK_ROUNDS if options.check else ROUNDS[effort])
    under = conditions(effort, rounds)
    results = []
    for row in rows:
        results.append(measure_row(row, effort, rounds, again=options.check))
        print(told(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(as_json(results, under), indent=1), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(results, under), encoding="utf-8")
    if options.plot:
        draw_families(results, options.plot)
    return conclude(results) if options.check else 0


def choose(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows of these names or families; all of them if none is named."""
    known = {name for row in rows for name in (row.name, row.family)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LookupError(f"no row or family {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return [row for row in rows if not names or {row.name, row.family} & set(names)]


def listed(row: Row) -> str:
    """A row with its rules."""
    rules = "".join(f"\n    {rule.level} {rule.tell(row.unit)}" for rule in row.rules)
    return f"{row.family}: {row.name}: {row.title}{rules}"


def measure_row(row: Row, effort: Effort, rounds: int, *, again: bool) -> Result:
    """Measure and judge a row; once more if a must is missed and that counts."""
    result = judge(row, measure(row, effort, rounds, progress))
    if result.missed and again:
        result = judge(row, measure(row, effort, rounds, progress), tries=2)
    progress("")
    return result


def progress(doing: str) -> None:
    """Tell someone who watches what is under way."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{doing}", end="", file=sys.stderr, flush=True)


def conclude(results: list[Result]) -> int:
    """Count the musts; 1 if any was missed."""
    musts = [(each, v) for each in results for v in each.verdicts if v.rule.level == "must"]
    missed = [(result, verdict) for result, verdict in musts if verdict.state == MISSED]
    held = sum(verdict.state == "held" for _, verdict in musts)
    absent = len(musts) - held - len(missed)
    print(f"\nmusts: {held} held, {len(missed)} missed, {absent} not measured")
    for result, verdict in missed:
        rule = verdict.rule.tell(result.row.unit)
        print(f"missed: {result.row.name}: {rule}: {verdict.tell()}")
    return 1 if missed else 0
