"""Advice: right and readable answers, in time; and the commands around it."""

from __future__ import annotations

import ast
import functools
import json
import math
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unifexec import create_executor, guidance
from unifexec.__main__ import main
from unifexec._backends import create
from unifexec.compare import server
from unifexec.guidance import Advice, advise, doctor, hints, judging, machine, plot, target, telling
from unifexec.guidance.alone import Alone
from unifexec.guidance.travel import Travel, measure_travel
from unifexec.guidance.trials import (
    FEW_SAMPLES,
    NO_TIME,
    NONE_ENDED,
    STUCK,
    Attempt,
    Candidate,
    Contest,
    Trial,
    candidates,
)
from unifexec.share import share

from . import guidance_functions as functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT = 1.0  # seconds: a budget for what is clear at once
LATE = 3.0  # seconds that a busy machine may be late


# -- advice on real functions --


def test_a_coroutine_that_fetches_wants_an_event_loop() -> None:
    """A coroutine that waits for a server: async, many times as fast as one at a time."""
    with server.running() as url:
        advice = advise(functions.fetch, [url], budget=2.0)
    assert advice.executor == "async"
    assert advice.speedup is not None
    assert advice.speedup > 2  # a hundred times, where nothing else is going on
    assert advice.alone is not None
    assert advice.alone.coroutine
    assert "coroutine" in advice.reasons[0]


def test_a_function_that_waits_wants_threads() -> None:
    """A plain function that sleeps: threads, nearly as many times as fast as there are workers."""
    advice = advise(functions.sleep, [0.01], budget=SHORT)
    assert advice.executor == "thread"
    assert advice.workers >= 8  # 32, where nothing else is going on
    assert advice.speedup is not None
    assert 4 < advice.speedup < 36
    assert "does nothing but wait" in advice.reasons[0]


def test_a_tiny_lambda_wants_no_executor() -> None:
    """``x + 1``: a plain loop, since handing a call over costs more than the call; for sure."""
    advice = advise(functions.add_one, range(1000), budget=SHORT)
    assert (advice.executor, advice.confidence) == ("serial", "high")
    assert "less than it costs to hand a call to any worker" in advice.reasons[0]
    assert "results = [add_one(each) for each in inputs]" in str(advice)
    assert "a call takes " in advice.reasons[0]
    assert " ns in a plain loop:" in advice.reasons[0]  # not what a look at the clock takes


def test_a_function_that_takes_an_open_socket_wants_threads() -> None:
    """It cannot travel: no process is tried, and the reason names what cannot, and where."""
    with socket.socket() as sock:
        advice = advise(functions.talk, [functions.Connection(sock)], budget=SHORT)
    assert advice.executor == "thread"
    assert {trial.candidate.kind for trial in advice.trials} == {"serial", "thread"}
    assert any(".parts['socket'] cannot be sent to another process" in r for r in advice.reasons)


@pytest.mark.parametrize("count", [1, 12])
def test_an_open_socket_is_used_by_one_call_at_a_time(count: int) -> None:
    """Two calls on one would steal each other's answers: as many sockets, so many at once."""
    with echoing(count) as sockets:
        advice = advise(functions.ask, sockets, budget=SHORT)
    assert advice.executor == "thread"
    threads = [t for t in advice.trials if t.candidate.kind == "thread"]
    if count == 1:
        assert (advice.confidence, advice.speedup) == ("low", None)
        assert {trial.problem for trial in threads} == {FEW_SAMPLES}
        assert any("as many samples as there may be workers" in r for r in advice.reasons)
    else:
        assert threads[0].problem is None
        assert max(trial.candidate.workers for trial in threads) == count
        assert advice.workers > 1  # how many of them are best on a busy machine, is its affair
    assert any("of 'ask' cannot be sent to another process: <socket" in r for r in advice.reasons)


def test_no_more_workers_are_advised_than_could_be_tried() -> None:
    """Asked for more than there are sockets, it tries, and tells of, as many as there are."""
    with echoing(4) as sockets:
        advice = advise(functions.ask, sockets, budget=SHORT, workers=50)
    assert (advice.executor, advice.workers) == ("thread", 4)


@contextmanager
def echoing(count: int) -> Iterator[list[socket.socket]]:
    """Give connections, each answered by a thread of its own, after a moment."""

    def answer(connection: socket.socket) -> None:
        while question := connection.recv(100):
            time.sleep(0.005)
            connection.sendall(question)

    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        threads = [threading.Thread(target=answer, args=(there,)) for _, there in pairs]
        for here, there in pairs:
            stack.enter_context(there)
            stack.callback(here.close)
        for thread in threads:
            thread.start()
        yield [here for here, _ in pairs]
        for (here, _), thread in zip(pairs, threads, strict=True):
            here.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.slow  # it measures what a busy machine hides
@pytest.mark.skipif(not machine.has_gil(), reason="is about the GIL")
def test_parsing_is_seen_to_hold_the_gil() -> None:
    """``ast.parse``: it computes all the time; two at once block each other."""
    advice = advise(functions.parse, [ast.__file__], budget=2.0)
    assert advice.alone is not None
    assert advice.alone.waiting_share < 0.3
    assert advice.travel.problem is None
    assert {"serial", "thread", "process"} == {trial.candidate.kind for trial in advice.trials}
    if not advice.alone.disturbed:  # else nothing is sure
        assert advice.executor != "thread"
        assert any("it holds the GIL" in reason for reason in advice.reasons)


def test_dry_gives_the_workers_asked_for() -> None:
    """``workers`` is the caller's word, whether anything is measured or not."""
    assert advise(functions.note_call, [1, 2, 3], dry=True, workers=3).workers == 3


def test_it_claims_nothing_of_the_gil_for_what_mostly_waits() -> None:
    """Who sleeps half of the time keeps out of its twin's way, whatever it does with the GIL."""
    advice = advise(functions.compute_and_sleep, [0.01] * 4, budget=1.0)
    assert not [reason for reason in advice.reasons if "without the GIL" in reason]


