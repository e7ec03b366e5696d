"""The decision tree of the page on choosing: ``python docs/figures/decision_tree.py`` draws it."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import drawing

NAME = "decision-tree.svg"
COLOURS = {"serial": "#e4e4e4", "thread": "#cfe0f1", "process": "#fbdcc4", "async": "#d3ecc9"}
QUESTION = "#ffffff"


class Node(NamedTuple):
    """A question; each answer is the word for an executor, or the next question."""

    question: str
    yes: Node | str
    no: Node | str


TREE = Node(
    "Do you debug or test, or is all of the work done in a tenth of a second, and cannot crash?",
    "serial",
    Node(
        "May a task crash the interpreter, or must a plain function be stopped when it takes "
        "too long?",
        "process",
        Node(
            "Does a task mostly wait: for a network, a disk, a database?",
            Node("Is it a coroutine (async def)?", "async", "thread"),
            Node(
                "Does it compute in native code that releases the GIL, or on an interpreter "
                "without one?",
                "thread",
                Node(
                    "Does a call compute for some tens of microseconds or more, and longer than "
                    "it takes to send its arguments and its result to another process?",
                    "process",
                    "serial",
                ),
            ),
        ),
    ),
)


def lines(node: Node | str = TREE, answer: str = "", depth: int = 0) -> list[str]:
    """Return the tree as a nested list of Markdown."""
    indent = "  " * depth
    if isinstance(node, str):
        return [f'{indent}- {answer}**`"{node}"`**']
    head = f"{indent}- {answer}{node.question}"
    return [head, *lines(node.yes, "Yes: ", depth + 1), *lines(node.no, "No: ", depth + 1)]


def words(node: Node | str = TREE) -> list[str]:
    """Return every word of the figure, as it must be."""
    if isinstance(node, str):
        return [f'"{node}"']
    return [node.question, "yes", "no", *words(node.yes), *words(node.no)]


def draw() -> None:
    """Write the figure: questions go down while the answer is no, executors stand on the right."""
    made, axes = drawing.figure(8.6, 7.2)
    wide, high = 3.3, 0.78

    def ask(node: Node, x: float, y: float, width: float = wide) -> None:
        drawing.box(axes, x, y - high / 2, width, high, QUESTION)
        text = textwrap.fill(node.question, int(width * 11))
        axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=9.5)

    def name(word: str, x: float, y: float) -> None:
        drawing.box(axes, x, y - 0.24, 1.15, 0.48, COLOURS[word])
        axes.text(x + 0.575, y, f'"{word}"', ha="center", va="center", fontsize=10.5, weight="bold")

    def arrow(word: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        style = {"arrowstyle": "-|>", "color": "#555555", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=end, xytext=start, arrowprops=style)
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        beside = start[0] == end[0]
        axes.text(
            x + (0.08 if beside else 0),
            y + (0 if beside else 0.07),
            word,
            ha="left" if beside else "center",
            va="center" if beside else "bottom",
            fontsize=9,
        )

    x, y, step, leaf = 0.2, 6.7, 1.25, 7.2
    node: Node | str = TREE
    while isinstance(node, Node):
        ask(node, x, y)
        if isinstance(node.yes, str):
            arrow("yes", (x + wide, y), (leaf, y))
            name(node.yes, leaf, y)
        else:
            inner = node.yes
            assert isinstance(inner.yes, str)
            assert isinstance(inner.no, str)
            ask(inner, 4.35, y, 1.9)
            arrow("yes", (x + wide, y), (4.35, y))
            arrow("yes", (6.25, y + 0.2), (leaf, y + 0.2))
            arrow("no", (6.25, y - 0.32), (leaf, y - 0.32))
            name(inner.yes, leaf, y + 0.26)
            name(inner.no, leaf, y - 0.32)
        below = y - step if isinstance(node.no, Node) else y - step + 0.2
        gap = high / 2 if isinstance(node.no, Node) else 0.24
        arrow("no", (x + wide / 2, y - high / 2), (x + wide / 2, below + gap))
        node, y = node.no, below
    name(node, x + wide / 2 - 0.575, y)
    drawing.save(made, NAME)


if __name__ == "__main__":
    draw()
