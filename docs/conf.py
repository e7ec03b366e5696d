"""Settings of the documentation; built by ``nox -s docs``, where any warning fails."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version as version_of

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.pycode import ModuleAnalyzer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "unifexec"
author = "unifexec contributors"
copyright = "2026, unifexec contributors"  # noqa: A001 - Sphinx's name for it
version = release = version_of("unifexec")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"unifexec {release}"
html_favicon = "favicon.svg"
exclude_patterns = ["_build"]
default_role = "py:obj"  # `Task` in a docstring links to the class

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"  # long rows of overloads are summed up: see SUMMED_UP
python_maximum_signature_line_length = 90  # a longer one has a line for each parameter

# Links into other projects need the network, and the build must not.
if os.environ.get("UNIFEXEC_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "anyio": ("https://anyio.readthedocs.io/en/stable", None),
        "trio": ("https://trio.readthedocs.io/en/stable", None),
    }


class CommandLine(Directive):
    """``{command-line}``: what ``--help`` says, of the program and of each of its commands."""

    def run(self) -> list[nodes.Node]:
        """Ask the parser itself, with lines of one length wherever the page is built."""
        from unifexec.__main__ import _parser

        os.environ["COLUMNS"] = "80"
        os.environ["NO_COLOR"] = "1"
        program = _parser()
        (commands,) = (
            action
            for action in program._subparsers._group_actions
            if isinstance(action, argparse._SubParsersAction)
        )
        parts: list[nodes.Node] = []
        for name, parser in {"": program, **commands.choices}.items():
            if name:
                parts.append(nodes.rubric(text=f"unifexec {name}"))
            text = parser.format_help()
            parts.append(nodes.literal_block(text, text, language="text"))
        return parts


# Of these the overloads, up to 24 of them, would be shown whatever signature the page gives.
SUMMED_UP = {
    "unifexec.abc": [f"Executor.{name}" for name in ("submit", "map", "gather", "wrap")],
    "unifexec._backends.create": ["create_executor"],
}


def forget_overloads(_: Sphinx) -> None:
    """Let reference.md sum them up; autodoc asks the same analyzers, which are kept."""
    for module, names in SUMMED_UP.items():
        analyzer = ModuleAnalyzer.for_module(module)
        analyzer.analyze()
        for name in names:
            del analyzer.overloads[name]


def setup(app: Sphinx) -> None:
    """Make the directive known, and the overloads forgotten."""
    app.connect("builder-inited", forget_overloads)
    app.add_directive("command-line", CommandLine)
