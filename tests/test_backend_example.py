"""The example of a backend keeps every law: it joins the conformance suite by one line."""

from __future__ import annotations

from tests.backend_example import FreshExecutor
from unifexec.testing import conformance

TestFresh = conformance(FreshExecutor)
