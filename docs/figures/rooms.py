"""The rooms of the package and who imports whom: ``python docs/figures/rooms.py`` draws both.

Both are drawn from the code and from the rows that ``tests/test_imports.py`` holds it to.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import drawing

sys.path.append(str(Path(__file__).parents[2]))

from tests import test_imports as code

ROOMS, IMPORTS = "rooms.svg", "imports.svg"
COLOURS = ["#e8eef5", "#f5f2e8"]
WIDTH = 9.4


def bands() -> list[list[str]]:
    """Return the modules inside, row by row as imports may go; packages stand for nothing."""
    rows: list[list[str]] = [[] for _ in code.ROWS]
    for name in code.ROOMS:
        rows[code.row_of(name)].append(name)
    return rows


def guests() -> dict[str, list[str]]:
    """Return the guests and their modules: they stand at the front door, as users do."""
    inner = {guest: [] for guest in code.GUESTS}
    for name in code.MODULES:
        guest, _, module = name.partition(".")
        if module:
            inner.get(guest, []).append(module)
    return inner


def arrows() -> set[str]:
    """Return ``importer:imported`` for every import of one module inside by another."""
    found = {
        f"{name}:{other.removeprefix('unifexec.')}"
        for name in code.ROOMS
        for other in code.imports(name)
        if code.within(other, "unifexec")
    }
    return {arrow for arrow in found if arrow.split(":")[1] in code.ROOMS}


def words_of_rooms() -> list[str]:
    """Return every word of the picture of the rooms, as it must be."""
    words = []
    for guest, modules in guests().items():
        words += [guest, *wrapped(modules)]
    words.append(FRONT_DOOR)
    for row in reversed(bands()):
        words += row
    return [*words, FOOT]


FRONT_DOOR = "the front door: unifexec"
FOOT = "a module imports from its own row or from rows below it; guests use public names only"


def wrapped(modules: list[str]) -> list[str]:
    """Return the modules of a guest as short lines."""
    return textwrap.wrap(", ".join(modules), 30)


def draw_rooms() -> None:
    """Write the picture of the rooms: what is imported by all lies at the bottom."""
    rows = bands()
    step, high = 0.56, 0.4
    top = 0.4 + step * (len(rows) + 1)
    made, axes = drawing.figure(WIDTH, top + 1.75)

    def put(text: str, x: float, y: float, size: float = 9, weight: str = "normal") -> None:
        axes.text(x, y, text, ha="center", va="center", fontsize=size, weight=weight)

    each = WIDTH / len(code.GUESTS)
    for number, (guest, modules) in enumerate(guests().items()):
        drawing.box(axes, number * each + 0.1, top + 0.15, each - 0.2, 1.45, "#ffffff")
        middle = (number + 0.5) * each
        put(guest, middle, top + 1.42, weight="bold")
        for line, text in enumerate(wrapped(modules)):
            put(text, middle, top + 1.18 - 0.17 * line, 7.5)
    drawing.box(axes, 0.1, top - step + 0.05, WIDTH - 0.2, high + 0.06, "#dcdcdc")
    put(FRONT_DOOR, WIDTH / 2, top - step + 0.28, weight="bold")
    for number, row in enumerate(reversed(rows)):
        y = top - step * (number + 2) + 0.05
        drawing.box(axes, 0.1, y, WIDTH - 0.2, high + 0.06, COLOURS[number % 2])
        room = (WIDTH - 0.4) / len(row)
        for place, name in enumerate(row):
            width = min(room - 0.08, 1.7)
            middle = 0.2 + (place + 0.5) * room
            drawing.box(axes, middle - width / 2, y + 0.05, width, high - 0.04, "#ffffff")
            put(name, middle, y + 0.23, 8)
    put(FOOT, WIDTH / 2, 0.22, 8.5)
    drawing.save(made, ROOMS)


def draw_imports() -> None:
    """Write the picture of the imports: a line for each module, a dot for each it imports."""
    order = [name for row in bands() for name in row]
    cell, left = 0.235, 1.45
    size = left + cell * len(order) + 0.1
    made, axes = drawing.figure(size, size)
    place = {name: number for number, name in enumerate(order)}
    start = 0
    for number, row in enumerate(bands()):
        extent = cell * len(row)
        y = size - left - cell * (start + len(row))
        axes.add_patch(rectangle(0.05, y, size - 0.1, extent, COLOURS[number % 2]))
        start += len(row)
    for name, number in place.items():
        middle = cell * (number + 0.5)
        axes.text(left - 0.08, size - left - middle, name, ha="right", va="center", fontsize=7.5)
        axes.text(
            left + middle,
            size - left + 0.08,
            name,
            ha="center",
            va="bottom",
            fontsize=7.5,
            rotation=90,
        )
        axes.add_patch(
            rectangle(
                left + middle - cell / 2, size - left - middle - cell / 2, cell, cell, "#cccccc"
            )
        )
    for arrow in sorted(arrows()):
        importer, imported = (place[name] for name in arrow.split(":"))
        x, y = left + cell * (imported + 0.5), size - left - cell * (importer + 0.5)
        (dot,) = axes.plot([x], [y], "o", color="#3b75af", markersize=6)
        dot.set_gid(f"import:{arrow}")
    drawing.save(made, IMPORTS)


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> object:
    """Return a plain area."""
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=colour, linewidth=0)


def words_of_imports() -> list[str]:
    """Return every word of the picture of the imports, as it must be."""
    return [name for row in bands() for name in row for _ in range(2)]


if __name__ == "__main__":
    draw_rooms()
    draw_imports()
