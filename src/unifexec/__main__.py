"""The command line: ``unifexec compare``, or ``python -m unifexec compare``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import unifexec

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = ("http", "parse", "hash", "tiny", "async")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; Ctrl-C ends it quietly."""
    options = _parser().parse_args(arguments)
    try:
        return _compare(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unifexec",
        description="One typed Executor over serial code, threads, processes and asyncio.",
    )
    parser.add_argument("--version", action="version", version=f"unifexec {unifexec.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    compare = commands.add_parser(
        "compare", help="run real work through every executor here, and say what to choose"
    )
    compare.add_argument("--workers", type=_count, help="workers of each executor")
    compare.add_argument(
        "--only", action="append", choices=ROWS, help="only this row; may be repeated"
    )
    compare.add_argument(
        "--json", type=_new_file, metavar="FILE", help="write the figures as JSON too"
    )
    compare.add_argument(
        "--scale", type=_scale, default=1.0, help="size of the work; 1.0 takes under a minute"
    )
    return parser


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
    """A file to write later: that it can be written is known before the work begins."""
    path = Path(text)
    try:
        path.open("a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: {error.strerror}") from error
    return path


def _compare(options: argparse.Namespace) -> int:
    from unifexec.compare import measure, report, server, work

    with server.running() as url:
        rows = [row for row in work.rows(url, options.scale) if row.key in (options.only or ROWS)]
        table = measure.measure_all(rows, options.workers, _progress)
    print(report.as_text(table))
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_data(table), indent=2) + "\n")
    return 0 if all(report.same_results(cells) for _, cells in table) else 1


def _progress(text: str) -> None:
    """What runs now, on a terminal; nothing when piped."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
