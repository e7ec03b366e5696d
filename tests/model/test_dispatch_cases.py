"""Short histories of the decision core, to be read; the model finds the long ones."""

from __future__ import annotations

from typing import Any

from unifexec import InitializerError, TaskCancelledError, TimeLimitError, WorkerLostError
from unifexec._core.batches import Batch, Single
from unifexec._core.dispatch import Dispatch
from unifexec._core.options import Options
from unifexec._core.outcome import Failure, Success
from unifexec._core.runs import Limits, Run

from .fakes import FakeMap, FakeTask

OPTIONS = Options()


class Story:
    """A core, its workers (ready at once if ``eager``), and what became of everything."""

    def __init__(self, workers: int = 1, *, eager: bool = True, grace: float = 0.5) -> None:
        self.core = Dispatch(Limits(workers, grace=grace))
        self.eager = eager
        self.runs: list[Run] = []  # as they were sent
        self.outcomes: dict[Any, Any] = {}
        self.said: list[str] = []  # the other actions

    def tell(self, event: str, *args: Any, now: float = 0.0) -> None:
        getattr(self.core, event)(*args, now)
        for action, *rest in self.core.take_actions():
            self.act(action, rest)

    def act(self, action: str, rest: list[Any]) -> None:
        self.said.append(action)
        if action == "spawn" and self.eager:
            self.get_ready()
        elif action == "send":
            self.runs.append(rest[0])
        elif action == "settle":
            sink, index, outcome = rest
            self.outcomes[sink, index] = outcome

    def get_ready(self) -> None:
        """The youngest worker is set up."""
        self.tell("ready", max(self.core.workers))

    def submit(self, sink: Any, count: int = 1, **options: Any) -> None:
        items = list(range(count))
        self.tell("submit", Batch(sink, None, items, Options(**options), sink.name))

    def answer(self, run: Run, *values: Any) -> None:
        self.tell("answered", run.number, [Success(value) for value in values])

    def die(self, run: Run, touched: bool) -> None:
        self.tell("died", run.worker.number, touched, WorkerLostError)

    def error(self, sink: Any, index: int = 0) -> BaseException:
        outcome = self.outcomes[sink, index]
        assert isinstance(outcome, Failure)
        return outcome.error


def test_L02_the_second_task_waits_for_the_only_worker() -> None:
    """One worker: first in, first out, one at a time."""
    story, one, two = Story(), FakeTask(1), FakeTask(2)
    story.submit(one)
    story.submit(two)
    assert [run.batch.sink for run in story.runs] == [one]
    story.answer(story.runs[0], "done")
    assert [run.batch.sink for run in story.runs] == [one, two]
    assert story.outcomes[one, 0].value == "done"


def test_L10_what_is_behind_a_slow_item_moves_to_another_worker() -> None:
    """After a moment it is taken back, and sent elsewhere."""
    story, sink = Story(2), FakeMap(1)
    story.submit(sink, 3)
    story.tell("tick", now=1.0)
    assert story.said[-1] == "withdraw"
    story.tell("withdrawn", story.runs[0].number, 2, now=1.0)
    assert [(run.batch.first, len(run.batch)) for run in story.runs[1:]] == [(1, 2)]
    assert story.runs[1].worker is not story.runs[0].worker


def test_L14_an_abort_follows_the_batch_to_its_next_item() -> None:
    """The answer of item 0 was on its way when the map was cut: item 1 is told to stop."""
    story, sink = Story(), FakeMap(1)
    story.submit(sink, 2)
    sink.stop = 0
    story.tell("cut", sink, True)
    story.said.clear()
    story.answer(story.runs[0], "done")
    assert story.said == ["settle", "abort"]


def test_L15_a_cancelled_task_is_told_at_once_and_never_sent() -> None:
    """Its waiters need not wait for its turn."""
    story, busy, sink = Story(), FakeTask(1), FakeTask(2)
    story.submit(busy)
    story.submit(sink)
    sink.cancelled = True
    story.tell("cancelled", sink, sink.name)
    assert isinstance(story.error(sink), TaskCancelledError)
    story.answer(story.runs[0], "done")
    assert len(story.runs) == 1


def test_L15_an_aborted_task_does_not_wait_for_its_rerun() -> None:
    """Its worker died, it was queued again, and then it was aborted."""
    story, sink = Story(eager=False), FakeTask(1)
    story.submit(sink, rerun_lost=1)
    story.get_ready()
    story.die(story.runs[0], touched=True)
    story.tell("abort", sink)
    assert isinstance(story.error(sink), TaskCancelledError)
    story.get_ready()
    assert len(story.runs) == 1


def test_L16_over_its_limit_it_fails_on_time_and_is_ended_by_force() -> None:
    """First its outcome, then a request, and after the grace the end."""
    story, sink = Story(grace=0.5), FakeTask(1)
    story.submit(sink, time_limit=1.0)
    story.tell("started", story.runs[0].number, 0)
    story.tell("tick", now=1.0)
    assert isinstance(story.error(sink), TimeLimitError)
    assert story.said[-2:] == ["settle", "abort"]
    story.tell("tick", now=1.5)
    assert story.said[-1] == "discard"


def test_L15_what_begins_after_its_grace_is_ended_by_force_all_the_same() -> None:
    """It could not be forced yet: once more, after another grace."""
    story, sink = Story(grace=0.5), FakeTask(1)
    story.submit(sink)
    run = story.runs[0]
    story.tell("abort", sink)
    story.tell("stopping", run.number, 0)
    story.tell("tick", now=0.5)
    assert story.said[-1] == "discard"
    story.tell("missed", run.number, 0, now=0.5)
    story.tell("tick", now=1.0)
    assert story.said.count("discard") == 2


