"""Settings of the documentation; built by ``nox -s docs``, where any warning fails."""

from __future__ import annotations

import os
from importlib.metadata import version as version_of

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
autodoc_typehints = "none"  # the overloads are for checkers; the docstrings say the same in words

# Links into other projects need the network, and the build must not.
if os.environ.get("UNIFEXEC_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "anyio": ("https://anyio.readthedocs.io/en/stable", None),
        "trio": ("https://trio.readthedocs.io/en/stable", None),
    }
