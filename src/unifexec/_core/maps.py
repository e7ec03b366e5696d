"""`map`: many items as one, for sync and async callers alike.

A map is two objects. `MapRun` belongs to the executor: it pulls the inputs, submits them in
batches, and keeps the outcomes; so ``executor.map(f, xs)`` does its work also when nobody
keeps what it returns. `results.Results` is the façade its caller holds, and forgets.

::

    inputs --pull--> [ batch | batch | batch ] --submit--> dispatch
                            window                            |
    caller <--yield--  outcomes, by index  <----settle--------+

Pulling happens in the caller's thread only (L7): in the call of ``map``, in ``next``, in a
waiting close. Settling happens in the executor's; the outcomes pass through a dict, whose
single operations are atomic, and `_wait` tells how no wake-up is lost.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections import deque
from itertools import islice
from time import monotonic

from unifexec import _wait
from unifexec._core import batching
from unifexec._core.batches import Batch
from unifexec._core.outcome import Failure, Success
from unifexec._core.task import logger
from unifexec.errors import (
    DeadlockError,
    ExecutorClosedError,
    SerializationError,
    TaskCancelledError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    from unifexec._core.options import Options
    from unifexec._core.task import Home

    class MapHome(Home, Protocol):
        """What a map asks of its executor."""

        max_workers: int
        eager: bool  # work starts before a result is asked for
        batches: bool  # items may travel together, one running after the other
        crews: bool  # those that travel together run side by side

        def map_opened(self, run: MapRun) -> None: ...
        def map_ended(self, run: MapRun) -> None: ...
        def map_dropped(self, run: MapRun) -> None: ...
        def pack_items(self, work: Any, inputs: list[Any], unary: bool) -> list[Any]: ...
        def submit_batch(self, batch: Batch) -> None: ...
        def fail_batch(self, batch: Batch, error: BaseException) -> None: ...
        def cut_map(self, run: MapRun, abort: bool) -> None: ...


_NOTHING: Any = object()
_TOLD: Any = object()  # stands for the failure that was raised
_EVERYTHING = 1 << 62
PULL_TOGETHER = 256  # inputs taken at once from a container, where items do not wait for each other


class MapRun(_wait.Watched):
    """One map: the inputs it pulls, the batches it submits, the outcomes it keeps.

    All that is done for every item is done for many at once where that is possible: inputs
    are pulled and packed, batches submitted and settled as lists, and what can be yielded
    stands in one deque, from which `Results` takes without asking anybody.
    """

    def __init__(
        self,
        home: MapHome,
        work: Any,
        context: Any,
        inputs: Iterator[Any],
        options: Options,
        name: str,
        *,
        unary: bool,
        chunksize: int | None,
        buffersize: int | None,
        ordered: bool,
        raises: bool,
        bulk: bool,
    ) -> None:
        super().__init__()
        self.home = home
        self.name = name
        self.raises = raises
        self._work = work
        self._context = context
        self._inputs = inputs
        self._unary = unary  # an input is the one argument of a call, else a tuple of all
        self._options = options
        self._chunksize = chunksize
        self._loose = home.batches and chunksize is None  # batches may be joined
        self._in_crews = home.crews and bulk and raises and options.time_limit is None
        self._buffersize = buffersize
        self._ordered = ordered
        self._bulk = bulk  # pulling many inputs runs no code of the caller's
        self._turn = allocate_lock()  # held by who pulls; only ever tried, never waited for
        self.puller: int = 0  # the thread that does
        self._submitting = allocate_lock()  # held by who submits; only ever tried
        self._pulling: list[Any] = []  # pulled, not yet packed
        self._waiting: list[Any] = []  # pulled and packed, not yet submitted
        self._unpackable = False  # an input could not be packed
        self.ready: deque[Any] = deque()  # what comes next: values, or outcomes if asked for
        self._later: dict[int, Any] = {}  # settled out of order: index of the first -> as above
        self._put = 0  # items that came into `ready`, ever; written by who settles
        self.last: list[None] = [None]  # taken by the one thread that is told what comes last
        self.failure: Failure | None = None  # comes after what is ready, instead of the rest
        self._mean: float | None = None  # seconds per item
        self._pulled = self._submitted = self._settled = 0
        self._dropped = 0  # unordered: cancelled by a close, and not yielded
        self._stop = _EVERYTHING  # items from this index on are not wanted
        self._exhausted = False  # nothing more will be pulled
        self._fault: BaseException | None = None  # what the inputs raised
        self._ended = False  # nothing more will be submitted
        self._finishing = False  # a close waits for all of it
        self.started: bool = False  # somebody asked for a result
        self.truncated: bool = False  # the executor closed before all inputs were pulled
        self.unreadable: bool = False  # nobody can ask for results any more

    # -- pulling: in a caller's thread (L5, L7) --

    def open(self) -> None:
        """Begin: in the call of ``map``."""
        self.home.map_opened(self)
        if self.home.eager or self._buffersize is not None:
            try:
                self.refill(prompt=False)
            except BaseException:  # Ctrl-C in the middle of the inputs
                self.stop()
                raise

    def refill(self, demand: int = 0, prompt: bool = True) -> None:
        """Pull what the window allows, and submit it.

        ``demand``: how many must be submitted where work is not eager. ``prompt``: stop as
        soon as the consumer has something to take (L6). A thread that finds another pulling
        leaves it to that one.
        """
        self._pull_in_turn(self._yielded, prompt, None if self.home.eager else demand)

    def finish(self) -> None:
        """For a waiting close: pull on, though nobody yields; the results stay readable.

        What is in flight is bounded by the window. With a ``buffersize`` only what was
        pulled counts as asked for.
        """
        self._finishing = True
        if self._buffersize is not None:
            self.truncate()
        self._pull_in_turn(lambda: self._settled, False, None)

    def _pull_in_turn(self, past: Callable[[], int], prompt: bool, demand: int | None) -> None:
        """Pull what the window allows beyond what is past, if no other thread is at it."""
        for _ in _wait.tries(self._turn):
            try:
                try:
                    self.puller = get_ident()
                    self._pull(self._window() - (self._pulled - past()), prompt)
                    self._submit(len(self._waiting) if demand is None else demand)
                finally:
                    self.puller = 0
                    self._turn.release()
            except BaseException:  # Ctrl-C in the midst of it: nobody knows what is forgotten
                if self.home.eager:
                    self.stop()
                raise
            finally:
                self._maybe_end()
                self.tell()  # another consumer, or a close, may be waiting for us to pull
            return

    def finishable(self) -> bool:
        """For a waiting close: whether `finish` would get on, or is over."""
        if self._ended or self._exhausted:
            return self._settled >= self._submitted
        return self._pulled - self._settled < self._window() and not self._turn.locked()

    def finished(self) -> bool:
        """Whether nothing is to be pulled, submitted or settled any more."""
        return self._ended and self._settled >= self._submitted

    def pullable(self) -> bool:
        """Whether `refill` would pull something."""
        return (
            not self._exhausted
            and self._pulled < self._stop
            and self._pulled - self._yielded() < self._window()
            and not self._turn.locked()
        )

    def check_pulling(self) -> None:
        """Raise if this thread is pulling the input that it would wait for."""
        if self.puller == get_ident() and self._settled >= self._submitted:
            raise DeadlockError(
                f"the inputs of the map of {self.name!r} wait for its results, and nothing of it "
                "runs: yield more inputs first"
            )

    def _yielded(self) -> int:
        """Items that were yielded; at most, for `_put` is written last and read first."""
        put = self._put
        return put - len(self.ready)

    def _window(self) -> int:
        if self._buffersize is not None:
            return self._buffersize
        if not self.home.eager:
            return 1
        return batching.window_size(self.home.max_workers, self._mean)

    def _batch_size(self) -> int:
        if not self.home.batches:
            return min(PULL_TOGETHER, self.home.max_workers) if self._in_crews else 1
        if self._chunksize is not None:
            return min(self._chunksize, batching.MOST_TOGETHER)
        return batching.batch_size(self.home.max_workers, self._mean, self._window())

    def _pull(self, count: int, prompt: bool) -> None:
        """Pull at most ``count`` inputs, and submit full batches on the way."""
        while count > 0 and not self._exhausted and self._pulled < self._stop:
            if prompt and self.takeable():
                return
            size = self._batch_size()
            before = self._pulled
            try:
                if self._bulk:
                    self._pull_many(min(count, size if self.home.batches else PULL_TOGETHER))
                else:
                    self._pull_each(min(count, size), prompt)
            finally:  # whatever ends it, what was pulled counts
                self._pack()
            count -= self._pulled - before
            if self.home.eager:
                self._submit(len(self._waiting) if not self._bulk else self._full(size))

    def _full(self, size: int) -> int:
        """How many of those that wait fill batches."""
        return len(self._waiting) - len(self._waiting) % size

    def _pull_many(self, count: int) -> None:
        """From containers: nobody notices that many are taken before the first is sent."""
        try:
            self._pulling.extend(islice(self._inputs, count))
        except KeyboardInterrupt:  # Ctrl-C is for whoever pulls, and at once
            raise
        except BaseException as fault:  # L9: after the results before it
            self._end_of_inputs(fault)
        else:
            if len(self._pulling) < count:
                self._end_of_inputs(None)

    def _pull_each(self, count: int, prompt: bool) -> None:
        """From iterators of the caller's: one after the other, each packed at once (L12b).

        What waits is sent after a moment, however slowly the next comes.
        """
        until = monotonic() + batching.BATCH_SECONDS
        while count > 0:
            try:
                args = next(self._inputs, _NOTHING)
            except KeyboardInterrupt:
                raise
            except BaseException as fault:  # L9
                self._end_of_inputs(fault)
                return
            if args is _NOTHING:
                self._end_of_inputs(None)
                return
            self._pulling.append(args)
            self._pack()
            if self._is_short_of_work():
                self._submit(len(self._waiting))
            count -= 1
            if (prompt and self.takeable()) or monotonic() > until:
                return

    def _end_of_inputs(self, fault: BaseException | None) -> None:
        self._fault = fault
        self._inputs = iter(())  # the inputs need not live as long as the results
        self._pack()
        self._exhausted = True

    def _pack(self) -> None:
        """What was pulled is now counted, and in the form in which it will travel."""
        pulled = self._pulling
        if pulled:
            packed = self.home.pack_items(self._work, pulled, self._unary)
            self._unpackable |= packed is not pulled and SerializationError in map(type, packed)
            self._pulling = []
            self._waiting += packed
            self._pulled += len(packed)

    def _is_short_of_work(self) -> bool:
        """Whether a worker may be without an item of ours."""
        return self.home.eager and self._submitted - self._settled < self.home.max_workers

    def _submit(self, count: int) -> None:
        """Submit the first ``count`` of what was pulled, in batches.

        Done by who pulls, and by who settles, since the next input may be long in coming:

        1. The puller puts an item to those that wait, 2. looks whether there is too little work.
        a. A result is counted, b. it is looked whether something waits.
        So one of them sees the other. Who finds the other at it leaves it to that one: then
        something is submitted, and when it is settled b. comes again.
        """
        for _ in _wait.tries(self._submitting):
            try:
                size = self._batch_size()
                while count > 0 and self._waiting:
                    items = self._next_items(min(size, count))
                    count -= len(items)
                    self._submit_batch(items)
            finally:
                self._submitting.release()
            return

    def _submit_batch(self, items: list[Any]) -> None:
        batch = Batch(
            self, self._work, items, self._options, self.name, self._submitted,
            context=self._context, plain=self.raises, loose=self._loose, unary=self._unary,
        )  # fmt: skip
        self._submitted += len(items)
        if self._unpackable and type(items[0]) is SerializationError:
            items[0].add_note(f"in item {batch.first} of the map of {self.name!r}")
            self.home.fail_batch(batch, items[0])
        else:
            self.home.submit_batch(batch)

    def _next_items(self, most: int) -> list[Any]:
        """The next that can travel, or one that cannot (L12: it fails its own task only)."""
        items = self._waiting[:most]
        if self._unpackable and SerializationError in map(type, items):
            bad = [type(item) for item in items].index(SerializationError)
            items = items[: bad or 1]
        del self._waiting[: len(items)]
        return items

    # -- settling: in the executor's thread --

    def claim_batch(self, batch: Batch) -> int:
        """For `dispatch`: how many items of the batch are still wanted."""
        count = len(batch.items)
        if self._stop is _EVERYTHING:
            return count
        return max(0, min(count, self._stop - batch.first))

    def settle_item(self, index: int, outcome: Any) -> None:
        """For `dispatch`: one item has its outcome."""
        self._mean = batching.observe(self._mean, outcome.seconds)
        if self.truncated and not self._ordered and was_cancelled(outcome):
            self._dropped += 1
            self._settle(index, 1, [])
        elif not self.raises:
            self._settle(index, 1, [outcome])
        elif isinstance(outcome, Success):
            self._settle(index, 1, [outcome.value])
        else:
            self._settle(index, 1, outcome)
            self._cut(index + 1 if self._ordered else 0, abort=True)  # L14

    def settle_block(self, first: int, values: list[Any], seconds: float) -> None:
        """For `dispatch`: so many items succeeded, and nobody asked for their outcomes."""
        self._mean = batching.observe(self._mean, seconds)
        self._settle(first, len(values), values)

    def _settle(self, first: int, count: int, what: Any) -> None:
        """Keep values, outcomes or a failure, and tell who waits for them."""
        self._settled += count
        if self._waiting and self._is_short_of_work():
            self._submit(len(self._waiting))
        if self._ordered and first != self._put:
            self._later[first] = what
            if self.failure is _TOLD:
                self._later.clear()
        else:
            self._make_ready(what)
            while self._later and self._put in self._later:
                self._make_ready(self._later.pop(self._put, []))
            self.tell()
        if self.unreadable:
            self.forget()
        if self._finishing:
            self.tell()
        self._maybe_end()

    def _make_ready(self, what: Any) -> None:
        if isinstance(what, list):
            if self.failure is None:  # what comes after the first failure is not asked for
                self.ready.extend(what)
                self._put += len(what)
        elif self.failure is None:
            self.failure = what

    def _cut(self, stop: int, abort: bool) -> None:
        """Want only the items before ``stop``."""
        if stop < self._stop:
            self._stop = stop
            self.home.cut_map(self, abort)

    # -- yielding: in the consumer's thread (L2, L14) --

    def over(self) -> bool:
        """Whether all that was pulled has become ready."""
        return self._exhausted and self._put >= self._pulled - self._dropped

    def takeable(self) -> bool:
        """Whether the consumer would get something: a result, a failure or the end."""
        return bool(self.ready) or self.failure is not None or self.over() or self.unreadable

    def look(self) -> bool:
        """For a consumer: whether it gets something; pull, if it does not, and look again."""
        self.started = True
        if not self.takeable():
            self.refill(demand=1)
        return self.takeable()

    def worth_a_look(self) -> bool:
        """Whether a waiting consumer has something to do."""
        return self.takeable() or self.pullable()

    def told(self) -> None:
        """The failure was raised, and what came after it is not asked for: keep none of them.

        The frames of their errors know our batches, and so us: all of it would last until the
        garbage collector comes.
        """
        if self.failure is not None:
            self.failure = _TOLD
            self._later.clear()

    def take_fault(self) -> BaseException | None:
        """What comes after the last outcome instead of the end, once."""
        fault, self._fault = self._fault, None
        if fault is None and self.truncated:
            fault = ExecutorClosedError(
                f"the executor was closed before the map of {self.name!r} had pulled all its "
                "inputs: read its results before that"
            )
        return fault

    # -- ending (L8) --

    def stop(self) -> None:
        """Want nothing more: what has not started never will."""
        self._cut(0, abort=False)
        self.truncate()
        self.tell()

    def truncate(self) -> None:
        """Pull nothing more; what was pulled still runs."""
        if not self._exhausted:
            self.truncated = True
            self._exhausted = True
        for _ in _wait.tries(self._turn):
            try:
                self._submit(len(self._waiting))
            finally:
                self._turn.release()
            break
        self._maybe_end()

    def forget(self) -> None:
        """Nobody can read the results: keep nothing, and log the failures."""
        self.unreadable = True
        self._fault = None
        failure, self.failure = self.failure, None
        kept: list[Any] = [failure]
        kept += [self._later.pop(first, None) for first in list(self._later)]
        outcomes = list(self.ready)
        self.ready.clear()
        if not self.raises:
            kept += outcomes
            kept += [outcome for block in kept if isinstance(block, list) for outcome in block]
        for outcome in kept:
            if isinstance(outcome, Failure) and not was_cancelled(outcome):
                logger().error(
                    "item %d of the map of %r failed, and nobody can read its results",
                    outcome.index,
                    self.name,
                    exc_info=outcome.error,
                )

    def _maybe_end(self) -> None:
        """Once all is pulled and submitted, or unwanted, the executor may forget the map."""
        over = self._exhausted or self._pulled >= self._stop
        over = over and (not self._waiting or self._submitted >= self._stop)
        if self._submitting.locked():  # looked at last: who holds it comes here after that
            return
        if over and not self._ended:
            self._ended = True
            self.home.map_ended(self)


def was_cancelled(outcome: Any) -> bool:
    """Whether an outcome only says that the task was stopped."""
    return isinstance(outcome, Failure) and issubclass(type(outcome.error), TaskCancelledError)
