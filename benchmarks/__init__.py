"""Measure unifexec beside its peers and beside hand-written floors: ``python -m benchmarks``.

docs/benchmarks.md tells how to run it, how to read it, and how to add a row or a peer.
"""
