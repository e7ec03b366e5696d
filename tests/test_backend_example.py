"""The example of a backend passes the conformance suite, which it joins by one line."""

from __future__ import annotations

from tests.backend_example import FreshExecutor
from unifexec.testing import conformance

TestFresh = conformance(FreshExecutor)
