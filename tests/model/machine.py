"""A stateful model of the decision core: fake workers, a fake clock, real decisions.

Whatever happens is put into a mailbox and delivered later, as in a real room: so answers come
late, workers die between any two steps, and cancels, limits and closings strike at any moment.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from unifexec import ExecutorClosedError, TimeLimitError, WorkerLostError
from unifexec._core import dispatch as real
from unifexec._core.options import Options
from unifexec._core.outcome import Failure, Success
from unifexec._running import Interrupted

picks = st.integers(0, 1000)
options = st.builds(
    Options,
    time_limit=st.sampled_from([None, None, 1.0]),
    rerun_lost=st.sampled_from([0, 1]),
    abort=st.sampled_from([True, True, False]),
)


class FakeTask:
    """A single task as a sink: it is claimed or cancelled, never both."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"task {number}"
        self.claimed = self.cancelled = False

    def claim_batch(self, batch: Any) -> int:
        self.claimed = self.claimed or not self.cancelled
        return int(self.claimed)


class FakeMap:
    """A map as a sink: it may want less than it asked for."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"map {number}"
        self.stop = 1 << 30
        self.submitted = 0

    def claim_batch(self, batch: Any) -> int:
        return max(0, min(len(batch), self.stop - batch.first))


class Trip:
    """A run in the hands of a fake worker."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.todo = deque(range(len(run.batch)))
        self.current: int | None = None
        self.aborted = False
        self.waiting = False  # its task gave up its place
        self.asked_back = False
        self.abandoned = False

    def has_work(self) -> bool:
        return self.current is not None or bool(self.todo)


