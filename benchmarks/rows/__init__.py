"""All rows, family by family."""

from benchmarks.rows import coroutine, memory, payload, process, scale, start, thread

ROWS = [
    *thread.ROWS,
    *process.ROWS,
    *payload.ROWS,
    *coroutine.ROWS,
    *start.ROWS,
    *memory.ROWS,
    *scale.ROWS,
]
