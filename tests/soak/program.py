"""One random program on one executor: what it submits, what befalls it, how it is closed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from unifexec import ExecutorClosedError, InitializerError, create_executor

from . import jobs
from .books import WAIT_SECONDS, Books, Entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from unifexec import Executor, Task

SUCCESS, FAILURE = frozenset({"success"}), frozenset({"failure"})
KINDS = {"process": 6, "thread": 2, "async": 2, "serial": 1}  # how often each is chosen
USUALLY = 6  # how much more often a program ends well than in each other way


def run(random: Random, books: Books) -> str:
    """Run one random program; how it was, in words."""
    (kind,) = random.choices(list(KINDS), KINDS.values())
    ending = random.choice(["clean"] * USUALLY + list(ENDINGS))
    if random.random() < 0.02 and kind != "serial":
        _run_without_workers(random, books, kind)
        return f"{kind}, whose initializer fails"
    options = _random_options(random, kind)
    program = Program(random, books, kind)
    executor = create_executor(kind, **options)
    with _Helper(program):
        ENDINGS[ending](program, executor)
        books.settle_tasks(closed_early=ending in ("cancel", "exception"))
    return f"{kind} {options}, {ending}"


def _random_options(random: Random, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if kind != "serial":
        options["max_workers"] = random.randint(1, 4)
        options["grace"] = random.choice([0.05, 0.2])
    if kind == "process" and random.random() < 0.3:
        options["max_tasks_per_child"] = random.randint(1, 20)
    if kind == "process" and random.random() < 0.3:
        options["idle_timeout"] = 0.02
    if kind == "process" and random.random() < 0.3 and sys.platform == "linux":
        options["start_method"] = "forkserver"
    if kind == "thread":
        options["max_abandoned"] = 1000
    return options


def _run_without_workers(random: Random, books: Books, kind: str) -> None:
    """No worker can be set up: every task says so, and nothing is tried for ever."""
    how = random.choice(["die", "raise"]) if kind == "process" else "raise"
    books.fault(f"initializer: {how}")
    with create_executor(
        kind, max_workers=2, initializer=jobs.refuse_to_begin, initargs=(how,)
    ) as executor:
        for _ in range(5):
            note = books.number()
            try:
                task = executor.submit(jobs.square, note, 1)
            except InitializerError:
                break
            books.accept(note[1], Entry("no worker", {"failure", "lost"}, None, 0))
            books.watch(note[1], task)
        books.settle_tasks(False)


class Program:
    """What one program does to its executor, from one to three threads at once."""

    def __init__(self, random: Random, books: Books, kind: str) -> None:
        self.random = random
        self.books = books
        self.kind = kind
        self.victims: set[int] = set()  # their worker is killed once they run
        self.aborted: dict[int, Task[Any]] = {}  # they are aborted once they run
        self.steps = self._steps()

    def _steps(self) -> list[Callable[[Random, Executor], None]]:
        steps: list[Callable[[Random, Executor], None]] = [
            self.behave, self.behave, self.fail, self.do_not_travel, self.nest,
            self.cancel_soon, self.map_all, self.map_some, self.gather,
        ]  # fmt: skip
        if self.kind != "serial":
            steps += [self.over_limit, self.abort_later]
        if self.kind == "process":
            steps += [self.die, self.kill, self.kill, self.die_at_first, self.die_reading]
            steps += [self.refuse_to_end]
        return steps

    def use(self, executor: Executor) -> None:
        """Take random steps, in several threads."""
        from random import Random

        threads = [
            threading.Thread(target=self._walk, args=(Random(self.random.random()), executor))
            for _ in range(self.random.randint(1, 3))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _walk(self, random: Random, executor: Executor) -> None:
        try:
            for _ in range(random.randint(10, 60)):
                random.choice(self.steps)(random, executor)
        except BaseException as error:
            self.books.complaints.append(f"a verb raised {error!r}")
            raise

    def be_late(self, executor: Executor) -> None:
        """A closed executor accepts nothing."""
        self.books.fault("submit to a closed executor")
        try:
            executor.submit(abs, 1)
        except ExecutorClosedError:
            return
        self.books.complaints.append("a closed executor accepted a task")

    def submit(
        self,
        executor: Executor,
        what: str,
        fates: frozenset[str] | set[str],
        fn: Callable[..., Any],
        *args: Any,
        value: int | None = None,
        starts: int = 1,
    ) -> Task[Any]:
        """Submit one task, and enter it."""
        note = self.books.number()
        if what == "kill a busy worker":
            self.victims.add(note[1])
        task = executor.submit(fn, note, *args)
        self.books.accept(note[1], Entry(what, fates, value, starts))
        self.books.watch(note[1], task)
        if what == "abort":
            self.aborted[note[1]] = task
        return task

    # -- the steps --

    def behave(self, random: Random, executor: Executor) -> None:
        """Submit a few tasks that do their work."""
        fn = random.choice([jobs.square, jobs.nap, jobs.square_later])
        for x in range(random.randint(1, 8)):
            self.submit(executor, fn.__name__, SUCCESS, fn, x, value=x * x)

    def fail(self, random: Random, executor: Executor) -> None:
        """Submit a task that raises."""
        self.books.fault("exception")
        self.submit(executor, "fail", FAILURE, jobs.fail, random.randrange(6))

    def do_not_travel(self, random: Random, executor: Executor) -> None:
        """Submit what cannot travel; where nothing travels, nothing is wrong with it."""
        fates = FAILURE if self.kind == "process" else SUCCESS
        self.books.fault("bad object")
        if random.random() < 0.5:
            self.submit(executor, "bad argument", fates, jobs.take, 2, threading.Lock())
        else:
            self.submit(executor, "bad result", fates, jobs.give_a_lock, 2)

    def die_reading(self, random: Random, executor: Executor) -> None:
        """Submit an argument that ends the process which reads it."""
        from tests.faults.jobs import RebuildKills

        self.books.fault("death by reading")
        self.submit(executor, "die reading", {"lost"}, jobs.take, 2, RebuildKills(), starts=0)

    def nest(self, random: Random, executor: Executor) -> None:
        """Submit a task that uses its own executor, which must not be closed meanwhile."""
        task = self.submit(executor, "nest", SUCCESS, jobs.ask_others, 3, executor, value=9)
        task.exception(WAIT_SECONDS)

    def cancel_soon(self, random: Random, executor: Executor) -> None:
        """Cancel a task, perhaps in time."""
        task = self.submit(executor, "cancel", {"success", "cancelled"}, jobs.nap, 2, value=4)
        if random.random() < 0.5:
            self.submit(executor, "between", SUCCESS, jobs.nap, 3, value=9)
        if task.cancel():
            self.books.fault("cancel")

    def die(self, random: Random, executor: Executor) -> None:
        """Submit a task that ends its worker."""
        self.books.fault("death by itself")
        self.submit(executor, "die", {"lost"}, jobs.die, random.randrange(6))

    def die_at_first(self, random: Random, executor: Executor) -> None:
        """Submit a task that ends its first worker, and may be run again."""
        self.books.fault("death and rerun")
        view = executor.with_options(rerun_lost=1)
        self.submit(view, "die at first", SUCCESS, jobs.die_at_first, 5, value=25, starts=2)

    def kill(self, random: Random, executor: Executor) -> None:
        """Submit a task whose worker is killed from outside while it runs."""
        self.submit(executor, "kill a busy worker", {"lost"}, jobs.wait_to_be_ended, 0)

    def over_limit(self, random: Random, executor: Executor) -> None:
        """Submit a task that runs into its time limit."""
        self.books.fault("time limit")
        view = executor.with_options(time_limit=random.choice([0.01, 0.05]))
        fn = random.choice([jobs.wait_to_be_ended, jobs.wait_to_be_ended_later])
        if self.kind == "async":
            fn = jobs.wait_to_be_ended_later
        self.submit(view, "over limit", {"time limit"}, fn, 0)

    def refuse_to_end(self, random: Random, executor: Executor) -> None:
        """Submit a task that must be ended by force."""
        self.books.fault("time limit, by force")
        view = executor.with_options(time_limit=0.02)
        self.submit(view, "refuse to end", {"time limit"}, jobs.refuse_to_end, 0)

    def abort_later(self, random: Random, executor: Executor) -> None:
        """Abort a task once it runs."""
        self.books.fault("abort")
        fn = jobs.wait_to_be_ended if self.kind == "process" else jobs.wait_to_be_ended_later
        self.submit(executor, "abort", {"cancelled"}, fn, 0)

    def gather(self, random: Random, executor: Executor) -> None:
        """Gather a few, of which some fail."""
        fates = [random.choice(["fine", "fine", "fail"]) for _ in range(random.randint(1, 5))]
        self.books.fault("exception", fates.count("fail"))
        tasks = [
            self.submit(executor, "gather", FAILURE, jobs.item, x, fate)
            if fate == "fail"
            else self.submit(executor, "gather", SUCCESS, jobs.item, x, fate, value=x * x)
            for x, fate in enumerate(fates)
        ]
        outcomes = executor.gather(*tasks, errors="return").result(WAIT_SECONDS)
        if [outcome.index for outcome in outcomes] != list(range(len(tasks))):
            self.books.complaints.append(f"gather gave {outcomes}")

    def map_all(self, random: Random, executor: Executor) -> None:
        """Map over items with fates of their own, to the end."""
        choices = ["fine"] * 12 + ["fail"] + (["die"] if self.kind == "process" else [])
        fates = [random.choice(choices) for _ in range(random.randint(0, 40))]
        self.books.fault("exception", fates.count("fail"))
        self.books.fault("death in a map", fates.count("die"))
        notes = [self._note_item(fate) for fate in fates]
        results = executor.map(
            jobs.item, notes, range(len(fates)), fates,
            chunksize=random.choice([None, 1, 5, 100]),
            buffersize=random.choice([None, None, 3]),
            ordered=random.random() < 0.7, errors="return", timeout=WAIT_SECONDS,
        )  # fmt: skip
        for outcome in results:
            self.books.settle(notes[outcome.index][1], outcome)

    def _note_item(self, fate: str) -> tuple[str, int]:
        note = self.books.number()
        allowed = {"fine": SUCCESS, "fail": FAILURE, "die": {"lost"}}[fate]
        self.books.accept(note[1], Entry(f"item to {fate}", allowed, None, 1))
        return note

    def map_some(self, random: Random, executor: Executor) -> None:
        """Map, and stop in the middle: what was seen was right, and nothing runs twice."""
        self.books.fault("closed map")
        notes = [self.books.number() for _ in range(30)]
        with executor.map(jobs.item, notes, range(30), ["fine"] * 30) as results:
            for x, value in zip(range(random.randint(0, 20)), results, strict=False):
                if value != x * x:
                    self.books.complaints.append(f"item {x} of a map gave {value!r}")


def _end_well(program: Program, executor: Executor) -> None:
    with executor:
        program.use(executor)


def _end_cancelling(program: Program, executor: Executor) -> None:
    program.use(executor)
    program.books.fault("closed early")
    executor.shutdown(cancel_futures=True)
    program.be_late(executor)


def _end_by_an_exception(program: Program, executor: Executor) -> None:
    program.books.fault("left by an exception")
    try:
        with executor:
            program.use(executor)
            raise _Leaving
    except _Leaving:
        program.be_late(executor)


def _end_with_an_open_map(program: Program, executor: Executor) -> None:
    program.books.fault("closed with an open map")
    with executor:
        program.use(executor)
        next(executor.map(abs, range(1000)))


def _end_by_being_dropped(program: Program, executor: Executor) -> None:
    """Its tasks may be under way still; the caller's frame lets go of it after us."""
    program.books.fault("dropped, not closed")
    program.use(executor)


ENDINGS = {
    "clean": _end_well,
    "cancel": _end_cancelling,
    "exception": _end_by_an_exception,
    "open map": _end_with_an_open_map,
    "dropped": _end_by_being_dropped,
}


class _Leaving(Exception):  # noqa: N818  (it is no error: a program leaves its `with` by it)
    """Leaves a ``with``."""


class _Helper:
    """A thread that watches which tasks run, kills the victims' workers and aborts others."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="soak-helper")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        books, victims, aborted = self._program.books, self._program.victims, self._program.aborted
        while not self._over.wait(0.005):
            for number, pid in jobs.starts_of(books.path):
                if number in victims:
                    victims.remove(number)
                    _kill(pid, (signal.SIGKILL, signal.SIGTERM, signal.SIGABRT)[number % 3])
                    books.fault("kill a busy worker")
                elif number in aborted:
                    aborted.pop(number).abort()


def _kill(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:  # the executor was faster
        pass