@pytest.mark.slow  # it wants cores that other programs leave alone
@pytest.mark.skipif(machine.usable_cores() < 2, reason="needs two cores")
@pytest.mark.parametrize(
    ("fn", "sample", "kinds"),
    [
        (functions.parse, ast.__file__, {"process"} if machine.has_gil() else {"thread"}),
        (functions.hash_zeros, 50_000_000, {"thread", "process"}),
    ],
)
def test_computing_wants_cores(fn: Callable[[Any], Any], sample: Any, kinds: set[str]) -> None:
    """Parsing wants processes; hashing, which releases the GIL, threads as well."""
    for _ in range(4):
        advice = advise(fn, [sample])
        assert advice.alone is not None
        if advice.executor in kinds and (advice.speedup or 0) > 1.3:
            return
        if not advice.alone.disturbed:
            break
        time.sleep(1.0)
    else:
        pytest.skip("the machine is too busy to tell")
    pytest.fail(str(advice))


@pytest.mark.slow  # it takes seconds, and measures time
def test_hashing_is_seen_to_compute_without_moving_its_data() -> None:
    """``hashlib.sha256`` of 50 MB, made where it is hashed: a few bytes travel."""
    advice = advise(functions.hash_zeros, [50_000_000], budget=2.0)
    assert advice.alone is not None
    assert advice.alone.waiting_share < 0.3
    assert advice.travel.there < 100
    assert advice.executor in {"thread", "process", "serial"}  # as quiet as the machine is


# -- bounds and bad input --


@pytest.mark.parametrize("fn", [functions.sleep, functions.nap])
@pytest.mark.parametrize(("seconds", "budget"), [(0.001, 0.3), (0.2, 0.5), (0.6, 0.2)])
def test_the_budget_is_kept(fn: Callable[[float], Any], seconds: float, budget: float) -> None:
    """It takes the budget at most, and one call."""
    begin = time.monotonic()
    advice = advise(fn, [seconds], budget=budget)
    assert time.monotonic() - begin < budget + seconds + LATE
    assert advice.executor in create.KINDS  # which of them, so short a look need not tell


def test_one_long_call_gives_a_guess_that_says_so() -> None:
    """Where there is no time to try, confidence is low and the table says why."""
    advice = advise(functions.sleep, [0.5], budget=0.2)
    assert (advice.executor, advice.confidence) == ("thread", "low")
    assert any("no time" in reason for reason in advice.reasons)
    assert "not tried" in str(advice)


@pytest.mark.slow
def test_calls_that_block_each_other_for_good_are_given_up() -> None:
    """It ends, says so, and does not advise what never ended."""
    begin = time.monotonic()
    try:
        advice = advise(functions.block_beside_itself, [1], budget=1.0)
        assert time.monotonic() - begin < 10
    finally:
        functions.RELEASED.set()
    assert advice.executor != "thread"
    assert any(f"Thread failed: {STUCK}" in reason for reason in advice.reasons)


def test_coroutines_that_hold_up_the_loop_are_seen_in_time() -> None:
    """A few tell that a thousand would not overlap, and could not be stopped; it says so."""
    begin = time.monotonic()
    advice = advise(functions.nap_without_await, [0.02], budget=2.0)
    assert time.monotonic() - begin < 2.0 + LATE
    assert advice.executor != "async"
    assert any("do not overlap on an event loop" in reason for reason in advice.reasons)


def test_nothing_is_left_running() -> None:
    """Threads and processes end with the call; also checked by the fixture of every test."""
    advise(functions.sleep, [0.001], budget=0.3)
    assert not [t for t in threading.enumerate() if t.name.startswith("unifexec-thread")]


