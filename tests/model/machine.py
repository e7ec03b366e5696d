"""A stateful model of the decision core: fake workers, a fake clock, real decisions.

Whatever happens is put into a mailbox and delivered later, as in a real room: so answers come
late, workers die between any two steps, and cancels, limits and closings strike at any moment.
What a process is told it reads later still; a thread obeys at once. A worker may run several
items before it answers them, so that the core is behind.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from unifexec import (
    InitializerError,
    SerializationError,
    TaskCancelledError,
    TimeLimitError,
    WorkerLostError,
)
from unifexec._core import batches, dispatch, runs
from unifexec._core.options import Options
from unifexec._core.outcome import Failure, Success
from unifexec._running import Interrupted

from .fakes import FakeMap, FakeTask, Item, Trip, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

GRACE = 0.5
FOREVER = float("inf")

PICKS = range(60)  # a number that names one of several things
NO_YES = (False, True)
OLD_NEWS = (
    "answered", "answered_each", "answered_block", "answered_tasks", "withdrawn", "started",
    "stopping", "discarded", "step_aside", "step_back", "ready", "died", "gone",
)  # fmt: skip
DEATHS = (1, 2, dispatch.UNTOUCHED_DEATHS + 1)
SIZES = ((1,), (2,), (5,), (3, 3), (1, 4), (2, 1, 5), (1,) * 6)
OPTIONS = [
    Options(time_limit=limit, rerun_lost=reruns, abort=abort)
    for limit in (None, None, 1.0)
    for reruns in (0, 1)
    for abort in (True, True, False)
]


def step(**choices: Sequence[Any]) -> Callable[[Any], Any]:
    """What may happen: a rule for Hypothesis, and a step for `walk`."""

    def mark(method: Any) -> Any:
        marked = rule(**{name: st.sampled_from(values) for name, values in choices.items()})(method)
        marked.choices = choices
        return marked

    return mark


def always(method: Any) -> Any:
    """What must always be true."""
    marked = invariant()(method)
    marked.always = True
    return marked


def pick_from(things: Any, pick: int) -> Any:
    return things[pick % len(things)]


class DispatchMachine(RuleBasedStateMachine):
    """Rules that do what a room, its workers and its users may do."""

    core_module: Any = SimpleNamespace(**{**vars(runs), **vars(batches), **vars(dispatch)})

    @initialize(
        workers=st.integers(1, 4),
        kills=st.booleans(),
        most=st.sampled_from([None, None, 1]),
        idle=st.sampled_from([None, 0.2]),
        close_first=st.booleans(),
        bundle=st.sampled_from([1, 3, 8]),
        crews=st.booleans(),
    )
    def begin(
        self,
        workers: int,
        kills: bool,
        most: int | None,
        idle: float | None,
        close_first: bool,
        bundle: int,
        crews: bool,
    ) -> None:
        """A new executor: of processes, which can be killed, or of threads, which cannot.

        Or of places on a loop, where items run side by side.
        """
        limits = self.core_module.Limits(
            workers,
            grace=GRACE,
            max_abandoned=None if kills else 1,
            max_tasks_per_child=most if kills else None,
            idle_timeout=idle if kills else None,
        )
        self.crews = crews and not kills
        self.dispatch = self.core_module.Dispatch(limits, not self.crews, self.crews)
        self.dispatch._bundle_size = lambda each=1: bundle  # as if tasks were short, and many
        self.bundle = bundle
        self.max_workers, self.kills, self.close_first = workers, kills, close_first
        self.now = 0.0
        self.mail: deque[Any] = deque()
        self.workers: dict[int, Worker] = {}
        self.sinks: list[Any] = []
        self.items: dict[Any, Item] = {}  # by the name of their sink, which a batch may leave
        self.accepted = 0  # batches
        self.last_turn = (-1, 0)
        self.open_maps: list[FakeMap] = []
        self.sent_runs: list[int] = []
        self.over_workers: list[int] = []
        self.grants_due = 0
        self.deaths_at_start = 0
        self.delivered = 0
        self.paused_until = 0.0  # a worker could not be started
        self.closing = self.cancelling = self.aborting = False  # as the users asked
        self.cancel_heard = self.abort_heard = False  # as the core knows
        self.closed = 0

    # -- the room: it delivers events, and performs actions --

    def post(self, event: str, *args: Any) -> None:
        self.mail.append((event, args))

    def deliver_one(self) -> None:
        event, args = self.mail.popleft()
        self.delivered += 1
        if event in ("flush", "tell_ended"):
            getattr(self, event)(*args)
        else:
            getattr(self.dispatch, event)(*args, self.now)
        note = getattr(self, "note_" + event, None)
        if note is not None:
            note(*args)
        for run in self.dispatch.runs.values():
            if run.carried is not None:  # of a crew, and is written out
                run.carried.run = run
        for name, *rest in self.dispatch.take_actions():
            getattr(self, "do_" + name)(*rest)
        self.dispatch.next_deadline()  # as a room, which then sleeps
        if event == "cancelled":
            assert self.items[args[0].name, 0].outcome is not None, "cancelled, and not told"

    def do_spawn(self, worker: Any) -> None:
        assert worker.number not in self.workers
        alive = [w for w in self.workers.values() if not w.told_to_stop]
        assert len(alive) < self.max_workers, "more workers than allowed"
        assert worker.index not in [w.core.index for w in alive], "an index used twice"
        if [w for w in alive if w.born != self.delivered]:  # not of the same decision
            assert self.now >= self.paused_until, "it starts one after the other in vain"
        self.paused_until = 0.0
        self.workers[worker.number] = Worker(worker, self.delivered)

    def do_send(self, run: Any) -> None:
        self.check_turn(run)
        for part in run.batch.parts():
            self.check_wanted(part)
        self.check_joined(run)
        self.sent_runs.append(run.number)
        worker = self.workers.get(run.worker.number)
        if worker is None:
            assert run.worker.number in self.dead_but_unknown(), "sent to nobody"
            self.item(run, 0).near_deaths += 1
            return
        assert worker.ready, "sent to a worker that is not ready"
        assert not worker.told_to_stop, "sent to a worker that is leaving"
        assert not any(t.has_work() and not t.waiting for t in worker.trips), "sent to a busy one"
        most = self.dispatch.limits.max_tasks_per_child
        assert most is None or len(run.batch) <= most - worker.core.tasks, "more than its share"
        worker.trips.append(Trip(run))

    def do_send_crew(self, crew: Any) -> None:
        """As so many runs of one item; the core writes them out when it must."""
        assert self.crews, "side by side, where items follow each other"
        assert len(crew.batch) == len(crew.workers) > 1
        for offset, worker in enumerate(crew.workers):
            batch = crew.batch.part(offset, offset + 1)
            self.do_send(self.core_module.Run(crew.number + offset, worker, batch, self.now))
            trip = self.workers[worker.number].trips[-1]
            trip.crew, trip.offset = crew, offset
            crew.carried.append(trip)

    def check_turn(self, run: Any) -> None:
        """First in, first out; what comes back goes before what waits."""
        for item in self.items_of(run.batch):
            if not item.sent:
                assert item.turn > self.last_turn, "not first in, first out"
                self.last_turn, item.sent = item.turn, True
                waiting = [i for batch in self.dispatch.queue for i in self.items_of(batch)]
                assert not any(i.sent for i in waiting), "overtook what came back"

    def check_joined(self, run: Any) -> None:
        """What travels together may, and is what the core says it is."""
        items, sink = self.items_of(run.batch), run.batch.sink
        assert run.batch.items == [item.value for item in items], "items of others"
        joined = len({item.turn[0] for item in items}) > 1
        assert not joined or len(items) <= self.bundle, "more joined than pays"
        if isinstance(sink, FakeMap):
            assert sink.loose or not joined, "joined, and somebody chose the size"
            assert run.batch.plain == sink.blocks, "of another kind than its map"
            deaths = [i for i in items[1:] if i.touched_deaths or i.near_deaths]
            assert not deaths, "deaths are counted of the first item only"

    def items_of(self, batch: Any) -> list[Item]:
        keys = [batch.at(offset) for offset in range(len(batch))]
        return [self.items[part.sink.name, index] for part, index in keys]

    def check_wanted(self, batch: Any) -> None:
        """Nothing is sent that shall not start."""
        sink = batch.sink
        assert sink.wants(batch.first + len(batch) - 1), "sent what is not wanted"
        assert not self.cancel_heard, "sent after a close that cancels"
        assert not (isinstance(sink, FakeTask) and sink.abort_heard), "sent after its abort"
        first = self.items[sink.name, batch.first]
        assert first.near_deaths < self.core_module.UNTOUCHED_DEATHS, "it kills one after another"

    def dead_but_unknown(self) -> set[int]:
        return {args[0] for event, args in self.mail if event == "died"}

    def trip_of(self, run: Any) -> Trip | None:
        worker = self.workers.get(run.worker.number)
        for trip in worker.trips if worker else ():
            if trip.run is run:
                return trip
        return None

    def item(self, run: Any, offset: int) -> Item:
        batch, index = run.batch.at(offset)
        return self.items[batch.sink.name, index]

    def do_withdraw(self, run: Any) -> None:
        self.tell(run, "withdraw", 0)

    def do_abort(self, run: Any) -> None:
        trip = self.trip_of(run)
        if run.cursor == len(run.batch):
            return  # it ended by the same mail
        self.tell(run, "abort", run.cursor)
        if trip is not None and (self.kills or not self.item(run, run.cursor).plain):
            self.post("stopping", run.number, run.cursor)

    def tell(self, run: Any, what: str, offset: int) -> None:
        trip = self.trip_of(run)
        if trip is not None:
            trip.inbox.append((what, offset))
            if not self.kills:
                self.read(trip)

    def read(self, trip: Trip) -> None:
        """A worker reads one thing it was told."""
        what, offset = trip.inbox.popleft()
        if what == "withdraw":
            left = len(trip.todo)
            trip.todo.clear()
            self.hand_over(trip)
            self.post("withdrawn", trip.run.number, left)
        else:
            trip.abort_for = offset
            if not self.kills:
                self.hand_over(trip)

    def do_discard(self, run: Any) -> None:
        trip = self.trip_of(run)
        if trip is None:
            return
        if not self.kills:
            most = self.dispatch.limits.max_abandoned
            assert self.given_up() < most or self.closing, "too many given up"
            assert not trip.abandoned, "given up twice"
            trip.abandoned = True
            trip.todo.clear()
            self.post("discarded", run.number)
        elif trip.current == run.cursor:
            self.kill(self.workers[run.worker.number])
        else:
            self.post("missed", run.number, run.cursor)

    def given_up(self) -> int:
        """Those that go on out of our sight, and those of which the core does not know yet."""
        told = [args[0] for event, args in self.mail if event == "discarded"]
        unheard = [number for number in told if number in self.dispatch.runs]  # not old news
        return len(self.dispatch.abandoned) + len(unheard)

    def do_stop(self, worker: Any) -> None:
        assert not worker.runs, "told to leave over its work"
        assert worker.crew is None, "told to leave over its work"
        if worker.number in self.workers:
            self.workers[worker.number].told_to_stop = True

    def do_end(self, worker: Any) -> None:
        assert self.aborting, "hurried, and nobody leaves by an exception"
        assert not worker.runs, "ended over its work"
        if worker.number in self.workers:
            assert self.workers[worker.number].told_to_stop, "ended without being told to leave"
            self.leave_now(worker.number)

    def do_grant(self, granted: Any) -> None:
        granted()

    def do_warn(self, text: str) -> None:
        most = self.dispatch.limits.max_abandoned
        assert most is not None
        assert self.given_up() >= most
        for trip in self.trips():
            if trip.current is not None and trip.run.number in self.dispatch.runs:
                self.item(trip.run, trip.current).warned = True

    def do_broken(self, error: Any) -> None:
        pass

    def do_closed(self) -> None:
        self.closed += 1
        assert self.closed == 1, "closed twice"
        assert self.closing, "closed without being asked"
        assert not self.open_maps_heard(), "closed before its maps ended"
        assert not self.workers, "closed with workers alive"
        late = [args[0] for event, args in self.mail if event in ("submit", "fail")]
        open_ = [i for i in self.items.values() if i.outcome is None and not self.is_in(i, late)]
        assert not open_, "closed with work left"

    def open_maps_heard(self) -> list[FakeMap]:
        ended = [args[0] for event, args in self.mail if event == "source_ended"]
        return [sink for sink in [*self.open_maps, *ended] if sink in self.dispatch.sources]

    def is_in(self, item: Item, batches: list[Any]) -> bool:
        return any(
            b.sink is item.sink and b.first <= item.index < b.first + len(b) for b in batches
        )

    def do_settle(self, sink: Any, index: int, outcome: Any) -> None:
        item = self.items[sink.name, index]
        assert (outcome.index, outcome.name) == (index, sink.name), "an outcome of another"
        if isinstance(sink, FakeTask) and sink.cancelled:
            assert not sink.claimed, "cancelled and claimed"
            item.outcome = item.outcome or outcome  # told at once, and dropped when its turn comes
            return
        assert item.outcome is None, "two outcomes"
        item.outcome = outcome
        if isinstance(outcome, Success):
            self.check_value(item, outcome.value)
        else:
            self.check_reason(item, outcome.error)

    def do_settle_block(self, sink: Any, first: int, values: list[Any], seconds: float) -> None:
        assert sink.blocks, "more than values was asked for"
        for index, value in enumerate(values, first):
            item = self.items[sink.name, index]
            assert item.outcome is None, "two outcomes"
            item.outcome = Success(value)
            self.check_value(item, value)

    def do_settle_tasks(self, tasks: list[Any], values: list[Any], seconds: list[float]) -> None:
        for task, value, _ in zip(tasks, values, seconds, strict=True):
            item = self.items[task.name, 0]
            assert item.outcome is None, "two outcomes"
            item.outcome = Success(value)
            self.check_value(item, value)

    def check_value(self, item: Item, value: Any) -> None:
        assert value == item.value, "the value of another"
        assert not item.fails, "it failed"
        limit = item.options.time_limit
        assert limit is None or item.seconds <= limit, "over its limit, and a success"

    def check_reason(self, item: Item, error: BaseException) -> None:
        """Nothing fails for no reason, or for that of another."""
        if isinstance(error, TimeLimitError):
            limit = item.options.time_limit
            assert limit is not None, "over a limit that was not its own"
            late = item.limit_at is not None and item.limit_at <= self.now
            assert late or item.seconds > limit, "over its limit too soon"
        elif isinstance(error, WorkerLostError):
            guilty = item.touched_deaths == item.options.rerun_lost + 1
            unlucky = item.near_deaths >= self.core_module.UNTOUCHED_DEATHS
            assert guilty or unlucky, "lost for no death of its own"
        elif isinstance(error, TaskCancelledError):
            stopped = item.sink.may_stop(item.index) or self.aborting
            if item.starts > item.touched_deaths:
                assert stopped, "stopped for no reason"
                assert item.options.abort, "stopped against its options"
            else:
                unwanted = self.cancelling or not item.sink.wants(item.index)
                assert stopped or unwanted, "cancelled for no reason"
        elif isinstance(error, ZeroDivisionError):
            assert item.fails, "it did not fail"
            assert error.args == item.value, "the failure of another"
        elif isinstance(error, SerializationError):
            assert item.unsendable, "it could be sent"
        else:
            assert isinstance(error, InitializerError), f"an odd outcome: {error!r}"
            assert self.dispatch.broken or not self.workers, "somebody could have run it"

    # -- what the model learns when the core is told --

    def note_started(self, number: int, offset: int) -> None:
        run = self.dispatch.runs.get(number)
        if run is not None and run.cursor == offset:
            item = self.item(run, offset)
            item.limit_at = self.now + item.options.time_limit

    def note_stopping(self, number: int, offset: int) -> None:
        run = self.dispatch.runs.get(number)
        trip = None if run is None else self.trip_of(run)
        if trip is not None and trip.current == offset == run.cursor:
            self.force(self.item(run, offset))

    def force(self, item: Item) -> None:
        if item.force_at is None:
            item.force_at = self.now + GRACE

    def note_abort(self, sink: FakeTask) -> None:
        sink.abort_heard = True

    def note_cut(self, sink: FakeMap, abort: bool) -> None:
        if abort:  # of two cuts in the mail the core sees the later stop at once
            sink.abort_from = sink.abort_heard_from = min(sink.abort_from, sink.stop)

    def note_close(self, cancel: bool, abort: bool) -> None:
        self.cancel_heard |= cancel
        self.abort_heard |= abort

    def note_answered(self, number: int, *answer: Any) -> None:
        assert number not in self.dispatch.abandoned, "it ended, and counts as given up"

    note_answered_block = note_answered_tasks = note_answered

    def note_answered_each(self, answers: list[tuple[Any, ...]]) -> None:
        for number, *_ in answers:
            self.note_answered(number)

    def note_flush(self, trip: Trip) -> None:
        self.note_answered(trip.run.number)

    def note_ready(self, number: int) -> None:
        self.deaths_at_start = 0

    # -- what users do --

    def accept(self, sink: Any, count: int, opts: Options, plain: bool, first: int = 0) -> None:
        of_a_map = isinstance(sink, FakeMap)
        indexes = range(first, first + count)
        for index in indexes:
            self.new_item(sink, index, opts, plain)
        values = [self.items[sink.name, index].value for index in indexes]
        if of_a_map:
            batch = self.core_module.Batch(
                sink, None, values, opts, sink.name, first, plain=sink.blocks, loose=sink.loose
            )
        else:
            batch = self.core_module.Single(sink, None, *values, opts)
        self.accepted += 1
        self.post("submit", batch)

    def new_item(self, sink: Any, index: int, opts: Options, plain: bool) -> Item:
        item = self.items[sink.name, index] = Item(sink, index, opts, plain, (self.accepted, index))
        return item

    @step(pick=PICKS, opts=OPTIONS, of_a_map=NO_YES)
    def submit_unsendable(self, pick: int, opts: Options, of_a_map: bool) -> None:
        """What cannot be serialised is accepted, and fails unsent."""
        if of_a_map and self.open_maps:
            sink: Any = pick_from(self.open_maps, pick)
            index, sink.submitted = sink.submitted, sink.submitted + 1
            opts = sink.options
        elif self.closing:
            return
        else:
            sink, index = FakeTask(len(self.sinks)), 0
            self.sinks.append(sink)
        batch = self.core_module.Batch(sink, None, [None], opts, sink.name, index)
        self.new_item(sink, index, opts, True).unsendable = True
        self.post("fail", batch, SerializationError("not this"))

    @step(count=range(1, 7), opts=OPTIONS, plain=NO_YES)
    def submit_tasks(self, count: int, opts: Options, plain: bool) -> None:
        """Several at once, so that queues fill."""
        if self.closing:
            return
        for _ in range(count):
            self.sinks.append(FakeTask(len(self.sinks)))
            self.accept(self.sinks[-1], 1, opts, plain)

    @step(
        sizes=SIZES,
        opts=OPTIONS,
        plain=NO_YES,
        blocks=NO_YES,
        loose=NO_YES,
        ends=NO_YES,
    )
    def submit_map(
        self,
        sizes: tuple[int, ...],
        opts: Options,
        plain: bool,
        blocks: bool,
        loose: bool,
        ends: bool,
    ) -> None:
        """Batches of a map."""
        if self.closing:
            return
        sink = FakeMap(len(self.sinks), opts, plain, blocks, loose and not self.crews)
        self.sinks.append(sink)
        self.open_maps.append(sink)
        self.post("source_opened", sink)
        for size in sizes:
            self.submit_batch(sink, size)
        if ends:
            self.end_map(sink)

    def submit_batch(self, sink: FakeMap, size: int) -> None:
        """Where items run side by side, those travel alone that are looked at one by one."""
        alone = self.crews and (not sink.blocks or sink.options.time_limit is not None)
        for each in [1] * size if alone else [size]:
            self.accept(sink, each, sink.options, sink.plain, sink.submitted)
            sink.submitted += each

    def end_map(self, sink: FakeMap) -> None:
        self.open_maps.remove(sink)
        self.post("source_ended", sink)

    @step(pick=PICKS, size=range(1, 5), ends=NO_YES)
    def submit_more(self, pick: int, size: int, ends: bool) -> None:
        """A map that is open goes on, also while the executor is closing; some time it ends."""
        if self.open_maps:
            sink = pick_from(self.open_maps, pick)
            self.submit_batch(sink, size)
            if ends:
                self.end_map(sink)

    @step(pick=PICKS)
    def cancel(self, pick: int) -> None:
        """A pending task is cancelled: it must never start."""
        pending = [
            sink
            for sink in self.sinks
            if isinstance(sink, FakeTask)
            and not (sink.claimed or sink.cancelled or self.items[sink.name, 0].outcome)
        ]
        if pending:
            sink = pick_from(pending, pick)
            sink.cancelled = True
            self.post("cancelled", sink, sink.name)

    @step(pick=PICKS, stop=range(9), abort=NO_YES)
    def cut(self, pick: int, stop: int, abort: bool) -> None:
        maps = [sink for sink in self.sinks if isinstance(sink, FakeMap) and stop < sink.stop]
        if maps:
            sink = pick_from(maps, pick)
            sink.stop = stop
            if abort:
                sink.abort_from = stop
            self.post("cut", sink, abort)

    @step(pick=PICKS)
    def abort(self, pick: int) -> None:
        """A task that was started shall stop, whatever became of it meanwhile."""
        started = [
            sink
            for sink in self.sinks
            if isinstance(sink, FakeTask)
            and sink.claimed
            and self.items[sink.name, 0].options.abort
            and self.items[sink.name, 0].outcome is None
        ]
        if started:
            sink = pick_from(started, pick)
            sink.aborted = True
            self.post("abort", sink)

    @step(how=("clean", "cancel", "abort"), really=range(5))
    def close(self, how: str, really: int) -> None:
        """At any moment, but not too soon in most programs."""
        if really == 0:
            self.closing = True
            self.cancelling |= how != "clean"
            self.aborting |= how == "abort"
            self.post("close", how != "clean", how == "abort")

    # -- what workers do --

    def trips(self) -> list[Trip]:
        return [trip for worker in self.workers.values() for trip in worker.trips]

    def starting(self) -> list[int]:
        return [number for number, worker in self.workers.items() if not worker.ready]

    @step(pick=PICKS)
    def get_ready(self, pick: int) -> None:
        if self.starting():
            self.get_ready_now(pick_from(self.starting(), pick))

    def get_ready_now(self, number: int) -> None:
        self.workers[number].ready = True
        self.post("ready", number)

    @step(pick=PICKS, really=range(4))
    def fail_to_initialize(self, pick: int, really: int) -> None:
        if self.starting() and really == 0:
            number = pick_from(self.starting(), pick)
            del self.workers[number]
            self.over_workers.append(number)
            self.post("init_failed", number, ValueError("no set-up"))

    @step(pick=PICKS, really=range(2))
    def fail_to_start(self, pick: int, really: int) -> None:
        """There is nothing to start a worker with, at the moment."""
        if self.starting() and really == 0:
            self.fail_to_start_now(pick_from(self.starting(), pick))

    def fail_to_start_now(self, number: int) -> None:
        del self.workers[number]
        self.over_workers.append(number)
        self.post("spawn_failed", number, OSError("no more descriptors"))

    def note_spawn_failed(self, number: int, error: Any) -> None:
        self.paused_until = self.now + self.core_module.SPAWN_PAUSE
        nobody = not self.workers and not self.mail
        assert not (nobody and self.dispatch.queue), "nobody can run it, and it is not told"

    @step(times=range(1, 9))
    def fail_to_start_again(self, times: int) -> None:
        """Nor can those that are started instead."""
        for _ in range(times):
            self.deliver_all()
            if not self.starting():
                break
            self.fail_to_start_now(self.starting()[0])

    @step(pick=PICKS)
    def start_item(self, pick: int) -> None:
        able = [t for t in self.trips() if t.current is None and t.todo]
        if able:
            self.start(pick_from(able, pick))

    def start(self, trip: Trip) -> None:
        trip.current = trip.todo.popleft()
        item = self.item(trip.run, trip.current)
        assert not (isinstance(item.sink, FakeTask) and item.sink.cancelled), "cancelled, started"
        assert item.outcome is None, "settled, and started"
        item.starts += 1
        item.started_at = self.now
        item.limit_at = item.force_at = None
        item.warned = False
        if trip.aborted() and self.kills:
            self.force(item)  # it was told to stop before it began, and has begun all the same
        assert item.starts <= 1 + min(item.touched_deaths, item.options.rerun_lost), "run twice"
        if item.options.time_limit is not None:
            self.post("started", trip.run.number, trip.current)

    @step(pick=PICKS, obey=NO_YES, keep=NO_YES)
    def finish_item(self, pick: int, obey: bool, keep: bool) -> None:
        able = [t for t in self.trips() if t.current is not None and not t.waiting]
        if able:
            self.finish(pick_from(able, pick), obey, keep)

    def finish(self, trip: Trip, obey: bool, keep: bool = False) -> None:
        """An item is over; its outcome is handed over at once, or with later ones."""
        outcome = self.end_item(trip, obey)
        if not (keep and trip.todo and self.may_keep(trip, outcome)):
            self.hand_over(trip)
        if trip.abandoned:
            self.drop(trip)

    def end_item(self, trip: Trip, obey: bool) -> Any:
        """The item that runs is over: its outcome, which is kept."""
        assert trip.current is not None
        item = self.item(trip.run, trip.current)
        item.seconds = self.now - item.started_at
        outcome: Any = Success(item.value, seconds=item.seconds)
        if item.fails:
            outcome = Failure(ZeroDivisionError(*item.value), seconds=item.seconds)
        if trip.aborted() and obey and (self.kills or not item.plain):
            outcome = Failure(Interrupted(), seconds=item.seconds)
        trip.kept.append(outcome)
        trip.current = None
        return outcome

    @step(obey=NO_YES, late=NO_YES)
    def all_of_one_item_finish(self, obey: bool, late: bool) -> None:
        """Runs of one item end in one turn of a loop, which tells them as one."""
        ended: list[tuple[Trip, Any]] = []
        for trip in self.trips():
            if len(trip.run.batch) == 1 and trip.current is not None and not trip.waiting:
                self.end_item(trip, obey)
                ended.append((trip, trip.kept.pop()))
                if trip.abandoned:
                    self.drop(trip)
        self.post("tell_ended", ended)
        if not late:
            self.deliver_all()

    def tell_ended(self, ended: list[tuple[Trip, Any]]) -> None:
        """As a room of a loop: of crews the values, of all else the outcomes."""
        answers: list[tuple[Any, ...]] = []
        last = None
        for trip, outcome in ended:
            if trip.crew is None or not isinstance(outcome, Success):
                answers.append((trip.run.number, outcome))
                last = None
                continue
            if trip.crew is not last:
                answers.append((trip.crew.number, [], [], []))
                last = trip.crew
            _, offsets, values, seconds = answers[-1]
            offsets.append(trip.offset)
            values.append(outcome.value)
            seconds.append(outcome.seconds)
        self.dispatch.answered_each(answers, self.now)

    def note_tell_ended(self, ended: list[tuple[Trip, Any]]) -> None:
        for trip, outcome in ended:
            self.note_answered(trip.run.number, outcome)

    @step(opts=OPTIONS, late=NO_YES)
    def a_map_ends_in_one_turn(self, opts: Options, late: bool) -> None:
        """Its coroutines never wait."""
        self.submit_map((1, 1, 1), opts, plain=False, blocks=True, loose=False, ends=True)
        self.deliver_all()
        for number in self.starting():
            self.get_ready_now(number)
        self.deliver_all()
        for trip in self.trips():
            while trip.inbox:
                self.read(trip)
            if trip.current is None and trip.todo:
                self.start(trip)
        self.all_of_one_item_finish(obey=True, late=late)

    @step(
        opts=OPTIONS,
        sizes=((4,), (2, 3), (7,)),
        pick=PICKS,
        waits=NO_YES,
        then=("go on", "cut", "close", "abort"),
        really=range(2),
    )
    def items_run_side_by_side(
        self, opts: Options, sizes: tuple[int, ...], pick: int, waits: bool, then: str, really: int
    ) -> None:
        """Workers are there, a map comes, some of its items end; then something else happens."""
        if not self.crews:
            return
        self.come_to_rest()
        self.submit_tasks(self.max_workers, opts, plain=False)
        if waits:
            self.two_on_one_worker(pick, opts)
        else:
            self.come_to_rest()
        self.submit_map(sizes, opts, plain=False, blocks=True, loose=False, ends=True)
        self.all_goes_on(True)
        able = [t for t in self.trips() if t.current is not None and not t.waiting]
        ended = [t for t in able if t.crew is not None and not t.abandoned][:: 1 + pick % 3]
        for trip in ended:
            self.end_item(trip, obey=True)
        self.post("tell_ended", [(trip, trip.kept.pop()) for trip in ended])
        if then == "cut":
            self.cut(len(self.sinks) - 1, 0, True)
        elif then != "go on":
            self.close("abort" if then == "abort" else "clean", really)
        self.deliver_all()

    def two_on_one_worker(self, pick: int, opts: Options) -> None:
        """A task waits, another runs on its worker, and it goes on when all others are over."""
        self.all_goes_on(True)
        self.wait_in_a_task(pick)
        self.submit_tasks(1, opts, plain=False)
        self.deliver_all()
        for trip in self.trips():
            if trip.current is not None and not trip.waiting:
                self.finish(trip, True)
        self.want_back(pick)
        self.all_goes_on(True)

    def may_keep(self, trip: Trip, outcome: Any) -> bool:
        """A thread may keep whatever has no limit, a process no more than values."""
        if trip.run.batch.options.time_limit is not None:
            return False
        return not self.kills or (trip.run.batch.plain and isinstance(outcome, Success))

    def hand_over(self, trip: Trip) -> None:
        """A process sends what it has done; of a thread it is taken when the mail is read."""
        if trip.crew is not None:
            if trip.kept:
                self.post("tell_ended", [(trip, trip.kept.pop())])
            return
        if not self.kills:
            self.post("flush", trip)
            return
        for event, answer in self.answers(trip):
            self.post(event, trip.run.number, *answer)

    def flush(self, trip: Trip) -> None:
        for event, answer in self.answers(trip):
            getattr(self.dispatch, event)(trip.run.number, *answer, self.now)

    def answers(self, trip: Trip) -> list[tuple[str, Any]]:
        """What was kept, as the core is told: values in blocks, and failures between."""
        kept, trip.kept = trip.kept, []
        if trip.run.batch.single and kept and not self.kills:
            values = [out.value if isinstance(out, Success) else out for out in kept]
            seconds = [out.seconds if isinstance(out, Success) else None for out in kept]
            return [("answered_tasks", (values, seconds))]
        if not trip.run.batch.plain:
            return [("answered", (kept,))] if kept else []
        told: list[tuple[str, Any]] = []
        groups = [list(group) for _, group in groupby(kept, type)]
        if trip.run.batch.options.time_limit is not None:
            groups = [[outcome] for outcome in kept]  # the mean of some says nothing of a limit
        for outcomes in groups:
            if isinstance(outcomes[0], Success):
                mean = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
                told.append(("answered_block", ([o.value for o in outcomes], mean)))
            else:
                told.append(("answered", (outcomes,)))
        return told

    @step(pick=PICKS, count=range(1, 5), start=NO_YES)
    def run_on(self, pick: int, count: int, start: bool) -> None:
        """A worker runs some items before it hands them over."""
        able = [t for t in self.trips() if t.has_work() and not t.waiting]
        if able:
            self.run_on_in(pick_from(able, pick), count, start)

    def run_on_in(self, trip: Trip, count: int, start: bool = True) -> None:
        for _ in range(count):
            if trip.current is None and trip.todo:
                self.start(trip)
            if trip.current is not None:
                self.finish(trip, False, keep=True)
        if start and trip.todo:
            self.start(trip)

    @step(pick=PICKS)
    def hand_over_what_is_done(self, pick: int) -> None:
        """A moment is over: what was done is handed over, while the next runs."""
        able = [t for t in self.trips() if t.kept]
        if able:
            self.hand_over(pick_from(able, pick))

    def drop(self, trip: Trip) -> None:
        for worker in self.workers.values():
            if trip in worker.trips:
                worker.trips.remove(trip)

    @step(pick=PICKS)
    def read_what_it_was_told(self, pick: int) -> None:
        told = [trip for trip in self.trips() if trip.inbox]
        if told:
            self.read(pick_from(told, pick))

    @step(pick=PICKS)
    def wait_in_a_task(self, pick: int) -> None:
        """A task waits for others: it gives up its place."""
        able = [t for t in self.trips() if t.current is not None and not t.waiting]
        if able and not self.kills:
            trip = pick_from(able, pick)
            trip.waiting = True
            self.post("step_aside", trip.run.number)

    @step(pick=PICKS)
    def want_back(self, pick: int) -> None:
        """It wants its place again; until it has it, it does not go on."""
        able = [t for t in self.trips() if t.waiting and not t.asked_back]
        if able:
            self.ask_back(pick_from(able, pick))

    @step(pick=PICKS)
    def wait_again(self, pick: int) -> None:
        """A task whose wait has timed out goes on without its place, and waits for others."""
        able = [t for t in self.trips() if t.asked_back and not t.waits_again]
        if able:
            trip = pick_from(able, pick)
            trip.waits_again = True
            self.post("step_aside", trip.run.number)

    def ask_back(self, trip: Trip) -> None:
        trip.asked_back, trip.waits_again = True, False
        self.grants_due += 1

        def granted() -> None:
            assert trip.asked_back, "granted twice"
            trip.asked_back = False
            trip.waiting = trip.waits_again
            self.grants_due -= 1

        self.post("step_back", trip.run.number, granted)

    @step(pick=PICKS)
    def die(self, pick: int) -> None:
        if self.kills and self.workers:
            self.kill(pick_from(list(self.workers.values()), pick))

    def kill(self, worker: Worker) -> None:
        """A worker dies; what it had answered is in the mail, what it had touched is known.

        What it had kept is found with it.
        """
        for trip in worker.trips:
            if trip.kept:
                kept, trip.kept = trip.kept, []
                self.post("answered", trip.run.number, kept)
            if trip.current is not None:
                self.item(trip.run, trip.current).touched_deaths += 1
            elif trip.todo:
                self.item(trip.run, trip.todo[0]).near_deaths += 1
        touched = any(trip.current is not None for trip in worker.trips)
        del self.workers[worker.core.number]
        self.over_workers.append(worker.core.number)
        self.post("died", worker.core.number, touched, WorkerLostError)

    @step(pick=PICKS, what=OLD_NEWS)
    def old_news(self, pick: int, what: str) -> None:
        """News of what is over changes nothing."""
        over = self.over_workers if what in ("ready", "died", "gone") else self.over_runs()
        if not over:
            return
        rest: dict[str, tuple[Any, ...]] = {
            "answered": ([Success("old")],),
            "answered_block": (["old", "older"], 0.0),
            "answered_tasks": (["old"], [0.0]),
            "withdrawn": (1,),
            "started": (0,),
            "stopping": (0,),
            "died": (True, WorkerLostError),
            "step_back": (lambda: None,),
        }
        number = pick_from(over, pick)
        if what == "answered_each":
            self.post(what, [(number, Success("old")), (number, [0], ["old"], [0.0])])
        else:
            self.post(what, number, *rest.get(what, ()))

    def over_runs(self) -> list[int]:
        core = self.dispatch
        on = {*core.runs, *core.abandoned}
        for crew in core.crews.values():
            on |= set(range(crew.number, crew.number + len(crew.workers)))
        return [number for number in self.sent_runs if number not in on]

    @step(pick=PICKS)
    def leave(self, pick: int) -> None:
        able = [
            number for number, worker in self.workers.items() if worker.may_leave(self.aborting)
        ]
        if able:
            self.leave_now(pick_from(able, pick))

    def leave_now(self, number: int) -> None:
        del self.workers[number]
        self.over_workers.append(number)
        self.post("gone", number)

    # -- time and mail --

    @step(seconds=(0.001, 0.02, 0.3, 0.6, 1.1), busy=NO_YES)
    def time_passes(self, seconds: float, busy: bool = False) -> None:
        """The room looks at the clock when it asked to be woken, unless it is busy."""
        end = self.now + seconds
        while not busy and self.due() <= end:
            self.now = max(self.now, self.due())
            self.tick()
        self.now = end
        if not busy:
            self.check_times()

    @step()
    def sleep_to_the_deadline(self) -> None:
        """Nothing happens until the room is woken by its clock."""
        self.deliver_all()
        if self.due() < FOREVER:
            self.time_passes(max(0.0, self.due() - self.now))

    def due(self) -> float:
        due = self.dispatch.next_deadline()
        return FOREVER if due is None else due

    def tick(self) -> None:
        self.mail.appendleft(("tick", ()))
        self.deliver_one()
        assert self.due() > self.now, "it asks for the same tick again"
        self.check_times()

    def check_times(self) -> None:
        for trip in self.trips():
            if trip.current is not None and trip.run.cursor == trip.current:
                self.check_time(trip, self.item(trip.run, trip.current))

    def check_time(self, trip: Trip, item: Item) -> None:
        """Limits are kept, and what does not obey is ended by force."""
        if trip.run.number not in self.dispatch.runs:
            return
        if item.limit_at is not None and item.limit_at <= self.now:
            assert item.outcome is not None, "over its limit, and not settled"
            self.force(item)
        if item.force_at is not None and item.force_at <= self.now:
            assert trip.abandoned or item.warned, "past its grace, and alive"

    @step(count=range(1, 9))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.mail))):
            self.deliver_one()

    def deliver_all(self) -> None:
        self.deliver(len(self.mail))

    @step(start=NO_YES)
    def all_goes_on(self, start: bool) -> None:
        """The ordinary course of things, so that histories get somewhere."""
        self.deliver_all()
        for number in self.starting():
            self.get_ready_now(number)
        self.all_read()
        self.deliver_all()
        if start:
            for trip in self.trips():
                if trip.current is None and trip.todo:
                    self.start(trip)
            self.deliver_all()

    def all_read(self) -> None:
        for trip in self.trips():
            while trip.inbox:
                self.read(trip)

    @step(obey=NO_YES, late=NO_YES, next_too=NO_YES)
    def all_finish(self, obey: bool, late: bool, next_too: bool) -> None:
        """Every running item ends; its answer arrives, or is still on its way."""
        for trip in self.trips():
            if trip.current is not None and not trip.waiting:
                self.finish(trip, obey)
                if next_too and trip.todo:
                    self.start(trip)
        if not late:
            self.deliver_all()

    @step(pick=PICKS)
    def wait_and_let_others(self, pick: int) -> None:
        """A task waits, and the places are given anew."""
        self.all_goes_on(True)
        self.wait_in_a_task(pick)
        self.all_goes_on(True)

    @step(seconds=(0.02, 1.1))
    def time_passes_over_work(self, seconds: float) -> None:
        """Something runs while the clock goes on."""
        self.all_goes_on(True)
        self.time_passes(seconds)
        self.all_goes_on(True)
        self.time_passes(GRACE + 0.1)

    @step(opts=OPTIONS, really=PICKS)
    def begin_after_the_grace(self, opts: Options, really: int) -> None:
        """Workers are so late that the grace of a close is over when they begin."""
        self.all_finish(obey=True, late=False, next_too=False)
        self.submit_tasks(2, opts, False)
        self.deliver_all()
        for number in self.starting():
            self.get_ready_now(number)
        self.close("abort", really)
        self.sleep_to_the_deadline()
        self.time_passes_over_work(0.02)

    @step(pick=PICKS, seconds=(0.02, 0.6, 1.1))
    def wait_too_long(self, pick: int, seconds: float) -> None:
        """A task waits, and wants back, while others hold the places and the clock goes on."""
        self.wait_and_let_others(pick)
        self.want_back(pick)
        self.time_passes_over_work(seconds)

    @step(seconds=(0.001, 0.3, 0.6))
    def one_after_the_other(self, seconds: float) -> None:
        """The first items of batches end, and the next begin at once."""
        self.all_goes_on(True)
        self.time_passes(seconds)
        self.all_finish(obey=False, late=False, next_too=True)
        self.deliver_all()
        self.time_passes(seconds)

    @step(pick=PICKS, stop=range(4))
    def cut_in_passing(self, pick: int, stop: int) -> None:
        """A map is cut while the answer of one item is on its way, and the next runs."""
        self.all_goes_on(True)
        self.cut(pick, stop, True)
        self.all_finish(obey=False, late=False, next_too=True)

    @step(pick=PICKS, stop=range(9))
    def cut_before_the_next(self, pick: int, stop: int) -> None:
        """A map is cut when its next batch is about to be sent; the core is told after that."""
        self.all_goes_on(True)
        for trip in self.trips():
            if trip.has_work() and not trip.waiting:
                self.run_on_in(trip, 9, start=False)
        self.cut(pick, stop, False)
        self.deliver_all()

    @step(pick=PICKS, ahead=range(1, 4))
    def cut_what_runs_ahead(self, pick: int, ahead: int) -> None:
        """A map is cut, and the core does not know yet how far its workers are."""
        self.all_goes_on(True)
        for trip in self.trips():
            if trip.has_work() and not trip.waiting:
                self.run_on_in(trip, ahead)
        self.cut(pick, ahead, True)
        self.deliver_all()

    @step(really=range(2))
    def close_in_passing(self, really: int) -> None:
        """The same, by a close that aborts; then the grace passes."""
        if really:
            return
        self.all_goes_on(True)
        self.close("abort", 0)
        self.all_finish(obey=False, late=False, next_too=True)
        self.deliver_all()
        self.what_shall_stop_is_told()
        self.time_passes(GRACE + 0.1)
        self.time_passes(GRACE + 0.1)

    @step()
    def come_to_rest(self) -> None:
        """All is done, for the moment."""
        for _ in range(4):
            self.all_goes_on(True)
            self.all_finish(obey=True, late=False, next_too=False)

    @step(pick=PICKS, times=DEATHS)
    def die_before_work(self, pick: int, times: int) -> None:
        """Something was sent, and not touched, when its worker dies."""
        for _ in range(times):
            self.all_goes_on(False)
            self.die(pick)
        self.deliver_all()

    @step(pick=PICKS, times=range(1, 4))
    def die_over_work(self, pick: int, times: int) -> None:
        """Something runs when its worker dies."""
        for _ in range(times):
            self.all_goes_on(True)
            self.die(pick)

    @step(pick=PICKS, opts=OPTIONS, all_start=NO_YES)
    def die_behind_a_slow_item(self, pick: int, opts: Options, all_start: bool) -> None:
        """What comes back from a slow run goes before what comes back from a dead worker."""
        self.come_to_rest()
        self.submit_map((3, 3), opts, False, True, True, True)
        self.all_goes_on(all_start)
        self.start_item(pick)
        self.die(pick + 1)
        self.deliver_all()
        self.time_passes(0.02)
        self.all_read()
        self.deliver_all()
        self.all_goes_on(True)

    @step(times=DEATHS)
    def die_while_starting(self, times: int) -> None:
        """Workers that die before they are ready: not for ever."""
        for _ in range(times):
            self.deliver_all()
            if self.kills and self.starting():
                self.kill(self.workers[self.starting()[0]])
                self.deaths_at_start += 1
                self.deliver_all()
        if self.deaths_at_start >= self.core_module.UNTOUCHED_DEATHS:
            assert self.dispatch.broken is not None, "it starts workers for ever"

    # -- what must always be true --

    @always
    def never_more_than_allowed(self) -> None:
        running = [trip for trip in self.trips() if trip.holds_place()]
        assert len(running) <= self.max_workers, "more run than may"
        assert 0 <= self.dispatch.active <= self.max_workers

    @always
    def nobody_waits_beside_a_free_place(self) -> None:
        core = self.dispatch
        if self.mail or not core.queue:
            return
        if core.active < self.max_workers:
            assert not core.idle, "an idle worker beside a queue"
            leaving = [w for w in self.workers.values() if w.told_to_stop]
            if self.due() <= max(self.now, core._spawn_at):  # another will be started then
                assert not self.waiting_workers(), "those that wait could do it meanwhile"
                return
            assert self.starting() or leaving, "a free place, a queue, and nobody comes"
            free = self.max_workers - max(core.active, len(core.workers) - len(self.starting()))
            waiting = sum(map(len, core.queue)) if self.crews else len(core.queue)
            coming = min(waiting, free)
            assert len(self.starting()) >= coming, "workers come one after the other"

    def waiting_workers(self) -> list[Worker]:
        """Those whose tasks wait for others, so that they could run these."""
        alive = [w for w in self.workers.values() if w.ready and not w.core.leaving]
        return [
            w
            for w in alive
            if self.paused_until > self.now
            and w.core.crew is None
            and all(r.aside for r in w.core.runs)
        ]

    @always
    def nobody_wakes_for_nothing(self) -> None:
        if not self.dispatch.runs and not self.dispatch.workers:
            assert self.due() == FOREVER, "a deadline of what is over"

    @always
    def who_waits_holds_no_place(self) -> None:
        for trip in self.trips():
            if not self.mail and trip.waiting and trip.run.number in self.dispatch.runs:
                assert trip.run.aside, "it waits, and has a place"

    @always
    def waiting_tasks_get_free_places(self) -> None:
        core = self.dispatch
        if not self.mail and core.active < self.max_workers:
            assert self.grants_due == 0, "a free place, and a task waits for it"

    @always
    def slow_items_hold_nobody_up(self) -> None:
        if self.mail:
            return
        for trip in self.trips():
            late = trip.run.progress + self.core_module.PATIENCE * 2
            if trip.run.number in self.dispatch.runs and late < self.now:
                due = self.dispatch.next_deadline()
                held = trip.run.end - trip.run.cursor > 1
                asked = trip.run.withdrawing or (due is not None and due <= self.now)
                assert not held or asked, "something waits behind a slow item"

    @always
    def what_shall_stop_is_told(self) -> None:
        """No abort gets lost on its way: the item that runs is told, not the one that ran."""
        if self.mail:
            return
        for trip in self.trips():
            if trip.current is None or trip.run.number not in self.dispatch.runs:
                continue
            item = self.item(trip.run, trip.current)
            shall = self.abort_heard or self.must_stop(item)
            if shall and item.options.abort:
                told = trip.aborted() or trip.inbox or item.outcome or item.force_at is not None
                assert told, "it shall stop, and nobody tells it"
                if self.abort_heard and not self.kills:  # a plain function may have to be left
                    self.force(item)

    def must_stop(self, item: Item) -> bool:
        if isinstance(item.sink, FakeTask):
            return item.sink.abort_heard
        return item.index >= item.sink.abort_heard_from

    def teardown(self) -> None:
        """Let everything come to its end, and count."""
        if not hasattr(self, "dispatch"):
            return
        if self.close_first:  # and its maps go on: it waits for them
            self.closing = True
            self.post("close", False, False)
            self.settle_down()
        for sink in list(self.open_maps):
            self.submit_batch(sink, 1)
            self.end_map(sink)
        self.settle_down()
        if self.dispatch.limits.idle_timeout is not None:
            assert not self.workers, "idle workers stay"
        assert self.grants_due == 0, "somebody waits for a place for ever"
        missing = [item for item in self.items.values() if item.outcome is None]
        assert not missing, f"no outcome for {missing}"
        if not self.closing:  # else it closes by itself: a second word would hide that it does not
            self.closing = True
            self.post("close", False, False)
            self.settle_down()
        assert self.closed == 1, "it does not close"
        self.check_books()

    def check_books(self) -> None:
        core, outcomes = self.dispatch, [item.outcome for item in self.items.values()]
        assert core.done == sum(isinstance(o, Success) for o in outcomes), "the books are wrong"
        assert core.done + core.failed == len(outcomes), "the books do not balance"
        lost = [o for o in outcomes if isinstance(o, Failure)]
        assert core.lost == sum(isinstance(o.error, WorkerLostError) for o in lost), "lost?"
        assert not core.active, "places were lost"
        assert not core._asides, "places are missing"
        left = [core.queue, core.runs, core.crews, core.workers, core.idle, core.returning]
        assert not any(left), "something is left"

    def settle_down(self) -> None:
        """Everybody does what is to be done, until nothing is."""
        for _ in range(3000 + 20 * len(self.items)):  # an item may need a worker of its own
            if self.mail:
                self.deliver_one()
            elif not self.everybody_acts():
                due = self.dispatch.next_deadline()
                if due is None:
                    return
                self.time_passes(max(0.0, due - self.now))
        raise AssertionError("it never comes to rest")

    def everybody_acts(self) -> bool:
        acted = bool(self.starting())
        for number, worker in list(self.workers.items()):
            if not worker.ready:
                self.get_ready_now(number)
            for trip in list(worker.trips):
                acted |= self.trip_acts(trip)
            if worker.may_leave(self.aborting):
                self.leave_now(number)
                acted = True
        return acted

    def trip_acts(self, trip: Trip) -> bool:
        if trip.inbox:
            self.read(trip)
        elif trip.waiting:
            if trip.asked_back:
                return False
            self.ask_back(trip)
        elif trip.current is not None:
            self.finish(trip, True)
        elif trip.todo:
            self.start(trip)
        else:
            if trip.run.number not in self.dispatch.runs:
                self.drop(trip)
            return False
        return True


# -- the same without Hypothesis: less clever, and ten times as fast --


@cache
def all_steps() -> tuple[list[Any], list[Any]]:
    """The steps with their choices, and what must always be true."""
    members = [getattr(DispatchMachine, name) for name in dir(DispatchMachine)]
    return (
        [(m.__name__, m.choices) for m in members if hasattr(m, "choices")],
        [m.__name__ for m in members if hasattr(m, "always")],
    )


def walk(machine: DispatchMachine, random: Random, length: int) -> None:
    """A history of random steps, checked after each; it ends as a rule-based one does."""
    steps, invariants = all_steps()
    machine.begin(
        workers=random.randint(1, 4),
        kills=random.random() < 0.5,
        most=random.choice([None, None, 1, 2]),
        idle=random.choice([None, 0.2]),
        close_first=random.random() < 0.5,
        bundle=random.choice([1, 3, 8]),
        crews=random.random() < 0.5,
    )
    for _ in range(length):
        name, choices = random.choice(steps)
        getattr(machine, name)(**{key: random.choice(values) for key, values in choices.items()})
        for check in invariants:
            getattr(machine, check)()
    machine.teardown()
