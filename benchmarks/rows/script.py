"""Processes, for what a script defines itself: nobody else can import that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.model import Contender, Group, Sizes, aim_faster, aim_within, row
from benchmarks.rows.process import pipe_burst, pipe_map
from benchmarks.tasks import Script, dearer, imported_orders, script_orders
from benchmarks.ways import burst, floor, mapped, ours, peer, standard

if TYPE_CHECKING:
    from collections.abc import Iterator


@row(
    "script-submit",
    aim_faster(2, "multiprocessing.Pool, imported"),
    sizes=Sizes(full=10_000, quick=4_000),
)
def script_submit() -> Iterator[Contender]:
    """Submit a function of a script to processes, then take all results."""
    yield ours("ProcessExecutor", burst(peers.our_processes, Script.nothing))
    yield floor("64 calls per message over a pipe, imported", pipe_burst)
    yield standard("ProcessPoolExecutor, imported", burst(peers.standard_processes), share=0.5)
    yield standard("multiprocessing.Pool, imported", burst(peers.multiprocessing_pool))
    yield peer("loky", burst(peers.loky_processes, Script.nothing), share=0.2)


@row(
    "script-map",
    aim_within(3, Group.TUNED_STANDARD),
    sizes=Sizes(full=50_000, quick=10_000),
)
def script_map() -> Iterator[Contender]:
    """Map small objects of a class of a script to such objects in processes, nothing tuned."""
    yield ours("ProcessExecutor.map", mapped(peers.our_processes, dearer, script_orders))
    yield floor("100 items per message, imported", pipe_map(dearer, imported_orders, 100))
    for chunk in [100, 1_000]:
        pool = partial(peers.standard_processes, chunk)
        name = f"chunksize={chunk}, imported"
        yield Contender(name, Group.TUNED_STANDARD, mapped(pool, dearer, imported_orders))
    yield peer("loky", mapped(peers.loky_processes, dearer, script_orders), share=0.02)
    yield peer("joblib", mapped(peers.joblib_processes, dearer, script_orders), share=0.05)


ROWS = [script_submit, script_map]