def test_dry_never_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``dry=True`` looks at the function and weighs its samples, and calls nothing."""
    trace = tmp_path / "calls"
    monkeypatch.setenv(functions.COUNTING, str(trace))
    advice = advise(functions.note_call, [1, 2, 3], dry=True)
    assert not trace.exists()
    assert (advice.confidence, advice.trials, advice.alone) == ("low", (), None)
    assert "It was not called" in str(advice)
    advise(functions.note_call, [1], budget=0.2)
    assert trace.exists()  # so the trace would have been seen


@pytest.mark.parametrize(
    ("fn", "kind"),
    [
        (functions.fetch, "async"),
        (functions.sleep, "thread"),
        (functions.add_one, "serial"),
        (functools.partial(functions.sleep), "thread"),
        (functions.hash_zeros, "thread"),
        (functions.parse, "process"),
        (functions.ask_a_proxy, "thread"),
        (len, "process"),  # nothing can be seen of native code
    ],
)
@pytest.mark.skipif(machine.usable_cores() < 2, reason="needs two cores")
def test_dry_guesses(fn: Any, kind: str) -> None:
    """From the names in the code."""
    assert advise(fn, ["sample"], dry=True).executor == kind


def test_hints_see_imports_inside() -> None:
    """A module imported in the function is seen as one imported above."""

    def get(url: str) -> bytes:
        from urllib.request import urlopen

        return bytes(urlopen(url).read())

    assert hints.look_at(get).waits
    assert not hints.look_at(functions.parse).waits


@pytest.mark.parametrize(
    ("fn", "samples", "options", "error", "words"),
    [
        (3, [1], {}, TypeError, "callable with one argument, got 3"),
        (abs, "text", {}, TypeError, "put it into a list"),
        (abs, 7, {}, TypeError, "got 7: put a single input into a list"),
        (abs, [], {}, ValueError, r"got \[\]: give at least one input"),
        (abs, (1 // 0 for _ in [1]), {}, ZeroDivisionError, "by zero"),
        (abs, (len(1) for _ in [1]), {}, TypeError, "no len"),  # type: ignore[arg-type]  # it is to fail
        (functions.count_up, [1], {}, TypeError, "'count_up' only makes a generator, .* a list"),
        (functions.count_up_slowly, [1], {"dry": True}, TypeError, "Give a function that runs"),
        (functions.leave, [3], {}, RuntimeError, "on 3 it raised SystemExit: 3"),
        (functions.fail_late, [1, 2], {"budget": 0.1}, RuntimeError, "all 1 of 2 samples tried in"),
        (functions.fail, [functions.Shy()], {}, RuntimeError, "on <.*Shy object at"),
        (abs, [1], {"budget": 0}, ValueError, "above 0, got 0"),
        (abs, [1], {"budget": float("nan")}, ValueError, "got nan"),
        (abs, [1], {"budget": 10**400}, ValueError, "above 0, got 1000"),
        (functions.fail_silently, [3], {}, RuntimeError, r"on 3 it raised SilentError\. Give"),
        (abs, [1], {"budget": "5"}, TypeError, "got '5'"),
        (abs, [1], {"workers": 0}, ValueError, "at least 1, got 0"),
        (abs, [1], {"workers": 1.5}, TypeError, "got 1.5"),
        (functions.fail, [1], {}, RuntimeError, "LookupError: nothing for 1"),
    ],
)
def test_bad_input_names_the_value_and_the_cure(
    fn: Any, samples: Any, options: Any, error: type[Exception], words: str
) -> None:
    """What is wrong is said before anything runs."""
    with pytest.raises(error, match=words):
        advise(fn, samples, **options)


def test_a_coroutine_object_is_refused() -> None:
    """The function is wanted, not its call; no warning that it was never awaited."""
    with pytest.raises(TypeError, match="coroutine object: give the function 'nap', not called"):
        advise(functions.nap(1), [1])  # type: ignore[arg-type]


def test_samples_that_fail_are_left_out_and_counted() -> None:
    """The others are measured; the reasons name one that failed."""
    advice = advise(functions.fail_if_negative, [1, -1, 2], budget=0.5)
    assert any("calls failed and were left out, such as -1" in r for r in advice.reasons)


def test_an_error_that_cannot_say_what_it_is_is_named() -> None:
    """Of a call that fails now and then, the type alone."""
    told = " ".join(advise(functions.fail_silently_now_and_then, [1], budget=SHORT).reasons)
    assert re.search(r"failed: SilentError[.:;]", told)


def test_a_call_that_ends_the_program_beside_another_does_not() -> None:
    """It works alone: what it does in threads is told as any failure."""
    advice = advise(functions.leave_elsewhere, [1], budget=SHORT)
    assert any("Thread failed: SystemExit: 3" in reason for reason in advice.reasons)


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (functools.partial(functions.sleep), "partial(sleep)"),
        (functions.Doubling(), "Doubling object"),
    ],
)
def test_what_has_no_name_is_fn_in_the_code(fn: Any, name: str) -> None:
    """A partial is not its function, nor an object its class: neither name would do there."""
    advice = advise(fn, [1], dry=True)
    assert advice.function == name
    assert "(fn, inputs)" in str(advice)


def test_dry_says_nothing_against_its_own_choice() -> None:
    """It does not want processes where threads are advised, or there is one core."""
    advice = advise(functions.Locked().double, [1], dry=True)
    assert advice.executor != "process"
    assert "It cannot go to a process" in str(advice)
    assert "wants processes" not in str(advice)
    seen = hints.look_at(functions.parse)
    choice = judging.guess_unseen(seen, Travel(), 1)
    assert "there is one core" in telling.reasons_unseen(seen, Travel(), choice)[1]


@pytest.mark.slow  # it takes seconds, and measures time
def test_an_executor_that_fails_is_not_chosen() -> None:
    """What works here and not in another process is said, and processes are not advised."""
    advice = advise(functions.fails_elsewhere, [os.getpid()], budget=4.0)
    assert advice.executor != "process"
    assert any("Process failed: LookupError: not at home" in r for r in advice.reasons)


def test_workers_fixes_the_count() -> None:
    """Each executor is tried with just so many."""
    advice = advise(functions.sleep, [0.005], budget=SHORT, workers=3)
    assert (advice.executor, advice.workers) == ("thread", 3)
    assert {t.candidate.workers for t in advice.trials if t.candidate.kind != "serial"} == {3}


def test_an_advice_inside_a_running_loop() -> None:
    """It blocks, and works."""
    import asyncio

    async def ask() -> Advice:
        return advise(functions.nap, [0.001], budget=0.4)

    advice = asyncio.run(ask())
    assert advice.alone is not None
    assert advice.alone.coroutine
    assert advice.executor in create.KINDS


# -- judging, from numbers --


def alone(seconds: float = 0.01, waiting: float = 0.0, coroutine: bool = False) -> Alone:
    return Alone(10, coroutine, seconds, seconds - waiting, 0.0, 0.0, seconds, seconds, seconds)


def trial(kind: str, rate: float, workers: int = 2, **more: Any) -> Trial:
    return Trial(Candidate(kind, workers), [rate, rate], 10, **more)


def test_among_equals_the_simplest_is_chosen() -> None:
    """Within five per cent: serial before threads before processes, few workers before many."""
    tried = [trial("process", 200), trial("thread", 195), trial("serial", 100)]
    choice = judging.choose(tried, alone(), Travel(), 2, None)
    assert (choice.kind, choice.as_good) == ("thread", ("process",))
    tried = [trial("thread", 200, 32), trial("thread", 198, 8), trial("serial", 100)]
    assert judging.choose(tried, alone(), Travel(), 2, None).workers == 8


def test_confidence_wants_a_steady_and_clear_lead() -> None:
    """High when it is steady and ahead; less for each doubt."""
    tried = [trial("process", 200), trial("thread", 100), trial("serial", 100)]
    assert judging.choose(tried, alone(), Travel(), 2, None).confidence == "high"
    tried[0].rates = [200, 100]
    assert judging.choose(tried, alone(), Travel(), 2, None).confidence == "medium"
    tried[1].rates = []
    tried[2].rates = [190]
    assert judging.choose(tried, alone(), Travel(), 2, None).confidence == "low"


def test_what_computes_elsewhere_is_guessed_to_want_threads() -> None:
    """A process of its own would only wait for that other one."""
    runs_programs = Alone(10, False, 0.02, 0.001, 0.018, 0.0, 0.02, 0.02, 0.02)
    guess = judging.guess_from_alone(runs_programs, Travel(), 2)
    assert (guess.kind, guess.workers) == ("thread", 2)


def test_a_coroutine_that_waits_leaves_its_loop_only_for_what_is_far_ahead() -> None:
    """On a busy machine one slice shows half of what another shows; it is told, and not hidden."""
    waits = alone(0.02, waiting=0.02, coroutine=True)
    tried = [trial("serial", 50), trial("thread", 900, 32), trial("async", 500, 1000)]
    tried += [trial("async", 490, 100)]
    choice = judging.choose(tried, waits, Travel(), 2, None)
    assert (choice.kind, choice.workers, choice.speedup) == ("async", 100, 9.8)
    assert (choice.as_good, choice.confidence) == ((), "medium")
    told = " ".join(telling.reasons(choice, waits, Travel(), tried, [], None))
    assert "leaves its event loop only for 2 times its rate" in told
    holds_up_its_loop = [trial("serial", 50), trial("thread", 900, 32), trial("async", 52, 1000)]
    assert judging.choose(holds_up_its_loop, waits, Travel(), 2, None).kind == "thread"
    with_two_workers = [trial("serial", 50), trial("thread", 98), trial("async", 50)]
    assert judging.choose(with_two_workers, waits, Travel(), 2, None).kind == "thread"
    plain = alone(0.02, waiting=0.02)
    assert judging.choose(tried, plain, Travel(), 2, None).kind == "thread"


def test_only_coroutines_are_told_of_their_loop() -> None:
    """Not a plain function for which chunks were a little faster, and not advised."""
    chunked = Trial(Candidate("process", 2, 40), [103.0, 103.0], 10)
    tried = [trial("serial", 100), trial("process", 90), chunked]
    choice = judging.choose(tried, alone(), Travel(), 2, None)
    assert (choice.kind, choice.as_good) == ("serial", ())
    assert "loop" not in " ".join(telling.reasons(choice, alone(), Travel(), tried, [], None))


def test_threads_for_coroutines_are_not_too_many() -> None:
    """Each has a loop of its own: a thousand of them take seconds to end."""
    tried = candidates(alone(waiting=0.01, coroutine=True), Travel(), 2, 5000, 9)
    most = {c.kind: c.workers for c in tried}
    assert (most["thread"], most["async"]) == (100, 1000)


def test_on_a_busy_machine_processor_time_has_a_say() -> None:
    """Python code for which processes came out a little slower, on cores that were not free."""
    busy = Alone(10, False, 0.02, 0.01, 0.0, 0.01, 0.02, 0.02, 0.02)
    tried = [trial("serial", 50), trial("thread", 52), trial("process", 45)]
    assert judging.choose(tried, busy, Travel(), 2, True).kind == "process"
    assert judging.choose(tried, busy, Travel(), 2, False).kind == "thread"
    quiet = alone(0.02)
    assert judging.choose(tried, quiet, Travel(), 2, True).kind == "serial"


def test_a_chunk_size_must_be_clearly_better() -> None:
    """Than the default, which adapts itself."""
    chunked = Trial(Candidate("process", 2, 40), [220.0, 220.0], 10)
    tried = [trial("serial", 100), trial("process", 200), chunked]
    assert judging.choose(tried, alone(0.0005), Travel(), 2, None).chunksize is None
    chunked.rates = [300.0, 300.0]
    assert judging.choose(tried, alone(0.0005), Travel(), 2, None).chunksize == 40


def test_what_should_be_best_needs_no_trial() -> None:
    """A coroutine that waits: async, also if there was time for threads only; confidence low."""
    waits = alone(0.2, waiting=0.2, coroutine=True)
    tried = [trial("serial", 5), trial("thread", 100, 32)]
    tried += [Trial(Candidate("async", 1000), problem=NO_TIME)]
    choice = judging.choose(tried, waits, Travel(), 2, None)
    assert (choice.kind, choice.confidence, choice.speedup) == ("async", "low", None)


def test_what_failed_is_never_chosen() -> None:
    """However fast it was before."""
    tried = [trial("process", 900, problem="it failed"), trial("serial", 100), trial("thread", 200)]
    assert judging.choose(tried, alone(), Travel(), 2, None).kind == "thread"


def test_large_values_are_not_sent_to_processes() -> None:
    """What weighs more than may be under way at once is not tried there."""
    kinds = {c.kind for c in candidates(alone(), Travel(there=1 << 29), 2, None, 9)}
    assert kinds == {"serial", "thread"}


def test_one_of_each_kind_is_tried_before_other_counts() -> None:
    """Where calls are long, the likeliest kind comes first."""
    long = alone(0.1, waiting=0.04, coroutine=True)
    kinds = [c.kind for c in candidates(long, Travel(), 2, None, 9)]
    assert kinds[:4] == ["serial", "process", "thread", "async"]
    waits = alone(0.1, waiting=0.1, coroutine=True)
    kinds = [c.kind for c in candidates(waits, Travel(), 2, None, 9)]
    assert kinds[:4] == ["serial", "async", "thread", "process"]


class SlowAtFirst(Attempt):
    """Each run costs its setting up, the first one more; no call is really made."""

    def start(self, deadline: float) -> None:
        """Nothing to start."""

    def run(self, calls: int, deadline: float, buffersize: int | None) -> None:
        """One chunk after the other in each worker, 0.1 ms a call."""
        candidate = self.trial.candidate
        setting_up = 0.001 if self.trial.calls else 0.1
        seconds = setting_up + math.ceil(calls / candidate.wave) * (candidate.chunksize or 1) * 1e-4
        self.trial.rates.append(calls / seconds)
        self.trial.calls += calls


@pytest.mark.parametrize("chunksize", [None, 100])
def test_a_slice_is_long_however_slow_the_first_calls_were(chunksize: int | None) -> None:
    """A slow start made slices of some calls: what was measured was the start of a map."""
    candidate = Candidate("process", 2, chunksize)
    attempt = SlowAtFirst(candidate, functions.add_one, [1], alone(1e-4))
    contest = Contest(functions.add_one, [1], alone(1e-4), Travel(), time.monotonic() + 60)
    contest.prepare(attempt, 0.2)
    assert 0.7 * 4000 <= attempt.slice_calls <= 4000  # 2 workers, 0.2 s, 0.1 ms a call
    assert attempt.slice_calls % candidate.wave == 0
    assert attempt.trial.rate > 0.9 * 20_000


def test_the_start_of_a_loop_is_no_fault_of_its_coroutines() -> None:
    """A few at once are looked at when it runs: to import and to start it takes a while."""
    waits = alone(0.005, waiting=0.005, coroutine=True)
    attempt = SlowAtFirst(Candidate("async", 1000), functions.nap, [1], waits)
    contest = Contest(functions.nap, [1], waits, Travel(), time.monotonic() + 5)
    contest.prepare(attempt, 0.2)
    assert attempt.trial.problem is None


def test_weighing_takes_little_of_the_budget() -> None:
    """A large sample that comes again and again is serialised as often as there is time for."""
    large = bytes(20_000_000)
    begin = time.monotonic()
    one = measure_travel(functions.parse, "parse", [large], [], 0.0)
    once = time.monotonic() - begin
    begin = time.monotonic()
    many = measure_travel(functions.parse, "parse", [large] * 50, [large] * 50, 0.0)
    assert time.monotonic() - begin < 10 * once + LATE
    assert one.there == many.there == many.back


@pytest.mark.parametrize("dry", [True, False])
def test_samples_may_hold_what_is_shared(dry: bool) -> None:
    """A handle goes to processes with tasks only, so that it cannot be weighed: it is said."""
    with share({1, 2, 3}) as shared:
        advice = advise(functions.find, [(shared, 1), (shared, 5)], budget=SHORT, dry=dry)
    assert (advice.travel.problem, advice.travel.there) == (None, 0)
    told = "what it weighs cannot be told" in " ".join(advice.reasons)
    assert told is dry  # what was tried need not be told
    assert not any("shared handle" in reason for reason in advice.reasons)


def test_the_cores_are_those_an_executor_uses() -> None:
    """The doctor and the advice count them as the executors do."""
    with create_executor("process") as executor:
        assert machine.usable_cores() == executor._max_workers


# -- rendering --


@pytest.fixture(scope="module", name="advice")
def fixture_advice() -> Advice:
    """Return an advice on a function that waits."""
    return advise(functions.sleep, [0.01], budget=SHORT)


def test_the_text_is_readable(advice: Advice) -> None:
    """A first line that says it all, code to copy, reasons, and the table with one mark."""
    text = str(advice)
    assert text.startswith("sleep: use thread with ")
    assert f'with create_executor("thread", max_workers={advice.workers}) as executor:' in text
    assert max(map(len, text.splitlines())) <= 100
    assert sum(line.endswith("  <") for line in text.splitlines()) == 1
    for reason in advice.reasons:
        assert reason in " ".join(text.replace("\n  ", " ").split("\n- "))
        assert reason[0].isupper()
        assert reason.endswith(".")


def reasons_of(choice: judging.Choice, alone: Alone, tried: list[Trial]) -> list[str]:
    return telling.reasons(choice, alone, Travel(), tried, [], None)


def test_the_others_are_those_that_were_tried() -> None:
    """Nothing is called the best of all that was not compared with all."""
    tried = [trial("serial", 100), trial("thread", 200)]
    tried += [Trial(Candidate("process", 2), problem=NO_TIME)]
    waits = alone(waiting=0.01)
    told = reasons_of(judging.choose(tried, waits, Travel(), 2, None), waits, tried)
    words = "of the other kinds that were tried, the fastest was serial: 100."
    assert [reason for reason in told if words in reason]
    tried = [trial("serial", 100), trial("thread", 200), trial("process", 199)]
    told = reasons_of(judging.choose(tried, alone(), Travel(), 2, None), alone(), tried)
    assert [reason for reason in told if "of the further kinds that were tried" in reason]


def test_what_had_no_time_is_told_from_what_had() -> None:
    """Processes with chunks of their own may be left out where processes were tried."""
    tried = [trial("serial", 100), trial("process", 50)]
    tried += [Trial(Candidate("process", 2, 40), problem=NO_TIME)]
    told = reasons_of(judging.choose(tried, alone(), Travel(), 2, None), alone(), tried)
    assert [r for r in told if "no time for process with 2 workers and chunks of 40:" in r]


def test_what_did_not_end_in_time_did_not_fail() -> None:
    """The cure is a larger budget, as for what was not begun."""
    tried = [trial("serial", 100), Trial(Candidate("process", 2), problem=NONE_ENDED)]
    told = reasons_of(judging.choose(tried, alone(), Travel(), 2, None), alone(), tried)
    assert "No call ended in process with 2 workers: give a larger budget." in told
    assert not [reason for reason in told if "failed" in reason]


def test_what_fails_now_and_then_everywhere_is_told() -> None:
    """There was time for all, and none came to its end: not that they could not be tried."""
    problem = "OSError: flaky"
    tried = [Trial(Candidate(kind, 1), problem=problem) for kind in ("serial", "thread")]
    tried += [Trial(Candidate("process", 2), problem=NO_TIME)]
    told = " ".join(reasons_of(judging.choose(tried, alone(), Travel(), 1, None), alone(), tried))
    assert "Every executor met a call that failed: OSError: flaky: this is a guess" in told
    assert told.count(problem) == 1
    assert "could not be tried" not in told


def test_what_was_measured_is_no_guess_for_want_of_a_plain_loop() -> None:
    """Serial failed, so that there is no speed-up; the others are compared all the same."""
    tried = [Trial(Candidate("serial", 1), problem="OSError: flaky")]
    tried += [trial("process", 200), trial("thread", 100)]
    told = " ".join(reasons_of(judging.choose(tried, alone(), Travel(), 2, None), alone(), tried))
    assert "the fastest was thread with 2 workers: 100." in told
    assert "Serial failed: OSError: flaky." in told
    assert "guess" not in told


def test_one_call_is_no_average() -> None:
    """A function so slow that there was time for one: it may have been the import."""
    tried, once = [trial("serial", 1)], replace(alone(1.0), calls=1)
    choice = judging.choose(tried, once, Travel(), 2, None)
    assert "a call takes 1 s by itself, measured once" in reasons_of(choice, once, tried)[0]


def test_an_error_of_several_lines_keeps_to_its_row(advice: Advice) -> None:
    """The table has a line for each executor."""
    trials = (Trial(Candidate("thread", 2), problem="Oh: one\ntwo"),)
    assert str(replace(advice, trials=trials)).endswith("  Oh: one two")


def test_a_reckoned_speed_up_is_told_from_a_measured_one(advice: Advice) -> None:
    """On a busy machine the headline is not what the table shows, and says so."""
    assert advice.speedup is not None
    assert "reckoned" not in str(advice)
    first, *_ = str(replace(advice, speedup=2 * advice.speedup)).splitlines()
    assert f", as reckoned {2 * advice.speedup:.1f} times as fast" in first


def test_processor_time_is_named_only_where_it_had_a_say() -> None:
    """On a busy machine, of a function of which it is not known whether it holds the GIL."""
    busy = Alone(10, False, 0.02, 0.01, 0.0, 0.01, 0.02, 0.02, 0.02)
    tried = [trial("serial", 50), trial("thread", 52), trial("process", 45)]
    told = reasons_of(judging.choose(tried, busy, Travel(), 2, None), busy, tried)
    assert not [reason for reason in told if "processor time" in reason]
    assert [reason for reason in told if "what was measured may be wrong" in reason]
    told = reasons_of(judging.choose(tried, busy, Travel(), 2, True), busy, tried)
    assert [reason for reason in told if "processor time" in reason]


def test_a_tiny_call_takes_what_the_table_says() -> None:
    """The text turns the rate of the plain loop into seconds, however the call was alone."""
    tried = [trial("serial", 125_000), trial("thread", 30_000)]
    choice = judging.choose(tried, alone(6e-6), Travel(), 2, None)
    assert "a call takes 8 µs in a plain loop" in reasons_of(choice, alone(6e-6), tried)[0]


def test_a_longer_call_says_that_it_was_by_itself() -> None:
    """What it took on average is not what it took in the best slice, which the table has."""
    tried = [trial("serial", 1900), trial("thread", 1800)]
    choice = judging.choose(tried, alone(600e-6), Travel(), 2, None)
    first = reasons_of(choice, alone(600e-6), tried)[0]
    assert "a call takes 600 µs by itself, on average" in first


def test_a_tiny_coroutine_is_awaited_fastest() -> None:
    """Its rates are those of executors: that a loop of awaits beats them all is said."""
    tiny = alone(3e-6, coroutine=True)
    tried = [trial("serial", 25_000), trial("async", 100_000, 100)]
    told = reasons_of(judging.choose(tried, tiny, Travel(), 2, None), tiny, tried)
    assert [reason for reason in told if "a loop that awaits one after the other" in reason]


def test_without_a_gil_no_gil_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that block each other there share some lock."""
    monkeypatch.setattr(machine, "has_gil", lambda: False)
    tried = [trial("serial", 100)]
    choice = judging.choose(tried, alone(), Travel(), 2, True)
    told = " ".join(telling.reasons(choice, alone(), Travel(), tried, [], True))
    assert "they share a lock" in told
    assert "GIL" not in told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999.7e-9, "1 µs"),
        (999.7e-6, "1 ms"),
        (0.9997, "1 s"),
        (0.5e-3, "500 µs"),
        (2345, "2,345 s"),
    ],
)
def test_durations_are_easy_to_read(value: float, text: str) -> None:
    """Three digits and a unit, never a power of ten."""
    assert telling.seconds(value) == text


