"""The check that every test is under: nothing is left behind. Here it is seen to fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LEAKS = {
    "thread": "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()",
    "child process": "import subprocess; kept.append(subprocess.Popen(['sleep', '10']))",
    "descriptor": "import os; os.dup(0)",
}
HONEST = "import threading; threading.Timer(0.1, print).start()"


def run_under_the_check(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a test with this body under our conftest.py, a little less patient."""
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    assert "PATIENCE = 5.0" in conftest
    impatient = conftest.replace("PATIENCE = 5.0", "PATIENCE = 0.5")
    (tmp_path / "conftest.py").write_text(impatient, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    program = f"kept = []\n\ndef test_it():\n    {body}\n"
    (tmp_path / "test_it.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
    return subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted on Linux")
@pytest.mark.skipif(shutil.which("sleep") is None, reason="starts sleep as the child")
@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_fails_the_test_that_left_it(kind: str, tmp_path: Path) -> None:
    """A thread, a child process or a descriptor left behind is an error that names its kind."""
    done = run_under_the_check(tmp_path, LEAKS[kind])
    assert "1 passed, 1 error" in done.stdout
    assert f"('{kind}', " in done.stdout


def test_what_ends_soon_is_no_leak(tmp_path: Path) -> None:
    """A thread that ends within the patience of the check is waited for."""
    assert "1 passed in" in run_under_the_check(tmp_path, HONEST).stdout