class Worker:
    """A fake worker: dead or alive, with the trips it was given."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.ready = False
        self.told_to_stop = False
        self.trips: list[Trip] = []


class DispatchMachine(RuleBasedStateMachine):
    """Rules that do what a room, its workers and its users may do."""

    core_module: Any = real

    @initialize(workers=st.integers(1, 3), kills=st.booleans(), most=st.sampled_from([None, 1]))
    def begin(self, workers: int, kills: bool, most: int | None) -> None:
        """A new executor: of processes, which can be killed, or of threads, which cannot."""
        limits = self.core_module.Limits(
            workers, grace=0.5, max_abandoned=None if kills else 1, max_tasks_per_child=most
        )
        self.dispatch = self.core_module.Dispatch(limits)
        self.max_workers, self.kills = workers, kills
        self.now = 0.0
        self.mail: deque[Any] = deque()
        self.workers: dict[int, Worker] = {}
        self.sinks: list[Any] = []
        self.accepted: set[Any] = set()
        self.outcomes: dict[Any, Any] = {}
        self.starts: dict[Any, int] = {}
        self.touched_deaths: dict[Any, int] = {}
        self.near_deaths: dict[Any, int] = {}
        self.limited: dict[Any, float] = {}
        self.last_first_send = -1
        self.sent_before: set[FakeTask] = set()  # those that were sent once: they may come again
        self.open_maps: set[Any] = set()
        self.grants_due = 0
        self.closed = 0
        self.closing = False
        self.broken = False

    # -- the room --

    def post(self, event: str, *args: Any) -> None:
        self.mail.append((event, args))

    def deliver_one(self) -> None:
        event, args = self.mail.popleft()
        getattr(self.dispatch, event)(*args, self.now)
        if event == "started":
            self.note_limit(*args)
        for name, *rest in self.dispatch.take_actions():
            getattr(self, "do_" + name)(*rest)

    def note_limit(self, number: int, offset: int) -> None:
        run = self.dispatch.runs.get(number)
        if run is not None and run.cursor == offset and run.batch.options.time_limit:
            key = (run.batch.sink, run.batch.first + offset)
            self.limited[key] = self.now + run.batch.options.time_limit

    def do_spawn(self, worker: Any) -> None:
        assert worker.number not in self.workers
        alive = [w for w in self.workers.values() if not w.told_to_stop]
        assert len(alive) < self.max_workers, "more workers than allowed"
        assert worker.index not in [w.core.index for w in alive], "an index used twice"
        self.workers[worker.number] = Worker(worker)

    def do_send(self, run: Any) -> None:
        worker = self.workers.get(run.worker.number)
        sink = run.batch.sink
        if isinstance(sink, FakeTask) and sink not in self.sent_before:
            assert sink.number > self.last_first_send, "not first in first out"
            self.last_first_send = sink.number
            self.sent_before.add(sink)
        if isinstance(sink, FakeMap):
            assert run.batch.first + len(run.batch) <= sink.stop, "sent what is not wanted"
        if worker is None:
            assert run.worker.number in self.dead_but_unknown(), "sent to nobody"
            return
        assert worker.ready, "sent to a worker that is not ready"
        assert not worker.told_to_stop, "sent to a worker that is leaving"
        busy = [t for t in worker.trips if t.has_work() and not t.abandoned and not t.waiting]
        assert not busy, "sent to a busy worker"
        most = self.dispatch.limits.max_tasks_per_child
        stays = any(trip.waiting for trip in worker.trips)  # then others must run beside it
        assert most is None or stays or worker.core.tasks < most, "sent beyond its share"
        worker.trips.append(Trip(run))

    def dead_but_unknown(self) -> set[int]:
        return {args[0] for event, args in self.mail if event == "died"}

    def trip_of(self, run: Any) -> Trip | None:
        worker = self.workers.get(run.worker.number)
        for trip in worker.trips if worker else ():
            if trip.run is run:
                return trip
        return None

    def do_withdraw(self, run: Any) -> None:
        trip = self.trip_of(run)
        if trip is not None:
            count = len(trip.todo)
            trip.todo.clear()
            self.post("withdrawn", run.number, count)

    def do_abort(self, run: Any) -> None:
        trip = self.trip_of(run)
        if trip is not None:
            trip.aborted = True
            self.post("stopping", run.number, run.cursor)

    def do_discard(self, run: Any) -> None:
        trip = self.trip_of(run)
        if trip is None:
            return
        if self.kills:
            if trip.current == run.cursor:
                self.kill(self.workers[run.worker.number])
        else:
            trip.abandoned = True
            trip.todo.clear()
            self.post("discarded", run.number)

    def do_stop(self, worker: Any) -> None:
        assert not worker.runs, "told to leave over its work"
        if worker.number in self.workers:
            self.workers[worker.number].told_to_stop = True

    def do_grant(self, granted: Any) -> None:
        granted()

    def do_warn(self, text: str) -> None:
        assert len(self.dispatch.abandoned) >= 1

    def do_broken(self, error: Any) -> None:
        self.broken = True

    def do_closed(self) -> None:
        self.closed += 1
        assert self.closed == 1, "closed twice"
        assert self.closing, "closed without being asked"
        assert not self.workers, "closed with workers alive"
        assert self.accepted_and_delivered() <= self.outcomes.keys(), "closed with work left"

    def accepted_and_delivered(self) -> set[Any]:
        waiting = {
            (args[0].sink, args[0].first + offset)
            for event, args in self.mail
            if event == "submit"
            for offset in range(len(args[0]))
        }
        return self.accepted - waiting

    def do_settle(self, sink: Any, index: int, outcome: Any) -> None:
        key = (sink, index)
        if isinstance(sink, FakeTask) and sink.cancelled:
            assert not sink.claimed, "cancelled and claimed"
            self.outcomes[key] = outcome  # told at once, and dropped when its turn comes
            return
        assert key in self.accepted, "an outcome for nobody"
        assert key not in self.outcomes, "two outcomes"
        self.outcomes[key] = outcome
        error = outcome.error if isinstance(outcome, Failure) else None
        assert not isinstance(error, ExecutorClosedError), "accepted, and refused"
        if isinstance(error, TimeLimitError):
            assert self.limited[key] <= self.now, "over a limit that was not its own"
        if isinstance(outcome, Failure) and isinstance(outcome.error, WorkerLostError):
            reruns = outcome.error.reruns  # type: ignore[attr-defined]
            near = self.near_deaths.get(key, 0) >= self.core_module.UNTOUCHED_DEATHS
            assert near or self.touched_deaths.get(key, 0) == reruns + 1, (
                "lost for no death of its own"
            )

    # -- what users do --

    def accept(self, sink: Any, count: int, opts: Options, first: int = 0) -> None:
        batch = self.core_module.Batch(sink, None, list(range(count)), opts, sink.name, first)
        self.accepted |= {(sink, first + offset) for offset in range(count)}
        self.post("submit", batch)

    @rule(count=st.integers(1, 6), opts=options)
    def submit_tasks(self, count: int, opts: Options) -> None:
        """Several at once, so that queues fill."""
        if self.closing:
            return
        for _ in range(count):
            sink = FakeTask(len(self.sinks))
            self.sinks.append(sink)
            self.accept(sink, 1, opts)

    @rule(
        sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3), opts=options, ends=st.booleans()
    )
    def submit_map(self, sizes: list[int], opts: Options, ends: bool) -> None:
        """Batches of a map."""
        if self.closing:
            return
        sink = FakeMap(len(self.sinks))
        self.sinks.append(sink)
        self.open_maps.add(sink)
        self.post("source_opened", sink)
        for size in sizes:
            self.accept(sink, size, opts, sink.submitted)
            sink.submitted += size
        if ends:
            self.end_map(sink)

    @rule(pick=picks, size=st.integers(1, 4), opts=options)
    def submit_more(self, pick: int, size: int, opts: Options) -> None:
        """A map that is open goes on, also while the executor is closing."""
        if self.open_maps:
            ordered = sorted(self.open_maps, key=lambda sink: sink.number)
            sink = ordered[pick % len(ordered)]
            self.accept(sink, size, opts, sink.submitted)
            sink.submitted += size

    def end_map(self, sink: Any) -> None:
        self.open_maps.discard(sink)
        self.post("source_ended", sink)

    @rule(pick=picks)
    def end_some_map(self, pick: int) -> None:
        if self.open_maps:
            self.end_map(
                sorted(self.open_maps, key=lambda sink: sink.number)[pick % len(self.open_maps)]
            )

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        """A pending task is cancelled: it must never start."""
        pending = [s for s in self.sinks if isinstance(s, FakeTask) and not s.claimed]
        if pending:
            sink = pending[pick % len(pending)]
            if not sink.cancelled and (sink, 0) not in self.outcomes:
                sink.cancelled = True
                self.post("cancelled", sink, sink.name)

    @rule(pick=picks, stop=st.integers(0, 8), abort=st.booleans())
    def cut(self, pick: int, stop: int, abort: bool) -> None:
        maps = [s for s in self.sinks if isinstance(s, FakeMap)]
        if maps:
            sink = maps[pick % len(maps)]
            sink.stop = min(stop, sink.stop)
            self.post("cut", sink, abort)

    @rule(pick=picks)
    def abort(self, pick: int) -> None:
        trips = [t for t in self.trips() if t.run.batch.options.abort]
        if trips:
            self.post("abort", trips[pick % len(trips)].run.batch.sink)

    @rule(cancel=st.booleans(), abort=st.booleans(), really=st.integers(0, 2))
    def close(self, cancel: bool, abort: bool, really: int) -> None:
        """At any moment, but not too soon in most programs."""
        if really == 0:
            self.closing = True
            self.post("close", cancel, abort)

    # -- what workers do --

    def trips(self) -> list[Trip]:
        return [trip for worker in self.workers.values() for trip in worker.trips]

    @rule(pick=picks)
    def get_ready(self, pick: int) -> None:
        starting = [n for n, w in self.workers.items() if not w.ready]
        if starting:
            number = starting[pick % len(starting)]
            self.workers[number].ready = True
            self.post("ready", number)

    @rule(pick=picks, really=st.integers(0, 3))
    def fail_to_initialize(self, pick: int, really: int) -> None:
        starting = [n for n, w in self.workers.items() if not w.ready]
        if starting and really == 0:
            number = starting[pick % len(starting)]
            del self.workers[number]
            self.post("init_failed", number, ValueError("no set-up"))

    @rule(pick=picks)
    def start_item(self, pick: int) -> None:
        able = [t for t in self.trips() if t.current is None and t.todo]
        if able:
            self.start(able[pick % len(able)])

    def start(self, trip: Trip) -> None:
        trip.current = trip.todo.popleft()
        batch = trip.run.batch
        key = (batch.sink, batch.first + trip.current)
        assert not (isinstance(batch.sink, FakeTask) and batch.sink.cancelled), "cancelled, started"
        self.starts[key] = self.starts.get(key, 0) + 1
        deaths = self.touched_deaths.get(key, 0)
        assert self.starts[key] <= 1 + min(deaths, batch.options.rerun_lost), "run twice"
        if batch.options.time_limit is not None:
            self.post("started", trip.run.number, trip.current)

    @rule(pick=picks, obey=st.booleans())
    def finish_item(self, pick: int, obey: bool) -> None:
        able = [t for t in self.trips() if t.current is not None and not t.waiting]
        if able:
            self.finish(able[pick % len(able)], obey)

    def finish(self, trip: Trip, obey: bool) -> None:
        outcome: Any = Success(trip.current)
        if trip.aborted and obey:
            outcome = Failure(Interrupted())
        self.post("answered", trip.run.number, [outcome])
        trip.current, trip.aborted = None, False
        if trip.abandoned:
            self.drop(trip)

    def drop(self, trip: Trip) -> None:
        for worker in self.workers.values():
            if trip in worker.trips:
                worker.trips.remove(trip)

    @rule(pick=picks)
    def wait_in_a_task(self, pick: int) -> None:
        """A task waits for others: it gives up its place."""
        able = [
            t for t in self.trips() if t.current is not None and not t.waiting and not t.abandoned
        ]
        if able and not self.kills:
            trip = able[pick % len(able)]
            trip.waiting = True
            self.post("step_aside", trip.run.number)

    @rule(pick=picks)
    def want_back(self, pick: int) -> None:
        """It wants its place again; until it has it, it does not go on."""
        able = [t for t in self.trips() if t.waiting and not t.asked_back]
        if able:
            self.ask_back(able[pick % len(able)])

    def ask_back(self, trip: Trip) -> None:
        trip.asked_back = True
        self.grants_due += 1

        def granted() -> None:
            assert trip.asked_back, "granted twice"
            trip.waiting = trip.asked_back = False
            self.grants_due -= 1

        self.post("step_back", trip.run.number, granted)

    @rule(pick=picks)
    def die(self, pick: int) -> None:
        if self.kills and self.workers:
            numbers = sorted(self.workers)
            self.kill(self.workers[numbers[pick % len(numbers)]])

    def kill(self, worker: Worker) -> None:
        """A worker dies; what it had answered is in the mail, what it had touched is known."""
        number = worker.core.number
        touched = False
        for trip in worker.trips:
            if trip.current is None and trip.todo:  # it had this one, and had not begun it
                key = (trip.run.batch.sink, trip.run.batch.first + trip.todo[0])
                self.near_deaths[key] = self.near_deaths.get(key, 0) + 1
            if trip.current is not None:
                touched = True
                key = (trip.run.batch.sink, trip.run.batch.first + trip.current)
                self.touched_deaths[key] = self.touched_deaths.get(key, 0) + 1
        del self.workers[number]
        reruns = [t.run.batch.options.rerun_lost for t in worker.trips if t.has_work()] or [0]

        def reason(what: str) -> WorkerLostError:
            error = WorkerLostError(what)
            error.reruns = reruns[0]  # type: ignore[attr-defined]
            return error

        self.post("died", number, touched, reason)

    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        able = [
            n
            for n, w in self.workers.items()
            if w.told_to_stop and not any(t.has_work() and not t.abandoned for t in w.trips)
        ]
        if able:
            number = able[pick % len(able)]
            del self.workers[number]
            self.post("gone", number)

    # -- time and mail --

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 0.6, 1.1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.mail.appendleft(("tick", ()))
        self.deliver_one()
        for key, deadline in self.limited.items():
            if deadline <= self.now and self.is_running(key):
                assert key in self.outcomes, "over its limit, and not settled"

    def is_running(self, key: Any) -> bool:
        return any(
            trip.current is not None
            and (trip.run.batch.sink, trip.run.batch.first + trip.current) == key
            and trip.run.cursor == trip.current
            and trip.run.number in self.dispatch.runs
            for trip in self.trips()
        )

    @rule(count=st.integers(1, 8))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.mail))):
            self.deliver_one()

    @rule(start=st.booleans())
    def all_goes_on(self, start: bool) -> None:
        """The ordinary course of things, so that histories get somewhere."""
        self.deliver(len(self.mail))
        for number, worker in self.workers.items():
            if not worker.ready:
                self.get_ready_now(number)
        self.deliver(len(self.mail))
        if start:
            for trip in self.trips():
                if trip.current is None and trip.todo:
                    self.start(trip)
            self.deliver(len(self.mail))

    @rule(obey=st.booleans(), late=st.booleans())
    def all_finish(self, obey: bool, late: bool) -> None:
        """Every running item ends; its answer arrives, or is still on its way."""
        for trip in self.trips():
            if trip.current is not None and not trip.waiting:
                self.finish(trip, obey)
        if not late:
            self.deliver(len(self.mail))

    @rule(pick=picks)
    def wait_and_let_others(self, pick: int) -> None:
        """A task waits, and the places are given anew."""
        self.all_goes_on(True)
        self.wait_in_a_task(pick)
        self.all_goes_on(True)

    @rule(pick=picks, seconds=st.sampled_from([0.02, 1.1]))
    def time_passes_over_work(self, pick: int, seconds: float) -> None:
        """Something runs while the clock goes on."""
        self.all_goes_on(True)
        self.time_passes(seconds)
        self.all_goes_on(True)
        self.time_passes(0.6)

    @rule(pick=picks)
    def die_before_work(self, pick: int) -> None:
        """Something was sent, and not touched, when its worker dies."""
        self.all_goes_on(False)
        self.die(pick)
        self.all_goes_on(False)

    @rule(pick=picks)
    def die_over_work(self, pick: int) -> None:
        """Something runs when its worker dies."""
        self.all_goes_on(True)
        self.die(pick)

    # -- what must always be true --

    @invariant()
    def never_more_than_allowed(self) -> None:
        if not hasattr(self, "dispatch"):
            return
        running = [t for t in self.trips() if t.current is not None and not t.waiting]
        abandoned = [t for t in running if t.abandoned]
        assert len(running) - len(abandoned) <= self.max_workers, "more run than may"
        assert 0 <= self.dispatch.active <= self.max_workers

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        if not hasattr(self, "dispatch") or self.mail or self.broken:
            return
        core = self.dispatch
        if core.queue and core.active < self.max_workers:
            assert not core.idle, "an idle worker beside a queue"
            starting = [w for w in self.workers.values() if not w.ready]
            leaving = [w for w in self.workers.values() if w.told_to_stop]
            assert starting or leaving, "a free place, a queue, and nobody comes"

    @invariant()
    def slow_items_hold_nobody_up(self) -> None:
        if not hasattr(self, "dispatch") or self.mail:
            return
        for trip in self.trips():
            late = trip.run.progress + self.core_module.PATIENCE * 2
            if trip.run.number in self.dispatch.runs and late < self.now:
                due = self.dispatch.next_deadline()
                held = trip.run.end - trip.run.cursor > 1
                assert not held or trip.run.withdrawing or (due is not None and due <= self.now)

    def teardown(self) -> None:
        """Let everything come to its end, and count."""
        if not hasattr(self, "dispatch"):
            return
        for sink in list(self.open_maps):
            self.end_map(sink)
        self.settle_down()
        assert self.grants_due == 0 or self.broken, "somebody waits for a place for ever"
        missing = self.accepted - self.outcomes.keys()
        assert not missing, f"no outcome for {missing}"
        self.closing = True
        self.post("close", False, False)
        self.settle_down()
        assert self.closed == 1, "it does not close"
        dispatch = self.dispatch
        assert dispatch.done + dispatch.failed == len(self.accepted), "the books do not balance"

    def settle_down(self) -> None:
        """Everybody does what is to be done, until nothing is."""
        for _ in range(3000):
            if self.mail:
                self.deliver_one()
                continue
            if self.everybody_acts():
                continue
            due = self.dispatch.next_deadline()
            if due is None:
                return
            self.now = max(self.now, due)
            self.mail.append(("tick", ()))
        raise AssertionError("it never comes to rest")

    def everybody_acts(self) -> bool:
        acted = False
        for number, worker in list(self.workers.items()):
            if not worker.ready:
                self.get_ready_now(number)
                acted = True
            for trip in list(worker.trips):
                acted |= self.trip_acts(trip)
            if worker.told_to_stop and not any(
                t.has_work() and not t.abandoned for t in worker.trips
            ):
                del self.workers[number]
                self.post("gone", number)
                acted = True
        return acted

    def get_ready_now(self, number: int) -> None:
        self.workers[number].ready = True
        self.post("ready", number)

    def trip_acts(self, trip: Trip) -> bool:
        if trip.waiting:
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
