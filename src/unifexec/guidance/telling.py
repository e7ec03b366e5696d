"""Advice in words, as a table, and as plain data."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from typing import TYPE_CHECKING, Any

from unifexec.guidance import judging, machine
from unifexec.guidance.alone import CLOCK_SECONDS, shown, told
from unifexec.guidance.trials import (
    FEW_SAMPLES,
    NO_TIME,
    NONE_ENDED,
    NOT_SIDE_BY_SIDE,
    STUCK,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unifexec.guidance.advice import Advice
    from unifexec.guidance.alone import Alone
    from unifexec.guidance.hints import Hints
    from unifexec.guidance.judging import Choice
    from unifexec.guidance.travel import Travel
    from unifexec.guidance.trials import Candidate, Trial

WIDTH = 88
VARIES = 5.0  # times the median: then the longest call is worth a word
MOST_SHOWN = 999.5  # in three digits; from there on the next unit is easier to read
WEIGHS = 0.2  # seconds of serialising per second of work


# -- reasons --


def reasons(
    choice: Choice,
    alone: Alone,
    weighed: Travel,
    tried: Sequence[Trial],
    failed: Sequence[tuple[Any, Exception | SystemExit]],
    holds_gil: bool | None,
) -> list[str]:
    """Why this one, in sentences."""
    each = _seconds_of_a_call(alone, tried)
    return [
        _what_a_call_is(alone, tried),
        *_what_awaiting_would_do(alone, tried),
        *_how_cores_are_used(holds_gil),
        *_what_travelling_costs(each, weighed),
        *_how_much_calls_vary(alone),
        *_what_was_fastest(choice, alone, tried),
        *_what_starting_costs(choice, tried),
        *_how_busy_it_was(choice, alone),
        *_what_is_doubtful(tried, failed),
    ]


def _seconds_of_a_call(alone: Alone, tried: Sequence[Trial]) -> float:
    """Those of short calls as in the table, from many in a row: a look at the clock is long."""
    serial = _serial_rate(tried)
    return 1 / serial if _is_timed_in_a_row(alone) and serial else alone.seconds


def _is_timed_in_a_row(alone: Alone) -> bool:
    """Of coroutines no plain loop is tried: in a row, an executor's share would be in it."""
    return alone.seconds < CLOCK_SECONDS and not alone.coroutine


def _serial_rate(tried: Sequence[Trial]) -> float:
    return max((t.rate for t in tried if t.candidate.kind == "serial"), default=0.0)


def _what_a_call_is(alone: Alone, tried: Sequence[Trial]) -> str:
    """What the time of a call is, is said with it: the table has others."""
    kind = "coroutine" if alone.coroutine else "plain function"
    in_a_row = _is_timed_in_a_row(alone) and _serial_rate(tried)
    alone_how = "by itself, on average" if alone.calls > 1 else "by itself, measured once"
    how = "in a plain loop" if in_a_row else alone_how
    took = f"It is a {kind}; a call takes {seconds(_seconds_of_a_call(alone, tried))} {how}"
    if alone.mostly_elsewhere:
        return f"{took}, and computes in other threads or processes, not in the one that calls."
    if alone.seconds < judging.TINY_SECONDS:
        return f"{took}: that is less than it costs to hand a call to any worker."
    if alone.only_waits:
        return f"{took}, and does nothing but wait."
    share = alone.waiting_share
    if share < 0.1:
        return f"{took}, and computes all the time."
    return f"{took}: {share:.0%} of it waits, the rest computes."


def _what_awaiting_would_do(alone: Alone, tried: Sequence[Trial]) -> Iterator[str]:
    """Where no executor is as fast as none: a coroutine can await, which `advise` cannot try."""
    best = max((trial.rate for trial in tried), default=0.0)
    if alone.coroutine and alone.seconds < judging.TINY_SECONDS and best * alone.seconds < 1:
        yield "In a coroutine of yours, a loop that awaits one after the other is faster yet."


