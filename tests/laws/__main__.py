"""Plant each fault of the table in a copy of the package, and see its test fail.

python -m tests.laws [LAW ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unifexec

from .table import ROWS, Row


def main() -> int:
    """Run the rows asked for, or all; print a line each; 0 if every fault was seen."""
    wanted = set(sys.argv[1:])
    rows = [row for row in ROWS if not wanted or row.law in wanted]
    missed = [row for row in rows if not shown(row)]
    print(f"{len(rows) - len(missed)} of {len(rows)} faults seen by the test of their law")
    return 1 if missed else 0


def shown(row: Row) -> bool:
    """Whether the test of a law passes as it is, and fails with the fault."""
    well, ill = passes(row, planted=False), passes(row, planted=True)
    verdict = "seen" if well and not ill else "NOT SEEN" if ill else "fails without it"
    print(f"{row.law:5} {verdict:9} {row.test.partition('::')[2]:75} {row.file}", flush=True)
    return well and not ill


def passes(row: Row, planted: bool) -> bool:
    """Run one test against a copy of the package."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "unifexec"
        shutil.copytree(Path(unifexec.__file__).parent, package)
        if planted:
            source = (package / row.file).read_text(encoding="utf-8")
            if source.count(row.old) != 1:
                raise SystemExit(f"{row.law}: the fault is out of date, {row.file} has changed")
            (package / row.file).write_text(source.replace(row.old, row.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--timeout", "30", row.test]
        environment = {**os.environ, "PYTHONPATH": folder}
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=120, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