def test_what_is_advised_untried_says_so_in_the_table() -> None:
    """The mark does not hide why its row is empty."""
    advice = advise(functions.sleep, [0.3], budget=0.1)
    (row,) = (line for line in str(advice).splitlines() if "  <" in line)
    assert row.endswith("<  not tried: there was no time left")


def test_the_json_has_the_same(advice: Advice) -> None:
    """Its keys are the attributes."""
    data = json.loads(advice.to_json())
    assert set(data) == set(Advice.__dataclass_fields__)
    assert (data["executor"], data["workers"]) == (advice.executor, advice.workers)
    assert [t["executor"] for t in data["trials"] if t["chosen"]] == [advice.executor]


def test_without_matplotlib_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before any work is done; also by the commands."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'unifexec\[plot\]'"):
        plot.check(tmp_path / "plot.svg")
    assert main(["compare", "--plot", str(tmp_path / "plot.svg")]) == 2
    assert "pip install 'unifexec[plot]'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plot.pdf", "no-folder/plot.svg", "folder.svg"])
@pytest.mark.usefixtures("matplotlib_is_ready")
def test_a_plot_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Only .svg and .png, in a folder that exists, where a file can be written."""
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(ValueError, match="plot"):
        plot.check(tmp_path / name)


@pytest.mark.usefixtures("matplotlib_is_ready")
def test_looking_whether_it_can_be_drawn_leaves_no_file(tmp_path: Path) -> None:
    """The work comes first, and may fail."""
    plot.check(tmp_path / "plot.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("matplotlib_is_ready")
def test_nothing_to_draw_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no time to try anything: the answer, and one line on the plot."""
    unmeasured = advise(functions.sleep, [0.0001], dry=True)
    monkeypatch.setattr(guidance, "advise", lambda *args, **options: unmeasured)
    name, path = "tests.guidance_functions:sleep", str(tmp_path / "plot.svg")
    assert main(["advise", name, "--samples", "[0.0001]", "--plot", path]) == 2
    told = capsys.readouterr()
    assert told.out.startswith("sleep: ")
    assert "nothing to draw: no executor was tried; give a larger budget" in told.err