def _how_cores_are_used(holds_gil: bool | None) -> Iterator[str]:
    if holds_gil is True:
        why = "it holds the GIL while it computes" if machine.has_gil() else "they share a lock"
        yield f"Two at once in threads block each other: {why}."
    elif holds_gil is False:
        yield "Two at once in threads do not block each other: it computes without the GIL."


def _what_travelling_costs(each: float, weighed: Travel) -> Iterator[str]:
    if weighed.problem:
        yield _as_sentence(weighed.problem)
        return
    size = weighed.there + (weighed.back or 0)
    if weighed.seconds > WEIGHS * each:
        yield (
            f"An input and its result weigh {_bytes(size)}; serialising them takes "
            f"{seconds(weighed.seconds)}, a call {seconds(each)}."
        )


def _how_much_calls_vary(alone: Alone) -> Iterator[str]:
    if alone.longest > VARIES * alone.median and alone.longest > 0.001:
        yield (
            f"Calls differ: the longest took {seconds(alone.longest)}, half of them less than "
            f"{seconds(alone.median)}."
        )


def _what_was_fastest(choice: Choice, alone: Alone, tried: Sequence[Trial]) -> Iterator[str]:
    rivals = [t for t in tried if t.rates and not t.problem]
    rivals = [t for t in rivals if t.candidate.kind not in {choice.kind, *choice.as_good}]
    if choice.as_good:
        also = " and ".join(choice.as_good)
        yield f"{also.capitalize()} did as well, give or take 5 %; {choice.kind} is simpler."
    chosen = next((t for t in tried if is_chosen(t.candidate, choice)), None)
    measured = chosen is not None and chosen.rates and not chosen.problem
    if choice.speedup is None and not measured:
        yield _why_it_is_a_guess(tried)
    elif rivals and chosen is not None:
        rival = max(rivals, key=lambda trial: trial.rate)
        others = "further" if choice.as_good else "other"
        yield (
            f"It made {rate(chosen.rate)} calls a second; of the {others} kinds that were tried, "
            f"the fastest was {_named(rival.candidate)}: {rate(rival.rate)}."
        )
        if choice.kind == "async" and alone.wants_a_loop and rival.rate > chosen.rate:
            yield (
                "What does nothing but wait leaves its event loop only for "
                f"{judging.FAR_AHEAD:.0f} times its rate: such short measurements vary."
            )


def _why_it_is_a_guess(tried: Sequence[Trial]) -> str:
    why = "What should be best could not be tried"
    if _every_one_met_a_failure(tried):
        problems = dict.fromkeys(t.problem for t in tried if t.problem and _failed(t))
        why = f"Every executor met a call that failed: {'; '.join(problems)}"
    return f"{why}: this is a guess from the calls made alone."


def _failed(trial: Trial) -> bool:
    return trial.problem is not None and trial.problem not in judging.UNTRIED


def _every_one_met_a_failure(tried: Sequence[Trial]) -> bool:
    """Whether of those that were tried none came to its end without a call that failed."""
    begun = [trial for trial in tried if trial.problem not in judging.UNTRIED]
    others = {None, STUCK, NOT_SIDE_BY_SIDE}
    return bool(begun) and not any(trial.problem in others for trial in begun)


def is_chosen(candidate: Candidate, choice: Choice | Advice) -> bool:
    """Whether this candidate is the recommended one."""
    kind = choice.kind if isinstance(choice, judging.Choice) else choice.executor
    chosen = (kind, choice.workers, choice.chunksize)
    return chosen == (candidate.kind, candidate.workers, candidate.chunksize)


def _what_starting_costs(choice: Choice, tried: Sequence[Trial]) -> Iterator[str]:
    """Starting is not in the rates: from how many calls on it does not matter."""
    chosen = next((t for t in tried if is_chosen(t.candidate, choice)), None)
    serial = next((t for t in tried if t.candidate.kind == "serial" and t.rates), None)
    if choice.kind != "process" or chosen is None or serial is None or not chosen.rates:
        return
    calls = judging.calls_to_pay_for_start(chosen, serial)
    if calls is not None:
        yield (
            f"Starting its workers took {seconds(chosen.start)}, once: from about {calls} calls "
            "on it pays."
        )


