"""Drawing what was measured, with matplotlib: the extra ``plot``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unifexec.guidance import telling

if TYPE_CHECKING:
    from pathlib import Path

    from unifexec.guidance.advice import Advice

FORMATS = (".svg", ".png")
COLOURS = {"serial": "#8c8c8c", "thread": "#3b75af", "process": "#c85200", "async": "#519e3e"}
FAINT = 0.45  # how much is seen of a bar that is not recommended
CURE = "drawing needs matplotlib: pip install 'unifexec[plot]'"


def check(path: Path) -> None:
    """Raise what drawing to this path would raise, before the work is done.

    Raises:
        ValueError: the name ends neither in .svg nor in .png, its folder does not exist, or
            no file can be written there.
        ImportError: matplotlib is not installed; the message names the cure.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"a plot is written to a .svg or .png file, got {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"there is no folder {str(path.parent)!r} to write a plot to")
    _figure(1, 1)
    _try_to_write(path)


def _try_to_write(path: Path) -> None:
    """Open it to write, and leave all as it was."""
    new = not path.exists()
    try:
        path.open("a").close()
        if new:
            path.unlink()
    except OSError as error:
        raise ValueError(f"cannot write a plot to {str(path)!r}: {error.strerror}") from error


def draw_advice(advice: Advice, path: Path) -> None:
    """Calls per second of each candidate, as bars; the recommended one stands out.

    Raises:
        ValueError, ImportError: as `check`; ValueError also for an advice without trials.
    """
    check(path)
    tried = [trial for trial in advice.trials if trial.rates]
    if not tried:
        raise ValueError("there is nothing to draw: no executor was tried; give a larger budget")
    figure = _figure(7, 1.2 + 0.35 * len(tried))
    axes = figure.add_subplot()
    names = [_bar_name(trial.candidate) for trial in tried]
    bars = axes.barh(
        names,
        [trial.rate for trial in tried],
        color=[COLOURS[trial.candidate.kind] for trial in tried],
    )
    for bar, trial in zip(bars, tried, strict=True):
        bar.set_alpha(1.0 if telling.is_chosen(trial.candidate, advice) else FAINT)
    axes.bar_label(bars, [telling.rate(trial.rate) for trial in tried], padding=3)
    axes.xaxis.set_major_formatter("{x:,.10g}")
    axes.locator_params(axis="x", nbins=6)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("calls per second")
    axes.set_title(f"{advice.function}: {advice.executor}, {advice.workers} at a time", wrap=True)
    _save(figure, path)


def draw_comparison(data: dict[str, Any], path: Path) -> None:
    """The rows of ``unifexec compare``: how many times as fast as serial each executor was.

    Arguments:
        data: what ``unifexec compare --json`` writes.
        path: a .svg or .png file.

    Raises:
        ValueError, ImportError: as `check`.
    """
    check(path)
    rows = data["rows"]
    kinds = [cell["executor"] for cell in rows[0]["cells"][1:]] if rows else []
    figure = _figure(8, 1.5 + 0.9 * len(rows))
    axes = figure.add_subplot()
    height = 0.8 / max(1, len(kinds))
    for number, kind in enumerate(kinds):
        speedups = [_speedup(row, kind) for row in rows]
        places = [row + number * height for row in range(len(rows))]
        lengths = [value - 1.0 for value in speedups]  # from the line at 1.0, either way
        bars = axes.barh(places, lengths, height, 1.0, label=kind, color=COLOURS.get(kind))
        axes.bar_label(bars, [f"{value:.3g}" for value in speedups], padding=3, fontsize=8)
    axes.set_yticks(
        [row + height * (len(kinds) - 1) / 2 for row in range(len(rows))],
        [row["title"] for row in rows],
    )
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.margins(x=0.12)
    axes.set_xlabel("times as fast as serial, on a logarithmic scale")
    axes.set_title(f"Python {data['python']}, {data['cores']} cores")
    figure.legend(loc="outside lower center", ncols=max(1, len(kinds)))
    _save(figure, path)


def _speedup(row: dict[str, Any], kind: str) -> float:
    """That of one executor; 1.0, which draws nothing, where it failed."""
    found = (cell["speedup"] for cell in row["cells"] if cell["executor"] == kind)
    return next(found, None) or 1.0


def _bar_name(candidate: Any) -> str:
    chunk = f", chunks of {candidate.chunksize}" if candidate.chunksize else ""
    return (
        candidate.kind
        if candidate.kind == "serial"
        else (f"{candidate.kind} x {candidate.workers}{chunk}")
    )


def _save(figure: Any, path: Path) -> None:
    """Words stay words in an SVG: it is a third of the size, and can be searched and read out."""
    with import_module("matplotlib").rc_context({"svg.fonttype": "none"}):
        figure.savefig(path)


def _figure(width: float, height: float) -> Any:
    """A figure that needs no display."""
    try:
        module = import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise ImportError(CURE) from error
    return module.Figure(figsize=(width, height), layout="constrained")
