"""A picture per family: bars for contenders, the floor as a line."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from benchmarks.model import Group

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.verdicts import Result

COLOURS = {
    Group.OURS: "tab:blue",
    Group.STANDARD: "tab:orange",
    Group.TUNED_STANDARD: "tab:olive",
    Group.TUNED_OURS: "tab:cyan",
    Group.PEER: "tab:gray",
}
FLOOR_COLOUR = "tab:red"
WIDE = 9.0  # inches
BAR_HEIGHT = 0.32
HEAD_HEIGHT = 1.1
VISIBLE = 20  # times the shortest bar: beyond that it would be a hair


class MatplotlibMissingError(RuntimeError):
    """Pictures were asked for, and matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__("--plot needs matplotlib; install it with: pip install matplotlib")


def pyplot() -> Any:
    """The drawing half of matplotlib, without a screen."""
    try:
        importlib.import_module("matplotlib").use("agg")
    except ModuleNotFoundError as error:
        raise MatplotlibMissingError from error
    return importlib.import_module("matplotlib.pyplot")


def draw_families(results: list[Result], folder: Path) -> list[Path]:
    """Draw every family that was measured; where the pictures are."""
    drawing = pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    families: dict[str, list[Result]] = {}
    for result in results:
        if any(measured.values for measured in result.measured):
            families.setdefault(result.row.family, []).append(result)
    return [draw(drawing, family, rows, folder) for family, rows in families.items()]


def draw(drawing: Any, family: str, results: list[Result], folder: Path) -> Path:
    """One picture, a panel per row."""
    heights = [HEAD_HEIGHT + BAR_HEIGHT * len(bars_of(result)) for result in results]
    figure, panels = drawing.subplots(
        len(results),
        figsize=(WIDE, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for (panel,), result in zip(panels, results, strict=True):
        draw_row(panel, result)
    path = folder / f"{family}.png"
    figure.savefig(path, dpi=120)
    drawing.close(figure)
    return path


def bars_of(result: Result) -> list[Any]:
    """The contenders that have a bar, ours first, then the fastest."""
    shown = [
        each for each in result.measured if each.values and each.contender.group != Group.FLOOR
    ]
    return sorted(shown, key=lambda each: (each.contender.group != Group.OURS, each.spread.median))


def draw_row(panel: Any, result: Result) -> None:
    """Bars with their quartiles, and the floor as a line."""
    bars, floor = bars_of(result), result.best(Group.FLOOR)
    found = [each.spread for each in bars]
    panel.barh(
        range(len(bars)),
        [each.median for each in found],
        xerr=[[e.median - e.low for e in found], [e.high - e.median for e in found]],
        color=[COLOURS[each.contender.group] for each in bars],
        ecolor="black",
    )
    for place, each in enumerate(found):
        panel.text(each.high, place, f"  {result.row.unit.show(each.median)}", va="center")
    title = f"{result.row.name}: {result.row.title}"
    if floor:
        panel.axvline(floor.spread.median, color=FLOOR_COLOUR)
        number = result.row.unit.show(floor.spread.median)
        title += f"\nline: the floor, {floor.contender.name}, {number}"
    scale(panel, [each.median for each in found] + ([floor.spread.median] if floor else []))
    panel.set_yticks(range(len(bars)), [each.contender.name for each in bars])
    panel.invert_yaxis()
    panel.set_title(title, fontsize="small", loc="left")
    panel.set_xlabel(f"{'seconds ' if result.row.unit.seconds else ''}{result.row.unit.name}")


def scale(panel: Any, values: list[float]) -> None:
    """Powers of ten where the shortest bar could not be seen otherwise; room for the numbers."""
    powers = min(values) > 0 and max(values) > VISIBLE * min(values)
    if powers:
        panel.set_xscale("log")
    panel.set_xlim(right=panel.get_xlim()[1] * (4 if powers else 1.25))
