"""Advice in words, as a table, and as plain data."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Any

from unifexec.guidance import judging
from unifexec.guidance.trials import COULD_NOT_WIN, NO_TIME

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
WEIGHS = 0.2  # seconds of serialising per second of work


# -- reasons --


def reasons(
    choice: Choice,
    alone: Alone,
    weighed: Travel,
    tried: Sequence[Trial],
    failed: Sequence[tuple[Any, Exception]],
    holds_gil: bool | None,
) -> list[str]:
    """Why this one, in sentences."""
    return [
        _what_a_call_is(alone),
        *_how_cores_are_used(holds_gil),
        *_what_travelling_costs(alone, weighed),
        *_how_much_calls_vary(alone),
        *_what_was_fastest(choice, tried),
        *_what_starting_costs(choice, tried),
        *_what_is_doubtful(alone, tried, failed),
    ]


def _what_a_call_is(alone: Alone) -> str:
    kind = "coroutine" if alone.coroutine else "plain function"
    took = f"It is a {kind}; a call takes {seconds(alone.seconds)}"
    if alone.mostly_elsewhere:
        return f"{took} and computes in other threads or processes, not in the one that calls."
    if alone.seconds < judging.TINY_SECONDS:
        return f"{took}: that is less than it costs to hand a call to any worker."
    share = alone.waiting_share
    if share > 0.9:
        return f"{took} and does nothing but wait."
    if share < 0.1:
        return f"{took} and computes all the time."
    return f"{took}: {share:.0%} of it waits, the rest computes."


def _how_cores_are_used(holds_gil: bool | None) -> Iterator[str]:
    if holds_gil is True:
        yield "Two at once in threads block each other: it holds the GIL while it computes."
    elif holds_gil is False:
        yield "Two at once in threads do not block each other: it computes without the GIL."


def _what_travelling_costs(alone: Alone, weighed: Travel) -> Iterator[str]:
    if weighed.problem:
        yield f"It cannot go to another process: {weighed.problem}."
        return
    size = weighed.there + (weighed.back or 0)
    if weighed.seconds > WEIGHS * alone.seconds:
        yield (
            f"An input and its result weigh {_bytes(size)}; serialising them takes "
            f"{seconds(weighed.seconds)}, a call {seconds(alone.seconds)}."
        )


def _how_much_calls_vary(alone: Alone) -> Iterator[str]:
    if alone.longest > VARIES * alone.median and alone.longest > 0.001:
        yield (
            f"Calls differ: the longest took {seconds(alone.longest)}, half of them less than "
            f"{seconds(alone.median)}."
        )


def _what_was_fastest(choice: Choice, tried: Sequence[Trial]) -> Iterator[str]:
    rivals = [t for t in tried if t.rates and not t.problem]
    rivals = [t for t in rivals if t.candidate.kind not in {choice.kind, *choice.as_good}]
    if choice.as_good:
        also = " and ".join(choice.as_good)
        yield f"{also.capitalize()} did as well, give or take 5 %; {choice.kind} is simpler."
    if choice.speedup is None:
        yield "What should be best could not be tried: this is a guess from the calls made alone."
    elif rivals:
        rival = max(rivals, key=lambda trial: trial.rate)
        chosen = next(t for t in tried if _is_chosen(t.candidate, choice))
        yield (
            f"It made {_rate(chosen.rate)} calls a second; the best other kind, "
            f"{rival.candidate.kind} with {_workers(rival.candidate.workers)}, "
            f"{_rate(rival.rate)}."
        )


def _is_chosen(candidate: Candidate, choice: Choice) -> bool:
    mine = (candidate.kind, candidate.workers, candidate.chunksize)
    return mine == (choice.kind, choice.workers, choice.chunksize)


def _what_starting_costs(choice: Choice, tried: Sequence[Trial]) -> Iterator[str]:
    """Starting is not in the rates: from how many calls on it does not matter."""
    chosen = next((t for t in tried if _is_chosen(t.candidate, choice)), None)
    serial = next((t for t in tried if t.candidate.kind == "serial" and t.rates), None)
    if choice.kind != "process" or chosen is None or serial is None or not chosen.rates:
        return
    calls = judging.calls_to_pay_for_start(chosen, serial)
    if calls is not None:
        yield (
            f"Starting its workers took {seconds(chosen.start)}, once: from about {calls} calls "
            "on it pays."
        )


def _what_is_doubtful(
    alone: Alone, tried: Sequence[Trial], failed: Sequence[tuple[Any, Exception]]
) -> Iterator[str]:
    if alone.disturbed:
        yield (
            "Other programs used this machine meanwhile, and the choice leans on processor time "
            "as much as on what was measured: try again when it is quiet."
        )
    no_time = [t.candidate for t in tried if t.problem == NO_TIME]
    if no_time:
        names = ", ".join(f"{c.kind} with {_workers(c.workers)}" for c in no_time)
        yield f"There was no time for {names}: give a larger budget."
    for trial in tried:
        if trial.problem and trial.problem not in {NO_TIME, COULD_NOT_WIN}:
            yield f"{trial.candidate.kind.capitalize()} failed: {trial.problem}."
    if failed:
        sample, error = failed[0]
        yield (
            f"{len(failed)} calls failed and were left out, such as {_short(sample)}: "
            f"{type(error).__name__}: {error}."
        )


def reasons_unseen(seen: Hints, weighed: Travel, choice: Choice) -> list[str]:
    """Why this one, of a function that was never called."""
    found = ["It was not called: this is a guess from its code."]
    if seen.coroutine:
        found.append("It is an async def: most of these wait, and an event loop is made for that.")
    elif seen.tiny:
        found.append("It is a few instructions long: handing it to a worker costs more.")
    elif seen.waits:
        found.append("It names something that waits for others: waits overlap in threads.")
    elif seen.native:
        found.append("It names a library whose native code releases the GIL: threads suffice.")
    else:
        found.append("Nothing in it seems to wait: if it computes in Python, it wants processes.")
    if weighed.problem:
        found.append(f"It cannot go to another process: {weighed.problem}.")
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
        return "serial, in short a plain loop"
    fast = "" if advice.speedup is None else f", {advice.speedup:.1f} times as fast as serial"
    return f"{advice.executor} with {_workers(advice.workers)}{fast}"


def _code(advice: Advice) -> list[str]:
    """What to write; a coroutine wants an executor also in serial."""
    name = advice.function if advice.function.isidentifier() else "fn"
    if advice.executor == "serial" and not (advice.alone and advice.alone.coroutine):
        return [f"results = [{name}(each) for each in inputs]"]
    workers = "" if advice.executor == "serial" else f", max_workers={advice.workers}"
    chunk = f", chunksize={advice.chunksize}" if advice.chunksize else ""
    return [
        f'with create_executor("{advice.executor}"{workers}) as executor:',
        f"    results = list(executor.map({name}, inputs{chunk}))",
    ]


def _table(advice: Advice) -> list[str]:
    serial = next((t.rate for t in advice.trials if t.candidate.kind == "serial"), 0.0)
    head = f"{'executor':10}{'workers':>8}{'chunk':>8}{'calls/s':>12}{'speed-up':>10}  "
    lines = [f"measured in {advice.seconds:.1f} s, the best slice of each", head.rstrip()]
    for trial in advice.trials:
        candidate = trial.candidate
        rate = _rate(trial.rate) if trial.rates else "-"
        times = f"{trial.rate / serial:.2f}" if trial.rates and serial else "-"
        mark = "<" if _chosen_in(advice, candidate) else ""
        lines.append(
            f"{candidate.kind:10}{candidate.workers:8}{_chunk(candidate):>8}"
            f"{rate:>12}{times:>10}  {mark or _short_problem(trial)}".rstrip()
        )
    return lines


def _chunk(candidate: Candidate) -> str:
    return "-" if candidate.kind == "serial" else str(candidate.chunksize or "auto")


def _chosen_in(advice: Advice, candidate: Candidate) -> bool:
    mine = (candidate.kind, candidate.workers, candidate.chunksize)
    return mine == (advice.executor, advice.workers, advice.chunksize)


def _short_problem(trial: Trial) -> str:
    problem = trial.problem or ""
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
        "chosen": _chosen_in(advice, trial.candidate),
        "problem": trial.problem,
    }


# -- words for numbers --


def seconds(value: float) -> str:
    """A duration with a unit that fits."""
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if value < limit:
            return f"{value * factor:.3g} {unit}"
    return f"{value:.3g} s"


def _bytes(count: int) -> str:
    for limit, unit in ((1e3, "bytes"), (1e6, "kB"), (1e9, "MB")):
        if count < limit:
            return f"{count / (limit / 1e3):.3g} {unit}"
    return f"{count / 1e9:.3g} GB"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count != 1 else ''}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