CELLS = [
    {"executor": "serial", "speedup": 1.0},
    {"executor": "thread", "speedup": 2.0},
    {"executor": "process", "speedup": None},
]
COMPARISON = {"python": "3", "cores": 2, "rows": [{"title": "a row, or two", "cells": CELLS}] * 2}


@pytest.fixture(scope="module", name="matplotlib_is_ready")
def fixture_matplotlib_is_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let it open its fonts, which it keeps open, before a test counts what is open."""
    pytest.importorskip("matplotlib")
    for suffix in ("svg", "png"):
        plot.draw_comparison(COMPARISON, tmp_path_factory.mktemp("plot") / f"first.{suffix}")


@pytest.mark.usefixtures("matplotlib_is_ready")
@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_plots_are_drawn(advice: Advice, tmp_path: Path, suffix: str) -> None:
    """An advice, and a comparison with a failed cell."""
    one, two = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
    plot.draw_advice(advice, one)
    plot.draw_comparison(COMPARISON, two)
    head = b"<?xml" if suffix == "svg" else b"\x89PNG"
    assert one.read_bytes().startswith(head)
    assert two.read_bytes().startswith(head)


# -- the commands --


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would."""
    command = [sys.executable, "-W", "error", "-m", "unifexec", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **environment},
    )


