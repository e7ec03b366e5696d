"""Programs in fresh interpreters, for what can be measured only once per process."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from benchmarks.floors import ROOT
from benchmarks.model import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.model import Open, Run

LIMIT = 120.0  # seconds that one program may take


@cache
def compiled() -> str:
    """Where compiled modules are kept for this run: installed libraries are compiled, too."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def ask(program: str, *args: str) -> float:
    """Run a program; the number that it prints last."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "PYTHONPYCACHEPREFIX": compiled(),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    command = [sys.executable, "-c", program, *args]
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, env=env, check=False
    )
    if answer.returncode:
        raise RuntimeError(f"a fresh interpreter failed: {answer.stderr.strip()[-400:]}")
    return float(answer.stdout.split()[-1])


def asked(program: str, needs: str = "") -> Open:
    """A contender that is a program, run once per task in an interpreter of its own."""

    @contextmanager
    def open_() -> Iterator[Run]:
        if needs and importlib.util.find_spec(needs) is None:
            raise UnavailableError("not installed")
        yield lambda count: sum(once(program) for _ in range(count))

    return open_


def once(program: str) -> float:
    """One run, whose argument is an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return ask(program, folder)
