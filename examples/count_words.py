"""Count the words of real text files: CPU work in Python.

python examples/count_words.py process           (or thread, async, serial)
python examples/count_words.py process FOLDER    (of *.txt, *.md and *.py files)
"""

import re
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

from unifexec import create_executor


def count_words(path: Path) -> Counter:
    text = path.read_text(encoding="utf-8", errors="replace").lower()
    return Counter(re.findall(r"[a-z]+", text))


if __name__ == "__main__":
    kind = sys.argv[1] if len(sys.argv) > 1 else "process"
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in folder.glob("*.*") if path.suffix in {".txt", ".md", ".py"})
    start = time.perf_counter()
    total: Counter = Counter()
    with create_executor(kind) as executor:
        for words in executor.map(count_words, files):
            total.update(words)
    for word, times in total.most_common(5):
        print(f"{times:8} {word}")
    print(f"{len(files)} files on {kind}: {time.perf_counter() - start:.1f} s")
