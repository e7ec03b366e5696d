"""The reference has every public name, and sums overloads up truly."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import unifexec
from unifexec import abc, errors, guidance, testing
from unifexec.guidance import comparison

if TYPE_CHECKING:
    from types import ModuleType

REFERENCE = (Path(__file__).parent.parent / "docs" / "reference.md").read_text(encoding="utf-8")
ENTRIES = set(re.findall(r"^\.\. (?:auto|py:)\w+:: (unifexec[\w.]*)", REFERENCE, re.MULTILINE))


def public(module: ModuleType) -> list[str]:
    """Return the names that a module offers: those it lists, else those it defines."""
    listed = getattr(module, "__all__", None)
    return listed or [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) or inspect.isfunction(value)
        if value.__module__ == module.__name__ and not name.startswith("_")
    ]


@pytest.mark.parametrize(
    "module", [unifexec, abc, errors, guidance, comparison, testing], ids=lambda m: m.__name__
)
def test_every_public_name_has_an_entry(module: ModuleType) -> None:
    """Names of the front door stand there under its name, all others under their module's."""
    names = public(module)
    assert names
    entries = {
        name: f"unifexec.{name}" if name in unifexec.__all__ else f"{module.__name__}.{name}"
        for name in names
    }
    assert [name for name, entry in entries.items() if entry not in ENTRIES] == []


def parameters(text: str) -> list[str]:
    """Return the names of the parameters of a signature as written."""
    made: dict[str, object] = {}
    exec(f"from __future__ import annotations\ndef written{text}: ...", made)
    return list(inspect.signature(made["written"]).parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["submit", "map", "gather", "wrap"])
def test_a_signature_that_sums_up_is_that_of_the_method(method: str) -> None:
    """What stands for the overloads has the parameters of the executors' own method."""
    (text,) = re.findall(
        rf"automethod:: unifexec.Executor.{method}(\(.*)$", REFERENCE, re.MULTILINE
    )
    own = list(inspect.signature(getattr(unifexec.ThreadExecutor, method)).parameters)
    assert ["self", *parameters(text)] == own


def test_the_options_are_those_there_are() -> None:
    """The entry of ``with_options`` names every option, and no other."""
    (text,) = re.findall(r"Executor.with_options(\(.*)$", REFERENCE, re.MULTILINE)
    assert set(parameters(text)) == set(abc.OptionChanges.__annotations__)
