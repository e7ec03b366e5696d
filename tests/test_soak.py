"""The soak itself: a short one is in order, and books that do not balance are seen."""

from __future__ import annotations

from random import Random

import pytest

from unifexec import Success, ThreadExecutor

from .soak.__main__ import Soak
from .soak.books import Books, Entry
from .soak.program import run


@pytest.mark.parametrize("kind", ["serial", "thread", "async", "process"])
def test_L03_random_programs_with_random_faults(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever befalls an executor, accepted is settled, and nothing is left behind."""
    monkeypatch.setattr("tests.soak.program.KINDS", {kind: 1})
    soak = Soak(Random(1))
    soak.go_on(1.0)
    assert soak.complaints == []
    assert soak.accepted > 0
    assert soak.faults.total() > 0


def test_books_complain() -> None:
    """A task without an outcome, one that came to the wrong one, one that ran twice."""
    with Books() as books, ThreadExecutor(1) as executor:
        for number, fates in enumerate([{"success"}, {"failure"}, {"success"}]):
            books.number()
            books.accept(number, Entry("task", fates, 1, 0))
        task = executor.submit(abs, 2)
        books.watch(1, task)
        books.settle_tasks(closed_early=False)
        books.settle(2, Success(1))
        complaints = "; ".join(books.close())
        assert "came to success" in complaints
        assert "not 1" in complaints
        assert "3 accepted, but" in complaints
    with Books() as books, ThreadExecutor(1) as executor:
        from .soak.jobs import square

        note = books.number()
        books.accept(note[1], Entry("task", {"success"}, 4, 1))
        executor.gather(executor.submit(square, note, 2), executor.submit(square, note, 2)).result()
        assert "started 2 times" in "; ".join(books.close())


def test_a_program_is_told_by_its_seed() -> None:
    """The same seed makes the same kind of program."""
    with Books() as one, Books() as two:
        assert run(Random(5), one) == run(Random(5), two)
        assert one.close() == two.close() == []
