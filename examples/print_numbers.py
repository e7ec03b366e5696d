"""Print 0 to 4 with a second's pause, twice at once: about 5 seconds, not 10.

python examples/print_numbers.py thread          (or process, async, serial)
python examples/print_numbers.py thread 0.1      (with a shorter pause)
"""

import sys
import time

from unifexec import create_executor


def print_numbers(name: str, pause: float) -> str:
    for number in range(5):
        print(f"{name} {number}", flush=True)
        time.sleep(pause)
    return name


if __name__ == "__main__":
    kind = sys.argv[1] if len(sys.argv) > 1 else "thread"
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    start = time.perf_counter()
    with create_executor(kind, max_workers=2) as executor:
        first = executor.submit(print_numbers, "first", pause)
        second = executor.submit(print_numbers, "second", pause)
        print("done:", *executor.gather(first, second).result())
    print(f"on {kind}: {time.perf_counter() - start:.1f} s")