def test_the_advise_command(tmp_path: Path) -> None:
    """A function by its name, samples from an expression; text, JSON, exit code 0."""
    path = tmp_path / "advice.json"
    name = "tests.guidance_functions:sleep"
    done = run("advise", name, "--samples", "[0.002]", "--budget", "0.5", "--json", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    advised = json.loads(path.read_text())["executor"]  # on a busy machine there may be no time
    assert done.stdout.startswith(f"sleep: use {advised}")


def test_the_advise_command_dry() -> None:
    """``--dry`` runs nothing."""
    done = run("advise", "tests.guidance_functions:fail", "--samples", "range(3)", "--dry")
    assert (done.returncode, done.stderr) == (0, "")
    assert "It was not called" in done.stdout


@pytest.mark.parametrize(
    ("function", "samples", "words"),
    [
        ("json.dumps", "[1]", "package.module:function, got 'json.dumps'"),
        ("./json/tool.py:main", "[1]", "got './json/tool.py:main': try 'json.tool:main'"),
        (".json:dumps", "[1]", "try 'json:dumps'"),
        ("json:dumps(1)", "[1]", "name the function, without calling it"),
        ("tests.guidance_needs:f", "[1]", "'no_such_package'): install or mend what it imports"),
        ("tests.guidance_script:f", "[1]", "ended with sys.exit('no arguments'): guard what it"),
        ("json:dumps", "(1 // 0 for _ in 'a')", "ZeroDivisionError"),
        ("json:dumps", "exit()", "SystemExit"),
        ("json:dumps", "list", "gave <class 'list'>, which is no iterable"),
        ("json:dumps", "range(0)", "samples 'range(0)' are empty: give at least one"),
        ("json:dumps", "json.txt", "no file here, and as an expression: AttributeError"),
        ("json:dumps", "[1, 2", "'[' was never closed"),
        ("tests.guidance_functions:fail_at_length", "[3]", "nothing for 3 nor for others."),
        ("tests.guidance_functions:leave", "[3]", "failed on every sample; on 3 it raised System"),
        ("no_such_module:f", "[1]", "cannot be imported"),
        ("json:nothing", "[1]", "no attribute 'nothing'"),
        ("tests.guidance_functions:lazy", "[1]", "raised RuntimeError: not now"),
        ("tests.guidance_functions:missing", "[1]", "no attribute 'missing'"),
        ("json:__name__", "[1]", "not a function but 'json'"),
        ("tests.guidance_broken:f", "[1]", "importing module 'tests.guidance_broken' raised"),
        ("json:dumps", "no such file", "neither a file nor a Python expression"),
        (
            "json:dumps",
            "nofile.txt",
            "no file here, and as an expression: NameError: name 'nofile'",
        ),
        ("json:dumps", "1 / 0", "ZeroDivisionError"),
        ("json:dumps", "'text'", "put it into a list"),
        ("json:loads", "[1]", "failed on every sample"),
    ],
)
def test_the_advise_command_says_what_is_wrong(
    function: str, samples: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2."""
    assert main(["advise", function, "--samples", samples, "--budget", "0.1"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "x"], "must be a number of seconds above 0, got 'x'"),
        (["--budget", "-1"], "must be a number of seconds above 0, got '-1'"),
        (["--workers", "0"], "at least 1, got '0'"),
        (["--plot", "plot.svg", "--dry"], "leave out --dry"),
        (["--plot", "plot.pdf"], "a .svg or .png file, got 'plot.pdf'"),
    ],
)
def test_bad_options_of_advise_are_refused(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the function is called: it would fail, and would be told so."""
    name = "tests.guidance_functions:fail"
    try:
        code: object = main(["advise", name, "--samples", "[1]", *options])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert words in capsys.readouterr().err


def test_samples_from_files(tmp_path: Path) -> None:
    """Lines of a text file; the list of a JSON file."""
    lines, values, wrong = tmp_path / "a.txt", tmp_path / "a.json", tmp_path / "b.json"
    lines.write_text("one\ntwo\n")
    values.write_text("[1, [2]]")
    wrong.write_text('{"a": 1}')
    assert target.load_samples(str(lines)) == ["one", "two"]
    assert target.load_samples(str(values)) == [1, [2]]
    assert target.load_samples("[math.floor(n) for n in (1.5, 2.5)]") == [1, 2]
    with pytest.raises(ValueError, match="must hold a list of inputs, it holds a dict"):
        target.load_samples(str(wrong))


def test_samples_are_the_lines_that_an_editor_shows(tmp_path: Path) -> None:
    """Without the mark of their encoding; nothing but a newline ends a line."""
    path, values = tmp_path / "a.txt", tmp_path / "a.json"
    path.write_bytes("\ufeffa\fb\r\nc\u2028d\x85\n\n".encode())
    values.write_bytes("\ufeff[1]".encode())
    assert target.load_samples(str(path)) == ["a\fb", "c\u2028d\x85", ""]
    assert target.load_samples(str(values)) == [1]


def test_samples_from_a_pipe() -> None:
    """As of ``seq 3 | unifexec advise … --samples /dev/stdin``, or of the shell's ``<(seq 3)``."""
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"1\n2\n3\n")
        os.close(theirs)
        assert target.load_samples(f"/dev/fd/{ours}") == ["1", "2", "3"]
    finally:
        os.close(ours)


def test_a_folder_is_no_samples(tmp_path: Path) -> None:
    """It is not evaluated, and the cure is named."""
    with pytest.raises(ValueError, match=r"are a folder: give a file, or .*\.iterdir\(\)"):
        target.load_samples(str(tmp_path))


def test_a_file_here_hides_nothing_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``filter`` in an expression is the builtin, also beside a module of that name."""
    (tmp_path / "filter.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert target.load_samples("filter(None, [0, 1])") == [1]
    assert target.load_samples("[each for each in filter(None, [0, 1])]") == [1]


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """And so is one that may not be read, or holds nothing, with the cure."""
    path = tmp_path / "samples"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"samples' are no text in UTF-8 .* one input on each"):
        target.load_samples(str(path))
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="samples' are empty: give at least one input"):
        target.load_samples(str(path))


@pytest.mark.parametrize(
    "command",
    [
        ["advise", "tests.guidance_functions:fail", "--samples", "[1]"],
        ["advise", "tests.guidance_functions:fail", "--samples", "[1]", "--budget", "x"],
    ],
)
def test_a_command_that_fails_leaves_no_empty_json(command: list[str], tmp_path: Path) -> None:
    """And one that was there before is left as it was."""
    old, link, path = tmp_path / "old.json", tmp_path / "link.json", tmp_path / "new.json"
    old.write_text("[]")
    link.symlink_to(path)
    for each in (old, path, link):
        with suppress(SystemExit):
            assert main([*command, "--json", str(each)]) == 2
    assert sorted(tmp_path.iterdir()) == [link, old]
    assert old.read_text() == "[]"


NO_ERRORS = """
import sys
sys.stderr = None  # as under pythonw
from unifexec.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["compare", "--only", "tiny", "--scale", "0.01"], 0),
        (["advise", "json:nothing", "--samples", "[1]"], 2),
    ],
)
def test_a_program_may_have_no_place_for_errors(command: list[str], code: int) -> None:
    """It says then what it says on its output, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", NO_ERRORS, *command],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert bool(done.stdout) is (code == 0)


def test_output_that_knows_few_characters() -> None:
    """What it cannot show, such as a dash, is shown by its number: no traceback."""
    done = run("table", "--page", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2014" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_full_disk_is_told_in_one_line(buffered: str, all_of_it: bool) -> None:
    """Exit code 1, whether the output is buffered, and where errors go to the same disk, too."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "unifexec", "table"],
            stdout=full,
            stderr=full if all_of_it else subprocess.PIPE,
            text=True,
            timeout=50,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
        )
    assert done.returncode == 1
    if not all_of_it:
        assert done.stderr == "unifexec: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("form", ["--markdown", "--short", "--page"])