def _how_busy_it_was(choice: Choice, alone: Alone) -> Iterator[str]:
    if choice.reckoned:
        yield (
            "Other programs used this machine meanwhile: choice and expected speed-up lean on "
            "processor time as much as on what was measured. Try again when it is quiet."
        )
    elif alone.disturbed:
        yield (
            "Other programs used this machine meanwhile, and what was measured may be wrong. Try "
            "again when it is quiet."
        )


def _what_is_doubtful(
    tried: Sequence[Trial], failed: Sequence[tuple[Any, Exception | SystemExit]]
) -> Iterator[str]:
    if any(t.problem == FEW_SAMPLES for t in tried):
        yield (
            "No two calls were given one input at once, since it cannot be copied: give as many "
            "samples as there may be workers, to have them tried."
        )
    for problem, words in ((NO_TIME, "There was no time for"), (NONE_ENDED, "No call ended in")):
        names = ", ".join(_named(t.candidate) for t in tried if t.problem == problem)
        if names:
            yield f"{words} {names}: give a larger budget."
    failures = [(t.candidate.kind, t.problem) for t in tried if t.problem and _failed(t)]
    told_already = _every_one_met_a_failure(tried)
    for kind, problem in dict.fromkeys(failures if not told_already else []):
        yield f"{kind.capitalize()} failed: {problem}."
    if failed:
        sample, error = failed[0]
        left_out = "calls failed and were" if len(failed) > 1 else "call failed and was"
        yield (f"{len(failed)} {left_out} left out, such as {shown(sample, 60)}: {told(error)}.")


def reasons_unseen(seen: Hints, weighed: Travel, choice: Choice) -> list[str]:
    """Why this one, of a function that was never called."""
    found = ["It was not called: this is a guess from its code."]
    if seen.coroutine:
        found.append("It is an async def: most of these wait, and an event loop is made for that.")
    elif seen.tiny:
        found.append("It is a few instructions long: handing it to a worker costs more.")
    elif seen.waits:
        found.append("It names something that waits for others: waits overlap in threads.")
    elif choice.kind == "serial":
        found.append("Nothing in it seems to wait, and there is one core to compute on.")
    elif seen.native:
        found.append("It names a library whose native code releases the GIL: threads suffice.")
    elif choice.kind == "process":
        found.append("Nothing in it seems to wait: if it computes in Python, it wants processes.")
    else:
        found.append("It cannot go to a process: threads help only if it releases the GIL.")
    if weighed.problem:
        found.append(_as_sentence(weighed.problem))
    elif not weighed.there:
        found.append("An input can go to a process, and what it weighs cannot be told.")
    else:
        found.append(
            f"An input weighs {_bytes(weighed.there)}; serialising it takes "
            f"{seconds(weighed.seconds)}."
        )
    return found


# -- text --


def as_text(advice: Advice) -> str:
    """The whole of an advice, to be read."""
    lines = [
        f"{advice.function}: use {_in_short(advice)} (confidence: {advice.confidence})",
        "",
        *(f"    {line}" for line in _code(advice)),
        "",
        *(textwrap.fill(f"- {r}", WIDTH, subsequent_indent="  ") for r in advice.reasons),
    ]
    if advice.trials:
        lines += ["", *_table(advice)]
    return "\n".join(lines)


def _in_short(advice: Advice) -> str:
    if advice.executor == "serial":
        return "serial" if _needs_executor(advice) else "serial, a plain loop"
    reckoned = "" if _is_measured(advice) else "as reckoned "
    times = f", {reckoned}{advice.speedup or 0:.1f} times as fast as serial"
    fast = "" if advice.speedup is None else times
    return f"{advice.executor} with {_workers(advice.workers)}{fast}"


def _is_measured(advice: Advice) -> bool:
    """Whether the speed-up is that of the table, and not what a quiet machine would show."""
    chosen = max((t.rate for t in advice.trials if is_chosen(t.candidate, advice)), default=0.0)
    serial = _serial_rate(advice.trials)
    return bool(serial) and math.isclose(advice.speedup or 0.0, chosen / serial, rel_tol=0.01)


