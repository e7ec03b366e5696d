"""Values and decisions. `dispatch` and `batching` know no thread, pipe, loop or clock.

`task`, `maps` and `gather` are what callers hold: they have locks and time-outs, wait by way of
`_wait`, and start nothing.
"""
