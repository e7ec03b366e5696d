"""The command line: ``unifexec compare``, ``advise``, ``table`` and ``doctor``.

``python -m unifexec`` does the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import unifexec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

ROWS = ("http", "parse", "hash", "tiny", "async")
INTERRUPTED, READER_LEFT = 130, 141  # as a shell tells the end by SIGINT, and by SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; Ctrl-C ends it quietly, and so does a reader that wants no more."""
    _write_any_text()
    try:
        try:
            return _run(arguments)
        finally:
            print(end="", flush=True)  # here a pipe that broke can be answered, at exit not
    except BrokenPipeError:
        _say_no_more(sys.stdout)
        return READER_LEFT
    except OSError as error:  # a full disk, say
        return _end_by(error)
    except KeyboardInterrupt:
        _progress("")
        _say("interrupted")
        return INTERRUPTED


def _write_any_text() -> None:
    """What the encoding of the output does not know, such as µ, is written by its number."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    code: int = options.run(options)
    return code


def _end_by(error: OSError) -> int:
    """Say what could not be done, if that can be said; exit code 1."""
    try:
        print(end="", flush=True)
    except OSError:
        _say_no_more(sys.stdout)
    _say(f"unifexec: {error}")
    return 1


def _say(text: str) -> None:
    """A line for the user, beside the output; a program without a terminal may have no place."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _say_no_more(sys.stderr)


def _say_no_more(stream: TextIO) -> None:
    """Send what is still to be written nowhere: Python flushes once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unifexec",
        description="One typed Executor over serial code, threads, processes and asyncio.",
    )
    parser.add_argument("--version", action="version", version=f"unifexec {unifexec.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_compare(commands)
    _add_advise(commands)
    _add_table(commands)
    _add_doctor(commands)
    return parser


Commands = argparse._SubParsersAction  # what `add_subparsers` returns has no public name


def _add_compare(commands: Commands[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare", help="run real work through every executor here, and say what to choose"
    )
    compare.set_defaults(run=_compare)
    compare.add_argument("--workers", type=_count, help="workers of each executor")
    compare.add_argument(
        "--only", action="append", choices=ROWS, help="only this row; may be repeated"
    )
    compare.add_argument(
        "--scale", type=_scale, default=1.0, help="size of the work; 1.0 takes under a minute"
    )
    _add_outputs(compare)


def _add_advise(commands: Commands[argparse.ArgumentParser]) -> None:
    advise = commands.add_parser(
        "advise",
        help="measure a function of yours for some seconds, and say which executor it wants",
        description="Runs the function on the samples, again and again, for some seconds, here and "
        "in every executor: what it changes outside of itself is changed as often, and by several "
        "calls at once.",
    )
    advise.set_defaults(run=_advise)
    advise.add_argument("function", metavar="package.module:function")
    advise.add_argument(
        "--samples",
        required=True,
        metavar="FILE|EXPR",
        help="inputs, one for each call: a text file or a pipe with one on each line, a .json "
        "file with a list, or a Python expression, such as 'range(100)'",
    )
    advise.add_argument(
        "--budget", type=_seconds, default=5.0, help="seconds to take, about (default 5)"
    )
    advise.add_argument("--workers", type=_count, help="try only this many workers")
    advise.add_argument(
        "--dry", action="store_true", help="judge without running the function at all"
    )
    _add_outputs(advise)


def _add_table(commands: Commands[argparse.ArgumentParser]) -> None:
    table = commands.add_parser("table", help="how threads, processes, asyncio and serial differ")
    table.set_defaults(run=_table)
    form = table.add_mutually_exclusive_group()
    form.add_argument("--evidence", action="store_true", help="name what shows each claim")
    form.add_argument("--markdown", action="store_true", help="one Markdown table")
    form.add_argument("--short", action="store_true", help="the Markdown table of the README")
    form.add_argument("--page", action="store_true", help="the page of the documentation")


def _add_doctor(commands: Commands[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor", help="look at this machine and interpreter; exit code 1 if something is amiss"
    )
    doctor.set_defaults(run=_doctor)


def _add_outputs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json", type=_new_file, metavar="FILE", help="write the figures as JSON too"
    )
    command.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw them: FILE ends in .svg or .png"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, got {text!r}")
    return int(text)


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"must be a number above 0, at most 100, got {text!r}")
    return value


def _new_file(text: str) -> Path:
    """A file to write later: that it can be written is known before the work begins.

    It is not left behind: what comes between may fail.
    """
    path = Path(text)
    try:
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.resolve().unlink()  # not a link to it
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: {error.strerror}") from error
    return path


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return value


def _compare(options: argparse.Namespace) -> int:
    from unifexec.compare import measure, report, server, work

    if options.plot is not None and (problem := _cannot_plot(options.plot)):
        return problem
    with server.running() as url:
        rows = [row for row in work.rows(url, options.scale) if row.key in (options.only or ROWS)]
        table = measure.measure_all(rows, options.workers, _progress)
    _write_json(options.json, report.as_data(table))  # first: who reads the text may leave early
    print(report.as_text(table))
    if options.plot is not None:
        from unifexec.guidance import plot

        plot.draw_comparison(report.as_data(table), options.plot)
    return 0 if all(report.same_results(cells) for _, cells in table) else 1


def _advise(options: argparse.Namespace) -> int:
    from unifexec.guidance import advise, target

    if options.plot is not None and options.dry:
        _say("unifexec advise: --plot draws what was measured: leave out --dry")
        return 2
    if options.plot is not None and (problem := _cannot_plot(options.plot)):
        return problem
    try:
        fn = target.load_function(options.function)
        samples = target.load_samples(options.samples)
        advice = advise(
            fn, samples, budget=options.budget, workers=options.workers, dry=options.dry
        )
    except (TypeError, ValueError, RuntimeError) as error:
        told = " ".join(str(error).splitlines())
        _say(f"unifexec advise: {told}")
        return 2
    _write_json(options.json, json.loads(advice.to_json()))  # first: a reader may leave early
    print(advice)
    if options.plot is not None:
        from unifexec.guidance import plot

        try:
            plot.draw_advice(advice, options.plot)
        except ValueError as error:
            _say(f"unifexec advise: {error}")
            return 2
    return 0


def _table(options: argparse.Namespace) -> int:
    import shutil

    from unifexec.guidance import comparison, table

    if options.page:
        print(table.as_page(comparison.rows(gil=True)), end="")
    elif options.short:
        print(table.as_short(comparison.rows(gil=True)), end="")
    elif options.markdown:
        print(table.as_markdown(comparison.rows(gil=True)), end="")
    else:
        width = min(shutil.get_terminal_size().columns, 100)
        print(table.as_text(comparison.rows(), width, options.evidence))
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from unifexec.guidance import doctor

    findings = doctor.examine()
    print(doctor.as_text(findings))
    return 1 if any(finding.warning for finding in findings) else 0


def _cannot_plot(path: Path) -> int:
    """Exit code 2, after saying why, if nothing can be drawn there; else 0. Asked before work."""
    from unifexec.guidance import plot

    try:
        plot.check(path)
    except (ValueError, ImportError) as error:
        _say(f"unifexec: {error}")
        return 2
    return 0


def _write_json(path: Path | None, data: object) -> None:
    if path is not None:
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _progress(text: str) -> None:
    """What runs now, on a terminal; nothing when piped."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
