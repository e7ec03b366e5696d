"""How many items travel together, and how far a map looks ahead: from observed durations.

Pure functions of numbers; `maps` asks them. Larger batches cost less per item; smaller
ones spread better over the workers. An item that turns out slow holds nobody up either way:
`dispatch` takes back what is behind it.
"""

from __future__ import annotations

BATCH_SECONDS = 0.012  # work per batch: long against the way there and back, and below
# `dispatch.PATIENCE`, or batches would be taken back while all is well with them.
AHEAD_SECONDS = 0.5  # work per worker in the window: long against a pause of the consumer
LEAST_AHEAD = 4  # items per worker in the window, however slow they are
MOST_AHEAD = 16384  # items in the window, however fast: bounds the memory of results
MOST_TOGETHER = 1 << 16  # items of a batch, whatever is asked for: a mark counts them
# The first was measured: a worker rests 0.3 to 0.7 ms between two batches where all cores are
# busy. Tasks of 1 ms took 1.09 times what they take in hand-made chunks of 16 with 5 ms, 1.05
# with 8, 1.02 with 12. The next three were chosen by thought.
WHOLE_SECONDS = 0.001  # work that is not divided more finely: it is over before others begin
# Measured: maps of nothing in six threads took 0.86 of what they did with 0.1 ms and an eighth of
# what waits. But no more than a quarter of it: tasks may be longer than those before them.

RISING = 0.2  # weight of the newest duration in the running mean, if it is longer
FALLING = 0.4  # and if it is shorter: small batches cost more than large ones, which are taken back


def observe(mean: float | None, seconds: float) -> float:
    """The running mean of item durations, with one more seen."""
    if mean is None:
        return seconds
    return mean + (RISING if seconds > mean else FALLING) * (seconds - mean)


def window_size(workers: int, mean: float | None) -> int:
    """How many inputs a map may pull ahead of what it has yielded."""
    least = max(LEAST_AHEAD * workers, 16)
    if mean is None:
        return least
    ahead = AHEAD_SECONDS * workers / max(mean, 1e-7)
    return int(max(least, min(ahead, MOST_AHEAD)))


def batch_size(workers: int, mean: float | None, window: int) -> int:
    """How many items travel together; one, as long as nothing is known."""
    if mean is None:
        return 1
    mean = max(mean, 1e-7)
    fair = max(window // (2 * workers), min(window // 4, int(WHOLE_SECONDS / mean)))
    return int(max(1, min(BATCH_SECONDS / mean, fair)))
