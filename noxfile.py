"""Every check of the project; ``nox`` alone runs those that a change must pass.

``nox -l`` lists the sessions, ``nox -s tests-3.12 -- -k gather`` passes arguments on to pytest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t"]
OLDEST = PYTHONS[0]

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # session `interpreters` is the judge
nox.options.sessions = ["tests", "types", "lint", "docs", "package", "interpreters"]

# What `package` runs: little of everything, and what depends on files that a wheel might lack.
FAST_TESTS = [f"tests/test_{name}.py" for name in ("bad_input", "clients", "imports", "costs")]
FAST_TESTS += ["tests/test_guidance_table.py", "tests/test_conformance.py::TestProcess"]
IS_INSTALLED = (
    "import pathlib, sysconfig, unifexec; home = pathlib.Path(unifexec.__file__).parent; "
    "print(home); assert home.parent == pathlib.Path(sysconfig.get_paths()['purelib']); "
    "assert (home / 'py.typed').exists()"
)

SIDE_BY_SIDE = "--numprocesses=2"  # half of the tests' time is waiting

ran: dict[str, str] = {}  # which of PYTHONS ran the tests, and what they call themselves
passed: set[str] = set()


def versions_of_pyenv() -> list[str]:
    """Return the newest version of each of PYTHONS that pyenv has installed."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    newest: dict[str, tuple[int, str]] = {}
    for home in root.glob("versions/3.*"):
        match = re.fullmatch(r"(3\.\d+)(?:\.(\d+)|-dev)\w*?(t?)", home.name)
        if match and (home / "bin" / "python").exists():
            minor, patch = match[1] + match[3], int(match[2] or 0)
            newest[minor] = max(newest.get(minor, (0, "")), (patch, home.name))
    return [newest[python][1] for python in PYTHONS if python in newest]


def show_pyenv() -> None:
    """Let the ``python3.x`` of pyenv be found: they are hidden unless this variable names them."""
    chosen = os.environ.get("PYENV_VERSION", "").split(":")
    names = [name for name in [*chosen, *versions_of_pyenv()] if name]
    if names:
        os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys(names))


def is_installed(python: str) -> bool:
    """Whether ``python3.x`` starts here; found without nox, to hold nox to account."""
    command = shutil.which(f"python{python}")
    return (
        command is not None
        and subprocess.run([command, "-c", ""], capture_output=True, check=False).returncode == 0
    )


show_pyenv()


def tell_version(session: nox.Session) -> str:
    """Return what the session's interpreter calls itself, such as ``CPython 3.12.1``."""
    ask = "import platform as p; print(p.python_implementation(), p.python_version())"
    answer = session.run("python", "-c", ask, silent=True, log=False)
    return str(answer).strip()


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the default tests against the package as built."""
    session.install(".", "--group", "tests")
    python = str(session.python)
    ran[python] = tell_version(session)
    session.run("pytest", SIDE_BY_SIDE, *session.posargs)
    passed.add(python)


@nox.session(python=PYTHONS)
def slow(session: nox.Session) -> None:
    """Run the tests marked `slow`, with many more examples."""
    session.install(".", "--group", "tests")
    args = ["-m", "slow", *session.posargs]
    session.run("pytest", *args, env={"HYPOTHESIS_PROFILE": "nightly"})


@nox.session(python=PYTHONS)
def laws(session: nox.Session) -> None:
    """Plant a fault for each law, and for each rule of the core, and see a test fail."""
    session.install(".", "--group", "tests")
    session.run("python", "-m", "tests.laws", *session.posargs)
    session.run("pytest", "-m", "slow", "tests/model/test_model_bites.py")


@nox.session
def soak(session: nox.Session) -> None:
    """Run random programs with random faults: ``nox -s soak -- --minutes 10 --seed 1``."""
    session.install(".", "--group", "tests")
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build sdist and wheel, check both, and run fast tests of the sdist against the wheel.

    They run where no source of the package is, so what they import is the wheel.
    """
    session.install("--group", "package", "--group", "tests")
    place = Path(session.create_tmp()).resolve()
    shutil.rmtree(place)
    session.run("validate-pyproject", "pyproject.toml")
    session.run("python", "-m", "build", "--outdir", str(place))
    (sdist,), (wheel,) = place.glob("*.tar.gz"), place.glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))
    session.install(str(wheel))
    # By hand, since `nox -R` leaves installing out and would test what was built before.
    session.run(
        "python", "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", str(wheel)
    )
    shutil.unpack_archive(sdist, place, filter="data")
    session.chdir(place / sdist.name.removesuffix(".tar.gz"))
    shutil.rmtree("src")
    session.run("python", "-c", IS_INSTALLED)
    session.run("unifexec", "--version")
    session.run("pytest", *(session.posargs or FAST_TESTS))


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Check the types of the package, and the cases of tests/typing, with mypy and pyright."""
    session.install("-e", ".", "--group", "typing")
    places = ["src", "tests/typing"]
    session.run("mypy", *places, "benchmarks")
    session.run("pyright", *places)
    session.run("pyright", "--verifytypes", "unifexec", "--ignoreexternal")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation and run its examples; any warning fails."""
    session.install(".", "--group", "docs", "--group", "tests", "--group", "examples")
    build_site(session)
    session.run("pytest", "tests/test_readme_docs.py")


@nox.session(name="docs-browser")
def docs_browser(session: nox.Session) -> None:
    """Look at the documentation in headless Chromium, at the widths of a desk and of a phone."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        told = "apt-get install chromium chromium-driver"
        session.error(f"{' and '.join(missing)} not found: {told}")
    session.install(".", "--group", "docs", "--group", "tests", "--group", "browser")
    site = build_site(session)
    session.run("pytest", "tests/browser", *session.posargs, env={"UNIFEXEC_SITE": site})


def build_site(session: nox.Session) -> str:
    """Build what changed of the site; any warning fails. Where it stands, as an absolute path."""
    site = Path("docs/_build/html").absolute()
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", str(site))
    return str(site)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside peers and floors: `-- --quick`, `-- --check`, `-- --only thread`."""
    session.install(".", "--group", "bench")
    for peer in nox.project.load_toml("pyproject.toml")["dependency-groups"]["peers"]:
        session.install(peer, success_codes=range(256))  # who cannot be installed is left out
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="none")
def interpreters(session: nox.Session) -> None:
    """Say which interpreters ran the tests; fail if none did, or an installed one did not pass."""
    for python in PYTHONS:
        if python in ran:
            state = f"{ran[python]}: {'passed' if python in passed else 'failed'}"
        else:
            state = "not run, though installed" if is_installed(python) else "not installed"
        print(f"python {python:6} {state}", flush=True)
    missed = [python for python in PYTHONS if python not in passed and is_installed(python)]
    if missed or not passed:
        session.error(f"did not pass the tests: {', '.join(missed) or 'none was run'}")
