"""Which executor? The comparison table with evidence, and advice from measurement.

::

    from unifexec.guidance import advise

    print(advise(parse, paths, budget=5.0))  # or: unifexec advise package.module:parse --samples …
"""

from __future__ import annotations

from unifexec.guidance.advice import Advice, advise

__all__ = ["Advice", "advise"]
