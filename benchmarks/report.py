"""What was measured, as text, Markdown and JSON. No figure of ours stands without a ratio."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.measuring import ratio
from benchmarks.model import Group
from benchmarks.peers import usable_cores, versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.measuring import Measured, Spread
    from benchmarks.model import Effort
    from benchmarks.verdicts import Result, Verdict

NONE = "-"


class Conditions(NamedTuple):
    """Under what the numbers were taken."""

    python: str
    system: str
    cores: int
    load: float | None
    effort: str
    rounds: int
    versions: dict[str, str]


def conditions(effort: Effort, rounds: int) -> Conditions:
    """Those of this moment."""
    return Conditions(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.machine()}",
        cores=usable_cores(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        effort=effort,
        rounds=rounds,
        versions=versions(),
    )


# -- text, for --check --


def told(result: Result) -> str:
    """A row for people: every rule with what was found, and who the numbers belong to."""
    lines = [f"{result.row.name}: {result.row.title}"]
    lines += [
        f"  {group:22} {'; '.join(summary(result, each) for each in members)}"
        for group in Group
        if (members := [each for each in result.measured if each.contender.group == group])
    ]
    lines += [
        f"  {each.rule.level:22} {each.rule.tell(result.row.unit)}: {told_verdict(each)}"
        for each in result.verdicts
    ]
    if result.tries > 1:
        lines.append(f"  measured {result.tries} times, since a must was missed at first")
    return "\n".join(lines)


def told_verdict(verdict: Verdict) -> str:
    """The verdict, and against whom where the rule names a group."""
    against = verdict.reference if verdict.reference != verdict.rule.than else ""
    return verdict.tell() + (f" against {against}" if against else "")


def summary(result: Result, measured: Measured) -> str:
    """One contender: its number and what ours is to it, or why there is none."""
    name = measured.contender.name
    if not measured.values:
        return f"{name}: {measured.trouble}"
    number = result.row.unit.show(measured.spread.median)
    if measured is result.ours or not result.ours.values:
        return f"{name}: {number}"
    return f"{name}: {number} (ours {times(ratio(result.ours, measured))})"


# -- Markdown --


def markdown(results: Iterable[Result], under: Conditions) -> str:
    """The table of rows, then one of contenders per row."""
    results = list(results)
    parts = ["# Benchmarks", told_conditions(under), HOW_TO_READ, overview(results)]
    for result in results:
        parts += [f"## {result.row.name}", f"{result.row.title}.", contenders(result)]
    return "\n\n".join(parts) + "\n"


HOW_TO_READ = (
    "Each number is a median over rounds, in brackets the quartiles. A ratio is ours over theirs, "
    "round by round: 0.50x is half their time, 2.00x is twice. The floor is the least work any "
    "correct design can do, measured in the same rounds."
)


def told_conditions(under: Conditions) -> str:
    """The circumstances, as a paragraph."""
    load = NONE if under.load is None else f"{under.load:g}"
    libraries = ", ".join(f"{name} {version}" for name, version in under.versions.items())
    return (
        f"{under.python} on {under.system}, {under.cores} cores, load {load} at the start; "
        f"{under.effort} sizes, {under.rounds} rounds. {libraries}."
    )


def overview(results: list[Result]) -> str:
    """One line per row."""
    head = ["row", "ours", "x floor", "x standard library", "x best peer", "must", "aim"]
    return table(head, [overview_line(result) for result in results])


def overview_line(result: Result) -> list[str]:
    """One row: our number, its ratios, and the rules."""
    peer = result.best(Group.PEER)
    return [
        result.row.name,
        number_of(result, result.ours),
        times_spread(result.over(Group.FLOOR)),
        times_spread(result.over(Group.STANDARD)),
        times_spread(result.over(Group.PEER)) + (f" {peer.contender.name}" if peer else ""),
        rules(result, "must"),
        rules(result, "aim"),
    ]


def rules(result: Result, level: str) -> str:
    """The rules of one level with what was found."""
    found = [
        f"{each.rule.tell(result.row.unit)}: {emphasised(each)}"
        for each in result.verdicts
        if each.rule.level == level
    ]
    return "<br>".join(found) or NONE


def emphasised(verdict: Verdict) -> str:
    """What was missed stands out."""
    return f"**{verdict.tell()}**" if verdict.state == "missed" else verdict.tell()


def contenders(result: Result) -> str:
    """One line per contender of a row, the fastest first."""
    head = ["contender", "who", result.row.unit.name, "ours over it", "tasks per round"]
    ranked = sorted(
        result.measured, key=lambda each: each.spread.median if each.values else float("inf")
    )
    return table(head, [contender_line(result, each) for each in ranked])


def contender_line(result: Result, measured: Measured) -> list[str]:
    """One contender: its number and what ours is to it."""
    over = ratio(result.ours, measured) if result.ours.values and measured.values else None
    return [
        measured.contender.name,
        measured.contender.group,
        number_of(result, measured),
        times_spread(over),
        f"{measured.count:,}",
    ]


def number_of(result: Result, measured: Measured) -> str:
    """A median with its quartiles, or why there is none."""
    if not measured.values:
        return measured.trouble
    show, found = result.row.unit.show, measured.spread
    return f"{show(found.median)} ({show(found.low)} to {show(found.high)})"


def times(over: Spread | None) -> str:
    """A ratio."""
    return NONE if over is None else f"{over.median:.3g}x"


def times_spread(over: Spread | None) -> str:
    """A ratio with its quartiles."""
    return NONE if over is None else f"{over.median:.3g}x ({over.low:.3g} to {over.high:.3g})"


def table(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(map(clean, line))} |" for line in [head, rule, *lines])


def clean(cell: str) -> str:
    """A cell stays on its line and in its column."""
    return " ".join(cell.split()).replace("|", "\\|")


# -- JSON --


def as_json(results: Iterable[Result], under: Conditions) -> dict[str, Any]:
    """Everything that was measured."""
    return {"conditions": under._asdict(), "rows": [row_as_json(result) for result in results]}


def row_as_json(result: Result) -> dict[str, Any]:
    """One row, with every value of every round."""
    return {
        "family": result.row.family,
        "name": result.row.name,
        "title": result.row.title,
        "unit": result.row.unit.name,
        "seconds": result.row.unit.seconds,
        "tries": result.tries,
        "contenders": [contender_as_json(result, each) for each in result.measured],
        "rules": [
            {
                "level": each.rule.level,
                "rule": each.rule.tell(result.row.unit),
                "state": each.state,
                "found": each.found,
                "against": each.reference,
            }
            for each in result.verdicts
        ],
    }


def contender_as_json(result: Result, measured: Measured) -> dict[str, Any]:
    """One contender: values, median and quartiles, and ours over it."""
    over = ratio(result.ours, measured) if result.ours.values and measured.values else None
    return {
        "name": measured.contender.name,
        "group": measured.contender.group,
        "tasks": measured.count,
        "trouble": measured.trouble,
        "values": measured.values,
        "spread": measured.spread.__dict__ if measured.values else None,
        "ours_over_it": over.__dict__ if over else None,
    }
