"""The figures of docs/ show what is: their words and marks are those of the code, today."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures"


@pytest.fixture(name="script")
def fixture_script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a script of a figure by its name; it finds its helper beside itself."""
    monkeypatch.setattr(sys, "path", [str(FIGURES), *sys.path])
    return importlib.import_module


def counted(texts: Iterable[str]) -> Counter[str]:
    """Count the words of texts: where a line of a figure breaks does not matter."""
    return Counter(word for text in texts for word in text.split())


def test_the_rooms_are_those_of_the_package(script: Any) -> None:
    """Every module of the package stands in the picture of the rooms, in its row."""
    rooms = script("rooms")
    assert script("drawing").words(rooms.ROOMS) == rooms.words_of_rooms()
    drawn = " ".join(rooms.words_of_rooms())
    assert [name for name in rooms.code.MODULES if name.split(".")[-1] not in drawn] == []


def test_the_imports_are_those_of_the_code(script: Any) -> None:
    """The picture of the imports has a dot for each import inside the package, and no other."""
    rooms, drawing = script("rooms"), script("drawing")
    assert drawing.marks(rooms.IMPORTS, "import") == rooms.arrows()
    assert counted(drawing.words(rooms.IMPORTS)) == counted(rooms.words_of_imports())


def test_the_tree_is_drawn_as_it_stands(script: Any) -> None:
    """Questions, answers and executors of the decision tree are those of its figure."""
    tree = script("decision_tree")
    assert counted(script("drawing").words(tree.NAME)) == counted(tree.words())


def test_the_page_tells_the_tree(script: Any) -> None:
    """The page on choosing has the same tree as text."""
    text = "\n".join(script("decision_tree").lines())
    assert text in (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")


def test_the_tree_leads_to_every_executor(script: Any) -> None:
    """Its answers are the kinds of executors that there are, all of them."""
    from unifexec.guidance import comparison

    tree = script("decision_tree")
    words = {line.split("`")[1].strip('"') for line in tree.lines() if "`" in line}
    assert words == set(comparison.KINDS)
