"""All rows, family by family."""

from benchmarks.rows import coroutine, memory, payload, process, scale, script, start, thread

ROWS = [
    *thread.ROWS,
    *process.ROWS,
    *script.ROWS,
    *payload.ROWS,
    *coroutine.ROWS,
    *start.ROWS,
    *memory.ROWS,
    *scale.ROWS,
]
