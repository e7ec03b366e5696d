"""Decisions: what runs where, what became of it, and when it ends. Events in, actions out.

`Dispatch` is told what happened (`submit`, `ready`, `answered`, `died`, `tick`, …) and
answers with *actions*, tuples of a name and its arguments, that its backend performs in
order (`_backends/room.py` lists them). It knows no thread, pipe, loop or clock: the time is
handed in. So it can be tested to death with fake workers and a fake clock.

The road of every task::

    submit -> queued -> sent to a worker -> answered -> settled
                 ^                 |------> its worker died -> lost, or queued again
                 |---- withdrawn --|------> over its limit, or aborted -> stopped

Words: a *batch* is what travels together (a single task is a batch of one, a *bundle* is made
of single tasks that wait); a *run* is one batch on one worker; its *cursor* is the item that
runs now. Items run in order, and each is answered before the next starts. A *crew* is many runs
of one item each, written as one. A run whose task waits for other tasks is *aside*: it gave up
its place, so that at most ``max_workers`` runs are *active*.

Rules, by number of the contract: L2 first in, first out (`_assign`); L3 one outcome
(`_settle`, the only way out); L8, L14, L15 what may still start (`sink.claim_batch`, `cut`); L10
what is behind a slow item does not wait for it (`_withdraw`); L16 limits and stopping
(`_over_limit`, `_stop`, `_insist`); L18 places (`step_aside`, `step_back`); L20, L21 closing
(`close`, `_maybe_end`); L22 lost workers (`died`, `init_failed`,
`spawn_failed`, `broke_down`).
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from itertools import islice

from unifexec._core import batching, verdicts
from unifexec._core.batches import NOBODY, Bundle, Nobody, Single
from unifexec._core.outcome import Failure, Success
from unifexec._core.runs import Crew, Run, Worker
from unifexec._running import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from unifexec._core.batches import Batch, Sink
    from unifexec._core.runs import Limits
    from unifexec._core.verdicts import Why
    from unifexec.errors import WorkerLostError

    Action: TypeAlias = tuple[Any, ...]

PATIENCE = 0.02  # seconds an item may run before those behind it are taken back
# Long against what a withdrawal costs, short against what a person notices. Measured: tasks of 0.1
# to 20 ms in two processes took 1.05 times what `multiprocessing.Pool` takes with 10 ms, and 1.02.

_NO_BOUND = 1 << 62

UNTOUCHED_DEATHS = 10  # workers in a row that may die over nothing we gave them to do
# Then it is no accident: they die of being set up, or of what they are about to read.

FEW_DEADLINES = 1000  # below that, those that were kept may stay: they cost little memory
LOOKED_AT = 100  # batches that are looked into, to know how many places those that wait need
SPAWN_PAUSE = 0.1  # seconds before another worker is started where one could not be


class Dispatch:
    """The decision core of one executor. Not thread-safe: one thread decides at a time."""

    def __init__(self, limits: Limits, bundles: bool = True, crews: bool = False) -> None:
        self.limits = limits
        self.bundles = bundles  # tasks that wait may travel together
        self.crews: dict[int, Crew] = {}
        self._has_crews = crews  # items that come together run side by side
        self.queue: deque[Batch] = deque()
        self.workers: dict[int, Worker] = {}
        self.idle: list[Worker] = []
        self.runs: dict[int, Run] = {}
        self.active: int = 0  # runs that hold a place
        self._asides = 0  # runs that gave theirs up
        self.returning: deque[Run] = deque()  # they waited, and want a place again
        self.sources: set[Sink] = set()  # maps that may still submit
        self.closing: bool = False
        self._cancelling = False  # closing, and what has not started shall not
        self._aborting = False  # and what has started shall stop
        self.ended: bool = False
        self.broken: BaseException | None = None  # what the initializer failed with
        self.abandoned: set[int] = set()  # runs that were given up and still go on
        self.done: int = 0
        self.failed: int = 0
        self.lost: int = 0
        self._actions: list[Action] = []
        self._deadlines: list[tuple[float, int, str, int, int]] = []
        self._crowd = FEW_DEADLINES  # from how many on they are looked through
        self._numbers = 0
        self._starting = 0
        self._spawn_at = 0.0  # no worker is started before
        self._free_indexes: list[int] = []
        self._untouched_deaths = 0
        self._seconds: float | None = None  # that a task takes, in the mean

    # -- what the backend asks --

    def take_actions(self) -> list[Action]:
        """The actions decided since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    def next_deadline(self) -> float | None:
        """When `tick` must be called at the latest."""
        while self._deadlines and self._is_past(*self._deadlines[0][2:]):
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def _is_past(self, what: str, number: int, offset: int) -> bool:
        """Whether a deadline was kept: most are, and nobody need wake for them."""
        if what == "leave":
            return number not in self.workers
        if what == "idle":
            worker = self.workers.get(number)
            return worker is None or worker.tasks != offset
        if what == "spawn":
            return not self.workers
        run = self.runs.get(number)
        return run is None or run.cursor != offset

    # -- events: work comes and goes --

    def submit(self, batch: Batch, now: float) -> None:
        """A batch was accepted."""
        self.submit_all([batch], now)

    def submit_all(self, batches: list[Batch], now: float) -> None:
        """Batches were accepted, in this order."""
        refusal = self._refusal()
        if refusal is None:
            self.queue.extend(batches)
            self._assign(now)
            return
        for batch in batches:
            self._fail(batch, refusal)

    def _refusal(self) -> Why | None:
        """What becomes of a batch that cannot run any more."""
        if self.broken is not None:
            return verdicts.not_set_up(self.broken)
        if self.ended:
            return verdicts.closed
        return verdicts.cancelled if self._cancelling else None

    def source_opened(self, sink: Sink, now: float) -> None:
        """A map began: it may submit even while the executor is closing."""
        self.sources.add(sink)

    def source_ended(self, sink: Sink, now: float) -> None:
        """A map will submit no more."""
        self.sources.discard(sink)
        self._maybe_end(now)

    def started(self, number: int, offset: int, now: float) -> None:
        """An item of a run started; told at least for items with a time limit."""
        run = self.runs.get(number)
        if run is None or run.cursor != offset:
            return
        limit = run.batch.options.time_limit
        if limit is not None:
            self._remind(now + limit, "limit", number, offset)

    def answered(self, number: int, outcomes: list[Any], now: float) -> None:
        """Items of a run were answered, in order."""
        if number in self.abandoned:  # given up, but it ended after all
            self.abandoned.discard(number)
            return
        run = self.runs.get(number)
        if run is None:  # a late answer: what it answers was settled otherwise
            return
        for outcome in outcomes:
            self._answer_item(run, outcome)
        run.progress = now
        self._go_on(run, now)

    def answered_each(self, answers: list[tuple[Any, ...]], now: float) -> None:
        """Runs of one item each were answered: their numbers, and the outcomes.

        Of items of a crew that succeeded one after the other its number, and their offsets, values
        and seconds. The same as `answered` for all in turn, but what runs next is decided once.
        """
        for number, *answer in answers:
            if len(answer) == 1:
                self._answer_run(number, answer[0], now)
            elif (crew := self.crews.get(number)) is not None:
                self._answer_crew(crew, *answer)
            else:  # it was written out
                for offset, value, seconds in zip(*answer, strict=True):
                    self._answer_run(number + offset, Success(value, seconds=seconds), now)
        self._assign(now)

    def _answer_run(self, number: int, outcome: Any, now: float) -> None:
        run = self._run(number)
        if run is None:
            self.abandoned.discard(number)
            return
        self._answer_item(run, outcome)
        self._end(run, now)

    def _answer_crew(
        self, crew: Crew, offsets: list[int], values: list[Any], seconds: list[float]
    ) -> None:
        """As `_end` for each; its workers run nothing else, and stay."""
        workers, rest = crew.workers, self.idle.append
        for offset, each in zip(offsets, seconds, strict=True):
            worker, workers[offset] = workers[offset], None
            worker.crew = None
            worker.busy_seconds += each
            rest(worker)
        count = len(offsets)
        self.done += count
        self.active -= count
        crew.left -= count
        if not crew.left:
            del self.crews[crew.number]
        self._settle_crew(crew.batch, offsets, values, sum(seconds) / count)

    def _settle_crew(
        self, batch: Batch, offsets: list[int], values: list[Any], seconds: float
    ) -> None:
        """Hand over values; those of items that follow each other as one block."""
        gaps = [at for at in range(1, len(offsets)) if offsets[at] != offsets[at - 1] + 1]
        for begin, end in zip([0, *gaps], [*gaps, len(offsets)], strict=True):
            first = batch.first + offsets[begin]
            self._actions.append(("settle_block", batch.sink, first, values[begin:end], seconds))

    def _run(self, number: int) -> Run | None:
        """A run by its number, by itself, though it may have been in a crew."""
        run = self.runs.get(number)
        if run is None and self.crews:
            for crew in self.crews.values():
                if 0 <= number - crew.number < len(crew.workers):
                    self._write_out(crew)
                    return self.runs.get(number)
        return run

    def write_out_crews(self, sink: Sink | None = None) -> None:
        """Of one sink, or all of them: something is to be done to each of their items."""
        for crew in list(self.crews.values()):
            if sink is None or crew.batch.sink is sink:
                self._write_out(crew)

    def _write_out(self, crew: Crew) -> None:
        """Its items that are not answered go on, each as a run of its own."""
        del self.crews[crew.number]
        for offset, worker in enumerate(crew.workers):
            if worker is not None:
                batch = crew.batch.part(offset, offset + 1)
                run = Run(crew.number + offset, worker, batch, crew.progress)
                run.carried = crew.carried[offset] if crew.carried else None  # not sent yet
                self.runs[run.number] = run
                worker.runs.append(run)
                worker.crew = None

    def _count(self, run: Run, items: int, seconds: float) -> None:
        """So many items of a run succeeded, in so many seconds each."""
        self.done += items
        self._seconds = batching.observe(self._seconds, seconds)
        run.worker.busy_seconds += seconds * items
        run.cursor += items
        run.stopping = False

    def answered_block(self, number: int, values: list[Any], seconds: float, now: float) -> None:
        """Items of a plain run succeeded, in order, in so many seconds each.

        The same as `answered`, but deciding costs as much for all as for one.
        """
        run = self._undisturbed(number)
        if run is None:
            self.answered(number, [Success(value, seconds=seconds) for value in values], now)
            return
        first = run.batch.first + run.cursor
        self._actions.append(("settle_block", run.batch.sink, first, values, seconds))
        self._count(run, len(values), seconds)
        run.progress = now
        self._go_on(run, now)

    def _undisturbed(self, number: int) -> Run | None:
        """A run whose answers mean what they say; others are looked at one by one."""
        run = self.runs.get(number)
        return None if run is None or run.batch.options.time_limit is not None else run

    def answered_tasks(
        self, number: int, values: list[Any], seconds: list[float | None], now: float
    ) -> None:
        """Single tasks of a run were answered: their values, and the seconds of each.

        Of one that failed, its `Failure` and None. The same as `answered`, at less cost.
        """
        run = self._undisturbed(number)
        if run is None:
            self.answered(number, list(map(_outcome_of, values, seconds)), now)
            return
        if None in seconds:
            begin = 0
            for end in [offset for offset, each in enumerate(seconds) if each is None]:
                self._settle_tasks(run, values[begin:end], seconds[begin:end])
                self._answer_item(run, values[end])
                begin = end + 1
            values, seconds = values[begin:], seconds[begin:]
        self._settle_tasks(run, values, seconds)
        run.progress = now
        self._go_on(run, now)

    def _settle_tasks(self, run: Run, values: list[Any], seconds: list[Any]) -> None:
        """Tasks of a bundle succeeded, one after the other."""
        count, first = len(values), run.cursor
        if not count:
            return
        members = run.batch.parts()[first : first + count]
        tasks = [member.sink for member in members]
        self._actions.append(("settle_tasks", tasks, values, seconds))
        for member in members:
            member.sink = NOBODY
        self._count(run, count, sum(seconds) / count)

    def withdrawn(self, number: int, count: int, now: float) -> None:
        """A worker gave back the last ``count`` items of a run, unstarted."""
        run = self.runs.get(number)
        if run is None:
            return
        run.withdrawing = False
        if count:
            end, run.end = run.end, run.end - count
            self._requeue(run.batch.part(run.end, end))
        self._go_on(run, now)
        self._assign(now)

    def cancelled(self, sink: Sink, name: str, now: float) -> None:
        """A pending task was cancelled: tell it now, drop its batch when its turn comes."""
        outcome = Failure(verdicts.cancelled_error(repr(name)), 0, name)
        self._actions.append(("settle", sink, 0, outcome))

    def cut(self, sink: Sink, abort: bool, now: float) -> None:
        """``sink`` wants less than it asked for: the rest must not start (``abort``: must stop)."""
        batches, self.queue = self.queue, deque()
        for batch in batches:
            if batch.sink is not sink or self._trim(batch):
                self.queue.append(batch)
        self.write_out_crews(sink)
        for run in list(self.runs.values()):
            if run.batch.sink is not sink:
                continue
            wanted = sink.claim_batch(run.batch)
            if run.end > wanted:
                self._withdraw(run)
            if abort and run.batch.options.abort:
                self._doom(run, wanted, now)
        self._maybe_end(now)

    def fail(self, batch: Batch, error: BaseException, now: float) -> None:
        """A batch of one was accepted and cannot be sent (L12)."""
        if batch.sink.claim_batch(batch):
            self._settle_item(batch, 0, Failure(error))
        else:
            self._fail(batch, verdicts.cancelled)

    def abort(self, sink: Sink, now: float) -> None:
        """A task that was started shall stop; it may be waiting to be started again."""
        for batch in [batch for batch in self.queue if batch.sink is sink]:
            self.queue.remove(batch)
            self._fail(batch, verdicts.cancelled)
        for run in list(self.runs.values()):
            for offset, batch in enumerate(run.batch.parts()[: run.end]):
                if batch.sink is sink:
                    self._stop_part(run, batch, offset, now)
        self._maybe_end(now)

    def _stop_part(self, run: Run, batch: Batch, offset: int, now: float) -> None:
        """Stop a task; one that waits in a bundle comes back unstarted, or is stopped then."""
        batch.aborted = isinstance(run.batch, Bundle)
        if batch.aborted and run.cursor != offset:
            self._withdraw(run)
        else:
            self._stop(run, now)

    def stopping(self, number: int, offset: int, now: float) -> None:
        """The item can really be stopped: if it goes on past the grace, force it."""
        self._remind(now + self.limits.grace, "grace", number, offset)

    def missed(self, number: int, offset: int, now: float) -> None:
        """It had not begun when it was to be forced: once more, after another grace."""
        run = self.runs.get(number)
        if run is not None and run.given_up == run.cursor == offset:
            run.given_up = -1
            self.stopping(number, offset, now)

    # -- events: workers come and go --

    def ready(self, number: int, now: float) -> None:
        """A worker is set up, and waits for work."""
        worker = self.workers.get(number)
        if worker is None or worker.ready:
            return
        worker.ready = True
        self._starting -= 1
        self._untouched_deaths = 0
        self._rest(worker, now)
        self._assign(now)

    def spawn_failed(self, number: int, error: BaseException, now: float) -> None:
        """A worker could not be started, for lack of something: for now, no more are.

        Others do its work; where there are none, those that wait fail, and nobody after them.
        """
        self._forget(number)
        self._spawn_at = now + SPAWN_PAUSE
        self._remind(self._spawn_at, "spawn", number, 0)
        if not self.workers:
            self._fail_all_waiting(error)
        self._assign(now)

    def init_failed(self, number: int, error: BaseException, now: float) -> None:
        """A worker's initializer failed: no worker of ours can be set up (L22)."""
        self._forget(number)
        self._break(error, now)

    def broke_down(self, error: BaseException, now: float) -> None:
        """The backend cannot do its part any more: it will tell what becomes of its runs."""
        self._break(error, now)

    def not_set_up(self, number: int, error: BaseException, now: float) -> None:
        """A run could not start: its worker runs others, and could not be set up once more."""
        self._break(error, now)
        run = self.runs.get(number)
        if run is not None:
            left = range(run.cursor, run.end)
            why = verdicts.not_set_up(error)
            errors = [why(run.batch, offset) for offset in left]
            self.answered(number, [Failure(error) for error in errors], now)

    def died(
        self, number: int, touched: bool, reason: Callable[[str], WorkerLostError], now: float
    ) -> None:
        """A worker is gone. ``touched``: it had taken up the item at its run's cursor.

        ``reason`` makes the error of the lost task from its description.
        """
        worker = self._forget(number)
        if worker is None:
            return
        for run in worker.runs:
            self._leave(run)
            self._after_death(run, touched, reason)
        if not worker.runs and not worker.leaving and not worker.ready:
            self._untouched_deaths += 1
            if self._untouched_deaths >= UNTOUCHED_DEATHS:
                self._break(reason("its setting up"), now)
        self._assign(now)

    def gone(self, number: int, now: float) -> None:
        """A worker that was told to stop has stopped."""
        self._forget(number)
        self._assign(now)

    def discarded(self, number: int, now: float) -> None:
        """A run was given up: it goes on by itself, out of our sight, and is counted.

        The items behind it are back already: they were withdrawn when it was told to stop.
        """
        run = self.runs.get(number)
        if run is None:
            return
        self.abandoned.add(number)
        self._leave(run)
        run.worker.runs.remove(run)
        self._settle_stopped(run)
        self._rest(run.worker, now)
        self._assign(now)

    # -- events: places (L18) --

    def step_aside(self, number: int, now: float) -> None:
        """The task of a run waits: its place is free for another."""
        run = self._run(number)
        if run is None:
            return
        if run.aside:
            self._drop_wish(run)
            return
        run.aside = True
        self.active -= 1
        self._asides += 1
        self._withdraw(run)
        self._assign(now)

    def _drop_wish(self, run: Run) -> None:
        """It went on without its place, and ended or waits once more: it wants none now."""
        if run.wants_back is not None:
            self.returning.remove(run)
            self._actions.append(("grant", run.wants_back))
            run.wants_back = None

    def step_back(self, number: int, granted: Callable[[], object], now: float) -> None:
        """The task of a run wants a place again."""
        run = self.runs.get(number)
        if run is None or not run.aside:  # it was given up meanwhile: let it go on, to its end
            self._actions.append(("grant", granted))
            return
        run.wants_back = granted
        self.returning.append(run)
        self._assign(now)

    # -- events: time --

    def tick(self, now: float) -> None:
        """Time passed."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, what, number, offset = heappop(self._deadlines)
            if self._is_past(what, number, offset):
                continue
            if what == "idle":
                self._leave_idle(number, offset, now)
            elif what == "spawn":
                self._assign(now)
            elif what == "leave":
                self._actions.append(("end", self.workers[number]))
            elif what == "patience":
                self._withdraw(self.runs[number])
            elif what == "limit":
                self._over_limit(self.runs[number], now)
            elif what == "grace":
                self._insist(self.runs[number])

    # -- events: the end (L20, L21) --

    def close(self, cancel_pending: bool, abort_running: bool, now: float) -> None:
        """Accept nothing new; end when all is done. May be called again, to ask for more."""
        self.closing = True
        self._cancelling |= cancel_pending
        self._aborting |= abort_running
        if self._cancelling:
            batches, self.queue = self.queue, deque()
            for batch in batches:
                self._requeue(batch)  # which fails it
        if abort_running:
            self.write_out_crews()
        for run in list(self.runs.values()):
            if self._cancelling:
                self._withdraw(run)
            if abort_running and run.batch.options.abort:
                self._doom(run, 0, now)
                self.stopping(run.number, run.cursor, now)
        for worker in self.workers.values():
            if abort_running and worker.leaving:
                self._hurry(worker, now)
        self._maybe_end(now)

    # -- deciding --

    def _assign(self, now: float) -> None:
        """Give free places to those who wait for one, first those that had one (L2, L18).

        What waited may have been cancelled: when the last is dropped, that may be the end.
        """
        while self.active < self.limits.max_workers:
            if self.returning:
                self._grant(self.returning.popleft())
            elif not self.queue:
                break
            elif (worker := self._free_worker(now)) is not None:
                self._send(self.queue.popleft(), worker, now)
            else:
                self._start_workers(now)
                break
        if self.closing:
            self._maybe_end(now)

    def _grant(self, run: Run) -> None:
        if run.number not in self.runs or run.wants_back is None:
            return
        run.aside = False
        self.active += 1
        self._asides -= 1
        self._actions.append(("grant", run.wants_back))
        run.wants_back = None

    def _free_worker(self, now: float) -> Worker | None:
        """A worker without an active run; one that waits for others counts when no more come."""
        if self.idle:
            return self.idle.pop()
        more = len(self.workers) < self.limits.max_workers and now >= self._spawn_at
        if more or not self._asides:
            return None  # nobody waits: without this look, thousands would be looked through
        for worker in self.workers.values():
            if worker.ready and not worker.leaving and self._all_aside(worker):
                return worker
        return None

    @staticmethod
    def _all_aside(worker: Worker) -> bool:
        """Whether all that it runs waits for others."""
        return worker.crew is None and all(run.aside for run in worker.runs)

    def _start_workers(self, now: float) -> None:
        """One for each batch, or item, that waits, as far as there are places; all at once."""
        if self.broken is not None:  # what waits came back from a run
            self._fail_all_waiting(self.broken)
            return
        if self.workers and now < self._spawn_at:
            return
        self._spawn_at = now
        places = self.limits.max_workers - max(self.active, len(self.workers) - self._starting)
        if self._starting < places:
            for _ in range(min(self._waiting(), places) - self._starting):
                self._spawn()

    def _waiting(self) -> int:
        """How many workers what waits could have; at least, where very many batches wait."""
        waiting = len(self.queue)
        if self._has_crews:
            waiting += sum([len(batch) - 1 for batch in islice(self.queue, LOOKED_AT)])
        return waiting

    def _spawn(self) -> None:
        index = heappop(self._free_indexes) if self._free_indexes else len(self.workers)
        worker = Worker(self._next_number(), index)
        self.workers[worker.number] = worker
        self._starting += 1
        self._actions.append(("spawn", worker))

    def _send(self, batch: Batch, worker: Worker, now: float) -> None:
        size = self._trim(batch)
        if not size:
            if not worker.runs:
                self.idle.append(worker)
            return
        if size > 1 and self._has_crews:
            size = self._send_crew(batch, worker, now)
            if size > 1:
                return
        share = self._share_of(worker)
        if isinstance(batch, Single):
            if self.queue and self.bundles:
                batch = self._bundled(batch, min(share, self._bundle_size()))
        elif size > share:
            self.queue.appendleft(batch.part(share, size))
            del batch.items[share:]
        elif batch.loose and self.queue:
            self._extend(batch, min(share, self._bundle_size(size)))
        run = Run(self._next_number(), worker, batch, now)
        self.runs[run.number] = run
        worker.runs.append(run)
        self.active += 1
        if run.end > 1:
            self._remind(now + PATIENCE, "patience", run.number, 0)
        self._actions.append(("send", run))

    def _send_crew(self, batch: Batch, worker: Worker, now: float) -> int:
        """Send as many of its items as there are places; how many. One alone is not sent yet."""
        free = min(1 + len(self.idle), self.limits.max_workers - self.active)
        size = min(len(batch), free)
        if size < len(batch):
            self.queue.appendleft(batch.part(size, len(batch)))
            del batch.items[size:]
        if size > 1:
            workers = [worker, *self.idle[1 - size :]]
            del self.idle[1 - size :]
            crew = Crew(self._next_number(), workers, batch, now)
            self._numbers += size - 1  # those of its other items
            self.crews[crew.number] = crew
            for each in workers:
                each.crew = crew
            self.active += size
            self._actions.append(("send_crew", crew))
        return size

    def _share_of(self, worker: Worker) -> int:
        """How many tasks more a worker may have (`max_tasks_per_child`)."""
        most = self.limits.max_tasks_per_child
        return _NO_BOUND if most is None else max(1, most - worker.tasks)

    def _bundle_size(self, each: int = 1) -> int:
        """How many tasks travel together, of a backlog of batches of so many each."""
        waiting = each * len(self.queue)
        return batching.batch_size(self.limits.max_workers, self._seconds, waiting)

    def _bundled(self, first: Single, most: int) -> Batch:
        """The task with those behind it that run under the same options."""
        members, options, queue = [first], first.options, self.queue
        for _ in range(min(most - 1, len(queue))):
            batch = queue.popleft()
            if type(batch) is not Single or batch.options is not options:
                queue.appendleft(batch)
                break
            if batch.sink.claim_batch(batch):
                members.append(batch)
            else:
                self._fail(batch, verdicts.cancelled)
        return first if len(members) == 1 else Bundle(members)

    def _extend(self, batch: Batch, most: int) -> None:
        """Join what follows in its map: batches were made when less was known of durations."""
        while self.queue and self._follows(batch, self.queue[0], most):
            more = self.queue.popleft()
            if self._trim(more):
                batch.items += more.items

    def _follows(self, batch: Batch, more: Batch, most: int) -> bool:
        return (
            more.sink is batch.sink
            and more.first == batch.first + len(batch)
            and len(batch) + len(more) <= most
            and not more.near_deaths
            and not more.deaths
        )

    def _trim(self, batch: Batch) -> int:
        """Drop the items that must not start; how many are left."""
        wanted, size = batch.sink.claim_batch(batch), len(batch)
        if wanted < size:
            self._fail(batch.part(wanted, size), verdicts.cancelled)
            del batch.items[wanted:]
        return wanted

    def _answer_item(self, run: Run, outcome: Any) -> None:
        """One item is over: with its own outcome, unless it was over before."""
        if not run.settled:
            self._settle(run, self._judge(run, outcome))
        self._seconds = batching.observe(self._seconds, outcome.seconds)
        run.worker.busy_seconds += outcome.seconds
        run.cursor += 1
        run.stopping = False
        run.settled = False

    def _judge(self, run: Run, outcome: Any) -> Any:
        """The outcome that an answer means."""
        limit = run.batch.options.time_limit
        if limit is not None and outcome.seconds > limit:
            return Failure(verdicts.over_limit(run.batch, run.cursor), seconds=outcome.seconds)
        if isinstance(outcome, Failure) and type(outcome.error) is Interrupted:
            return Failure(verdicts.stopped(run.batch, run.cursor), seconds=outcome.seconds)
        return outcome

    def _go_on(self, run: Run, now: float) -> None:
        """After an answer: the next item, or the end of the run."""
        if run.cursor < run.end:
            if run.cursor >= run.doomed or run.batch.at(run.cursor)[0].aborted:
                self._stop(run, now)
                if self._aborting:
                    self.stopping(run.number, run.cursor, now)
            if run.end - run.cursor > 1 and not run.withdrawing:
                self._remind(run.progress + PATIENCE, "patience", run.number, run.cursor)
            return
        self._end(run, now)
        self._assign(now)

    def _end(self, run: Run, now: float) -> None:
        """All of a run is answered."""
        self._leave(run)
        worker = run.worker
        worker.runs.remove(run)
        worker.tasks += run.cursor
        self._rest(worker, now)

    def _leave(self, run: Run) -> None:
        """A run is over: its place is free."""
        del self.runs[run.number]
        if not run.aside:
            self.active -= 1
            return
        self._asides -= 1
        self._drop_wish(run)

    def _rest(self, worker: Worker, now: float) -> None:
        """A worker finished something: it waits for more, or has done its share."""
        if worker.runs or worker.leaving or worker.number not in self.workers:
            return
        most = self.limits.max_tasks_per_child
        if most is not None and worker.tasks >= most:
            self._retire(worker, now)
            return
        self.idle.append(worker)
        if self.limits.idle_timeout is not None:
            self._remind(now + self.limits.idle_timeout, "idle", worker.number, worker.tasks)

    def _leave_idle(self, number: int, tasks: int, now: float) -> None:
        worker = self.workers.get(number)
        if worker in self.idle and worker.tasks == tasks:
            self.idle.remove(worker)
            self._retire(worker, now)

    def _retire(self, worker: Worker, now: float) -> None:
        worker.leaving = True
        self._actions.append(("stop", worker))
        if self._aborting:
            self._hurry(worker, now)

    def _hurry(self, worker: Worker, now: float) -> None:
        """We leave by an exception: a worker that was told to go has one grace for it."""
        self._remind(now + self.limits.grace, "leave", worker.number, 0)

    def _requeue(self, batch: Batch) -> None:
        """Back to the front: it was accepted before all that waits."""
        for part in reversed(batch.parts()):
            if self._cancelling or part.aborted:
                self._fail(part, verdicts.cancelled)
            else:
                self.queue.appendleft(part)

    def _withdraw(self, run: Run) -> None:
        """Take back what has not started, so that nothing waits behind a slow item (L10)."""
        if not run.withdrawing and run.end - run.cursor > 1:
            run.withdrawing = True
            self._actions.append(("withdraw", run))

    # -- stopping (L15, L16) --

    def _over_limit(self, run: Run, now: float) -> None:
        limit = run.batch.options.time_limit
        assert limit is not None
        self._settle(run, Failure(verdicts.over_limit(run.batch, run.cursor), seconds=limit))
        run.settled = True
        self._stop(run, now)
        self.stopping(run.number, run.cursor, now)

    def _doom(self, run: Run, offset: int, now: float) -> None:
        """No item from ``offset`` on shall go on, also one whose start we hear of later."""
        run.doomed = min(run.doomed, offset)
        if run.cursor >= run.doomed:
            self._stop(run, now)

    def _stop(self, run: Run, now: float) -> None:
        """Tell the current item to stop; the backend answers `stopping` if it can be forced."""
        if not run.stopping:
            run.stopping = True
            self._withdraw(run)
            self._actions.append(("abort", run))

    def _insist(self, run: Run) -> None:
        """The grace is over: give the run up, if we can afford to."""
        if run.given_up == run.cursor:
            return  # its time limit and an abort came to their ends at once
        most = self.limits.max_abandoned
        if most is not None and self._given_up() >= most and not self.closing:
            self._actions.append(("warn", verdicts.too_many_abandoned(run.batch, run.cursor, most)))
            return
        run.given_up = run.cursor
        self._actions.append(("discard", run))

    def _given_up(self) -> int:
        """How many runs were given up, and go on; also those of which we do not hear yet."""
        return len(self.abandoned) + sum(run.given_up == run.cursor for run in self.runs.values())

    # -- losing (L22) --

    def _after_death(
        self, run: Run, touched: bool, reason: Callable[[str], WorkerLostError]
    ) -> None:
        """Settle what its worker died of; the rest runs elsewhere."""
        batch, cursor = run.batch, run.cursor
        if cursor + 1 < run.end:
            self._requeue(batch.part(cursor + 1, run.end))
        if cursor == run.end:
            return  # it had answered everything
        item = batch.part(cursor, cursor + 1)
        item.deaths += touched
        item.near_deaths += not touched
        again = item.deaths <= batch.options.rerun_lost if touched else True
        if run.stopping or run.settled:
            self._settle_stopped(run)
        elif again and item.near_deaths < UNTOUCHED_DEATHS:
            self._requeue(item)
        else:
            self.lost += 1
            self._settle(run, Failure(reason(verdicts.described(batch, cursor))))

    def _forget(self, number: int) -> Worker | None:
        worker = self.workers.pop(number, None)
        if worker is None:
            return None
        if not worker.ready:
            self._starting -= 1
        heappush(self._free_indexes, worker.index)
        if worker in self.idle:
            self.idle.remove(worker)
        return worker

    def _break(self, error: BaseException, now: float) -> None:
        """No worker can be set up: say so to all who wait, and start no more."""
        self.broken = error
        self._fail_all_waiting(error)
        self._actions.append(("broken", error))
        self._maybe_end(now)

    def _fail_all_waiting(self, why: BaseException) -> None:
        """No worker can be set up for what waits."""
        batches, self.queue = self.queue, deque()
        for batch in batches:
            self._fail(batch, verdicts.not_set_up(why))

    # -- outcomes: the only ways out (L3) --

    def _settle(self, run: Run, outcome: Any) -> None:
        self._settle_item(run.batch, run.cursor, outcome)

    def _settle_stopped(self, run: Run) -> None:
        """What was stopped by force has this outcome, unless it has one."""
        if not run.settled and run.cursor < run.end:
            self._settle(run, Failure(verdicts.stopped(run.batch, run.cursor)))

    def _fail(self, batch: Batch, error: Why) -> None:
        for offset in range(len(batch)):
            self._settle_item(batch, offset, Failure(error(batch, offset)))

    def _settle_item(self, batch: Batch, offset: int, outcome: Any) -> None:
        batch, outcome.index = batch.at(offset)
        outcome.name = batch.name
        self._actions.append(("settle", batch.sink, outcome.index, outcome))
        if isinstance(outcome, Success):
            self.done += 1
        else:
            self.failed += 1
        if batch.single:
            batch.sink = Nobody(batch.name)

    # -- ending --

    def _maybe_end(self, now: float) -> None:
        """When closing and nothing is left to do: let the workers go, then say so."""
        if not self.closing or self.ended or self.sources:
            return
        if self.queue or self.runs or self.crews:
            return
        for worker in list(self.workers.values()):
            if not worker.leaving:
                self._retire(worker, now)
        self.idle.clear()
        if not self.workers:
            self.ended = True
            self._actions.append(("closed",))

    # -- small things --

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _remind(self, when: float, what: str, number: int, offset: int) -> None:
        heappush(self._deadlines, (when, self._next_number(), what, number, offset))
        if len(self._deadlines) > self._crowd:
            self._drop_past()

    def _drop_past(self) -> None:
        """Forget deadlines that were kept, and stand behind one that is far away."""
        self._deadlines = [one for one in self._deadlines if not self._is_past(*one[2:])]
        heapify(self._deadlines)
        self._crowd = max(FEW_DEADLINES, 2 * len(self._deadlines))


def _outcome_of(value: Any, seconds: float | None) -> Any:
    return value if seconds is None else Success(value, seconds=seconds)