def _code(advice: Advice) -> list[str]:
    """What to write."""
    name = advice.function if advice.function.isidentifier() else "fn"
    if not _needs_executor(advice):
        return [f"results = [{name}(each) for each in inputs]"]
    workers = "" if advice.executor == "serial" else f", max_workers={advice.workers}"
    chunk = f", chunksize={advice.chunksize}" if advice.chunksize else ""
    return [
        f'with create_executor("{advice.executor}"{workers}) as executor:',
        f"    results = list(executor.map({name}, inputs{chunk}))",
    ]


def _needs_executor(advice: Advice) -> bool:
    """Whether a plain loop would not do; it does not await coroutines."""
    return advice.executor != "serial" or bool(advice.alone and advice.alone.coroutine)


def _table(advice: Advice) -> list[str]:
    serial = next((t.rate for t in advice.trials if t.candidate.kind == "serial"), 0.0)
    head = f"{'executor':10}{'workers':>8}{'chunk':>8}{'calls/s':>12}{'speed-up':>10}  "
    lines = [f"measured in {advice.seconds:.1f} s, the best slice of each", head.rstrip()]
    for trial in advice.trials:
        candidate = trial.candidate
        speed = rate(trial.rate) if trial.rates else "-"
        times = f"{trial.rate / serial:.2f}" if trial.rates and serial else "-"
        mark = "<" if is_chosen(candidate, advice) else ""
        note = "  ".join(filter(None, [mark, _short_problem(trial)]))
        lines.append(
            f"{candidate.kind:10}{candidate.workers:8}{_chunk(candidate):>8}"
            f"{speed:>12}{times:>10}  {note}".rstrip()
        )
    return lines


def _chunk(candidate: Candidate) -> str:
    return "-" if candidate.kind == "serial" else str(candidate.chunksize or "auto")


def _short_problem(trial: Trial) -> str:
    problem = " ".join((trial.problem or "").split())  # an error may have several lines
    return problem if len(problem) <= 35 else problem[:35] + "…"


# -- data --


def as_data(advice: Advice) -> dict[str, Any]:
    """Plain values only; ``trials`` is a list of objects."""
    return {
        "function": advice.function,
        "executor": advice.executor,
        "workers": advice.workers,
        "chunksize": advice.chunksize,
        "speedup": advice.speedup,
        "confidence": advice.confidence,
        "reasons": list(advice.reasons),
        "alone": None if advice.alone is None else dataclasses.asdict(advice.alone),
        "travel": dataclasses.asdict(advice.travel),
        "trials": [_trial_data(trial, advice) for trial in advice.trials],
        "seconds": advice.seconds,
    }


def _trial_data(trial: Trial, advice: Advice) -> dict[str, Any]:
    return {
        "executor": trial.candidate.kind,
        "workers": trial.candidate.workers,
        "chunksize": trial.candidate.chunksize,
        "calls_per_second": trial.rate if trial.rates else None,
        "calls": trial.calls,
        "slices": len(trial.rates),
        "start_seconds": trial.start,
        "chosen": is_chosen(trial.candidate, advice),
        "problem": trial.problem,
    }


# -- words for numbers --


def seconds(value: float) -> str:
    """A duration with a unit that fits."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if value * factor < MOST_SHOWN:
            return f"{value * factor:.3g} {unit}"
    return f"{value:.3g} s" if value < MOST_SHOWN else f"{value:,.0f} s"


def _bytes(count: int) -> str:
    for factor, unit in ((1, "bytes"), (1e3, "kB"), (1e6, "MB")):
        if count / factor < MOST_SHOWN:
            return f"{count / factor:.3g} {unit}"
    return f"{count / 1e9:.3g} GB"


def rate(value: float) -> str:
    """So many in a second: whole ones, if there are many."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _named(candidate: Candidate) -> str:
    if candidate.kind == "serial":
        return "serial"
    chunks = f" and chunks of {candidate.chunksize}" if candidate.chunksize else ""
    return f"{candidate.kind} with {_workers(candidate.workers)}{chunks}"


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count != 1 else ''}"


def _as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