def test_L18_a_task_that_waits_lends_its_place_and_gets_it_back() -> None:
    """One worker, and still the task it waits for runs."""
    story, outer, inner = Story(), FakeTask(1), FakeTask(2)
    story.submit(outer)
    story.submit(inner)
    story.tell("step_aside", story.runs[0].number)
    assert story.runs[1].batch.sink is inner
    story.tell("step_back", story.runs[0].number, lambda: None)
    assert "grant" not in story.said
    story.answer(story.runs[1], "done")
    assert story.said[-1] == "grant"


def test_L18_a_task_that_waits_again_wants_no_place() -> None:
    """It went on without one: its wish is forgotten, or it would hold a place and wait."""
    story, outer, first, second = Story(), FakeTask(1), FakeTask(2), FakeTask(3)
    for sink in (outer, first, second):
        story.submit(sink)
    story.tell("step_aside", story.runs[0].number)
    story.tell("step_back", story.runs[0].number, lambda: None)
    story.tell("step_aside", story.runs[0].number)
    story.answer(story.runs[1], "done")
    assert story.runs[2].batch.sink is second


def test_L20_a_cancelling_close_cancels_also_what_comes_late() -> None:
    """A submit that was posted behind the close is told the same."""
    story, sink = Story(), FakeTask(1)
    story.tell("source_opened", FakeMap(2))
    story.tell("close", True, False)
    story.submit(sink)
    assert isinstance(story.error(sink), TaskCancelledError)
    assert story.runs == []


def test_L21_it_closes_once_and_only_when_all_is_done() -> None:
    """Work, then workers, then the word."""
    story, sink = Story(), FakeTask(1)
    story.submit(sink)
    story.tell("close", False, False)
    assert "stop" not in story.said
    story.answer(story.runs[0], "done")
    assert story.said[-1] == "stop"
    story.tell("gone", story.runs[0].worker.number)
    assert story.said.count("closed") == 1


def test_L22_a_death_loses_the_item_it_touched_and_no_other() -> None:
    """What was answered is kept, what was not touched runs elsewhere."""
    story, sink = Story(), FakeMap(1)
    story.submit(sink, 3)
    story.answer(story.runs[0], "zero")
    story.die(story.runs[0], touched=True)
    assert isinstance(story.error(sink, 1), WorkerLostError)
    assert [(run.batch.first, len(run.batch)) for run in story.runs[1:]] == [(2, 1)]
    assert story.outcomes[sink, 0].value == "zero"


def test_L02_a_bundle_comes_back_in_order() -> None:
    """Tasks that waited travel together; those behind a slow one go back to the front, in order."""
    story = Story()
    story.core._bundle_size = lambda: 4  # type: ignore[method-assign]
    tasks = [FakeTask(number) for number in range(6)]
    for task in tasks:
        story.tell("submit", Single(task, None, None, OPTIONS))
    story.tell("answered", story.runs[0].number, [Success(0)])
    assert [part.sink for part in story.runs[1].batch.parts()] == tasks[1:5]
    story.tell("withdrawn", story.runs[1].number, 2)
    assert [batch.sink for batch in story.core.queue] == tasks[3:]


def test_L15_an_abort_in_a_bundle_stops_its_own_task() -> None:
    """The one that runs is not touched; the one that waits comes back, and never starts."""
    story = Story()
    story.core._bundle_size = lambda: 4  # type: ignore[method-assign]
    tasks = [FakeTask(number) for number in range(4)]
    for task in tasks:
        story.tell("submit", Single(task, None, None, OPTIONS))
    story.tell("answered", story.runs[0].number, [Success(0)])
    story.tell("abort", tasks[2])
    assert story.said[-1] == "withdraw"
    story.tell("withdrawn", story.runs[1].number, 2)
    assert isinstance(story.outcomes[tasks[2], 0].error, TaskCancelledError)
    assert [batch.sink for batch in story.core.queue] == [tasks[3]]


def test_L22_a_run_that_cannot_be_set_up_besides_others() -> None:
    """It fails, with all that waits; the others of its worker go on, and closing ends."""
    story, waiting, nested, queued = Story(), FakeTask(0), FakeTask(1), FakeTask(2)
    story.submit(waiting)
    story.tell("step_aside", story.runs[0].number)
    story.submit(nested)
    story.submit(queued)
    story.tell("not_set_up", story.runs[1].number, OSError("not again"))
    assert isinstance(story.error(nested), InitializerError)
    assert isinstance(story.error(queued), InitializerError)
    story.tell("close", False, False)
    story.answer(story.runs[0], "done")
    assert story.outcomes[waiting, 0].value == "done"
    assert story.core.active == 0
    assert story.said[-1] == "stop"


def test_L22_nothing_starts_where_nobody_carries() -> None:
    """What waits fails, and what comes back from a dead worker; no other worker is started."""
    story, several, queued = Story(), FakeMap(0), FakeTask(1)
    story.submit(several, 2)
    story.submit(queued)
    story.tell("broke_down", OSError("deaf"))
    story.die(story.runs[0], touched=True)
    assert isinstance(story.error(several, 0), WorkerLostError)
    assert isinstance(story.error(several, 1), InitializerError)
    assert isinstance(story.error(queued), InitializerError)
    story.tell("close", False, False)
    assert story.said.count("spawn") == 1
    assert story.said[-1] == "closed"
