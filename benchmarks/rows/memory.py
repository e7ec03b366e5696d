"""Memory: what a long map holds when its results are taken slowly."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.fresh import once
from benchmarks.model import ITEMS, MIB, Sizes, must_be_at_most, row
from benchmarks.peers import library
from benchmarks.slow_consumer import BUFFERSIZE
from benchmarks.ways import floor, ours, peer, standard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.model import Contender, Open, Run

PROGRAM = "from benchmarks.slow_consumer import main; main({what!r}, {opener!r}, {count}, {size})"


def watched(
    what: str, opener: str, buffersize: int | None = None, needs: str | None = None
) -> Open:
    """A map in a fresh interpreter, whose memory is its own."""

    @contextmanager
    def open_() -> Iterator[Run]:
        if needs:
            library(needs)
        yield lambda count: once(
            PROGRAM.format(what=what, opener=opener, count=count, size=buffersize)
        )

    return open_


@row(
    "memory-growth",
    must_be_at_most(4),
    sizes=Sizes(full=1_000_000, quick=100_000, tiny=2_000),
    unit=MIB,
)
def memory_growth() -> Iterator[Contender]:
    """The growth of memory while a long map in threads is consumed slowly."""
    yield ours("ThreadExecutor.map", watched("growth", "our_threads"))
    yield floor("map, the built-in", watched("growth", "builtin"), share=0.1)
    yield standard("ThreadPoolExecutor.map", watched("growth", "standard_threads"), share=0.05)
    streamable = watched("growth", "streamable_threads", needs="streamable")
    yield peer("streamable", streamable, share=0.05)


@row(
    "memory-growth-process",
    must_be_at_most(4),
    sizes=Sizes(full=200_000, quick=20_000, tiny=2_000),
    unit=MIB,
)
def memory_growth_process() -> Iterator[Contender]:
    """The growth of the caller's memory while a long map in processes is consumed slowly."""
    yield ours("ProcessExecutor.map", watched("growth", "our_processes"))
    yield floor("map, the built-in", watched("growth", "builtin"), share=0.1)
    yield standard("ProcessPoolExecutor.map", watched("growth", "standard_processes"), share=0.1)


@row(
    "memory-ahead",
    must_be_at_most(BUFFERSIZE),
    sizes=Sizes(full=200_000, quick=20_000, tiny=2_000),
    unit=ITEMS,
)
def memory_ahead() -> Iterator[Contender]:
    """The most inputs taken ahead of a slow consumer; ours with a buffersize of 256."""
    yield ours("ThreadExecutor.map", watched("ahead", "our_threads", BUFFERSIZE))
    yield floor("map, the built-in", watched("ahead", "builtin"))
    yield standard("ThreadPoolExecutor.map", watched("ahead", "standard_threads"), share=0.2)
    yield peer("streamable", watched("ahead", "streamable_threads", needs="streamable"), share=0.2)


ROWS = [memory_growth, memory_growth_process, memory_ahead]
