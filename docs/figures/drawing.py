"""What the scripts of the figures share: drawing needs matplotlib, reading a figure does not."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SVG = "{http://www.w3.org/2000/svg}"


def figure(width: float, height: float) -> tuple[Any, Any]:
    """Return an empty figure of so many units, and its axes, in which a unit is an inch."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), facecolor="white")
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    return made, axes


def box(axes: Any, x: float, y: float, width: float, height: float, colour: str) -> None:
    """Draw a box with round corners; x and y are its lower left corner."""
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.08"
    patch = FancyBboxPatch(
        (x, y), width, height, boxstyle=style, facecolor=colour, edgecolor="#555555", linewidth=0.8
    )
    axes.add_patch(patch)


def save(made: Any, name: str) -> None:
    """Write a figure; the same one gives the same bytes, and its words stay words."""
    import matplotlib as mpl

    settings = {"svg.fonttype": "none", "svg.hashsalt": "unifexec"}
    with mpl.rc_context(settings):
        made.savefig(HERE / name, metadata={"Date": None})


def words(name: str) -> list[str]:
    """Return the texts of a figure as written, in the order in which they were drawn."""
    root = ET.parse(HERE / name).getroot()
    return ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]


def marks(name: str, kind: str) -> set[str]:
    """Return what a figure has marks for: ``a:b`` of each element with the id ``kind:a:b``."""
    root = ET.parse(HERE / name).getroot()
    ids = (element.get("id", "") for element in root.iter())
    return {mark.removeprefix(f"{kind}:") for mark in ids if mark.startswith(f"{kind}:")}