def test_evidence_is_for_the_text_only(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With another form of the table it is refused, and not ignored."""
    with pytest.raises(SystemExit, match="2"):
        main(["table", form, "--evidence"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_importing_the_package_loads_no_guidance() -> None:
    """It is there for who asks for it."""
    code = "import sys, unifexec; sys.exit(any('guidance' in name for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


# -- the doctor --


def test_the_doctor_looks_at_everything() -> None:
    """A line for each fact; exit code 1 exactly if there is a warning."""
    done = run("doctor")
    assert done.returncode == (1 if "warning:" in done.stdout else 0), done.stderr
    for word in ("CPython", "GIL", "cores", "spawn", "native thread pools", "trio", "open files"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("finding", "cure"),
    [
        (doctor.gil(True, free_threaded=True), "PYTHON_GIL"),
        (doctor.cores(8, 1, 1), "taskset"),
        (doctor.cores(8, 8, 2), "OMP_NUM_THREADS to 2"),
        (doctor.native_pools({}, ["numpy"], 4), "OMP_NUM_THREADS=1"),
        (doctor.native_pools({"OMP_NUM_THREADS": "64"}, [], 4), "OMP_NUM_THREADS=4"),
        (doctor.descriptors(256), "ulimit -n"),
    ],
)
def test_the_doctor_warns_and_names_the_cure(finding: doctor.Finding, cure: str) -> None:
    """One warning for each problem."""
    assert finding.warning is not None
    assert cure in finding.warning
    assert doctor.as_text([finding]).count("warning:") == 1


def test_the_doctor_counts_as_python_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """By ``PYTHON_CPU_COUNT``, of which `os` knows from 3.13 on: executors obey, too."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert machine.usable_cores() == 1
    (finding,) = (each for each in doctor.examine() if each.name == "cores")
    assert finding.value == "1 usable of 1"


def test_a_mere_folder_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one named ``torch``, for models, may lie where the doctor is called."""
    (tmp_path / "numexpr_models").mkdir()
    (tmp_path / "lonely.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor._installed(["numexpr_models", "lonely", "json"]) == ["lonely", "json"]


@pytest.mark.parametrize(
    "finding",
    [
        doctor.gil(True, free_threaded=False),
        doctor.gil(False, free_threaded=True),
        doctor.cores(4, 4, 4),
        doctor.native_pools({}, [], 4),
        doctor.native_pools({"OMP_NUM_THREADS": "1"}, ["numpy"], 4),
        doctor.native_pools({"OMP_NUM_THREADS": "1,1"}, ["numpy"], 4),
        doctor.descriptors(20_000),
        doctor.descriptors(None),
        *doctor.extras([]),
    ],
)
def test_the_doctor_is_content(finding: doctor.Finding) -> None:
    """What is as it should be gives no warning; a missing extra is none."""
    assert finding.warning is None
    assert doctor.as_text([finding]).endswith("nothing amiss")
